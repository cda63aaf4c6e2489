"""Every method that tritonclient's four clients offer is called, and does what the protocol says, or says why not."""

import json
from collections.abc import Callable, Iterator
from queue import SimpleQueue
from typing import Any

import pytest

pytest.importorskip("tritonclient", reason="needs the environment of requirements/triton.lock")

from tests.triton.clients import BREAST, DIGITS, KINDS, LUNG, MODULES, Client, noise, status
from tests.triton.conftest import PREFIX, RunningGateway

NETWORK = f"{BREAST}.network"


@pytest.fixture
def client(kind: str, triton_gateway: RunningGateway) -> Iterator[Client]:
    """The client of that kind."""
    made = Client(kind, triton_gateway)
    yield made
    made.close()


def live(client: Client) -> None:
    assert client("is_server_live") is True


def ready(client: Client) -> None:
    assert client("is_server_ready") is True


def model_ready(client: Client) -> None:
    whole = client("get_model_metadata", BREAST)["versions"][0]
    for version in ("", "1", whole.partition(".")[0], whole):
        assert client("is_model_ready", BREAST, version) is True
    assert client("is_model_ready", NETWORK, "1") is True
    for name, version in (("nothing", ""), (BREAST, "99"), (BREAST, f"{whole}0"), (f"{BREAST}.other", "")):
        assert client("is_model_ready", name, version) is False


def server_metadata(client: Client) -> None:
    told = client("get_server_metadata")
    assert told["name"] == "hedgerow"
    assert {"binary_tensor_data", "model_repository", "statistics", "system_shared_memory"} <= set(told["extensions"])


def model_metadata(client: Client) -> None:
    whole, network = client("get_model_metadata", BREAST), client("get_model_metadata", NETWORK, "1")
    assert whole["versions"] == network["versions"]
    assert len(whole["versions"]) == 1
    assert [(row["name"], row["datatype"]) for row in whole["inputs"]] == [("image", "BYTES")]
    assert [(row["name"], list(map(int, row["shape"]))) for row in network["inputs"]] == [("pixels", [1, 224, 224, 3])]
    assert {row["name"]: row["datatype"] for row in network["outputs"]} == {
        "activation": "FP32", "familiarity": "FP32", "logits": "FP32",
    }
    assert status(client.refused("get_model_metadata", "nothing")) in {"404", "NOT_FOUND"}


def model_config(client: Client) -> None:
    told = client("get_model_config", NETWORK)
    config = told if client.over_http else told["config"]
    assert config["name"] == NETWORK
    assert config["input"][0]["data_type"] == "TYPE_UINT8"
    assert list(map(int, config["input"][0]["dims"])) == [1, 224, 224, 3]
    assert status(client.refused("get_model_config", BREAST, "99")) in {"404", "NOT_FOUND"}


def repository_index(client: Client) -> None:
    told = client("get_model_repository_index")
    rows = told if client.over_http else told["models"]
    assert {BREAST, NETWORK, LUNG} <= {row["name"] for row in rows if row["state"] == "READY"}


def load_and_unload(client: Client) -> None:
    client("unload_model", DIGITS)
    assert client("is_model_ready", DIGITS) is False
    assert client("is_model_ready", f"{DIGITS}.network") is False
    assert client("is_model_ready", BREAST) is True
    told = client("get_model_repository_index")
    rows = {row["name"]: row for row in (told if client.over_http else told["models"])}
    assert (rows[DIGITS]["state"], rows[DIGITS]["reason"]) == ("UNAVAILABLE", "unloaded")
    assert status(client.refused("infer", f"{DIGITS}.network", [client.pixels(noise(1, 32, 32, 1))])) in {"404", "NOT_FOUND"}
    client("load_model", f"{DIGITS}.network")
    client("load_model", DIGITS, config=json.dumps({"version_policy": {"specific": {"versions": ["1.0.0"]}}}))
    assert client("is_model_ready", DIGITS) is True
    missing = client.refused("load_model", DIGITS, config=json.dumps({"version_policy": {"specific": {"versions": [7]}}}))
    assert "no version of that name" in str(missing)
    assert status(client.refused("load_model", "nothing")) in {"404", "NOT_FOUND"}
    assert status(client.refused("unload_model", "nothing")) in {"404", "NOT_FOUND"}
    broken = client.refused("load_model", DIGITS, config="{}", files={"file:package.zip": b"no ZIP"})
    assert status(broken) in {"422", "FAILED_PRECONDITION"}


