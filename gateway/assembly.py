"""The services of a gateway, put together over a database, a data folder and a node."""

import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

import msgspec

from edge_runtime.node import Node
from edge_runtime.versions import ModelStore
from gateway.rest.documents import analysis_to_json, job_to_json
from gateway.service.analyses import AnalysisService, Policy
from gateway.service.answering import Answering
from gateway.service.archive import Archive
from gateway.service.clips import ClipReader
from gateway.service.deployments import DeploymentService
from gateway.service.jobs.bell import Bell
from gateway.service.jobs.callbacks import check_callback
from gateway.service.jobs.deliverer import Deliverer
from gateway.service.jobs.orders import JobDesk
from gateway.service.jobs.posting import Poster
from gateway.service.jobs.records import Job
from gateway.service.jobs.runner import JobRunner, RunnerPolicy
from gateway.service.jobs.service import JobPolicy, JobService
from gateway.service.keys import KeyService
from gateway.service.records import Analysis, new_id
from gateway.service.services import Services
from gateway.service.streams.service import StreamPolicy, StreamService
from gateway.service.streams.session import StreamLimits
from gateway.service.trials import Rollouts
from gateway.service.uploads.parts import Parts
from gateway.service.uploads.service import UploadLimits, UploadService
from gateway.settings import Settings
from gateway.store.analyses import SqlAnalysisStore
from gateway.store.database import Database
from gateway.store.deliveries import SqlDeliveryStore
from gateway.store.images import FolderImageStore
from gateway.store.jobs import SqlJobStore
from gateway.store.keys import SqlKeyStore
from gateway.store.payloads import FolderPayloadStore
from gateway.store.rollouts import SqlRolloutStore
from gateway.store.uploads import SqlUploadStore
from gateway.store.webhook_secrets import SqlWebhookSecretStore


@dataclass(frozen=True, slots=True)
class Gateway:
    """What the transports speak to, and what works behind it."""

    services: Services
    rollouts: Rollouts
    runner: JobRunner
    deliverer: Deliverer

    async def sweep(self) -> int:
        """Removes what is past its retention, a batch at a time; gives how many things went."""
        services = self.services
        return await services.analyses.sweep() + await services.desk.jobs.sweep() + await services.uploads.sweep()


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
    """Everything, stopped. `shipped`: versions of the models that came with the program."""
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
    service = AnalysisService(node, analyses, images, policy, rollouts, archive, answering)
    job_store, deliveries, bell = SqlJobStore(database), SqlDeliveryStore(database), Bell()
    payloads = FolderPayloadStore(settings.data_dir / "jobs")
    jobs = JobService(job_store, deliveries, payloads, JobPolicy(
        settings.max_upload_bytes, settings.max_queued_bytes, timedelta(days=settings.keep_jobs_days)
    ), bell)
    deliverer = Deliverer(
        deliveries, job_store, analyses, SqlWebhookSecretStore(database), _document,
        Poster(allow_private=settings.private_callbacks),
    )
    return Gateway(
        services=Services(
            keys=KeyService(SqlKeyStore(database)),
            analyses=service,
            deployments=DeploymentService(node, packages, versions, rollouts, shipped=shipped),
            streams=StreamService(node, rollouts, archive, _stream_policy(settings), media_limits(settings)),
            desk=JobDesk(jobs, service, private_callbacks=settings.private_callbacks),
            uploads=_uploads(settings, database, jobs),
        ),
        rollouts=rollouts,
        runner=JobRunner(job_store, payloads, images, answering, rollouts, RunnerPolicy(
            slots=settings.job_workers, timeout_s=settings.job_timeout_s, keep_images=archive.keep_images
        ), bell, owner=f"{socket.gethostname()}-{os.getpid()}-{new_id()[-12:]}", on_end=deliverer.wake),
        deliverer=deliverer,
    )


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
