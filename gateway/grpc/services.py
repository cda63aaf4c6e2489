"""The services that callers reach, each with what answers it: by gRPC (server.py), and by Connect and gRPC-Web (gateway.connect)."""

from collections.abc import Callable
from typing import Any, NamedTuple

from google.protobuf.descriptor import ServiceDescriptor

from gateway.grpc.calls import Calls
from gateway.grpc.inference import InferenceServicer
from gateway.grpc.jobs import JobServicer
from gateway.grpc.models import ModelServicer
from gateway.grpc.servicer import AnalysisServicer
from gateway.grpc.uploads import UploadServicer
from gateway.service.services import Services
from protos.hedgerow.v1 import (
    analysis_pb2,
    analysis_pb2_grpc,
    jobs_pb2,
    jobs_pb2_grpc,
    models_pb2,
    models_pb2_grpc,
    uploads_pb2,
    uploads_pb2_grpc,
)
from protos.inference import grpc_service_pb2, grpc_service_pb2_grpc

MESSAGE_OVERHEAD = 64 * 1024
"""What a message may hold beside the file in it."""


class Served(NamedTuple):
    """A service of the protos. `servicer` answers its calls, `add` puts that onto a gRPC server."""

    descriptor: ServiceDescriptor
    servicer: Any
    add: Callable[[Any, Any], None]


def served(services: Services, calls: Calls) -> tuple[Served, ...]:
    """Every service, its calls coming by way of `calls`."""
    analyses, desk = services.analyses, services.desk
    return (
        Served(
            analysis_pb2.DESCRIPTOR.services_by_name["AnalysisService"],
            AnalysisServicer(analyses, services.streams, desk, calls),
            analysis_pb2_grpc.add_AnalysisServiceServicer_to_server,
        ),
        Served(
            jobs_pb2.DESCRIPTOR.services_by_name["JobService"],
            JobServicer(desk, analyses, calls),
            jobs_pb2_grpc.add_JobServiceServicer_to_server,
        ),
        Served(
            models_pb2.DESCRIPTOR.services_by_name["ModelService"],
            ModelServicer(services.deployments, analyses.policy, calls),
            models_pb2_grpc.add_ModelServiceServicer_to_server,
        ),
        Served(
            uploads_pb2.DESCRIPTOR.services_by_name["UploadService"],
            UploadServicer(services.uploads, calls),
            uploads_pb2_grpc.add_UploadServiceServicer_to_server,
        ),
        Served(
            grpc_service_pb2.DESCRIPTOR.services_by_name["GRPCInferenceService"],
            InferenceServicer(services.inference, services.repository, calls),
            grpc_service_pb2_grpc.add_GRPCInferenceServiceServicer_to_server,
        ),
    )