def statistics(client: Client) -> None:
    def counts() -> tuple[int, int, int]:
        (row,) = client("get_inference_statistics", NETWORK)["model_stats"]
        done, failed = row["inference_stats"]["success"], row["inference_stats"].get("fail", {})
        return int(done.get("count", 0)), int(done.get("ns", 0)), int(failed.get("count", 0))

    client("infer", NETWORK, [client.pixels()])
    before = counts()
    client("infer", NETWORK, [client.pixels()])
    client.refused("infer", NETWORK, [client.pixels(noise(1, 2, 2, 3))])
    after = counts()
    assert (after[0], after[2]) == (before[0] + 1, before[2] + 1)
    assert after[1] - before[1] > 100_000  # more than a tenth of a millisecond, in nanoseconds
    everything = client("get_inference_statistics")["model_stats"]
    assert {BREAST, NETWORK} <= {row["name"] for row in everything}


def trace(client: Client) -> None:
    for model in (None, BREAST):
        told = client("get_trace_settings", model)
        level = told["trace_level"] if client.over_http else told["settings"]["trace_level"]["value"]
        assert level == ["OFF"]


def change_trace(client: Client) -> None:
    client("update_trace_settings", settings={"trace_level": ["OFF"], "trace_rate": None})
    refused = client.refused("update_trace_settings", settings={"trace_level": ["TIMESTAMPS"]})
    assert "can't be changed while the gateway runs" in str(refused)
    assert status(refused) in {"405", "UNIMPLEMENTED"}


def log(client: Client) -> None:
    told = client("get_log_settings")
    assert (told["log_info"] if client.over_http else told["settings"]["log_info"]["bool_param"]) is True


def change_log(client: Client) -> None:
    client("update_log_settings", {"log_info": True})
    refused = client.refused("update_log_settings", {"log_verbose_level": 1})
    assert "can't be changed while the gateway runs" in str(refused)


def system_memory(client: Client) -> None:
    from tritonclient.utils import shared_memory

    name = f"{PREFIX}{client.kind}"
    handle = shared_memory.create_shared_memory_region("in", name, 64)
    try:
        client("register_system_shared_memory", "region", name, 64)
        told = client("get_system_shared_memory_status")
        rows = told if client.over_http else list(told["regions"].values())
        assert [(row["name"], row["key"], int(row["byte_size"])) for row in rows] == [("region", name, 64)]
        client("unregister_system_shared_memory", "region")
        client("register_system_shared_memory", "again", name, 32, 32)
        client("unregister_system_shared_memory")
        told = client("get_system_shared_memory_status")
        assert (told if client.over_http else told.get("regions", [])) == []
        for key, size in (("/etc/passwd", 8), ("other", 8), (f"{PREFIX}none", 8), (name, 65), (f"{PREFIX}/../x", 8)):
            assert status(client.refused("register_system_shared_memory", "bad", key, size)) in {"400", "INVALID_ARGUMENT"}
        assert status(client.refused("get_system_shared_memory_status", "none")) in {"404", "NOT_FOUND"}
    finally:
        shared_memory.destroy_shared_memory_region(handle)


def cuda_memory(client: Client) -> None:
    told = client("get_cuda_shared_memory_status")
    assert (told if client.over_http else told.get("regions", [])) == []
    client("unregister_cuda_shared_memory")
    client("unregister_cuda_shared_memory", "none")
    refused = client.refused("register_cuda_shared_memory", "region", b"aGFuZGxl", 0, 64)
    assert "there is no CUDA device here" in str(refused)
    assert status(refused) in {"405", "UNIMPLEMENTED"}


def infer(client: Client) -> None:
    answer = client("infer", BREAST, [client.picture()], request_id="mine", model_version="1")
    assert answer.as_numpy("label")[0] in {b"benign", b"malignant", b"normal"}
    assert abs(float(answer.as_numpy("probabilities").sum()) - 1) < 1e-3
    told = answer.get_response() if client.over_http else answer.get_response(as_json=True)
    assert [told["id"], told["model_version"]] == ["mine", *client("get_model_metadata", BREAST)["versions"]]


def async_infer(client: Client) -> None:
    if client.over_http:
        pending = client.client.async_infer(NETWORK, [client.pixels()], headers=client.headers)
        assert pending.get_result().as_numpy("logits").shape == (1, 3)
        return
    answers: SimpleQueue[Any] = SimpleQueue()
    client.client.async_infer(NETWORK, [client.pixels()], lambda result, error: answers.put((result, error)), headers=client.headers)
    result, error = answers.get(timeout=20)
    assert error is None
    assert result.as_numpy("logits").shape == (1, 3)


