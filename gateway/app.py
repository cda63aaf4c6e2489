"""The composition root: settings in, a running gateway out. REST and gRPC share one process and one event loop."""

import asyncio
import signal
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from importlib.metadata import version

import structlog
import uvicorn
from sqlalchemy.exc import SQLAlchemyError

from edge_runtime.embedded import EmbeddedNode, NodeConfig, package_folders
from edge_runtime.fleet import Fleet
from edge_runtime.node import Node
from edge_runtime.remote import RemoteConfig, RemoteNode
from edge_runtime.versions import ModelStore, shipped_versions
from gateway.grpc.server import GrpcServer
from gateway.rest.app import build_app
from gateway.rest.stream import max_message_bytes
from gateway.service.analyses import AnalysisService, Policy
from gateway.service.answering import Answering
from gateway.service.archive import Archive
from gateway.service.clips import ClipReader
from gateway.service.deployments import DeploymentService
from gateway.service.keys import ADMIN, ANALYZE_ALL, READ, KeyService
from gateway.service.streams.service import StreamPolicy, StreamService
from gateway.service.streams.session import StreamLimits
from gateway.service.trials import Rollouts
from gateway.settings import EMBEDDED, RemoteNodeSettings, Settings
from gateway.store.analyses import SqlAnalysisStore
from gateway.store.database import Database, DatabaseVersionError, open_database
from gateway.store.folders import make_private_folder
from gateway.store.images import FolderImageStore
from gateway.store.keys import SqlKeyStore
from gateway.store.rollouts import SqlRolloutStore

logger = structlog.get_logger("hedgerow")

SWEEP_EVERY_S = 600.0
HEALTH_EVERY_S = 0.5
GRACE_S = 10
KEEP_ALIVE_S = 75
"""Longer than clients keep an idle connection (5 s in many): else one may be closed here just as a request is sent on it."""
DEFAULT_TENANT = "default"


class StartError(Exception):
    """The gateway can't start; the message says what to change."""


@dataclass(frozen=True, slots=True)
class Started:
    """Where a gateway that is ready can be reached. `first_key` is there on the very first start, and never again.
    `simulated`: its devices that are none, each as DEVICE on NODE.
    """

    rest_url: str
    grpc_address: str
    first_key: str | None
    simulated: tuple[str, ...] = ()


def media_limits(settings: Settings) -> dict[str, int]:
    """What one file may ask for; see domains.media.Limits."""
    return {
        "max_bytes": settings.max_upload_bytes,
        "max_pixels": settings.max_pixels,
        "max_frames": settings.max_frames,
    }


def node_config(settings: Settings) -> NodeConfig:
    """What the embedded node is told."""
    return NodeConfig(
        name=EMBEDDED,
        data_dir=settings.data_dir,
        models_dirs=settings.models_dirs,
        devices=settings.devices,
        workers=settings.workers,
        limits=media_limits(settings),
        max_waiting=settings.max_waiting,
        max_waiting_bytes=settings.max_waiting_bytes,
        task_limit_s=settings.task_limit_s,
        device_limit_s=settings.device_limit_s,
    )


def stream_policy(settings: Settings) -> StreamPolicy:
    """How many live streams there may be, and for how long."""
    limits = StreamLimits(settings.stream_idle_s, settings.stream_limit_s, settings.stream_resume_s)
    return StreamPolicy(settings.max_streams, settings.max_streams_per_tenant, limits)


def _fleet(settings: Settings, packages: ModelStore) -> Fleet:
    try:
        own: list[Node] = [EmbeddedNode(node_config(settings))] if settings.embedded else []
    except ValueError as error:
        raise StartError(f"HEDGEROW_DEVICES: {error}") from error
    try:
        return Fleet(
            [*own, *(_remote(node, packages) for node in settings.nodes)],
            max_waiting=settings.max_waiting, max_waiting_bytes=settings.max_waiting_bytes,
        )
    except OSError as error:
        raise StartError(f"HEDGEROW_NODES: {error.filename} can't be read ({error.strerror})") from error


def _remote(node: RemoteNodeSettings, packages: ModelStore) -> Node:
    config = RemoteConfig(node.address, node.called, node.token_file, node.ca_file, node.cert_file, node.key_file)
    return RemoteNode(config, packages)


def open_keys(settings: Settings) -> KeyService:
    """The keys of the configured database. Raises StartError."""
    return KeyService(SqlKeyStore(_open(settings)))


def _open(settings: Settings) -> Database:
    try:
        make_private_folder(settings.data_dir)
        return open_database(settings.resolved_database_url)
    except (DatabaseVersionError, ValueError) as error:
        raise StartError(str(error)) from error
    except OSError as error:
        raise StartError(f"the data folder {settings.data_dir} can't be used: {error.strerror}") from error
    except SQLAlchemyError as error:
        raise StartError(f"the database can't be opened ({type(error).__name__}); check HEDGEROW_DATABASE_URL") from error


