"""Results by webhook when many are due, when a receiver is slow, and when the gateway or its database fails."""

import asyncio
import json
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest

from gateway.service.jobs.records import Delivery, DeliveryState
from gateway.store.deliveries import SqlDeliveryStore
from tests.gateway.service.webhook_receiver import Receiver, status, waits
from tests.gateway.service.webhook_stores import LEASE, POLICY, Books, Stage, play


def test_a_slow_receiver_does_not_hold_up_the_others(tmp_path: Path) -> None:
    async def test(stage: Stage) -> None:
        few = replace(POLICY, most_in_flight=6, most_per_host=2)
        with Receiver(waits) as slow, Receiver(status(200)) as quick:
            waiting = [stage.books.done(slow.url) for _ in range(12)]
            stage.books.clock.move(1)
            urgent = [stage.books.done(quick.url) for _ in range(3)]
            async with stage.delivering(stage.books.deliverer(policy=few)):
                for job in urgent:
                    assert (await stage.tried(job, 1)).state is DeliveryState.DELIVERED
                await stage.until(lambda: slow.at_once == 2)
                slow.released.set()
                for job in waiting:
                    assert (await stage.tried(job, 1)).state is DeliveryState.DELIVERED
            assert slow.most_at_once == 2
            assert len(slow.received) == 12

    play(tmp_path, test)


def test_no_more_messages_are_on_their_way_than_allowed(tmp_path: Path) -> None:
    async def test(stage: Stage) -> None:
        three = replace(POLICY, most_in_flight=3, most_per_host=9)
        with Receiver(waits) as receiver:
            sent = [stage.books.done(receiver.url) for _ in range(8)]
            async with stage.delivering(stage.books.deliverer(policy=three)):
                await stage.until(lambda: receiver.at_once == 3)
                await asyncio.sleep(0.1)
                receiver.released.set()
                for job in sent:
                    await stage.tried(job, 1)
            assert receiver.most_at_once == 3

    play(tmp_path, test)


def test_what_was_on_its_way_when_the_gateway_ended_is_sent_again_and_known_by_its_id(tmp_path: Path) -> None:
    async def test(stage: Stage) -> None:
        with Receiver(waits, status(200)) as receiver:
            job = stage.books.done(receiver.url)
            async with stage.delivering():
                await stage.until(lambda: len(receiver.received) == 1)
            async with stage.delivering():
                await asyncio.sleep(0.1)
                assert len(receiver.received) == 1, "its lease is not over"
                stage.books.clock.move(LEASE.total_seconds())
                assert (await stage.tried(job, 2)).state is DeliveryState.DELIVERED
        first, second = receiver.received
        assert first.headers["webhook-id"] == second.headers["webhook-id"]

    play(tmp_path, test)


def test_two_gateways_on_one_database_tell_each_result_once(tmp_path: Path) -> None:
    async def test(stage: Stage) -> None:
        with Receiver(status(200)) as receiver:
            sent = [stage.books.done(receiver.url) for _ in range(20)]
            async with stage.delivering(stage.books.deliverer(), stage.books.deliverer()):
                for job in sent:
                    assert (await stage.tried(job, 1)).state is DeliveryState.DELIVERED
        told = Counter(json.loads(message.body)["id"] for message in receiver.received)
        assert told == Counter(job.id for job in sent)

    play(tmp_path, test)


class ShakyDeliveries(SqlDeliveryStore):
    """Fails at the first claim, and at the first record that a message arrived."""

    def __init__(self, books: Books) -> None:
        super().__init__(books.database, clock=books.clock)
        self.faults = {"claim", "delivered"}

    def claim(self, now: datetime, *, lease_s: float, limit: int, skip: Collection[str] = ()) -> Sequence[Delivery]:
        self._fail("claim")
        return super().claim(now, lease_s=lease_s, limit=limit, skip=skip)

    def delivered(self, delivery: Delivery, status: int) -> bool:
        self._fail("delivered")
        return super().delivered(delivery, status)

    def _fail(self, what: str) -> None:
        if what in self.faults:
            self.faults.remove(what)
            raise OSError("disk full")


def test_a_database_that_fails_for_a_moment_costs_a_repetition_and_no_result(tmp_path: Path) -> None:
    async def test(stage: Stage) -> None:
        shaky = ShakyDeliveries(stage.books)
        with Receiver(status(200)) as receiver:
            job = stage.books.done(receiver.url)
            async with stage.delivering(stage.books.deliverer(deliveries=shaky)):
                await stage.until(lambda: not shaky.faults)
                stage.books.clock.move(LEASE.total_seconds())
                assert (await stage.tried(job, 2)).state is DeliveryState.DELIVERED
        assert len({message.headers["webhook-id"] for message in receiver.received}) == 1

    play(tmp_path, test)


def test_a_new_result_is_told_at_once_when_the_bell_rings(tmp_path: Path) -> None:
    async def test(stage: Stage) -> None:
        deliverer = stage.books.deliverer(policy=replace(POLICY, poll_s=600))
        with Receiver(status(200)) as receiver:
            async with stage.delivering(deliverer):
                await asyncio.sleep(0.1)
                job = stage.books.done(receiver.url)
                deliverer.wake()
                assert (await stage.tried(job, 1)).state is DeliveryState.DELIVERED

    play(tmp_path, test)


def test_a_lease_that_could_end_before_its_post_is_refused(tmp_path: Path) -> None:
    async def test(stage: Stage) -> None:
        await asyncio.sleep(0)
        with pytest.raises(ValueError, match="lease"):
            stage.books.deliverer(timeout_s=LEASE.total_seconds())

    play(tmp_path, test)
