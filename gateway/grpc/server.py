"""The gRPC server: the services, health and reflection on one port, messages up to the same limit as REST."""

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from gateway.grpc.calls import Calls
from gateway.grpc.services import MESSAGE_OVERHEAD, served
from gateway.service.services import Services


class GrpcServer:
    """A server over a service that is already running."""

    def __init__(self, services: Services, *, host: str, port: int) -> None:
        limit = services.analyses.policy.max_upload_bytes + MESSAGE_OVERHEAD
        self._server = grpc.aio.server(options=[
            ("grpc.max_receive_message_length", limit),
            ("grpc.max_send_message_length", -1),
            ("grpc.so_reuseport", 0),  # a second gateway on this port must fail, not take half of the calls
            ("grpc.keepalive_time_ms", 10_000),  # a caller that vanished is let go of, with its calls
            ("grpc.http2.ping_timeout_ms", 5_000),  # keepalive_timeout_ms alone is not heeded
            ("grpc.http2.min_ping_interval_without_data_ms", 5_000),  # and callers may ask the same of us
            ("grpc.keepalive_permit_without_calls", 1),
        ])
        names = []
        for descriptor, servicer, add in served(services, Calls(services.keys)):
            add(servicer, self._server)
            names.append(descriptor.full_name)
        self._told = ("", *names)
        self._health = health.aio.HealthServicer()
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        reflection.enable_server_reflection((*names, health.SERVICE_NAME, reflection.SERVICE_NAME), self._server)
        address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        self.port = self._server.add_insecure_port(address)

    async def start(self) -> None:
        """Listens; health says NOT_SERVING until it is told otherwise."""
        await self.report(serving=False)
        await self._server.start()

    async def report(self, *, serving: bool) -> None:
        """What health says from now on."""
        told = health_pb2.HealthCheckResponse
        for name in self._told:
            await self._health.set(name, told.SERVING if serving else told.NOT_SERVING)

    async def stop(self, grace_s: float) -> None:
        """Takes no new calls and gives those that run `grace_s` seconds."""
        await self._health.enter_graceful_shutdown()
        await self._server.stop(grace_s)
