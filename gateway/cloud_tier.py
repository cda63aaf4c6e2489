"""The gateway's side of the cloud tier, put together. Imported only where there is one: Celery and obstore come with it."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from gateway.cloud.config import cloud_config
from gateway.cloud.link import open_link
from gateway.service.cloud.endings import EndingPolicy, Endings, OnOpinion
from gateway.service.cloud.guarded import GuardedLink
from gateway.service.cloud.runner import CloudPolicy, CloudRunner
from gateway.service.cloud.sending import Departures
from gateway.service.jobs.bell import Bell
from gateway.service.jobs.leases import holder_name
from gateway.service.jobs.payloads import PayloadStore
from gateway.service.jobs.ports import JobStore
from gateway.service.leaving.audit import AuditLog
from gateway.service.leaving.cleaning import ProcessCleaner
from gateway.service.ports import ImageStore
from gateway.service.routing.rules import Routes
from gateway.settings import Settings


@dataclass(frozen=True, slots=True)
class CloudTier:
    """What works on jobs for the cloud, and its way there."""

    runner: CloudRunner
    link: GuardedLink


@dataclass(frozen=True, slots=True)
class Kept:
    """The stores of the gateway that the tier works with."""

    jobs: JobStore
    payloads: PayloadStore
    images: ImageStore
    audit: AuditLog
    routes: Routes
    bell: Bell
    keep_images: bool


def open_cloud_tier(
    settings: Settings, secret: bytes, kept: Kept, packages: Callable[[], list[Path]], limits: dict[str, int], *,
    on_end: Callable[[], None], on_opinion: OnOpinion,
) -> CloudTier:
    """Stopped, and nothing is connected yet. `packages`: the folders of the models that are served; `secret`: what
    pseudonyms are made from. Raises StoreRefused.
    """
    link = GuardedLink(open_link(cloud_config(settings)))
    departures = Departures(
        kept.payloads, kept.routes, ProcessCleaner(secret, packages, limits), kept.audit, link,
        timeout_s=settings.job_timeout_s,
    )
    endings = Endings(
        kept.jobs, kept.payloads, kept.images, link, EndingPolicy(keep_images=kept.keep_images),
        on_end=on_end, on_opinion=on_opinion,
    )
    policy = CloudPolicy(in_flight=settings.cloud_in_flight, answer_s=settings.cloud_answer_s)
    return CloudTier(CloudRunner(kept.jobs, link, departures, endings, policy, kept.bell, owner=holder_name()), link)
