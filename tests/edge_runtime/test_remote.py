"""A remote node over real sockets: the real server on one side, the gateway's side on the other, in one event loop."""

import asyncio
import inspect
import struct
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from domains import errors as domain_errors
from domains.errors import DomainError
from edge_runtime import errors as edge_errors
from edge_runtime import wire
from edge_runtime.errors import (
    DeadlineExceeded,
    DeviceFault,
    EdgeError,
    FaultKind,
    InputBreaksWorker,
    ModelUnavailable,
    NodeLost,
    NodeStopped,
    Overloaded,
    PackageError,
    TaskFailed,
)
from edge_runtime.fleet import Fleet
from edge_runtime.inference import Tensor
from edge_runtime.node import Answer, Node
from edge_runtime.remote import Patience, RemoteConfig, RemoteNode
from edge_runtime.scheduler import Priority
from edge_runtime.server.access import AccessConfig, AccessError
from edge_runtime.server.listener import NodeServer
from edge_runtime.versions import ModelStore
from edge_runtime.wire import TensorSpec, WireError
from protos.hedgerow.node.v1 import node_pb2 as pb
from protos.hedgerow.node.v1 import node_pb2_grpc
from tests.certificates import make_certificates
from tests.model_packages import tiny_archive
from tests.scripted_node import LUNG, MAX_UPLOAD_BYTES, ScriptedNode, served, until

TOKEN = "a-token-for-tests-only-0123456789"
QUICK = Patience(refused_pause_s=0.2, parting_s=0.5)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_certificates(tmp_path_factory.mktemp("tls"))


