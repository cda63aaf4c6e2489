"""What stands between a job and the line: its bytes, the leave to go, the cleaning, the entry in the audit log."""

import asyncio
import hashlib
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TypeVar

from gateway.service.cloud.guarded import GuardedLink
from gateway.service.cloud.ports import Cleaned, Cleaner, CloudTask, Held
from gateway.service.errors import ErrorCode, ServiceError
from gateway.service.jobs.payloads import PayloadStore
from gateway.service.jobs.records import Job
from gateway.service.leaving.audit import AuditLog, Departure
from gateway.service.leaving.consent import CLOUD, Leave, TenantLeave, leave_for
from gateway.service.routing.rules import Routes

T = TypeVar("T")


class MayNotLeave(ServiceError):
    """Tenant or request don't let it, or it can't be cleaned; `str(error)` says which."""


class StorageFails(Exception):
    """A disk or a database takes or gives nothing, which is no job's fault."""


async def stored(call: Callable[[], T]) -> T:
    """The call of a store, in a thread. Raises StorageFails where it raises; ValueError stays what it is."""
    try:
        return await asyncio.to_thread(call)
    except ValueError:
        raise
    except Exception as error:
        raise StorageFails(type(error).__name__) from error


class Departures:
    """Use from one event loop. No bytes are held once they are sent."""

    def __init__(
        self, payloads: PayloadStore, routes: Routes, cleaner: Cleaner, audit: AuditLog, link: GuardedLink, *, timeout_s: float
    ) -> None:
        """`timeout_s`: what the cloud gets for the answering itself."""
        self._payloads = payloads
        self._routes = routes
        self._cleaner = cleaner
        self._audit = audit
        self._link = link
        self._timeout_s = timeout_s

    async def was_sent(self, job: Job) -> bool:
        """Whether its bytes left at some time, or were about to."""
        return bool(await stored(lambda: self._audit.last(1, tenant=job.tenant, analysis_id=_analysis_of(job))))

    async def send(self, job: Job) -> None:
        """Raises MayNotLeave, ServiceError or DomainError for what never can be sent, CloudUnreachable, StorageFails."""
        self._link.check_sending()
        payload = await stored(lambda: self._payloads.get(job.id))
        if payload is None:
            raise ServiceError(ErrorCode.GONE, "the bytes of this job are gone")
        leave = self._leave(job)
        if leave.refusal is not None:
            raise MayNotLeave(ErrorCode.PERMISSION_DENIED, leave.refusal)
        cleaned = await self._cleaner.clean(
            payload, job.domain, job.parameters, tenant=job.tenant, keep_gps=leave.keep_gps
        )
        del payload
        if isinstance(cleaned, Held):
            raise MayNotLeave(ErrorCode.HELD_BACK, cleaned.reason)
        await self._depart(job, cleaned)

    async def _depart(self, job: Job, cleaned: Cleaned) -> None:
        sha256 = await asyncio.to_thread(lambda: hashlib.sha256(cleaned.payload).hexdigest())
        size_bytes = len(cleaned.payload)
        departure = Departure(
            at=datetime.now(UTC), tenant=job.tenant, analysis_id=_analysis_of(job), sha256=sha256, size_bytes=size_bytes,
            format=cleaned.format, why=job.why, where_to=self._link.where, form=cleaned.rules,
        )
        await stored(lambda: self._audit.append(departure))
        task = CloudTask(job.id, job.domain, cleaned.parameters, sha256, size_bytes, self._timeout_s)
        await self._link.send(task, cleaned.payload)

    def _leave(self, job: Job) -> Leave:
        rule = self._routes.rule(job.tenant, job.domain)
        return leave_for(TenantLeave(rule.to_cloud, rule.keep_gps), request_consents=CLOUD in job.consents or None)


def _analysis_of(job: Job) -> str:
    """Of which analysis the audit log speaks: that which callers know."""
    return job.opinion_on or job.id
