"""The composition root: settings in, a running gateway out. REST and gRPC share one process and one event loop."""

import asyncio
import signal
import socket
import threading
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import structlog
import uvicorn
from sqlalchemy.exc import SQLAlchemyError

from edge_runtime.embedded import EmbeddedNode, NodeConfig, package_folders
from edge_runtime.fleet import Fleet
from edge_runtime.folders import make_private_folder
from edge_runtime.memory import give_back_for_ever, keep_buffers
from edge_runtime.node import Node
from edge_runtime.remote import RemoteConfig, RemoteNode
from edge_runtime.signatures import Signatures, SignersError, approval
from edge_runtime.versions import ModelStore, shipped_versions
from gateway.assembly import CloudSettingsError, Gateway, assemble, media_limits
from gateway.grpc.server import GrpcServer
from gateway.rest.stream import max_message_bytes
from gateway.retention import keep_sweeping
from gateway.service.analyses import AnalysisService
from gateway.service.keys import ADMIN, ANALYZE_ALL, READ, KeyService
from gateway.service.services import Services
from gateway.settings import EMBEDDED, RemoteNodeSettings, Settings
from gateway.store.database import Database, open_database
from gateway.store.keys import SqlKeyStore
from gateway.store.schema import DatabaseVersionError
from gateway.web import build_web

logger = structlog.get_logger("hedgerow")

HEALTH_EVERY_S = 0.5
GRACE_S = 10
KEEP_ALIVE_S = 75
"""Longer than clients keep an idle connection (5 s in many): else one may be closed here just as a request is sent on it."""
KEPT_BYTES = 32 * 1024 * 1024
"""Free memory that is kept for the next uploads."""
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
        signers=settings.model_signers,
    )


def _own(settings: Settings) -> tuple[EmbeddedNode | None, ModelStore]:
    """The node in this program, and the installed packages."""
    signers = settings.model_signers
    try:
        node = EmbeddedNode(node_config(settings)) if settings.embedded else None
        if signers and node is None:
            Signatures(signers).check(())
        packages = ModelStore(settings.data_dir / "models", approve=approval(signers))
    except SignersError as error:
        raise StartError(f"HEDGEROW_MODEL_SIGNERS: {error}") from error
    except ValueError as error:
        raise StartError(f"HEDGEROW_DEVICES: {error}") from error
    if signers and settings.nodes:
        logger.warning("these nodes ask for signatures only if they were started with --model-signer",
                       nodes=[one.called for one in settings.nodes])
    return node, packages


def _fleet(settings: Settings, own: Node | None, packages: ModelStore) -> Fleet:
    try:
        return Fleet(
            [*([own] if own else []), *(_remote(node, packages) for node in settings.nodes)],
            max_waiting=settings.max_waiting, max_waiting_bytes=settings.max_waiting_bytes,
        )
    except OSError as error:
        raise StartError(f"HEDGEROW_NODES: {error.filename} can't be read ({error.strerror})") from error


def _remote(node: RemoteNodeSettings, packages: ModelStore) -> Node:
    config = RemoteConfig(node.address, node.called, node.token_file, node.ca_file, node.cert_file, node.key_file)
    return RemoteNode(config, packages)


def open_keys(settings: Settings) -> KeyService:
    """The keys of the configured database. Raises StartError."""
    return KeyService(SqlKeyStore(open_configured(settings)))


def open_configured(settings: Settings) -> Database:
    """The configured database, with the data folder made. Raises StartError."""
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
    keep_buffers(KEPT_BYTES)
    threading.Thread(target=give_back_for_ever, daemon=True).start()
    database = open_configured(settings)
    own, packages = _own(settings)
    node = _fleet(settings, own, packages)
    gateway = _assembled(settings, database, node, packages, own.folders if own else package_folders(settings.models_dirs))
    services = gateway.services
    listener = _listen(settings.host, settings.rest_port)
    rest_port = listener.getsockname()[1]
    if settings.simulated_devices:
        logger.warning("SIMULATED devices are configured: no hardware makes their answers, their times are modelled",
                       devices=settings.simulated_devices)
    await node.start()
    try:
        async with (
            _grpc(services, settings) as grpc_server,
            _background(gateway.rollouts.restore()),
            _background(gateway.runner.run()),
            _background(_cloud(gateway)),
            _background(gateway.deliverer.run()),
            _background(keep_sweeping(gateway.sweep)),
            _background(_report_health(services.analyses, grpc_server)),
        ):
            async def announce() -> None:
                await node.wait_ready()
                await gateway.rollouts.wait_ready()
                await grpc_server.report(serving=True)
                shown = "127.0.0.1" if settings.host in {"0.0.0.0", "::"} else settings.host  # noqa: S104 - compared, not bound
                started = Started(
                    f"http://{shown}:{rest_port}", f"{shown}:{grpc_server.port}", _first_key(services.keys), _simulated(node)
                )
                logger.info("ready", rest=started.rest_url, grpc=started.grpc_address)
                on_ready(started)

            app = build_web(services, version=version("hedgerow"), cors_origins=settings.cors_origins)
            async with _background(announce()):
                http = _http_server(app, max_message_bytes(services.analyses.policy))
                stopping = asyncio.Event()

                def stop() -> None:
                    if stopping.is_set():
                        http.end()
                    stopping.set()

                for signal_number in (signal.SIGINT, signal.SIGTERM):
                    asyncio.get_running_loop().add_signal_handler(signal_number, stop)
                async with _background(_end(services, http, stopping)):
                    await http.serve(sockets=[listener])
    finally:
        await services.streams.close()
        await gateway.rollouts.close()
        await node.stop()
        await services.analyses.close()
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
async def _grpc(services: Services, settings: Settings) -> AsyncIterator[GrpcServer]:
    try:
        server = GrpcServer(services, host=settings.host, port=settings.grpc_port)
    except RuntimeError as error:
        raise StartError(f"gRPC can't listen on {settings.host}:{settings.grpc_port}; "
                         "HEDGEROW_GRPC_PORT chooses another port") from error
    await server.start()
    try:
        yield server
    finally:
        await server.stop(GRACE_S)


def _assembled(
    settings: Settings, database: Database, node: Node, packages: ModelStore, folders: Iterable[Path]
) -> Gateway:
    try:
        return assemble(settings, database, node, packages, shipped_versions(folders))
    except CloudSettingsError as error:
        raise StartError(str(error)) from error
    except ModuleNotFoundError as error:
        raise StartError(f"HEDGEROW_CLOUD_BROKER needs the extra [cloud]: {error.name} isn't installed") from error


async def _cloud(gateway: Gateway) -> None:
    if gateway.cloud is not None:
        try:
            await gateway.cloud.runner.run()
        finally:
            await gateway.cloud.link.close()


@asynccontextmanager
async def _background(work: object) -> AsyncIterator[None]:
    task = asyncio.ensure_future(work)  # type: ignore[call-overload] # any coroutine
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _end(services: Services, http: _HttpServer, stopping: asyncio.Event) -> None:
    """Streams, uploads and waiting for jobs end first, and their callers are told: the servers would cut them off, or wait for
    them.
    """
    await stopping.wait()
    services.desk.stop()
    await asyncio.gather(services.streams.close(), services.uploads.close())
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


def _first_key(keys: KeyService) -> str | None:
    if keys.all():
        return None
    text, _ = keys.create(tenant=DEFAULT_TENANT, name="first start", scopes=(READ, ADMIN, ANALYZE_ALL))
    return text
