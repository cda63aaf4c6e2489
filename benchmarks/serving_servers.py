"""Everybody whom benchmarks/serving.py compares: how each is started, what it is asked, and what its answer says."""

import base64
import json
import signal
import socket
import subprocess
import sys
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks import serving_gateway as gateways
from benchmarks.serving_process import MALLOC, environment, on_cores, wait_until
from benchmarks.serving_task import MODEL_VARIABLE
from edge_runtime.toolchain.reencode import reencode
from tests.gateway_process import ROOT

PEERS = Path(__file__).with_name("serving_peers")
PEER_PYTHON = ROOT / ".venv-peers" / "bin" / "python"
IN_INT8 = " in int8"
"""In a loop's or another server's name: its model is the file that `hedgerow model reencode` made, as Hedgerow's is."""
_END_S = 20.0


@dataclass(slots=True)
class Site:
    """Where a run happens. `tflite`: the network as it was published; `reencoded`: the same in int8, made from it, which is what our
    package holds. `cores`: those of the servers and of the bare loop.
    """

    folder: Path
    tflite: Path
    photo: Path
    pixels: bytes
    cores: list[int]
    path: Path = field(init=False)
    models: Path = field(init=False)
    reencoded: Path = field(init=False)
    starts: int = 0

    def __post_init__(self) -> None:
        self.path = gateways.lay_out(self.folder)
        self.models = self.folder / "models"
        self.reencoded = self.folder / "reencoded.tflite"
        self.reencoded.write_bytes(reencode(self.tflite).content)
        gateways.package(self.models, self.reencoded)

    def new_folder(self) -> Path:
        """An empty data folder."""
        self.starts += 1
        folder = self.folder / f"data-{self.starts:04}"
        folder.mkdir()
        return folder


@dataclass(frozen=True, slots=True)
class Served:
    """A server that is ready: its process, and what serving_load.py is to ask it."""

    pid: int
    task: dict[str, Any]


class Server(ABC):
    """One row of the comparison. Of serving_rounds.LOOPS, `loop` does the same steps with the same file and must answer the same;
    `beside` are those that its speed is compared with, the first with the network as it was published.
    """

    name: str
    loop = "bare loop"
    beside: tuple[str, ...] = ("bare loop",)

    def missing(self, site: Site) -> str:
        """Why it can't run here; empty where it can."""
        del site
        return ""

    @abstractmethod
    def running(self, site: Site) -> Any:
        """A context manager that gives a Served."""

    @abstractmethod
    def labels(self, task: dict[str, Any], answer: str) -> list[str] | None:
        """The five labels of an answer in base64, the best first; None where an answer has none."""


class Typed(Server):
    """Our typed API over one face. `keeps`: whether pictures are kept for a day, as they are by default."""

    loop = f"bare loop{IN_INT8} that halves first"
    beside = ("bare loop", f"bare loop{IN_INT8}")

    def __init__(self, face: str, *, keeps: bool) -> None:
        self.name = f"hedgerow {face}{'' if keeps else ', keeps no picture'}"
        self._face, self._settings = face, {} if keeps else {"keep_images_hours": "0"}

    @contextmanager
    def running(self, site: Site) -> Iterator[Served]:
        folder = site.new_folder()
        with gateways.running(site.path, site.models, folder, site.cores, **self._settings) as gateway:
            task = (gateways.rest_task(gateway, site.photo) if self._face == "REST"
                    else gateways.grpc_task(gateway, site.photo, folder / "request.bin"))
            yield Served(gateway.process.pid, task)

    def labels(self, task: dict[str, Any], answer: str) -> list[str] | None:
        return gateways.labels_of(task, answer)


class Protocol(Server):
    """Our Open Inference Protocol over one face: the whole from an encoded picture, or the network alone from raw pixels."""

    def __init__(self, face: str, *, network: bool) -> None:
        self.name = f"hedgerow OIP {face}, {'raw tensors' if network else 'picture'}"
        self._face, self._network = face, network
        alone = "invoke alone" if network else "bare loop"
        self.beside = (alone, f"{alone}{IN_INT8}")

    def missing(self, site: Site) -> str:
        with gateways.running(site.path, site.models, site.new_folder(), site.cores) as gateway:
            return "" if gateways.speaks_inference_protocol(gateway) else "this version doesn't speak the Open Inference Protocol"

    @contextmanager
    def running(self, site: Site) -> Iterator[Served]:
        folder = site.new_folder()
        content = site.pixels if self._network else site.photo.read_bytes()
        ask = gateways.inference_rest_task if self._face == "REST" else gateways.inference_grpc_task
        with gateways.running(site.path, site.models, folder, site.cores) as gateway:
            yield Served(gateway.process.pid, ask(gateway, content, folder / "request.bin", network=self._network))

    def labels(self, task: dict[str, Any], answer: str) -> list[str] | None:
        return None


