"""The gRPC server: the services, health and reflection on one port, messages up to the same limit as REST."""

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

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

SERVICES = (
    analysis_pb2.DESCRIPTOR.services_by_name["AnalysisService"].full_name,
    jobs_pb2.DESCRIPTOR.services_by_name["JobService"].full_name,
    models_pb2.DESCRIPTOR.services_by_name["ModelService"].full_name,
    uploads_pb2.DESCRIPTOR.services_by_name["UploadService"].full_name,
)
_MESSAGE_OVERHEAD = 64 * 1024


class GrpcServer:
    """A server over a service that is already running."""

    def __init__(self, services: Services, *, host: str, port: int) -> None:
        analyses, keys, desk = services.analyses, services.keys, services.desk
        limit = analyses.policy.max_upload_bytes + _MESSAGE_OVERHEAD
        self._server = grpc.aio.server(options=[
            ("grpc.max_receive_message_length", limit),
            ("grpc.max_send_message_length", -1),
            ("grpc.so_reuseport", 0),  # a second gateway on this port must fail, not take half of the calls
            ("grpc.keepalive_time_ms", 10_000),  # a caller that vanished is let go of, with its calls
            ("grpc.http2.ping_timeout_ms", 5_000),  # keepalive_timeout_ms alone is not heeded
            ("grpc.http2.min_ping_interval_without_data_ms", 5_000),  # and callers may ask the same of us
            ("grpc.keepalive_permit_without_calls", 1),
        ])
        analysis_pb2_grpc.add_AnalysisServiceServicer_to_server(  # type: ignore[no-untyped-call] # generated code
            AnalysisServicer(analyses, services.streams, keys, desk), self._server
        )
        jobs_pb2_grpc.add_JobServiceServicer_to_server(  # type: ignore[no-untyped-call] # generated code
            JobServicer(desk, analyses, keys), self._server
        )
        models_pb2_grpc.add_ModelServiceServicer_to_server(  # type: ignore[no-untyped-call] # generated code
            ModelServicer(services.deployments, keys, analyses.policy), self._server
        )
        uploads_pb2_grpc.add_UploadServiceServicer_to_server(  # type: ignore[no-untyped-call] # generated code
            UploadServicer(services.uploads, keys), self._server
        )
        self._health = health.aio.HealthServicer()
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        names = (*SERVICES, health.SERVICE_NAME, reflection.SERVICE_NAME)
        reflection.enable_server_reflection(names, self._server)
        address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        self.port = self._server.add_insecure_port(address)

    async def start(self) -> None:
        """Listens; health says NOT_SERVING until it is told otherwise."""
        await self.report(serving=False)
        await self._server.start()

    async def report(self, *, serving: bool) -> None:
        """What health says from now on."""
        told = health_pb2.HealthCheckResponse
        for name in ("", *SERVICES):
            await self._health.set(name, told.SERVING if serving else told.NOT_SERVING)

    async def stop(self, grace_s: float) -> None:
        """Takes no new calls and gives those that run `grace_s` seconds."""
        await self._health.enter_graceful_shutdown()
        await self._server.stop(grace_s)
