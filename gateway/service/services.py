"""What the transports speak to."""

from dataclasses import dataclass

from gateway.service.analyses import AnalysisService
from gateway.service.deployments import DeploymentService
from gateway.service.inference.repository import Repository
from gateway.service.inference.service import InferenceService
from gateway.service.jobs.orders import JobDesk
from gateway.service.keys import KeyService
from gateway.service.learning.reports import Drift
from gateway.service.streams.service import StreamService
from gateway.service.uploads.service import UploadService


@dataclass(frozen=True, slots=True)
class Services:
    """All of them, the same for REST and gRPC."""

    keys: KeyService
    analyses: AnalysisService
    deployments: DeploymentService
    streams: StreamService
    desk: JobDesk
    uploads: UploadService
    drift: Drift
    inference: InferenceService
    repository: Repository
