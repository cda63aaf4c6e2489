"""`hedgerow webhooks`: the secret of a tenant and the deliveries of a job, straight from the database."""

from collections.abc import Sequence
from datetime import UTC, datetime

from rich.markup import escape
from rich.table import Table

from gateway.service.jobs.records import Delivery, DeliveryState
from gateway.service.jobs.signing import OVERLAP, WebhookSecrets, new_secret
from gateway.store.database import Database
from gateway.store.deliveries import SqlDeliveryStore
from gateway.store.jobs import SqlJobStore
from gateway.store.keys import SqlKeyStore
from gateway.store.webhook_secrets import SqlWebhookSecretStore

_STYLE = {DeliveryState.PENDING: "yellow", DeliveryState.DELIVERED: "green", DeliveryState.FAILED: "bold red"}


class WebhooksRefused(Exception):
    """There is nothing of that name; the message says what."""


def secret_of(database: Database, tenant: str, *, rotate: bool) -> WebhookSecrets:
    """The tenant's secrets, made or rotated. Raises WebhooksRefused for a tenant that no API key belongs to."""
    if tenant not in {key.tenant for key in SqlKeyStore(database).all()}:
        raise WebhooksRefused(f"no API key belongs to a tenant {tenant}")
    store, now = SqlWebhookSecretStore(database), datetime.now(UTC)
    if rotate:
        return store.rotate(tenant, new_secret(), now, overlap=OVERLAP)
    return store.obtain(tenant, new_secret(), now)


def remark(secrets: WebhookSecrets) -> str:
    """What to know beside the secret; empty where there is nothing."""
    if secrets.previous_until is None or secrets.previous_until <= datetime.now(UTC):
        return ""
    return f"the secret before signs as well until {secrets.previous_until:%Y-%m-%d %H:%M} UTC: give receivers the new one by then"


def deliveries_of(database: Database, tenant: str, job_id: str) -> Sequence[Delivery]:
    """Every delivery of a job, oldest first. Raises WebhooksRefused where the tenant has no such job."""
    if SqlJobStore(database).get(tenant, job_id) is None:
        raise WebhooksRefused(f"the tenant {tenant} has no job of that id")
    return SqlDeliveryStore(database).of_job(tenant, job_id)


def deliveries_table(found: Sequence[Delivery]) -> Table:
    """A row a delivery. What stands behind a URL's question mark is left out: it may be a password."""
    shown = Table()
    for column in ("delivery", "to", "state", "attempts", "answer", "error", "next try"):
        shown.add_column(column)
    for one in found:
        waits = one.state is DeliveryState.PENDING
        shown.add_row(
            one.id, escape(one.url.partition("?")[0]), f"[{_STYLE[one.state]}]{one.state}[/]", str(one.attempts),
            "" if one.last_status is None else str(one.last_status), escape(one.last_error),
            f"{one.not_before:%Y-%m-%d %H:%M:%S}" if waits else "",
        )
    return shown