class Peer(Server):
    """Another server. `tuned`: whether it has our malloc settings; `in_int8`: whether it is given our file, too."""

    module = ""

    def __init__(self, *, tuned: bool, in_int8: bool = False) -> None:
        self.name = f"{self.title}{', malloc tuned' if tuned else ''}{f',{IN_INT8}' if in_int8 else ''}"
        self._tuned, self._in_int8 = tuned, in_int8
        if in_int8:
            self.loop = f"bare loop{IN_INT8}"
            self.beside = ("bare loop", self.loop)

    @property
    @abstractmethod
    def title(self) -> str:
        """Its name."""

    @abstractmethod
    def command(self, site: Site, port: int, folder: Path) -> list[str | Path]:
        """What starts it."""

    @property
    def path(self) -> str:
        """Where it takes pictures."""
        return "/classify"

    def body(self, site: Site, folder: Path) -> Path:
        """What is sent."""
        del folder
        return site.photo

    def missing(self, site: Site) -> str:
        del site
        if not PEER_PYTHON.exists():
            return ".venv-peers isn't there: make .venv-peers/ready"
        found = subprocess.run([PEER_PYTHON, "-c", f"import {self.module}"], capture_output=True, check=False)
        return "" if not found.returncode else f"{self.module} isn't installed in .venv-peers"

    @contextmanager
    def running(self, site: Site) -> Iterator[Served]:
        folder, port = site.new_folder(), _free_port()
        variables = {MODEL_VARIABLE: str(site.reencoded if self._in_int8 else site.tflite), "PYTHONPATH": f"{PEERS}:{PEERS.parent}", **(MALLOC if self._tuned else {})}
        with environment(**variables), on_cores(site.cores), (folder / "log.txt").open("wb") as log:
            process = subprocess.Popen(self.command(site, port, folder), stdout=log, stderr=log, cwd=folder, start_new_session=True)
        body = self.body(site, folder)
        try:
            wait_until(lambda: _listens(port) and self.is_ready(port), process, f"{self.name} ({folder / 'log.txt'})")
            head = f"POST {self.path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: {self.media_type}\r\n"
            yield Served(process.pid, {"host": "127.0.0.1", "port": port, "head": head, "body": str(body)})
        finally:
            process.send_signal(signal.SIGINT)
            try:
                process.wait(_END_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    media_type = "image/jpeg"

    def is_ready(self, port: int) -> bool:
        """Whether it answers, once something listens."""
        del port
        return True

    def labels(self, task: dict[str, Any], answer: str) -> list[str] | None:
        del task
        return [label for label, _ in json.loads(base64.b64decode(answer))["best"]]


class PlainFastAPI(Peer):
    """FastAPI as any user would write it, a process for each core."""

    title, module = "FastAPI", "fastapi"

    def missing(self, site: Site) -> str:
        return ""  # the gateway's own environment has it

    def command(self, site: Site, port: int, folder: Path) -> list[str | Path]:
        return [sys.executable, "-m", "uvicorn", "fastapi_app:app", "--port", str(port), "--workers", str(len(site.cores)),
                "--no-access-log"]


class LitServe(Peer):
    """Lightning's server, a worker for each core."""

    title, module, path, media_type = "LitServe", "litserve", "/predict", "application/json"

    def command(self, site: Site, port: int, folder: Path) -> list[str | Path]:
        return [PEER_PYTHON, PEERS / "litserve_app.py", str(port), str(len(site.cores))]

    def body(self, site: Site, folder: Path) -> Path:
        (folder / "request.json").write_text(json.dumps({"picture": base64.b64encode(site.photo.read_bytes()).decode()}))
        return folder / "request.json"

    def is_ready(self, port: int) -> bool:
        return _status(port, "/health") == 200


class MLServer(Peer):
    """Seldon's server, a worker for each core."""

    title, module, path, media_type = "MLServer", "mlserver", "/v2/models/top5/infer", "application/json"

    def command(self, site: Site, port: int, folder: Path) -> list[str | Path]:
        (folder / "settings.json").write_text(json.dumps({
            "http_port": port, "grpc_port": _free_port(), "metrics_port": _free_port(), "host": "127.0.0.1",
            "parallel_workers": len(site.cores), "debug": False,
        }))
        (folder / "model-settings.json").write_text(json.dumps({"name": "top5", "implementation": "mlserver_runtime.ClassifierRuntime"}))
        return [PEER_PYTHON.with_name("mlserver"), "start", "."]

    def body(self, site: Site, folder: Path) -> Path:
        picture = base64.b64encode(site.photo.read_bytes()).decode()
        tensor = {"name": "picture", "shape": [1], "datatype": "BYTES", "parameters": {"content_type": "base64"}, "data": [picture]}
        (folder / "request.json").write_text(json.dumps({"inputs": [tensor]}))
        return folder / "request.json"

    def is_ready(self, port: int) -> bool:
        return _status(port, "/v2/models/top5/ready") == 200

    def labels(self, task: dict[str, Any], answer: str) -> list[str] | None:
        outputs = {output["name"]: output["data"] for output in json.loads(base64.b64decode(answer))["outputs"]}
        return list(outputs["labels"])


def everybody() -> list[Server]:
    """In the order of the table."""
    ours = [Typed(face, keeps=keeps) for keeps in (True, False) for face in ("REST", "gRPC")]
    protocol = [Protocol(face, network=network) for network in (False, True) for face in ("REST", "gRPC")]
    peers = [kind(tuned=tuned) for kind in (PlainFastAPI, MLServer, LitServe) for tuned in (False, True)]
    return [*ours, *protocol, *peers, PlainFastAPI(tuned=True, in_int8=True)]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _status(port: int, path: str) -> int:
    import httpx

    try:
        return httpx.get(f"http://127.0.0.1:{port}{path}", timeout=2).status_code
    except httpx.HTTPError:
        return 0
