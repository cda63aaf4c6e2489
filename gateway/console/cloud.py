"""`hedgerow cloud worker`: from the settings to a worker."""

from datetime import timedelta

from edge_runtime.signatures import SignersError
from gateway.assembly import media_limits
from gateway.cloud.config import cloud_config, lacking_library
from gateway.settings import Settings

LEFTOVER_MARGIN = timedelta(days=1)


class CloudRefused(Exception):
    """No worker can run as this is configured; the message says what to change."""


def work(settings: Settings) -> int:
    """Works until it is told to end; gives the exit status. Raises CloudRefused."""
    if not settings.cloud_broker:
        raise CloudRefused("HEDGEROW_CLOUD_BROKER names no broker; docs/cloud.md says what a worker needs")
    if lacking := lacking_library():
        raise CloudRefused(lacking)
    from gateway.cloud.worker import WorkerConfig, WorkerError, run_worker

    config = WorkerConfig(
        cloud_config(settings), settings.data_dir, settings.models_dirs, settings.workers, media_limits(settings),
        settings.clip_frames, settings.task_limit_s,
        leftover_days=settings.cloud_patience_days + LEFTOVER_MARGIN / timedelta(days=1), signers=settings.model_signers,
    )
    try:
        return run_worker(config)
    except SignersError as error:
        raise CloudRefused(f"HEDGEROW_MODEL_SIGNERS: {error}") from error
    except WorkerError as error:
        raise CloudRefused(str(error)) from error
