"""REST and gRPC over a service whose node a test has made, on free ports, in a thread of the test's own process."""

import asyncio
import socket
import threading
from collections.abc import Iterable, Mapping
from concurrent.futures import Future
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import grpc
import httpx
import uvicorn

from edge_runtime.node import Node
from edge_runtime.versions import ModelStore
from gateway.assembly import assemble
from gateway.grpc.server import GrpcServer
from gateway.rest.stream import max_message_bytes
from gateway.settings import Settings
from gateway.store.database import open_database
from gateway.web import build_web
from protos.hedgerow.v1 import analysis_pb2_grpc


class GatewayThread:
    """Both transports, ready inside a `with` block."""

    def __init__(self, node: Node, data_dir: Path, *, shipped: Mapping[str, str] | None = None, **settings: Any) -> None:
        self._database = open_database(f"sqlite:///{data_dir / 'hedgerow.db'}")
        used = Settings(**{
            "data_dir": data_dir, "max_upload_bytes": 1024 * 1024, "timeout_s": 10.0, "keep_images_hours": 0,
            "private_callbacks": True, **settings,
        })
        gateway = assemble(used, self._database, node, ModelStore(data_dir / "models"), shipped or {})
        services = gateway.services
        self.services = services
        self._gateway = gateway
        self.keys, self.service, self.deployments = services.keys, services.analyses, services.deployments
        self.rollouts = gateway.rollouts
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self.grpc_address = ""
        app = build_web(services, version="0", cors_origins=used.cors_origins)
        self._http = uvicorn.Server(uvicorn.Config(
            app, lifespan="off", log_config=None, access_log=False, ws="websockets-sansio",
            ws_max_size=max_message_bytes(self.service.policy),
        ))
        self._ready: Future[str] = Future()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()))

    def key(self, scopes: Iterable[str] = ("nodes",), *, tenant: str = "clinic") -> str:
        """A new API key."""
        return self.keys.create(tenant=tenant, name="", scopes=scopes)[0]

    def rest(self, key: str) -> httpx.Client:
        """A REST client with a key."""
        return httpx.Client(base_url=self.url, headers={"Authorization": f"Bearer {key}"}, trust_env=False)

    def stub(self, channel: grpc.Channel) -> Any:
        """The service's stub."""
        return analysis_pb2_grpc.AnalysisServiceStub(channel)  # type: ignore[no-untyped-call] # generated code

    def __enter__(self) -> Self:
        self._thread.start()
        self.grpc_address = self._ready.result(10)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._http.should_exit = True
        self._thread.join(20)
        self._database.close()

    async def _serve(self) -> None:
        gateway = self._gateway
        server = GrpcServer(gateway.services, host="127.0.0.1", port=0)
        await server.start()
        await self.rollouts.restore()
        work = [asyncio.create_task(gateway.runner.run()), asyncio.create_task(gateway.deliverer.run())]
        self._ready.set_result(f"127.0.0.1:{server.port}")
        await self._http.serve(sockets=[self._listener])
        await gateway.services.streams.close()
        for task in work:
            task.cancel()
        await asyncio.gather(*work, return_exceptions=True)
        await server.stop(1)
        await self.rollouts.close()
        await self.service.close()
