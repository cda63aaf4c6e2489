"""What jobs need from outside: stores. Every method blocks, and may be called from any thread and process."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime, timedelta

from gateway.service.jobs.records import Delivery, Job, JobCounts, JobFilter, JobState, Submission, Tier
from gateway.service.jobs.signing import WebhookSecrets
from gateway.service.records import Analysis, JsonObject
from gateway.service.routing.rules import Usage


class JobStore(ABC):
    """Jobs. What a holder writes counts only while its lease is the last one and the job runs; else it is told False.

    A lease that is over is still good until somebody else claims the job: then work that came late is not lost.
    """

    @abstractmethod
    def submit(self, job: Job) -> Submission:
        """Stores a new job; when it returns it survives a crash. Gives the job that holds its key where one does."""

    @abstractmethod
    def claim(self, owner: str, now: datetime, *, lease_s: float, limit: int, tier: Tier = "edge") -> Sequence[Job]:
        """Takes at most `limit` jobs of the tier that are due: queued, or running with a lease that is over. No two claimants get one.

        Interactive ones go before batch ones, except that every fourth claim looks at batch first. Among tenants, who
        was served longest ago goes first, and one claim is shared evenly by those that wait; each tenant's own jobs go
        oldest first. With T tenants waiting, each one's oldest due job of the class that is looked at first is among the
        next ceil(T / limit) claims that look there.
        """

    @abstractmethod
    def renew(self, held: Collection[Job], until: datetime) -> frozenset[str]:
        """Prolongs the leases; gives the ids of those jobs that are still held."""

    @abstractmethod
    def report(self, job: Job, progress: JsonObject) -> bool:
        """Notes how far a running job is."""

    @abstractmethod
    def complete(self, job: Job, analysis: Analysis, *, deliveries: Sequence[Delivery] = ()) -> bool:
        """In one transaction: stores the analysis of the job's id and what is to be delivered, and the job is done."""

    @abstractmethod
    def release(self, job: Job, not_before: datetime, code: str, message: str, *, counts: bool = True) -> bool:
        """Gives a running job back, to be tried again from then on. `counts`: whether the try was one of its attempts."""

    @abstractmethod
    def hand_over(self, job: Job, tier: Tier, why: str, expires_at: datetime | None) -> bool:
        """Gives a running job to another tier, where it is due at once and its attempts start anew."""

    @abstractmethod
    def fail(
        self, job: Job, code: str, message: str, *, parameter: str = "", deliveries: Sequence[Delivery] = ()
    ) -> bool:
        """Makes a running job a dead letter, with what went wrong, and the parameter that is at fault where one is."""

    @abstractmethod
    def cancel(self, tenant: str, job_id: str) -> Job | None:
        """Cancels an open job. Gives it as it is then (its state says whether that was in time); None for no such job."""

    @abstractmethod
    def retry(self, tenant: str, job_id: str) -> Job | None:
        """Takes a dead letter back into the queue: attempts start anew, and it no longer expires. Gives it as it is then,
        unchanged where it was no dead letter; None for no such job.
        """

    @abstractmethod
    def get(self, tenant: str, job_id: str) -> Job | None:
        """The job, or None where this tenant has none of that id (or it is no id at all)."""

    @abstractmethod
    def page(self, tenant: str, chosen: JobFilter, *, before_id: str | None, limit: int) -> Sequence[Job]:
        """At most `limit` jobs with an id below `before_id`, newest first."""

    @abstractmethod
    def counts(self, tenant: str | None) -> JobCounts:
        """Of one tenant, or of all."""

    @abstractmethod
    def mission(self, tenant: str, mission: str) -> Mapping[JobState, int]:
        """How many jobs of a batch are in each state (every state is there)."""

    @abstractmethod
    def used(self, tenant: str, domain: str, since: datetime) -> Usage:
        """What a tenant's jobs for the cloud made since then come to, those that were cancelled left out; an empty domain is
        all of them.
        """

    @abstractmethod
    def unanswered(self, job_ids: Collection[str]) -> frozenset[str]:
        """Those of them, of all tenants, that are open or dead letters: their bytes are needed."""

    @abstractmethod
    def expire(
        self, now: datetime, *, limit: int, deliveries: Callable[[Job], Sequence[Delivery]] = lambda _: ()
    ) -> Sequence[Job]:
        """Makes at most `limit` jobs that nobody holds and nobody wants any more dead letters with the code EXPIRED, and stores
        what is to be delivered of each.
        """

    @abstractmethod
    def delete_finished(self, before: datetime, *, limit: int) -> Sequence[str]:
        """Removes at most `limit` jobs in a final state since before that time, and with them their keys and deliveries;
        gives their ids, longest finished first. Analyses stay: they have a retention of their own.
        """


class DeliveryStore(ABC):
    """Results on their way to webhooks. What a sender writes counts only while its lease is the last one."""

    @abstractmethod
    def add(self, delivery: Delivery) -> bool:
        """Stores one to be sent. False where its id is there already, or its job is gone."""

    @abstractmethod
    def claim(self, now: datetime, *, lease_s: float, limit: int, skip: Collection[str] = ()) -> Sequence[Delivery]:
        """Takes at most `limit` that are due, those due longest first. No two claimants get one. Those whose URL begins with
        one of the origins in `skip`, such as https://clinic.example:8443, are left where they are.
        """

    @abstractmethod
    def delivered(self, delivery: Delivery, status: int) -> bool:
        """The receiver has it."""

    @abstractmethod
    def retry(self, delivery: Delivery, not_before: datetime, *, status: int | None, error: str) -> bool:
        """To be tried again from then on. `status` is None where there was no answer."""

    @abstractmethod
    def fail(self, delivery: Delivery, *, status: int | None, error: str) -> bool:
        """Given up."""

    @abstractmethod
    def of_job(self, tenant: str, job_id: str) -> Sequence[Delivery]:
        """Every delivery of a job, oldest first."""


class WebhookSecretStore(ABC):
    """The secrets that sign webhooks, one or two a tenant. Every method blocks."""

    @abstractmethod
    def obtain(self, tenant: str, fresh: str, now: datetime) -> WebhookSecrets:
        """The tenant's. `fresh` becomes its first where it has none: of those that ask at once, all get the same."""

    @abstractmethod
    def rotate(self, tenant: str, fresh: str, now: datetime, *, overlap: timedelta) -> WebhookSecrets:
        """`fresh` signs from now on, the one before it as well for `overlap`, and an older one no more."""
