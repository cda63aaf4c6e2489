"""REST and gRPC over a service whose node a test has made, on free ports, in a thread of the test's own process."""

import asyncio
import socket
import threading
from collections.abc import Iterable, Mapping
from concurrent.futures import Future
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import grpc
import httpx
import uvicorn

from edge_runtime.node import Node
from edge_runtime.versions import ModelStore
from gateway.grpc.server import GrpcServer
from gateway.rest.app import build_app
from gateway.rest.stream import max_message_bytes
from gateway.service.analyses import AnalysisService, Policy
from gateway.service.answering import Answering
from gateway.service.archive import Archive
from gateway.service.clips import ClipReader
from gateway.service.deployments import DeploymentService
from gateway.service.keys import KeyService
from gateway.service.streams.service import StreamPolicy, StreamService
from gateway.service.trials import Rollouts
from gateway.store.analyses import SqlAnalysisStore
from gateway.store.database import open_database
from gateway.store.images import FolderImageStore
from gateway.store.keys import SqlKeyStore
from gateway.store.rollouts import SqlRolloutStore
from protos.hedgerow.v1 import analysis_pb2_grpc

MEDIA_LIMITS = {"max_bytes": 1024 * 1024}


class GatewayThread:
    """Both transports, ready inside a `with` block."""

    def __init__(
        self, node: Node, data_dir: Path, *, shipped: Mapping[str, str] | None = None,
        stream_policy: StreamPolicy | None = None, keep_images: timedelta = timedelta(0), clip_frames: int = 150,
    ) -> None:
        self._database = open_database(f"sqlite:///{data_dir / 'hedgerow.db'}")
        self.keys = KeyService(SqlKeyStore(self._database))
        policy = Policy(
            max_upload_bytes=1024 * 1024, timeout_s=10.0, keep_images=keep_images, keep_analyses=timedelta(days=1)
        )
        images = FolderImageStore(data_dir / "images")
        versions = SqlRolloutStore(self._database)
        self.rollouts = Rollouts(node, versions)
        analyses = SqlAnalysisStore(self._database)
        archive = Archive(analyses, images, keep_images=bool(keep_images))
        clips = ClipReader(MEDIA_LIMITS, most_frames=clip_frames)
        answering = Answering(node, self.rollouts.analyse, clips, draws_key_frames=archive.keep_images)
        self.service = AnalysisService(node, analyses, images, policy, self.rollouts, archive, answering)
        self.streams = StreamService(node, self.rollouts, archive, stream_policy or StreamPolicy(), MEDIA_LIMITS)
        self.deployments = DeploymentService(
            node, ModelStore(data_dir / "models"), versions, self.rollouts, shipped=shipped or {}
        )
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self.grpc_address = ""
        app = build_app(self.service, self.keys, self.deployments, self.streams, version="0")
        self._http = uvicorn.Server(uvicorn.Config(
            app, lifespan="off", log_config=None, access_log=False, ws="websockets-sansio", ws_max_size=max_message_bytes(policy),
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
        server = GrpcServer(self.service, self.streams, self.keys, self.deployments, host="127.0.0.1", port=0)
        await server.start()
        await self.rollouts.restore()
        self._ready.set_result(f"127.0.0.1:{server.port}")
        await self._http.serve(sockets=[self._listener])
        await self.streams.close()
        await server.stop(1)
        await self.rollouts.close()
        await self.service.close()
