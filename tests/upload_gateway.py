"""Uploads over both transports and a real store, in a thread of the test's own process; their jobs are only written down."""

import asyncio
import socket
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import grpc
import httpx
import structlog
import uvicorn
from fastapi import FastAPI
from starlette.middleware import Middleware

from gateway.grpc.calls import Calls
from gateway.grpc.uploads import UploadServicer
from gateway.rest import uploads as routes
from gateway.rest.middleware import RequestMiddleware
from gateway.service.errors import ErrorCode, ServiceError
from gateway.service.jobs.records import Job, Submission, fingerprint
from gateway.service.keys import ANALYZE_ALL, Caller, KeyService
from gateway.service.records import new_id
from gateway.service.uploads.parts import Parts
from gateway.service.uploads.ports import FileTaker
from gateway.service.uploads.service import UploadLimits, UploadService
from gateway.store.database import Database, open_database
from gateway.store.keys import SqlKeyStore
from gateway.store.uploads import SqlUploadStore
from protos.hedgerow.v1 import uploads_pb2_grpc

MIB = 1024 * 1024
MOST_BYTES = 64 * MIB


@dataclass(frozen=True)
class Taken:
    """A file that became a job, and what came with it."""

    job: Job
    path: Path
    key: str
    callback: Mapping[str, Any] | None
    consents: tuple[str, ...]

    @property
    def content(self) -> bytes:
        """The file's bytes."""
        return self.path.read_bytes()


class WrittenJobs(FileTaker):
    """Takes files as JobService does: by renaming, and once for each key. `refuses`: what the next submission raises."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        self._folder = folder
        self.taken: list[Taken] = []
        self.refuses: ServiceError | None = None

    async def submit_file(
        self, caller: Caller, domain: str, path: Path, parameters: Mapping[str, Any], *, request_id: str, key: str = "",
        callback: Mapping[str, Any] | None = None, consents: tuple[str, ...] = (),
    ) -> Submission:
        if self.refuses is not None:
            refuses, self.refuses = self.refuses, None
            raise refuses
        digest = sha256(path.read_bytes()).hexdigest()
        known = next((one.job for one in self.taken if one.key == key and one.job.tenant == caller.tenant), None)
        if known is not None:
            if known.fingerprint != fingerprint(domain, parameters, digest):
                raise ServiceError(ErrorCode.IDEMPOTENCY_KEY_REUSED, "the key was used for another file")
            return Submission(known, is_new=False)
        now = datetime.now(UTC)
        job = Job(
            id=new_id(), tenant=caller.tenant, domain=domain, parameters=parameters, request_id=request_id,
            size_bytes=path.stat().st_size, sha256=digest, fingerprint=fingerprint(domain, parameters, digest),
            created_at=now, updated_at=now, not_before=now,
        )
        self.taken.append(Taken(job, path.rename(self._folder / job.id), key, callback, consents))
        return Submission(job, is_new=True)


@contextmanager
def database_in(folder: Path) -> Iterator[Database]:
    """A database for as long as the block runs."""
    database = open_database(f"sqlite:///{folder / 'hedgerow.db'}")
    try:
        yield database
    finally:
        database.close()


def https_only(url: str) -> str:
    """Stands for the rules on callbacks."""
    if not url.startswith("https://"):
        raise ServiceError(ErrorCode.INVALID_ARGUMENT, "callback_url must begin with https://", parameter="callback_url")
    return url


class UploadGateway:
    """REST and gRPC, ready inside a `with` block. Two of them on one folder, one after the other, are a restart. `log`: its lines."""

    def __init__(self, data_dir: Path, *, expiry: timedelta = timedelta(hours=24), stall_s: float = 20.0) -> None:
        self._database = open_database(f"sqlite:///{data_dir / 'hedgerow.db'}")
        self.log: list[dict[str, Any]] = []
        self.keys = KeyService(SqlKeyStore(self._database))
        self.key = self.new_key()
        self.store = SqlUploadStore(self._database)
        self.jobs = WrittenJobs(data_dir / "jobs")
        self.uploads = UploadService(
            self.store, Parts(data_dir / "uploads", most_bytes=4 * MOST_BYTES, most_of_tenant=16), self.jobs,
            UploadLimits(MOST_BYTES, expiry=expiry, stall_s=stall_s), https_only,
        )
        app = FastAPI(middleware=[Middleware(RequestMiddleware)])
        app.state.keys, app.state.uploads = self.keys, self.uploads
        app.include_router(routes.router)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._http = uvicorn.Server(uvicorn.Config(app, http="httptools", lifespan="off", log_config=None, access_log=False))
        self._up: Future[int] = Future()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()))
        self.grpc_address = ""

    def new_key(self, *scopes: str, tenant: str = "clinic") -> str:
        """A key; with no scopes named it may analyse."""
        return self.keys.create(tenant=tenant, name="", scopes=scopes or (ANALYZE_ALL,))[0]

    def client(self, key: str | None = None) -> httpx.Client:
        """A client that speaks tus."""
        headers = {"Authorization": f"Bearer {key or self.key}", "Tus-Resumable": "1.0.0"}
        return httpx.Client(base_url=self.url, headers=headers, timeout=20, trust_env=False)

    def stub(self, channel: grpc.Channel) -> Any:
        """The stub of the gRPC service."""
        return uploads_pb2_grpc.UploadServiceStub(channel)  # type: ignore[no-untyped-call] # generated code

    def __enter__(self) -> Self:
        structlog.configure(processors=[self._note])
        self._thread.start()
        self.grpc_address = f"127.0.0.1:{self._up.result(10)}"
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._http.should_exit = True
        self._thread.join(20)
        self._database.close()
        structlog.reset_defaults()

    def _note(self, logger: object, method: str, event: Any) -> Any:
        del logger, method
        self.log.append(dict(event))
        raise structlog.DropEvent

    async def _serve(self) -> None:
        server = grpc.aio.server()
        uploads_pb2_grpc.add_UploadServiceServicer_to_server(  # type: ignore[no-untyped-call] # generated code
            UploadServicer(self.uploads, Calls(self.keys)), server
        )
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        self._up.set_result(port)
        await self._http.serve(sockets=[self._listener])
        await self.uploads.close()
        await server.stop(1)