def in_loop(test: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(test())


@asynccontextmanager
async def reached(config: RemoteConfig, packages: ModelStore | None = None) -> AsyncIterator[RemoteNode]:
    """A node that connects, or doesn't."""
    node = RemoteNode(config, packages, patience=QUICK)
    await node.start()
    try:
        yield node
    finally:
        await node.stop()


@asynccontextmanager
async def connected(node: Node) -> AsyncIterator[RemoteNode]:
    """The gateway's side of a node, ready."""
    async with served(node) as address, reached(RemoteConfig(address, "field")) as remote:
        async with asyncio.timeout(10):
            await remote.wait_ready()
        yield remote


async def ask(node: Node, payload: bytes = b"picture", *, timeout_s: float = 10.0) -> Answer:
    return await node.analyse(
        "pathology", payload, {"exam": LUNG, "frame": 3}, priority=Priority.LIVE, timeout_s=timeout_s, tenant="clinic",
        track="candidate",
    )


async def refused(config: RemoteConfig) -> str:
    """Why the node won't have this gateway."""
    async with reached(config) as remote:
        await until(lambda: remote.states()[0].cause != "not reached yet")
        (state,) = remote.states()
        assert (state.reachable, state.ready, remote.ready) == (False, False, False)
        return state.cause


def test_a_task_and_its_answer_come_through_as_they_are() -> None:
    async def test() -> None:
        node = ScriptedNode("its own name")
        async with connected(node) as remote:
            answer = await ask(remote)
            (run,) = node.runs
            assert (run.domain, run.payload, run.parameters) == ("pathology", b"picture", {"exam": LUNG, "frame": 3})
            assert (run.priority, run.tenant, run.track) == (Priority.LIVE, "clinic", "candidate")
            assert 9 < run.timeout_s < 10.5  # gRPC rounds it up
            assert replace(answer, node="its own name") == await ask(node)
            assert answer.node == "field"
            assert (await remote.render("overlay.png", {"a": 1}, {}, {"mask.png": b"m"}, timeout_s=5)).startswith(b"its own name")
            (state,) = remote.states()
            assert (state.name, state.reachable, state.ready, state.cause) == ("field", True, True, "")
            assert [device.name for device in state.devices] == ["cpu"]
            assert [model.name for model in remote.models()] == [LUNG]
            assert [domain.name for domain in remote.domains()] == ["pathology"]

    in_loop(test)


ERRORS = [
    error for module in (domain_errors, edge_errors) for _, error in inspect.getmembers(module, inspect.isclass)
    if issubclass(error, DomainError | EdgeError)
]


@pytest.mark.parametrize("kind", ERRORS, ids=lambda kind: kind.__name__)
def test_every_error_of_ours_arrives_as_itself(kind: type[Exception]) -> None:
    details: dict[type[Exception], dict[str, Any]] = {
        DeviceFault: {"kind": FaultKind.HUNG}, Overloaded: {"retry_after_s": 2.5},
    }
    more = {"parameter": "exam"} if issubclass(kind, domain_errors.InvalidParameter) else details.get(kind, {})
    error = kind("what is wrong", **more)

    async def test() -> None:
        async with connected(ScriptedNode(fails=error)) as remote:
            with pytest.raises(kind, match="what is wrong") as caught:
                await ask(remote)
            assert type(caught.value) is kind
            assert vars(caught.value) == vars(error)

    in_loop(test)


@pytest.mark.parametrize("told", [
    WireError("Exception", "x"), WireError("str", "x"), WireError("", "x"), WireError("DeviceFault", "x", "no such kind"),
    WireError("Overloaded", "x", "soon"), WireError("__doc__", "x"),
], ids=lambda told: told.kind)
def test_an_error_that_this_version_does_not_know_is_an_error_still(told: WireError) -> None:
    assert isinstance(wire.error_from_wire(told), TaskFailed)


def test_an_unforeseen_errors_text_goes_neither_to_the_gateway_nor_into_the_nodes_log(caplog: pytest.LogCaptureFixture) -> None:
    async def test() -> None:
        async with connected(ScriptedNode(fails=RuntimeError("DOE^JANE"))) as remote:
            with pytest.raises(TaskFailed, match="unforeseen RuntimeError"):
                await ask(remote)

    in_loop(test)
    assert "a call failed: RuntimeError" in caplog.text
    assert "DOE" not in caplog.text


def test_tensors_come_through_as_they_are() -> None:
    async def test() -> None:
        inputs = [Tensor(TensorSpec(name, "uint8", (1, 2)), content) for name, content in (("a", b"\1\2"), ("b", memoryview(b"\3\4")))]
        async with connected(ScriptedNode()) as remote:
            answer = await remote.infer(LUNG, inputs, priority=Priority.INTERACTIVE, timeout_s=5, tenant="clinic")
        (sums,) = answer.tensors
        assert (sums.spec, bytes(sums.content)) == (TensorSpec("sums", "float32", (2,)), struct.pack("<2f", 3, 7))
        assert (answer.node, answer.reply.model["name"], answer.pictures) == ("field", LUNG, {})

    in_loop(test)


def test_a_deadline_is_kept_by_the_gateway_and_known_to_the_node() -> None:
    async def test() -> None:
        node = ScriptedNode(takes_s=30.0)
        async with connected(node) as remote:
            started = time.monotonic()
            with pytest.raises(DeadlineExceeded):
                await ask(remote, timeout_s=0.3)
            assert time.monotonic() - started < 10
            assert node.runs[0].timeout_s < 0.5
            await until(lambda: node.cancelled == 1)

    in_loop(test)


def test_a_caller_who_leaves_takes_the_task_out_of_the_nodes_queue() -> None:
    async def test() -> None:
        node = ScriptedNode(takes_s=30.0)
        async with connected(node) as remote:
            left = asyncio.create_task(ask(remote))
            await until(lambda: node.running)
            left.cancel()
            await until(lambda: node.cancelled == 1 and not node.running)

    in_loop(test)


def test_the_largest_upload_and_large_pictures_come_through() -> None:
    async def test() -> None:
        node = ScriptedNode(pictures={"mask.png": bytes(24 * 1024 * 1024)})
        async with connected(node) as remote:
            answer = await ask(remote, bytes(MAX_UPLOAD_BYTES), timeout_s=60)
            assert answer.reply.document["bytes"] == MAX_UPLOAD_BYTES
            assert len(answer.pictures["mask.png"]) == 24 * 1024 * 1024

    in_loop(test)


def test_an_upload_that_the_node_would_not_take_is_for_another_node() -> None:
    async def test() -> None:
        async with connected(ScriptedNode()) as remote:
            with pytest.raises(ModelUnavailable, match="takes no upload of this size"):
                await ask(remote, bytes(3 * MAX_UPLOAD_BYTES), timeout_s=60)
            assert (await ask(remote)).attempts == 1

    in_loop(test)


def test_a_node_that_dies_fails_what_it_holds_at_once_and_is_found_again_on_its_own() -> None:
    async def test() -> None:
        node = ScriptedNode(takes_s=30.0)
        server = NodeServer(node, AccessConfig("127.0.0.1:0"), max_upload_bytes=MAX_UPLOAD_BYTES)
        address = await server.start()
        async with reached(RemoteConfig(address, "field")) as remote:
            await remote.wait_ready()
            held = [asyncio.create_task(ask(remote)) for _ in range(5)]
            await until(lambda: node.running == 5)
            started = time.monotonic()
            await server._server.stop(None)
            results = await asyncio.gather(*held, return_exceptions=True)
            assert {type(result) for result in results} == {NodeLost}
            assert time.monotonic() - started < 10
            await until(lambda: not remote.ready)
            with pytest.raises(NodeLost, match="out of service"):
                await ask(remote)
            assert [model.name for model in remote.models()] == [LUNG], "what it serves is known while it is away"
            node.takes_s = 0.0
            async with served(node, AccessConfig(address)):
                async with asyncio.timeout(5):
                    await remote.wait_ready()
                assert (await ask(remote)).node == "field"

    in_loop(test)


def test_a_node_that_stops_finishes_what_it_has_takes_nothing_new_and_says_so() -> None:
    async def test() -> None:
        node = ScriptedNode("there", takes_s=0.5)
        server = NodeServer(node, AccessConfig("127.0.0.1:0"), max_upload_bytes=MAX_UPLOAD_BYTES)
        address = await server.start()
        async with reached(RemoteConfig(address, "field")) as remote:
            await remote.wait_ready()
            fleet = Fleet([remote, ScriptedNode("other")])
            held = asyncio.create_task(ask(remote))
            await until(lambda: node.running)
            stopping = asyncio.create_task(server.stop(5))
            await asyncio.sleep(0.05)
            with pytest.raises(NodeStopped):
                await ask(remote)
            assert (await ask(fleet)).reason.startswith("node field was stopping; ran on other")
            assert (await held).node == "field"
            await stopping
            await until(lambda: not remote.states()[0].reachable)

    in_loop(test)


@asynccontextmanager
async def narrowed(address: str, bytes_s: float) -> AsyncIterator[str]:
    """The address of a link to `address` that carries answers no faster than that."""
    host, _, port = address.rpartition(":")

    async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, pause_s: float) -> None:
        while chunk := await reader.read(64 * 1024):
            writer.write(chunk)
            await writer.drain()
            await asyncio.sleep(len(chunk) * pause_s)
        writer.close()

    async def link(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection(host, int(port))
        await asyncio.gather(carry(reader, back, 0.0), carry(there, writer, 1 / bytes_s), return_exceptions=True)

    async with await asyncio.start_server(link, "127.0.0.1", 0) as server:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"


def test_a_node_that_stops_gives_a_slow_link_the_time_to_carry_its_last_answer() -> None:
    async def test() -> None:
        node = ScriptedNode(takes_s=0.2, pictures={"mask.png": bytes(24 * 1024 * 1024)})
        server = NodeServer(node, AccessConfig("127.0.0.1:0"), max_upload_bytes=MAX_UPLOAD_BYTES)
        async with (
            narrowed(await server.start(), 10 * 1024 * 1024) as address, reached(RemoteConfig(address, "field")) as remote
        ):
            await remote.wait_ready()
            held = asyncio.create_task(ask(remote, timeout_s=60))
            await until(lambda: node.running)
            await server.stop(30)
            assert len((await held).pictures["mask.png"]) == 24 * 1024 * 1024

    in_loop(test)


@asynccontextmanager
async def leaving(node: ScriptedNode) -> AsyncIterator[tuple[RemoteNode, asyncio.Task[Answer]]]:
    """The gateway's side of a node that ended the connection in good order while it still had a task, and the task."""
    server = NodeServer(node, AccessConfig("127.0.0.1:0"), max_upload_bytes=MAX_UPLOAD_BYTES)
    async with reached(RemoteConfig(await server.start(), "field")) as remote:
        await remote.wait_ready()
        held = asyncio.create_task(ask(remote))
        await until(lambda: node.running)
        server._servicer._ended.set()
        await until(lambda: not remote.ready)
        yield remote, held
    await server.stop(0)


def test_an_answer_that_comes_after_the_nodes_farewell_is_an_answer_still() -> None:
    async def test() -> None:
        async with leaving(ScriptedNode(takes_s=0.3)) as (remote, held):
            assert not held.done()
            assert remote.states()[0].cause == "it ended the connection"
            with pytest.raises(NodeLost, match="out of service"):
                await ask(remote)
            assert (await held).node == "field"

    in_loop(test)


def test_a_node_that_took_leave_and_never_answers_is_not_waited_for_long() -> None:
    async def test() -> None:
        async with leaving(ScriptedNode(takes_s=60.0)) as (_, held):
            with pytest.raises(NodeLost, match="it ended the connection"):
                async with asyncio.timeout(8):
                    await held

    in_loop(test)


def test_stopping_the_gateways_side_while_a_node_takes_leave_keeps_no_caller_waiting() -> None:
    async def test() -> None:
        async with leaving(ScriptedNode(takes_s=60.0)) as (remote, held):
            await remote.stop()
            with pytest.raises(NodeStopped):
                async with asyncio.timeout(5):
                    await held

    in_loop(test)


def test_stopping_the_gateways_side_ends_what_it_asked_for() -> None:
    async def test() -> None:
        node = ScriptedNode(takes_s=30.0)
        async with connected(node) as remote:
            held = asyncio.create_task(ask(remote))
            await until(lambda: node.running)
            await remote.stop()
            with pytest.raises(NodeStopped):
                await held
            await until(lambda: not node.running)

    in_loop(test)


def test_a_wrong_token_is_told_as_the_cause_and_the_right_one_is_taken_without_a_restart(tmp_path: Path) -> None:
    async def test() -> None:
        theirs, ours = tmp_path / "theirs", tmp_path / "ours"
        theirs.write_text(TOKEN + "\n")
        ours.write_text("another-token-0123456789")
        async with served(ScriptedNode(), AccessConfig("127.0.0.1:0", theirs)) as address:
            assert await refused(RemoteConfig(address, "field")) == "it doesn't take this gateway's token"
            async with reached(RemoteConfig(address, "field", ours)) as remote:
                await until(lambda: remote.states()[0].cause == "it doesn't take this gateway's token")
                ours.write_text(TOKEN)
                async with asyncio.timeout(5):
                    await remote.wait_ready()
                assert (await ask(remote)).node == "field"

    in_loop(test)


def test_without_the_token_nothing_but_health_is_answered(tmp_path: Path) -> None:
    async def test() -> None:
        file = tmp_path / "token"
        file.write_text(TOKEN)
        async with served(ScriptedNode(), AccessConfig("127.0.0.1:0", file)) as address, grpc.aio.insecure_channel(address) as channel:
            stub = node_pb2_grpc.NodeServiceStub(channel)  # type: ignore[no-untyped-call] # generated code
            calls = {
                "Run": stub.Run(pb.RunRequest()), "Watch": stub.Watch(pb.WatchRequest()).read(),
                "Install": stub.Install(iter([pb.InstallRequest()])), "Serve": stub.Serve(pb.ServeRequest()),
                "unknown": channel.unary_unary("/hedgerow.node.v1.NodeService/Else")(b""),
            }
            for name, call in calls.items():
                with pytest.raises(grpc.aio.AioRpcError) as caught:
                    await call
                assert caught.value.code() is grpc.StatusCode.UNAUTHENTICATED, name
            async def healthy() -> bool:
                checked = await health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest())
                return bool(checked.status == health_pb2.HealthCheckResponse.SERVING)

            async with asyncio.timeout(5):
                while not await healthy():
                    await asyncio.sleep(0.05)

    in_loop(test)


