"""Services that do as a test says, behind the real REST application on a free port: for tests of the transport alone."""

import asyncio
import socket
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from concurrent.futures import Future
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import structlog
import uvicorn

from gateway.rest.stream import max_message_bytes
from gateway.service.analyses import AnalysisService, Policy
from gateway.service.clips import OnProgress
from gateway.service.deployments import DeploymentService
from gateway.service.errors import ErrorCode, ServiceError
from gateway.service.inference.repository import Repository
from gateway.service.inference.service import InferenceService
from gateway.service.jobs.orders import JobDesk
from gateway.service.keys import ANALYZE_ALL, READ, Caller, KeyService
from gateway.service.learning.reports import Drift
from gateway.service.records import Analysis
from gateway.service.services import Services
from gateway.service.streams.events import FRAME_CODECS, Numbered, Started, StreamStart
from gateway.service.streams.live import Stream
from gateway.service.streams.service import StreamService
from gateway.service.uploads.service import UploadService
from gateway.store.database import open_database
from gateway.store.keys import SqlKeyStore
from gateway.web import build_web
from tests.edge_only import edge_only
from tests.gateway.scripted_jobs import ScriptedJobs

MAX_UPLOAD_BYTES = 64 * 1024
TOKEN = "t0ken"
CLIP = Analysis(
    id="01940a5c-7f3e-7c1b-9d55-0d5b8f6f2a10", tenant="clinic", domain="pathology",
    created_at=datetime(2026, 1, 31, 8, 30, tzinfo=UTC), request_id="visit-1", model="lung_ultrasound", label="normal",
    abstained=False, parameters={"exam": "lung_ultrasound"}, media={"format": "stream"},
    result={"kind": "clip_classification", "label": "normal", "key_frames": [{"number": 4}, {"number": 9}]},
    provenance={"device": "cpu"}, images=("key_frame_1.png", "key_frame_2.png"),
)

Analyse = Callable[[OnProgress], Awaitable[Analysis]]


class ScriptedAnalyses(AnalysisService):
    """Whose analyses are `script`. `stored`: those that can be read, by their ids."""

    def __init__(self) -> None:
        self.policy = Policy(
            max_upload_bytes=MAX_UPLOAD_BYTES, timeout_s=10.0, keep_images=timedelta(0), keep_analyses=timedelta(days=1)
        )
        self.script: Analyse | None = None
        self.stored: dict[str, Analysis] = {}
        self.cancelled = threading.Event()

    async def analyse(
        self, caller: Caller, domain: str, payload: bytes, parameters: Mapping[str, Any], *,
        request_id: str, timeout_s: float | None = None, on_progress: OnProgress | None = None,
        consents: tuple[str, ...] = (), note: str = "",
    ) -> Analysis:
        del caller, domain, payload, parameters, request_id, timeout_s, consents, note
        assert self.script is not None
        try:
            return await self.script(on_progress or (lambda _: None))
        except asyncio.CancelledError:
            self.cancelled.set()
            raise

    async def get(self, caller: Caller, analysis_id: str) -> Analysis:
        caller.require(READ)
        if analysis_id not in self.stored:
            raise ServiceError(ErrorCode.NOT_FOUND, "there is no analysis of that id")
        return self.stored[analysis_id]


class NoUploads(UploadService):
    """Nobody asks it."""

    def __init__(self) -> None:
        pass


class ScriptedStream(Stream):
    """Writes down what it is given, and tells what it is told to tell. `busy`: takes nothing while it is set.
    `waits_at_end`: it isn't over with its end.
    """

    def __init__(self, start: StreamStart) -> None:
        self.start = start
        self.given: list[tuple[Any, ...]] = []
        self.busy = self.waits_at_end = False
        self.detached = threading.Event()
        self._events: asyncio.Queue[Numbered | Exception | None] = asyncio.Queue()
        self._loop = asyncio.get_running_loop()

    def tell(self, *events: Numbered | Exception | None) -> None:
        """Events to come, or what is raised instead; None ends them. From any thread."""
        for event in events:
            self._loop.call_soon_threadsafe(self._events.put_nowait, event)

    @property
    def encoded(self) -> bool:
        return self.start.codec not in FRAME_CODECS

    async def frame(self, number: int, time_s: float, content: bytes, width: int = 0, height: int = 0) -> None:
        self.given.append((number, time_s, content, width, height))
        while self.busy:
            await asyncio.sleep(0.01)

    async def chunk(self, offset: int, content: bytes) -> None:
        self.given.append((offset, content))

    def ack(self, event: int) -> None:
        self.given.append(("ack", event))

    async def end(self) -> None:
        self.given.append(("end",))
        if not self.waits_at_end:
            self._events.put_nowait(None)

    def fail(self, error: Exception) -> None:
        self._events.put_nowait(error)

    async def events(self) -> AsyncIterator[Numbered]:
        while (event := await self._events.get()) is not None:
            if isinstance(event, Exception):
                raise event
            yield event

    def detach(self) -> None:
        self.detached.set()


