"""Inferences by tritonclient in every form that it can give them, over a running gateway with the shipped packages."""

import base64
import http.client
import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

pytest.importorskip("tritonclient", reason="needs the environment of requirements/triton.lock")

import grpc
from tritonclient.grpc import service_pb2, service_pb2_grpc
from tritonclient.utils import shared_memory

from tests.triton.clients import BREAST, DIGITS, FIELD, KINDS, LUNG, SCAN, Client, noise, status
from tests.triton.conftest import PREFIX, ROOT, RunningGateway

NETWORK = f"{BREAST}.network"
WRONG = {"400", "INVALID_ARGUMENT"}


@pytest.fixture(params=KINDS)
def client(request: pytest.FixtureRequest, triton_gateway: RunningGateway) -> Iterator[Client]:
    """Each of the four."""
    made = Client(request.param, triton_gateway)
    yield made
    made.close()


@pytest.mark.parametrize(("model", "file"), [
    (BREAST, "breast_scan.jpg"), (LUNG, "lung_scan.png"), (DIGITS, "house_number.png"), (FIELD, "field.jpg"),
])
def test_a_picture_is_answered_with_the_typed_result(client: Client, model: str, file: str) -> None:
    answer = client("infer", model, [client.picture((ROOT / "samples" / file).read_bytes())])
    result = json.loads(answer.as_numpy("result")[0])
    assert answer.as_numpy("abstained").tolist() == [result["abstained"]]
    labels = [label.decode() for label in answer.as_numpy("labels")]
    if result["kind"] == "classification":
        assert answer.as_numpy("label")[0].decode() == result["label"]
        told = {row["label"]: row["probability"] for row in result["probabilities"]}
        assert set(told) == set(labels)
        assert answer.as_numpy("probabilities").tolist() == pytest.approx([told[label] for label in labels], abs=1e-6)
    else:
        told = {row["label"]: row["area_fraction"] for row in result["classes"]}
        assert answer.as_numpy("area_fractions").tolist() == pytest.approx([told[label] for label in labels], abs=1e-6)
        assert answer.as_numpy("mask")[0].startswith(b"\x89PNG")
    assert json.loads(answer.as_numpy("provenance")[0])["model"]["name"] == model
    assert len(answer.as_numpy("analysis_id")[0]) == 36


@pytest.mark.parametrize(("model", "shape", "outputs"), [
    (BREAST, (1, 224, 224, 3), {"activation": (1, 14, 14, 3), "familiarity": (1, 48), "logits": (1, 3)}),
    (LUNG, (1, 224, 224, 3), {"activation": (1, 14, 14, 2), "logits": (1, 2)}),
    (DIGITS, (1, 32, 32, 1), {"probabilities": (1, 10)}),
    (FIELD, (1, 320, 320, 3), {"logits": (1, 160, 160, 3)}),
])
def test_a_network_gives_its_tensors(client: Client, model: str, shape: tuple[int, ...], outputs: dict[str, Any]) -> None:
    answer = client("infer", f"{model}.network", [client.pixels(noise(*shape))])
    for name, expected in outputs.items():
        tensor = answer.as_numpy(name)
        assert (tensor.shape, tensor.dtype) == (expected, np.float32)
        assert np.isfinite(tensor).all()
        assert tensor.std() > 0


def test_only_the_outputs_asked_for_come_back_in_their_order(client: Client) -> None:
    answer = client("infer", BREAST, [client.picture()], outputs=[client.output("abstained"), client.output("label")])
    told = answer.get_response() if client.over_http else answer.get_response(as_json=True)
    assert [row["name"] for row in told["outputs"]] == ["abstained", "label"]


def test_the_highest_values_come_with_their_labels(client: Client) -> None:
    wanted = [client.output("logits", class_count=2)]
    rows = client("infer", NETWORK, [client.pixels()], outputs=wanted).as_numpy("logits")
    logits = client("infer", NETWORK, [client.pixels()]).as_numpy("logits")[0]
    assert rows.shape == (1, 2)
    values, indices, labels = zip(*(row.decode().split(":") for row in rows[0]), strict=True)
    assert list(map(int, indices)) == np.argsort(-logits)[:2].tolist()
    assert list(map(float, values)) == pytest.approx(sorted(logits, reverse=True)[:2], abs=1e-5)
    assert set(labels) <= {"benign", "malignant", "normal"}