def test_another_protocol_is_refused_with_both_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edge_runtime.remote.PROTOCOL", 99)

    async def test() -> None:
        async with served(ScriptedNode()) as address:
            cause = await refused(RemoteConfig(address, "field"))
            assert cause == f"it speaks protocol {wire.PROTOCOL}, this gateway 99: bring both to one version of Hedgerow"

    in_loop(test)


def secured(made: Path, **more: Any) -> AccessConfig:
    return AccessConfig("127.0.0.1:0", cert_file=made / "node.crt", key_file=made / "node.key", **more)


def test_both_sides_know_each_other_by_certificate(made: Path) -> None:
    async def test() -> None:
        async with served(ScriptedNode(), secured(made, client_ca_file=made / "ca.crt")) as address:
            config = RemoteConfig(address, "field", None, made / "ca.crt", made / "gateway.crt", made / "gateway.key")
            async with reached(config) as remote:
                async with asyncio.timeout(10):
                    await remote.wait_ready()
                assert (await ask(remote)).node == "field"

    in_loop(test)


def test_a_token_over_tls_is_enough_where_no_client_ca_is_given(made: Path, tmp_path: Path) -> None:
    async def test() -> None:
        file = tmp_path / "token"
        file.write_text(TOKEN)
        async with (
            served(ScriptedNode(), secured(made, token_file=file)) as address,
            reached(RemoteConfig(address, "field", file, made / "ca.crt")) as remote,
        ):
            async with asyncio.timeout(10):
                await remote.wait_ready()

    in_loop(test)