class ScriptedStreams(StreamService):
    """`opened`: every stream, oldest first. `fails`: what opening one raises."""

    def __init__(self) -> None:
        self.opened: list[ScriptedStream] = []
        self.fails: Exception | None = None
        self.resumed: list[int] = []

    async def open(self, caller: Caller, start: StreamStart, *, request_id: str) -> Stream:
        del request_id
        caller.require_analyze(start.domain)
        if self.fails is not None:
            raise self.fails
        stream = ScriptedStream(start)
        stream.tell(Numbered(0, Started(TOKEN, 1, 0, 60.0)))
        self.opened.append(stream)
        return stream

    async def resume(self, caller: Caller, token: str, received_events: int) -> Stream:
        del caller
        if token != TOKEN:
            raise ServiceError(ErrorCode.NOT_FOUND, "there is no stream of that token")
        self.resumed.append(received_events)
        self.opened[-1].tell(Numbered(0, Started(TOKEN, 5, 0, 60.0, resumed=True)))
        return self.opened[-1]


NO_DRIFT = Drift.__new__(Drift)
NO_INFERENCE = InferenceService.__new__(InferenceService)
NO_REPOSITORY = Repository.__new__(Repository)
"""Nothing asks these."""


class RestThread:
    """The REST application over scripted services, in a thread of its own, ready inside a `with` block. `log`: its lines.
    `connections`: what is closed before it is.
    """

    def __init__(self, data_dir: Path) -> None:
        self._database = open_database(f"sqlite:///{data_dir / 'hedgerow.db'}")
        self.keys = KeyService(SqlKeyStore(self._database))
        self.key = self.keys.create(tenant="clinic", name="", scopes=(ANALYZE_ALL, READ))[0]
        self.analyses = ScriptedAnalyses()
        self.streams = ScriptedStreams()
        self.jobs = ScriptedJobs()
        self.connections = ExitStack()
        self.log: list[dict[str, Any]] = []
        deployments = DeploymentService.__new__(DeploymentService)
        desk = JobDesk(self.jobs, self.analyses, edge_only(self.jobs), private_callbacks=False)
        services = Services(self.keys, self.analyses, deployments, self.streams, desk, NoUploads(), NO_DRIFT, NO_INFERENCE, NO_REPOSITORY)
        app = build_web(services, version="0")
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self._http = uvicorn.Server(uvicorn.Config(
            app, lifespan="off", log_config=None, access_log=False, ws="websockets-sansio", ws_ping_timeout=None,
            ws_per_message_deflate=False, ws_max_size=max_message_bytes(self.analyses.policy),
        ))
        self._up: Future[None] = Future()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()))

    def lines(self, event: str = "request", *, count: int = 1) -> list[dict[str, Any]]:
        """The log's lines of that event, once there are so many: a caller may have its answer before."""
        deadline = time.monotonic() + 10
        while len(found := [line for line in self.log if line["event"] == event]) < count:
            assert time.monotonic() < deadline, self.log
            time.sleep(0.01)
        return found

    def __enter__(self) -> Self:
        structlog.configure(processors=[self._note])
        self._thread.start()
        self._up.result(10)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.connections.close()
        self._http.should_exit = True
        self._thread.join(20)
        self._database.close()
        structlog.reset_defaults()

    def _note(self, logger: object, method: str, event: Any) -> Any:
        del logger, method
        self.log.append(dict(event))
        raise structlog.DropEvent

    async def _serve(self) -> None:
        self._up.set_result(None)
        await self._http.serve(sockets=[self._listener])