def requests_made_and_read_apart(client: Client) -> None:
    maker = MODULES[client.kind].InferenceServerClient
    body, length = maker.generate_request_body([client.pixels()], outputs=[client.output("logits")])
    headers = client.headers | {"Inference-Header-Content-Length": str(length)}
    if client.waits:
        async def exchange() -> Any:
            response = await client.client._post(f"v2/models/{NETWORK}/infer", body, headers, None)
            return await response.read(), response.headers
        content, told = client.run(exchange())
    else:
        told = client.client._post(f"v2/models/{NETWORK}/infer", body, headers, None)
        content = told.read()
    size = int(told.get("Inference-Header-Content-Length"))
    answer = maker.parse_response_body(content, header_length=size, content_encoding=told.get("Content-Encoding"))
    assert answer.as_numpy("logits").shape == (1, 3)


def stream(client: Client) -> None:
    answers: SimpleQueue[Any] = SimpleQueue()
    client.client.start_stream(lambda result, error: answers.put((result, error)), headers=client.headers)
    for number, pixels in enumerate((noise(), noise(1, 2, 2, 3), noise())):
        client.client.async_stream_infer(NETWORK, [client.pixels(pixels)], request_id=str(number), enable_empty_final_response=True)
    got = [answers.get(timeout=20) for _ in range(3)]
    client.client.stop_stream()
    assert [error is None for _, error in got] == [True, False, True]
    assert "has the shape [1, 2, 2, 3], the model takes [1, 224, 224, 3]" in str(got[1][1])
    for number in (0, 2):
        told = got[number][0].get_response()
        assert told.id == str(number)
        assert told.parameters["triton_final_response"].bool_param is True


def stream_for_asyncio(client: Client) -> None:
    async def requests() -> Any:
        for number, pixels in enumerate((noise(), noise(1, 2, 2, 3), noise())):
            yield {"model_name": NETWORK, "inputs": [client.pixels(pixels)], "request_id": str(number)}

    async def answers() -> list[tuple[str, bool]]:
        found = []
        async for result, error in client.client.stream_infer(requests(), headers=client.headers):
            found.append(("" if result is None else result.get_response().id, error is None))
        return found

    assert [good for _, good in client.run(answers())] == [True, False, True]


def plugin(client: Client) -> None:
    from tritonclient.http.auth import BasicAuth

    mine = BasicAuth("nobody", "password")
    client.client.register_plugin(mine)
    assert client.client.plugin() is mine
    assert status(client.refused("get_server_metadata")) in {"401", "UNAUTHENTICATED"}
    client.client.unregister_plugin()
    assert client("get_server_metadata")["name"] == "hedgerow"


def close(client: Client) -> None:
    other = Client(client.kind, client.gateway)
    assert other("is_server_live") is True
    other.close()


CALLS: dict[Callable[[Client], None], tuple[str, ...]] = {
    live: ("is_server_live",),
    ready: ("is_server_ready",),
    model_ready: ("is_model_ready",),
    server_metadata: ("get_server_metadata",),
    model_metadata: ("get_model_metadata",),
    model_config: ("get_model_config",),
    repository_index: ("get_model_repository_index",),
    load_and_unload: ("load_model", "unload_model"),
    statistics: ("get_inference_statistics",),
    trace: ("get_trace_settings",),
    change_trace: ("update_trace_settings",),
    log: ("get_log_settings",),
    change_log: ("update_log_settings",),
    system_memory: (
        "get_system_shared_memory_status", "register_system_shared_memory", "unregister_system_shared_memory",
    ),
    cuda_memory: ("get_cuda_shared_memory_status", "register_cuda_shared_memory", "unregister_cuda_shared_memory"),
    infer: ("infer",),
    async_infer: ("async_infer",),
    requests_made_and_read_apart: ("generate_request_body", "parse_response_body"),
    stream: ("start_stream", "async_stream_infer", "stop_stream"),
    stream_for_asyncio: ("stream_infer",),
    plugin: ("register_plugin", "plugin", "unregister_plugin"),
    close: ("close",),
}
"""What tries which of the clients' methods."""


@pytest.mark.parametrize("kind", KINDS)
def test_every_method_that_a_client_offers_is_among_those_tried(kind: str) -> None:
    offered = {name for name in dir(MODULES[kind].InferenceServerClient) if not name.startswith("_")}
    assert offered <= {name for names in CALLS.values() for name in names}


PAIRS = [
    pytest.param(kind, call, id=f"{kind}-{call.__name__}") for kind in KINDS for call, names in CALLS.items()
    if all(hasattr(MODULES[kind].InferenceServerClient, name) for name in names)
]


@pytest.mark.parametrize(("kind", "call"), PAIRS)
def test_a_call_does_what_the_protocol_says(client: Client, call: Callable[[Client], None]) -> None:
    call(client)