NOT_TAKEN = "it doesn't take this gateway's certificate: none given, ended, or not of the node's CA"


@pytest.mark.parametrize(("ca", "own", "cause"), [
    ("other", "gateway", "its certificate is not accepted: unable to get local issuer certificate"),
    ("ca", None, NOT_TAKEN),
    ("ca", "ended", NOT_TAKEN),
    ("ca", "stranger", NOT_TAKEN),
    (None, None, "it speaks TLS: the gateway needs a ca_file for it"),
], ids=["wrong CA", "no certificate", "ended certificate", "certificate of another CA", "no TLS"])
def test_a_connection_that_tls_refuses_says_what_to_change(made: Path, ca: str | None, own: str | None, cause: str) -> None:
    async def test() -> None:
        node = ScriptedNode()
        pair = (made / f"{own}.crt", made / f"{own}.key") if own else (None, None)
        async with served(node, secured(made, client_ca_file=made / "ca.crt")) as address:
            assert await refused(RemoteConfig(address, "field", None, made / f"{ca}.crt" if ca else None, *pair)) == cause
        assert not node.runs

    in_loop(test)


def test_a_certificate_for_another_name_and_a_node_without_tls_are_told_too(made: Path) -> None:
    async def test() -> None:
        async with served(ScriptedNode(), replace(secured(made), address="127.0.0.2:0")) as address:
            cause = await refused(RemoteConfig(address, "field", None, made / "ca.crt"))
            assert cause == "its certificate is not accepted: IP address mismatch, certificate is not valid for '127.0.0.2'."
        async with served(ScriptedNode()) as address:
            assert await refused(RemoteConfig(address, "field", None, made / "ca.crt")) == "TLS fails: wrong version number"

    in_loop(test)