def test_tensors_go_and_come_through_shared_memory(client: Client) -> None:
    size = noise().nbytes
    given = shared_memory.create_shared_memory_region("in", f"{PREFIX}in", size)
    taken = shared_memory.create_shared_memory_region("out", f"{PREFIX}out", 64)
    try:
        shared_memory.set_shared_memory_region(given, [noise()])
        client("register_system_shared_memory", "given", f"{PREFIX}in", size)
        client("register_system_shared_memory", "taken", f"{PREFIX}out", 64)
        tensor = client.module.InferInput("pixels", [1, 224, 224, 3], "UINT8")
        tensor.set_shared_memory("given", size)
        wanted = client.output("logits")
        wanted.set_shared_memory("taken", 32, offset=32)
        answer = client("infer", NETWORK, [tensor], outputs=[wanted])
        expected = client("infer", NETWORK, [client.pixels()]).as_numpy("logits")
        assert (shared_memory.get_contents_as_numpy(taken, np.float32, [1, 3], offset=32) == expected).all()
        row = answer.get_output("logits")
        assert "shared_memory_region" in (row["parameters"] if client.over_http else row.parameters)
        wanted.set_shared_memory("taken", 8)
        assert status(client.refused("infer", NETWORK, [tensor], outputs=[wanted])) in WRONG
        tensor.set_shared_memory("given", size, offset=1)
        assert status(client.refused("infer", NETWORK, [tensor])) in WRONG
        neighbour = Client(client.kind, client.gateway, client.gateway.neighbour)
        assert "isn't registered" in str(neighbour.refused("infer", NETWORK, [tensor]))
        assert status(neighbour.refused("register_system_shared_memory", "mine", f"{PREFIX}in", 8)) in {"409", "ABORTED"}
        neighbour.close()
    finally:
        client("unregister_system_shared_memory")
        shared_memory.destroy_shared_memory_region(given)
        shared_memory.destroy_shared_memory_region(taken)


def test_what_is_wrong_with_a_request_is_named_and_the_next_one_is_answered(client: Client) -> None:
    small, floats = noise(1, 8, 8, 3), client.input("pixels", np.zeros((1, 224, 224, 3), np.float32), "FP32")
    other = client.input("picture", noise(), "UINT8")
    for inputs, words in (
        ([client.pixels(small)], "has the shape [1, 8, 8, 3], the model takes [1, 224, 224, 3]"),
        ([floats], "is of the datatype 'FP32', the model takes UINT8"),
        ([other], "takes exactly one tensor of each of these: pixels UINT8 [1, 224, 224, 3]"),
        ([client.pixels(), client.pixels()], "takes exactly one tensor of each"),
        ([], "takes exactly one tensor of each"),
    ):
        refused = client.refused("infer", NETWORK, inputs)
        assert (status(refused) in WRONG, words in str(refused)) == (True, True), refused
    wanted = [client.output("scores")]
    assert "the outputs of breast_ultrasound.network are activation, familiarity, logits" in str(
        client.refused("infer", NETWORK, [client.pixels()], outputs=wanted))
    assert status(client.refused("infer", NETWORK, [client.pixels()], parameters={"exam": "x"})) in WRONG
    assert "name chooses the exam" in str(client.refused("infer", BREAST, [client.picture()], parameters={"exam": LUNG}))
    assert status(client.refused("infer", BREAST, [client.picture(b"no picture")])) in {"415", "INVALID_ARGUMENT"}
    assert status(client.refused("infer", "nothing", [client.pixels()])) in {"404", "NOT_FOUND"}
    assert client("infer", NETWORK, [client.pixels()]).as_numpy("logits").shape == (1, 3)


def test_who_may_do_what_is_as_everywhere(client: Client) -> None:
    gateway = client.gateway
    nobody, reader = Client(client.kind, gateway, "no-key"), Client(client.kind, gateway, gateway.reader)
    neighbour = Client(client.kind, gateway, gateway.neighbour)
    assert nobody("is_server_live") is True
    assert status(nobody.refused("get_model_metadata", BREAST)) in {"401", "UNAUTHENTICATED"}
    assert reader("get_model_metadata", BREAST)["name"] == BREAST
    for method, arguments in (
        ("infer", (NETWORK, [reader.pixels()])), ("unload_model", (BREAST,)), ("load_model", (BREAST,)),
        ("update_log_settings", ({"log_info": True},)),
    ):
        assert status(reader.refused(method, *arguments)) in {"403", "PERMISSION_DENIED"}
    client("infer", LUNG, [client.picture()])
    (row,) = neighbour("get_inference_statistics", LUNG)["model_stats"]
    assert int(row["inference_stats"]["success"].get("count", 0)) == 0
    for other in (nobody, reader, neighbour):
        other.close()


