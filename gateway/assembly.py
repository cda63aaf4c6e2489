"""The services of a gateway, put together over a database, a data folder and a node."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from edge_runtime.embedded import package_folders
from edge_runtime.node import Node
from edge_runtime.versions import ModelStore
from gateway.rest.documents import analysis_to_json, job_to_json
from gateway.service.analyses import AnalysisService, Policy
from gateway.service.answering import Answering
from gateway.service.archive import Archive
from gateway.service.clips import ClipReader
from gateway.service.cloud.endings import OnOpinion
from gateway.service.deployments import DeploymentService
from gateway.service.inference.repository import Repository
from gateway.service.inference.service import InferenceService
from gateway.service.inference.shared_memory import SharedMemory
from gateway.service.jobs.bell import Bell
from gateway.service.jobs.callbacks import check_callback
from gateway.service.jobs.deliverer import Deliverer
from gateway.service.jobs.leases import holder_name
from gateway.service.jobs.orders import JobDesk
from gateway.service.jobs.posting import Poster
from gateway.service.jobs.records import Job
from gateway.service.jobs.runner import JobRunner, RunnerPolicy
from gateway.service.jobs.service import JobPolicy, JobService
from gateway.service.keys import KeyService
from gateway.service.learning.cases import HardCases
from gateway.service.learning.reports import Drift
from gateway.service.leaving.consent import MIN_SECRET_BYTES
from gateway.service.records import Analysis
from gateway.service.routing.rules import Routes, Rule
from gateway.service.services import Services
from gateway.service.streams.service import StreamPolicy, StreamService
from gateway.service.streams.session import StreamLimits
from gateway.service.tiers import Tiers
from gateway.service.trials import Rollouts
from gateway.service.uploads.parts import Parts
from gateway.service.uploads.service import UploadLimits, UploadService
from gateway.settings import Settings
from gateway.store.analyses import SqlAnalysisStore
from gateway.store.audit import SqlAuditLog
from gateway.store.database import Database
from gateway.store.deliveries import SqlDeliveryStore
from gateway.store.hard_cases import SqlHardCaseStore
from gateway.store.images import FolderImageStore
from gateway.store.jobs import SqlJobStore
from gateway.store.keys import SqlKeyStore
from gateway.store.payloads import FolderPayloadStore
from gateway.store.rollouts import SqlRolloutStore
from gateway.store.uploads import SqlUploadStore
from gateway.store.webhook_secrets import SqlWebhookSecretStore

if TYPE_CHECKING:
    from gateway.cloud_tier import CloudTier


class CloudSettingsError(Exception):
    """The cloud tier can't be used as it is set; `str(error)` names the setting."""


@dataclass(frozen=True, slots=True)
class Gateway:
    """What the transports speak to, and what works behind it."""

    services: Services
    rollouts: Rollouts
    runner: JobRunner
    deliverer: Deliverer
    cases: HardCases
    cloud: "CloudTier | None"
    """None where none is set up."""

    async def sweep(self) -> int:
        """Removes what is past its retention, a batch at a time; gives how many things went."""
        services = self.services
        swept = [services.analyses.sweep(), services.desk.jobs.sweep(), services.uploads.sweep(), self.cases.sweep()]
        return sum([await one for one in swept])


def media_limits(settings: Settings) -> dict[str, int]:
    """What one file may ask for; see domains.media.Limits."""
    return {
        "max_bytes": settings.max_upload_bytes,
        "max_pixels": settings.max_pixels,
        "max_frames": settings.max_frames,
    }


