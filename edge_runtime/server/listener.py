"""The gRPC server of a node: NodeService for gateways that may, health for everybody, on one port."""

import asyncio

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from edge_runtime.node import Node
from edge_runtime.server.access import AccessConfig, AccessError, TokenGate
from edge_runtime.server.servicer import NodeServicer
from protos.hedgerow.node.v1 import node_pb2, node_pb2_grpc

SERVICE = node_pb2.DESCRIPTOR.services_by_name["NodeService"].full_name
MESSAGE_OVERHEAD_BYTES = 64 * 1024 * 1024
"""What a message holds beside an upload: a render has the answer's document and pictures."""

HEALTH_EVERY_S = 0.5
LAST_WORDS_S = 0.5


class NodeServer:
    """A server over a node. Raises AccessError where a file can't be used."""

    def __init__(self, node: Node, access: AccessConfig, *, max_upload_bytes: int) -> None:
        self._node = node
        self._access = access
        self._credentials = access.credentials()
        token = access.token()
        self._gates = [TokenGate(token)] if token else []
        self._max_message_bytes = max_upload_bytes + MESSAGE_OVERHEAD_BYTES
        self._servicer = NodeServicer(node)
        self._health = health.aio.HealthServicer()
        self._reporting: asyncio.Task[None] | None = None

    async def start(self) -> str:
        """Listens; gives the address with its port. Raises AccessError where it can't."""
        self._server = server = grpc.aio.server(interceptors=self._gates, options=[
            ("grpc.max_receive_message_length", self._max_message_bytes),
            ("grpc.max_send_message_length", -1),
            ("grpc.so_reuseport", 0),  # a second node on this port must fail, not take half of the calls
            ("grpc.keepalive_time_ms", 10_000),  # a gateway that vanished is let go of, with its calls
            ("grpc.http2.ping_timeout_ms", 5_000),  # keepalive_timeout_ms alone is not heeded
            ("grpc.http2.min_ping_interval_without_data_ms", 5_000),
            ("grpc.keepalive_permit_without_calls", 1),
        ])
        node_pb2_grpc.add_NodeServiceServicer_to_server(self._servicer, server)  # type: ignore[no-untyped-call] # generated code
        health_pb2_grpc.add_HealthServicer_to_server(self._health, server)
        try:
            if self._credentials is None:
                port = server.add_insecure_port(self._access.address)
            else:
                port = server.add_secure_port(self._access.address, self._credentials)
        except RuntimeError as error:
            raise AccessError(f"can't listen on {self._access.address}: the port is taken, or the address isn't this "
                              "machine's") from error
        await self._report(serving=False)
        await server.start()
        self._reporting = asyncio.create_task(self._keep_reporting())
        return f"{self._access.host}:{port}"

    async def stop(self, grace_s: float) -> None:
        """Takes no new tasks, gives those that run `grace_s` seconds to be answered, and ends."""
        if self._reporting is not None:
            self._reporting.cancel()
        await self._health.enter_graceful_shutdown()
        await self._servicer.drain(grace_s)
        await self._server.stop(LAST_WORDS_S)

    async def _keep_reporting(self) -> None:
        while True:
            await self._report(serving=self._node.ready)
            await asyncio.sleep(HEALTH_EVERY_S)

    async def _report(self, *, serving: bool) -> None:
        told = health_pb2.HealthCheckResponse
        for name in ("", SERVICE):
            await self._health.set(name, told.SERVING if serving else told.NOT_SERVING)