def test_a_deadline_in_microseconds_is_heeded(client: Client) -> None:
    late = client.refused("infer", FIELD, [client.picture((ROOT / "samples" / "field.jpg").read_bytes())], timeout=1)
    assert status(late) in {"504", "DEADLINE_EXCEEDED", "503", "UNAVAILABLE"}


@pytest.mark.parametrize("kind", ["http", "http.aio"])
@pytest.mark.parametrize("sent", [None, "gzip", "deflate"])
@pytest.mark.parametrize("wanted", [None, "gzip", "deflate"])
def test_bodies_are_compressed_as_the_client_likes(
    triton_gateway: RunningGateway, kind: str, sent: str | None, wanted: str | None
) -> None:
    client = Client(kind, triton_gateway)
    how = {"request_compression_algorithm": sent, "response_compression_algorithm": wanted}
    answer = client("infer", NETWORK, [client.pixels()], **how)
    assert answer.as_numpy("logits").tolist() == client("infer", NETWORK, [client.pixels()]).as_numpy("logits").tolist()
    client.close()


@pytest.mark.parametrize("kind", ["http", "http.aio"])
def test_json_and_binary_tensors_mix_and_mean_the_same(triton_gateway: RunningGateway, kind: str) -> None:
    client = Client(kind, triton_gateway)
    logits, activation = client.output("logits", binary_data=False), client.output("activation", binary_data=True)
    found = []
    for binary in (True, False):
        answer = client("infer", NETWORK, [client.pixels(binary_data=binary)], outputs=[logits, activation])
        assert ("data" in answer.get_output("logits"), "data" in answer.get_output("activation")) == (True, False)
        found.append((answer.as_numpy("logits").tolist(), answer.as_numpy("activation").tolist()))
    assert found[0] == found[1]
    text = client.input("image", np.array([base64.b64encode(SCAN)], np.object_), "BYTES", binary_data=False)
    answer = client("infer", BREAST, [text], outputs=[client.output("label", binary_data=False)])
    assert answer.get_output("label")["data"] == [client("infer", BREAST, [client.picture()]).as_numpy("label")[0].decode()]
    client.close()


def test_a_refusal_leaves_the_connection_open(triton_gateway: RunningGateway) -> None:
    connection = http.client.HTTPConnection(triton_gateway.http, timeout=20)
    headers = {"Authorization": f"Bearer {triton_gateway.key}"}
    sockets = set()
    for body in (b"{", b"[]", b'{"inputs": 3}', b"{}" + b"x" * 300_000, b'{"inputs": [{"name": "pixels"}]}', b"[" * 100_000):
        connection.request("POST", f"/v2/models/{NETWORK}/infer", body, headers)
        answer = connection.getresponse()
        assert set(json.loads(answer.read())) == {"error", "code", "request_id"}
        assert (answer.status, answer.will_close) == (400, False)
        sockets.add(connection.sock)
    assert len(sockets) == 1
    connection.close()


@pytest.mark.parametrize("typed", [True, False])
def test_typed_contents_are_taken_as_raw_ones_are(triton_gateway: RunningGateway, typed: bool) -> None:
    pixels = noise(1, 32, 32, 1)
    request = service_pb2.ModelInferRequest(model_name=f"{DIGITS}.network")
    tensor = request.inputs.add(name="pixels", datatype="UINT8", shape=pixels.shape)
    if typed:
        tensor.contents.uint_contents.extend(pixels.ravel().tolist())
    else:
        request.raw_input_contents.append(pixels.tobytes())
    with grpc.insecure_channel(triton_gateway.grpc) as channel:
        answer = service_pb2_grpc.GRPCInferenceServiceStub(channel).ModelInfer(
            request, metadata=[("authorization", f"Bearer {triton_gateway.key}")])
    assert len(answer.raw_output_contents) == 1
    assert np.frombuffer(answer.raw_output_contents[0], np.float32).sum() == pytest.approx(1, abs=0.05)


def test_answers_of_a_stream_keep_the_order_of_its_requests(triton_gateway: RunningGateway) -> None:
    client = Client("grpc.aio", triton_gateway)

    async def requests() -> Any:
        for number in range(40):
            model, shape = (DIGITS, (1, 32, 32, 1)) if number % 2 else (BREAST, (1, 224, 224, 3))
            yield {"model_name": f"{model}.network", "inputs": [client.pixels(noise(*shape))], "request_id": str(number)}

    async def answers() -> list[str]:
        told = client.client.stream_infer(requests(), headers=client.headers)
        return [result.get_response().id async for result, error in told if error is None]

    assert client.run(answers()) == [str(number) for number in range(40)]
    client.close()
