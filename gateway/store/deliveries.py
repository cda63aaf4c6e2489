"""Deliveries to webhooks in a database."""

from collections.abc import Collection, Sequence
from dataclasses import fields
from datetime import datetime, timedelta

from sqlalchemy import Connection, Row, insert, not_, select, update
from sqlalchemy.exc import IntegrityError

from gateway.service.jobs.ports import DeliveryStore
from gateway.service.jobs.records import Delivery, DeliveryState
from gateway.store.clock import Clock, utc_now
from gateway.store.database import Database
from gateway.store.schema import PENDING_DELIVERY
from gateway.store.schema import deliveries as table
from gateway.store.texts import storable
from gateway.store.uuid7 import check_id, is_id


class SqlDeliveryStore(DeliveryStore):
    """Deliveries in SQLite or PostgreSQL; safe for any number of threads and processes."""

    def __init__(self, database: Database, *, clock: Clock = utc_now) -> None:
        """`clock` gives `updated_at`."""
        self._database = database
        self._clock = clock

    def add(self, delivery: Delivery) -> bool:
        """Raises ValueError for an id that is no UUIDv7."""
        try:
            with self._database.writing() as connection:
                add_deliveries(connection, [delivery])
        except IntegrityError:
            return False
        return True

    def claim(self, now: datetime, *, lease_s: float, limit: int, skip: Collection[str] = ()) -> Sequence[Delivery]:
        """A lease that is over makes a delivery due again."""
        due = select(table.c.id).where(PENDING_DELIVERY, table.c.not_before <= now)
        due = due.where(*(not_(table.c.url.startswith(f"{origin}/", autoescape=True)) for origin in skip))
        due = due.order_by(table.c.not_before, table.c.id).limit(limit).with_for_update(skip_locked=True)
        taken = update(table).where(table.c.id.in_(select(due.cte("due").c.id))).values(
            attempts=table.c.attempts + 1, not_before=now + timedelta(seconds=lease_s), updated_at=now
        )
        with self._database.writing() as connection:
            return [_from_row(row) for row in connection.execute(taken.returning(table))]

    def delivered(self, delivery: Delivery, status: int) -> bool:
        """False also where it was given up."""
        return self._change(delivery, state=DeliveryState.DELIVERED, last_status=status, last_error="")

    def retry(self, delivery: Delivery, not_before: datetime, *, status: int | None, error: str) -> bool:
        """Its attempts go on counting."""
        return self._change(delivery, not_before=not_before, last_status=status, last_error=storable(error))

    def fail(self, delivery: Delivery, *, status: int | None, error: str) -> bool:
        """False also where it was delivered."""
        return self._change(delivery, state=DeliveryState.FAILED, last_status=status, last_error=storable(error))

    def of_job(self, tenant: str, job_id: str) -> Sequence[Delivery]:
        """Empty also for a text that is no id at all."""
        if not is_id(job_id):
            return []
        oldest_first = select(table).where(table.c.job_id == job_id, table.c.tenant == tenant).order_by(table.c.id)
        with self._database.reading() as connection:
            return [_from_row(row) for row in connection.execute(oldest_first)]

    def _change(self, delivery: Delivery, **values: object) -> bool:
        held = update(table).where(
            table.c.id == delivery.id, table.c.attempts == delivery.attempts, PENDING_DELIVERY, table.c.attempts > 0
        )
        with self._database.writing() as connection:
            return connection.execute(held.values(updated_at=self._clock(), **values)).rowcount == 1


def add_deliveries(connection: Connection, deliveries: Sequence[Delivery]) -> None:
    """Stores them in the transaction that `connection` is in."""
    for delivery in deliveries:
        row = {field.name: getattr(delivery, field.name) for field in fields(delivery)}
        connection.execute(insert(table), {**row, "id": check_id(delivery.id)})


def _from_row(row: Row[*tuple[object, ...]]) -> Delivery:
    values = {field.name: getattr(row, field.name) for field in fields(Delivery)}
    return Delivery(**{**values, "state": DeliveryState(row.state)})