def assemble(
    settings: Settings, database: Database, node: Node, packages: ModelStore, shipped: Mapping[str, str]
) -> Gateway:
    """Everything, stopped. `shipped`: versions of the models that came with the program. Raises CloudSettingsError."""
    images = FolderImageStore(settings.data_dir / "images")
    policy = Policy(
        max_upload_bytes=settings.max_upload_bytes,
        timeout_s=settings.timeout_s,
        keep_images=timedelta(hours=settings.keep_images_hours),
        keep_analyses=timedelta(days=settings.keep_analyses_days),
    )
    versions, analyses = SqlRolloutStore(database), SqlAnalysisStore(database)
    rollouts = Rollouts(node, versions)
    archive = Archive(analyses, images, keep_images=bool(policy.keep_images))
    clips = ClipReader(media_limits(settings), most_frames=settings.clip_frames)
    answering = Answering(node, rollouts.analyse, clips, draws_key_frames=archive.keep_images)
    job_store, deliveries, bell = SqlJobStore(database), SqlDeliveryStore(database), Bell()
    payloads = FolderPayloadStore(settings.data_dir / "jobs")
    jobs = JobService(job_store, deliveries, payloads, JobPolicy(
        settings.max_upload_bytes, settings.max_queued_bytes, timedelta(days=settings.keep_jobs_days)
    ), bell)
    routes = Routes([Rule(**route.model_dump()) for route in settings.routes])
    cases = HardCases(SqlHardCaseStore(database), FolderPayloadStore(settings.data_dir / "hard_cases"))
    tiers = Tiers(routes, jobs, node, patience=timedelta(days=settings.cloud_patience_days), cases=cases)
    service = AnalysisService(node, analyses, images, policy, rollouts, archive, answering, tiers)
    desk = JobDesk(jobs, service, tiers, private_callbacks=settings.private_callbacks)
    deployments = DeploymentService(node, packages, versions, rollouts, shipped=shipped)
    memory = SharedMemory(settings.shared_memory_prefix)
    deliverer = Deliverer(
        deliveries, job_store, analyses, SqlWebhookSecretStore(database), _document,
        Poster(allow_private=settings.private_callbacks),
    )
    return Gateway(
        services=Services(
            keys=KeyService(SqlKeyStore(database)),
            analyses=service,
            deployments=deployments,
            streams=StreamService(node, rollouts, archive, _stream_policy(settings), media_limits(settings)),
            desk=desk,
            uploads=_uploads(settings, database, jobs),
            drift=Drift(analyses, node),
            inference=InferenceService(service, desk, rollouts, memory, log_level=settings.log_level),
            repository=Repository(service, deployments, rollouts),
        ),
        rollouts=rollouts,
        runner=JobRunner(job_store, payloads, images, answering, rollouts, tiers, RunnerPolicy(
            slots=settings.job_workers, timeout_s=settings.job_timeout_s, keep_images=archive.keep_images
        ), bell, owner=holder_name(), on_end=deliverer.wake),
        deliverer=deliverer,
        cases=cases,
        cloud=_cloud(
            settings, database, job_store, payloads, images, routes, bell, deliverer, _comparing(analyses, tiers, cases),
            lambda: [*_installed(node, rollouts, packages), *package_folders(settings.models_dirs)],
        ),
    )


def _cloud(
    settings: Settings, database: Database, jobs: SqlJobStore, payloads: FolderPayloadStore, images: FolderImageStore,
    routes: Routes, bell: Bell, deliverer: Deliverer, on_opinion: OnOpinion, folders: Callable[[], list[Path]],
) -> "CloudTier | None":
    if not settings.cloud_broker or settings.pseudonym_secret_file is None:
        return None  # without the secret no rule lets anything leave
    from gateway.cloud.objects import StoreRefused
    from gateway.cloud_tier import Kept, open_cloud_tier

    kept = Kept(jobs, payloads, images, SqlAuditLog(database), routes, bell, keep_images=bool(settings.keep_images_hours))
    try:
        return open_cloud_tier(
            settings, _secret(settings.pseudonym_secret_file), kept, folders, media_limits(settings),
            on_end=deliverer.wake, on_opinion=on_opinion,
        )
    except StoreRefused as error:
        raise CloudSettingsError(f"HEDGEROW_CLOUD_STORE: {error}") from error


def _installed(node: Node, rollouts: Rollouts, packages: ModelStore) -> list[Path]:
    """The packages in service that didn't come with the program."""
    active = {model.name: rollouts.deployment(model.name).active for model in node.models()}
    return [packages.folder(name, version) for name, version in active.items() if version]


def _comparing(analyses: SqlAnalysisStore, tiers: Tiers, cases: HardCases) -> OnOpinion:
    """What becomes of a second opinion that disagrees with the first."""
    async def compare(job: Job, second: Analysis, payload: bytes) -> None:
        first = await asyncio.to_thread(analyses.get, job.tenant, job.opinion_on)
        if first is not None and tiers.may_learn(job.tenant, job.domain, job.consents):
            await cases.compare(first, second, payload)

    return compare


def _stream_policy(settings: Settings) -> StreamPolicy:
    limits = StreamLimits(settings.stream_idle_s, settings.stream_limit_s, settings.stream_resume_s)
    return StreamPolicy(settings.max_streams, settings.max_streams_per_tenant, limits)


def _uploads(settings: Settings, database: Database, jobs: JobService) -> UploadService:
    parts = Parts(
        settings.data_dir / "uploads", most_bytes=settings.max_uploading_bytes, most_of_tenant=settings.max_uploads_per_tenant
    )
    limits = UploadLimits(settings.max_upload_bytes, expiry=timedelta(hours=settings.keep_uploads_hours))
    return UploadService(
        SqlUploadStore(database), parts, jobs, limits, lambda url: check_callback(url, settings.private_callbacks)
    )


def _document(job: Job, analysis: Analysis | None) -> bytes:
    document = job_to_json(job)
    return msgspec.json.encode(document if analysis is None else document | {"analysis": analysis_to_json(analysis)})


def _secret(path: Path) -> bytes:
    try:
        secret = path.read_bytes().strip()
    except OSError as error:
        raise CloudSettingsError(f"HEDGEROW_PSEUDONYM_SECRET_FILE: {path} can't be read ({error.strerror})") from error
    if len(secret) < MIN_SECRET_BYTES:
        raise CloudSettingsError(
            f"HEDGEROW_PSEUDONYM_SECRET_FILE: {path} holds {len(secret)} bytes; it must be {MIN_SECRET_BYTES} or more"
        )
    return secret