def test_an_address_where_nothing_listens_is_told_and_is_no_refusal() -> None:
    async def test() -> None:
        async with served(ScriptedNode()) as address:
            pass
        assert await refused(RemoteConfig(address, "field")) == "it can't be reached: Connection refused"

    in_loop(test)


def test_a_node_that_comes_back_gets_no_work_before_it_serves_the_right_versions(tmp_path: Path) -> None:
    async def test() -> None:
        packages = ModelStore(tmp_path)
        version = packages.install(tiny_archive(LUNG, "2.0.0"))
        node = ScriptedNode()
        async with served(node) as address, reached(RemoteConfig(address, "field"), packages) as remote:
            await remote.wait_ready()
            await remote.serve({LUNG: "2.0.0"}, {})
            assert node.served == [({LUNG: "2.0.0"}, {})]
        node.served.clear()

        fresh = ScriptedNode(lacks={version})
        async with reached(RemoteConfig(address, "field"), packages) as remote:
            with pytest.raises(NodeLost, match="told when it is back"):
                await remote.serve({LUNG: "2.0.0"}, {})
            async with served(fresh, AccessConfig(address)):
                async with asyncio.timeout(10):
                    await remote.wait_ready()
                assert fresh.installed == [version]
                assert fresh.served == [({LUNG: "2.0.0"}, {})]

    in_loop(test)


