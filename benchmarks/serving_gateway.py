"""Hedgerow as benchmarks/serving.py runs it: as shipped but for its domain and package (docs/add-a-domain.md), each face of it."""

import base64
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

import httpx
from ai_edge_litert.interpreter import Interpreter

import domains
from benchmarks.serving_process import environment, on_cores
from domains.core import InputSpec
from domains.core.training import Identity
from edge_runtime import known_answer
from edge_runtime.models import TensorInfo, VariantInfo, sha256_of
from edge_runtime.toolchain.manifest import write_package
from gateway.store.database import open_database
from protos.hedgerow.v1 import analysis_pb2
from tests.gateway_process import GatewayProcess

DOMAIN = "top_five"
MODEL = "mobilenet_v2"
REDUCED = "mobilenet_v2_reduced"
"""The same network, for pictures that are decoded at an eighth, a quarter or a half where its input allows it."""
_INFERENCE = "protos.inference.grpc_service_pb2"
_DOMAIN_FOLDER = Path(__file__).with_name("serving_domain")


def lay_out(folder: Path) -> Path:
    """A folder for PYTHONPATH, with `domains` as it is but for its shipped domains: the benchmark's is there instead, so that a
    gateway serves one model, as the others do.
    """
    laid = folder / "path" / "domains"
    laid.mkdir(parents=True)
    for part in Path(domains.__file__).parent.iterdir():
        if not (part / "domain.py").exists() and part.name != "__pycache__":
            (laid / part.name).symlink_to(part)
    (laid / DOMAIN).symlink_to(_DOMAIN_FOLDER)
    return laid.parent


def package(folder: Path, tflite: Path, *, name: str = MODEL, min_side: int = 0) -> Path:
    """A package of a quantised classifier with uint8 pixels in and its probabilities out."""
    made = folder / name
    made.mkdir(parents=True)
    (made / "int8.tflite").write_bytes(tflite.read_bytes())
    interpreter = Interpreter(model_path=str(tflite))
    taken, given = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
    pixels, height, width = _tensor(taken), *map(int, taken["shape"][1:3])
    variant = VariantInfo("int8.tflite", sha256_of(made / "int8.tflite"), tflite.stat().st_size, pixels,
                          {"probabilities": _tensor(given)})
    spec = InputSpec(height, width, float(pixels.zero_point), 1 / pixels.scale)  # a pixel is its own quantised value
    labels = tuple(f"class {index}" for index in range(int(given["shape"][-1])))
    identity = Identity(name, "1.0.0", DOMAIN, "classification", "A benchmark", labels, "Benchmarks only.", "as the file's", "ImageNet", spec)
    known = known_answer.make(made, spec, {"int8": variant})
    write_package(made, identity, {"int8": variant}, known, {"min_side": min_side}, {}, "Made for a benchmark.\n")
    return made


def _tensor(found: Mapping[str, Any]) -> TensorInfo:
    scale, zero_point = found["quantization"]
    return TensorInfo(found["dtype"].__name__, tuple(map(int, found["shape"])), float(scale), int(zero_point))


@contextmanager
def running(path: Path, models: Path, data: Path, cores: list[int], **settings: str) -> Iterator[GatewayProcess]:
    """A gateway on those cores. `path`: what `lay_out` gave; `models`: the folder of the packages. The database is there already: what
    makes its tables stays in memory, at the very first start only.
    """
    data.mkdir(exist_ok=True)
    open_database(f"sqlite:///{data / 'hedgerow.db'}").close()
    with environment(PYTHONPATH=str(path)), on_cores(cores):
        gateway = GatewayProcess(data, models_dirs=json.dumps([str(models)]), **settings)
    with gateway:
        yield gateway


def rest_task(gateway: GatewayProcess, photo: Path, *, model: str = MODEL) -> dict[str, Any]:
    """For serving_load.py: the typed call."""
    return _http(gateway, f"/v1/domains/{DOMAIN}/analyses?model={model}", {}, photo)


def grpc_task(gateway: GatewayProcess, photo: Path, body: Path, *, model: str = MODEL) -> dict[str, Any]:
    """The same over gRPC; the message is written to `body`."""
    message = analysis_pb2.AnalyzeRequest(domain=DOMAIN, content=photo.read_bytes())
    message.parameters.update({"model": model})
    body.write_bytes(message.SerializeToString())
    return {"address": gateway.grpc_address, "method": "/hedgerow.v1.AnalysisService/Analyze", "metadata": gateway.metadata(), "body": str(body)}


def speaks_inference_protocol(gateway: GatewayProcess) -> bool:
    """Whether this version has the Open Inference Protocol."""
    with gateway.rest() as client:
        return client.get("/v2").status_code == httpx.codes.OK


def inference_rest_task(gateway: GatewayProcess, content: bytes, body: Path, *, network: bool) -> dict[str, Any]:
    """The Open Inference Protocol over REST: raw pixels for the network alone, or an encoded picture for the whole."""
    body.write_bytes(content)
    model = f"{MODEL}.network" if network else MODEL
    return _http(gateway, f"/v2/models/{model}/infer", {"Inference-Header-Content-Length": "0"}, body)


def inference_grpc_task(gateway: GatewayProcess, content: bytes, body: Path, *, network: bool) -> dict[str, Any]:
    """The same over gRPC, with raw_input_contents."""
    protocol = import_module(_INFERENCE)
    model = f"{MODEL}.network" if network else MODEL
    with gateway.rest() as client:
        (described,) = client.get(f"/v2/models/{model}").raise_for_status().json()["inputs"][:1]
    message = protocol.ModelInferRequest(model_name=model)
    shape = [size if size > 0 else 1 for size in described["shape"]]
    message.inputs.add(name=described["name"], datatype=described["datatype"], shape=shape)
    framed = content if network else len(content).to_bytes(4, "little") + content
    message.raw_input_contents.append(framed)
    body.write_bytes(message.SerializeToString())
    return {"address": gateway.grpc_address, "method": "/inference.GRPCInferenceService/ModelInfer", "metadata": gateway.metadata(),
            "body": str(body)}


def labels_of(task: Mapping[str, Any], answer: str) -> list[str]:
    """The five labels of a typed answer, the best first."""
    content = base64.b64decode(answer)
    if "method" in task:
        found = analysis_pb2.AnalyzeResponse.FromString(content).analysis.classification.probabilities
        return [row.label for row in found][:5]
    return [row["label"] for row in json.loads(content)["result"]["probabilities"]][:5]


def _http(gateway: GatewayProcess, path: str, headers: Mapping[str, str], body: Path) -> dict[str, Any]:
    url = httpx.URL(gateway.url)
    fields = {"Host": f"{url.host}:{url.port}", "Authorization": f"Bearer {gateway.key}", "Content-Type": "application/octet-stream", **headers}
    head = f"POST {path} HTTP/1.1\r\n" + "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    return {"host": url.host, "port": url.port, "head": head, "body": str(body)}