async def serve(settings: Settings, on_ready: Callable[[Started], None]) -> None:
    """Runs the gateway until SIGINT or SIGTERM. Raises StartError where it can't start."""
    database = _open(settings)
    keys = KeyService(SqlKeyStore(database))
    images = FolderImageStore(settings.data_dir / "images")
    packages = ModelStore(settings.data_dir / "models")
    node = _fleet(settings, packages)
    policy = Policy(
        max_upload_bytes=settings.max_upload_bytes,
        timeout_s=settings.timeout_s,
        keep_images=timedelta(hours=settings.keep_images_hours),
        keep_analyses=timedelta(days=settings.keep_analyses_days),
    )
    versions = SqlRolloutStore(database)
    rollouts = Rollouts(node, versions)
    analyses = SqlAnalysisStore(database)
    archive = Archive(analyses, images, keep_images=bool(policy.keep_images))
    clips = ClipReader(media_limits(settings), most_frames=settings.clip_frames)
    answering = Answering(node, rollouts.analyse, clips, draws_key_frames=archive.keep_images)
    service = AnalysisService(node, analyses, images, policy, rollouts, archive, answering)
    streams = StreamService(node, rollouts, archive, stream_policy(settings), media_limits(settings))
    deployments = DeploymentService(
        node, packages, versions, rollouts,
        shipped=shipped_versions(package_folders(settings.models_dirs)),
    )
    listener = _listen(settings.host, settings.rest_port)
    rest_port = listener.getsockname()[1]
    if settings.simulated_devices:
        logger.warning("SIMULATED devices are configured: no hardware makes their answers, their times are modelled",
                       devices=settings.simulated_devices)
    await node.start()
    try:
        async with (
            _grpc(service, streams, keys, deployments, settings) as grpc_server,
            _background(rollouts.restore()),
            _background(_sweep(service)),
            _background(_report_health(service, grpc_server)),
        ):
            async def announce() -> None:
                await node.wait_ready()
                await rollouts.wait_ready()
                await grpc_server.report(serving=True)
                shown = "127.0.0.1" if settings.host in {"0.0.0.0", "::"} else settings.host  # noqa: S104 - compared, not bound
                started = Started(
                    f"http://{shown}:{rest_port}", f"{shown}:{grpc_server.port}", _first_key(keys), _simulated(node)
                )
                logger.info("ready", rest=started.rest_url, grpc=started.grpc_address)
                on_ready(started)

            app = build_app(service, keys, deployments, streams, version=version("hedgerow"))
            async with _background(announce()):
                http = _http_server(app, max_message_bytes(policy))
                stopping = asyncio.Event()

                def stop() -> None:
                    if stopping.is_set():
                        http.end()
                    stopping.set()

                for signal_number in (signal.SIGINT, signal.SIGTERM):
                    asyncio.get_running_loop().add_signal_handler(signal_number, stop)
                async with _background(_end(streams, http, stopping)):
                    await http.serve(sockets=[listener])
    finally:
        await streams.close()
        await rollouts.close()
        await node.stop()
        await service.close()
        database.close()


class _HttpServer(uvicorn.Server):
    """Leaves signals alone: uvicorn would raise them again when it ends, before the rest is shut down."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    def end(self) -> None:
        """Stops taking requests and finishes those that run; a second time it drops them."""
        self.force_exit = self.should_exit
        self.should_exit = True


def _http_server(app: object, max_message: int) -> _HttpServer:
    return _HttpServer(uvicorn.Config(
        app,  # type: ignore[arg-type] # an ASGI application; uvicorn's own type is narrower than the standard
        http="httptools", lifespan="off",
        # no ping timeout: a stream that holds its sender up reads no pongs; no compression: frames are compressed already
        ws="websockets-sansio", ws_max_size=max_message, ws_ping_timeout=None, ws_per_message_deflate=False,
        log_config=None, access_log=False, server_header=False,
        timeout_graceful_shutdown=GRACE_S, timeout_keep_alive=KEEP_ALIVE_S,
    ))


def _listen(host: str, port: int) -> socket.socket:
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return socket.create_server((host, port), family=family, backlog=2048)
    except OSError as error:
        raise StartError(f"REST can't listen on {host}:{port} ({error.strerror}); HEDGEROW_REST_PORT chooses another port") from error


@asynccontextmanager
async def _grpc(
    service: AnalysisService, streams: StreamService, keys: KeyService, deployments: DeploymentService,
    settings: Settings,
) -> AsyncIterator[GrpcServer]:
    try:
        server = GrpcServer(service, streams, keys, deployments, host=settings.host, port=settings.grpc_port)
    except RuntimeError as error:
        raise StartError(f"gRPC can't listen on {settings.host}:{settings.grpc_port}; "
                         "HEDGEROW_GRPC_PORT chooses another port") from error
    await server.start()
    try:
        yield server
    finally:
        await server.stop(GRACE_S)


@asynccontextmanager
async def _background(work: object) -> AsyncIterator[None]:
    task = asyncio.ensure_future(work)  # type: ignore[call-overload] # any coroutine
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _end(streams: StreamService, http: _HttpServer, stopping: asyncio.Event) -> None:
    """Streams end first, and their callers are told: the servers would cut them off, or wait for them."""
    await stopping.wait()
    await streams.close()
    http.end()


async def _report_health(service: AnalysisService, server: GrpcServer) -> None:
    """Keeps the health that gRPC tells the same as that of /readyz."""
    while True:
        await server.report(serving=service.ready)
        await asyncio.sleep(HEALTH_EVERY_S)


def _simulated(node: Node) -> tuple[str, ...]:
    return tuple(
        f"{device.name} on {state.name}" for state in node.states() for device in state.devices if device.simulated
    )


async def _sweep(service: AnalysisService) -> None:
    while True:
        try:
            while await service.sweep():
                pass
        except Exception as error:
            logger.error("retention failed and is tried again later", kind=type(error).__name__)
        await asyncio.sleep(SWEEP_EVERY_S)


def _first_key(keys: KeyService) -> str | None:
    if keys.all():
        return None
    text, _ = keys.create(tenant=DEFAULT_TENANT, name="first start", scopes=(READ, ADMIN, ANALYZE_ALL))
    return text