def test_a_node_that_refuses_the_right_versions_stays_out_of_service_and_says_why() -> None:
    async def test() -> None:
        async with served(ScriptedNode()) as address:
            pass
        async with reached(RemoteConfig(address, "field")) as remote:
            with pytest.raises(NodeLost):
                await remote.serve({LUNG: "2.0.0"}, {})
            node = ScriptedNode(refuses="model package lung_ultrasound: int8.tflite was changed")
            async with served(node, AccessConfig(address)):
                await until(lambda: "was changed" in remote.states()[0].cause)
                assert (remote.states()[0].reachable, remote.ready) == (True, False)
                node.refuses = ""
                async with asyncio.timeout(5):
                    await remote.wait_ready()

    in_loop(test)


def test_a_version_that_the_node_refuses_leaves_it_with_what_it_had() -> None:
    async def test() -> None:
        node = ScriptedNode(refuses="model package lung_ultrasound: the known answer doesn't come out")
        async with connected(node) as remote:
            with pytest.raises(PackageError, match="known answer"):
                await remote.serve({LUNG: "2.0.0"}, {})
            with pytest.raises(PackageError, match="known answer"):
                await remote.install(tiny_archive(LUNG, "2.0.0"))
            assert remote.ready

    in_loop(test)


@pytest.mark.parametrize(("options", "told"), [
    ({"address": "8090"}, "HOST:PORT"),
    ({"address": "0.0.0.0:0"}, "--client-ca or --token-file"),
    ({"address": "[::]:0"}, "--client-ca or --token-file"),
    ({"address": "10.0.0.1:0", "token": True}, "--plaintext"),
    ({"address": "127.0.0.1:0", "cert_file": "node.crt"}, "go together"),
    ({"address": "127.0.0.1:0", "client_ca_file": "ca.crt"}, "--client-ca needs"),
    ({"address": "127.0.0.1:0", "cert_file": "node.crt", "key_file": "node.key", "plaintext": True}, "exclude"),
], ids=str)
def test_what_is_not_safe_is_refused_in_one_line(
    made: Path, tmp_path: Path, options: dict[str, Any], told: str
) -> None:
    token = tmp_path / "token"
    token.write_text(TOKEN)
    files: dict[str, Any] = {name: made / value for name, value in options.items() if name.endswith("_file")}
    if options.get("token"):
        files["token_file"] = token
    with pytest.raises(AccessError) as caught:
        AccessConfig(options["address"], plaintext=options.get("plaintext", False), **files)
    assert told in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("certificate", "key", "ca", "told"), [
    ("node.crt", "gateway.key", None, "no certificate with its key"),
    ("ca.cnf", "node.key", None, "no certificate with its key"),
    ("node.crt", "node.key", "ca.cnf", "holds no certificate"),
    ("missing.crt", "node.key", None, "can't be read: No such file"),
])
def test_files_that_tls_cannot_use_are_told_at_the_start(
    made: Path, certificate: str, key: str, ca: str | None, told: str
) -> None:
    access = AccessConfig("127.0.0.1:0", None, made / certificate, made / key, made / ca if ca else None)
    with pytest.raises(AccessError, match=told):
        access.credentials()


def test_a_token_that_can_be_guessed_is_refused_and_one_that_others_can_read_is_warned_of(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "token"
    file.write_text("secret")
    with pytest.raises(AccessError, match="16 printable"):
        AccessConfig("127.0.0.1:0", file).token()
    file.write_text(TOKEN)
    file.chmod(0o640)
    assert AccessConfig("127.0.0.1:0", file).token() == TOKEN
    assert not caplog.records
    file.chmod(0o644)
    assert AccessConfig("127.0.0.1:0", file).token() == TOKEN
    assert "others on this machine can read" in caplog.text


def test_an_input_that_breaks_the_nodes_worker_is_the_inputs_fault() -> None:
    async def test() -> None:
        async with connected(ScriptedNode(fails=InputBreaksWorker("x"))) as remote:
            with pytest.raises(InputBreaksWorker):
                await ask(Fleet([remote, ScriptedNode("other")]))

    in_loop(test)
