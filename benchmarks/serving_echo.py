"""benchmarks/serving.py --echo: what the gateway itself costs. The picture is as long as a photo and next to nothing to decode, the
network is next to nothing to run; what is left is the gateway's, by process and by stage, and as a flame graph.

Stages are from py-spy's samples of the running gateway, which it halts for each: of a stack that moves on it could read only what stands
still. It can't always tell a thread that waits from one at work, so a thread's samples are worth what the kernel says that it used. Each
sample is given to the innermost frame that a stage knows.
"""

import os
import re
import subprocess
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ai_edge_litert import schema_py_generated as schema

from benchmarks import serving_flame
from benchmarks import serving_gateway as gateways
from benchmarks.serving_photos import padded
from benchmarks.serving_process import Helper, memory_mb, spent
from benchmarks.serving_rounds import Plan, loaded
from benchmarks.serving_servers import PEER_PYTHON
from tests.edge_runtime.toolchain.edgetpu.tflite_builder import GraphBuilder
from tests.gateway_process import GatewayProcess

PY_SPY = PEER_PYTHON.with_name("py-spy")
SIDE, LABELS = 8, 192
PICTURE_SIDE, PICTURE_BYTES = 64, 250_000
AT_ONCE = 4
RATE = 200
"""Samples a second."""
WAITING = ("_worker", "WorkerProcess._answer", "WorkerProcess._configure")
"""A thread whose innermost frame is one of these waits for work."""
NO_PYTHON = "no Python"
"""In place of the stack of threads that run none: those of a spread interpreter, of gRPC."""
_THREAD = re.compile(r"thread \((?P<id>\d+)\): (?P<name>[^;]*);?")

STAGES = (
    ("log", ("structlog", "gateway/logs.py")),
    ("store: pictures", ("gateway/store/images.py", "edge_runtime/folders.py")),
    ("store: row", ("sqlalchemy", "gateway/store", "gateway/service/recorder.py")),
    ("to and from the worker", ("edge_runtime/wire.py", "edge_runtime/device.py", "edge_runtime/worker.py", "asyncio/streams.py")),
    ("decode", ("domains/media",)),
    ("quality", ("domains/core/quality.py",)),
    ("model and flow", ("edge_runtime/runner.py", "edge_runtime/backends", "edge_runtime/tensors.py", "serving_domain", "domains/core")),
    ("worker's engine", ("edge_runtime/engine.py",)),
    ("queue and devices", ("edge_runtime",)),
    ("HTTP parsing and writing", ("uvicorn", "h11", "httptools")),
    ("HTTP routing", ("fastapi", "starlette", "pydantic")),
    ("gRPC", ("grpc", "google/protobuf", "protos/")),
    ("transport", ("gateway/rest", "gateway/grpc")),
    ("service", ("gateway/service", "gateway/app.py")),
    ("threads without Python", (NO_PYTHON,)),
    ("event loop", ("uvloop", "asyncio", "concurrent/futures", "threading.py")),
)


def echo_model(path: Path) -> Path:
    """A network of two operators: a reshape and a softmax."""
    graph = GraphBuilder()
    pixels, flat, shares = graph.tensor(1, SIDE, SIDE, 3), graph.tensor(1, LABELS), graph.tensor(1, LABELS)
    graph.tensors[shares].quantization = schema.QuantizationParametersT(scale=[1 / 256], zeroPoint=[-128])
    shape = graph.constant(2, dtype="int32", values=[1, LABELS])
    graph.op("RESHAPE", [pixels, shape], [flat], schema.ReshapeOptionsT(newShape=[1, LABELS]))
    graph.op("SOFTMAX", [flat], [shares], schema.SoftmaxOptionsT(beta=1.0))
    path.write_bytes(graph.data([pixels], [shares]))
    return path


def run(folder: Path, cores: list[int], plan: Plan, *, flame_graph: Path | None) -> tuple[dict[str, Any], str]:
    """CPU a request over REST and gRPC by process and stage, and the table. `flame_graph`: where the one over REST is drawn."""
    path, picture = gateways.lay_out(folder), folder / "echo.jpg"
    gateways.package(folder / "models", echo_model(folder / "echo.tflite"))
    picture.write_bytes(padded(PICTURE_SIDE, PICTURE_SIDE, PICTURE_BYTES))
    report: dict[str, Any] = {"picture_bytes": picture.stat().st_size, "faces": {}}
    with gateways.running(path, folder / "models", folder / "echo-data", cores) as gateway:
        report["at_rest"] = {name: memory_mb([pid]) for name, pid in processes(gateway).items()}
        for face in ("REST", "gRPC"):
            task = (gateways.rest_task(gateway, picture) if face == "REST"
                    else gateways.grpc_task(gateway, picture, folder / "echo.bin"))
            before = {name: spent(pid) for name, pid in processes(gateway).items()}
            figures = loaded(gateway.process.pid, task, plan, AT_ONCE)
            del figures["answer"]
            figures["cpu_ms_by_process"] = _by_process(gateway, before, figures)
            if PY_SPY.exists():
                sampled = {name: _sampled(pid, task, plan, folder / "samples.txt") for name, pid in processes(gateway).items()}
                figures["shares"] = {name: shares_of(rows) for name, rows in sampled.items()}
                if flame_graph is not None and face == "REST":
                    serving_flame.draw({name: _scaled(rows, figures["cpu_ms_by_process"][name]) for name, rows in sampled.items()}, flame_graph)
            report["faces"][face] = figures
    return report, _table(report)


def processes(gateway: GatewayProcess) -> dict[str, int]:
    """The gateway's own process and its worker's."""
    (worker,) = gateway.worker_pids()
    return {"gateway": gateway.process.pid, "worker": worker}


def stage_of(stack: Sequence[str]) -> str:
    """The stage of a stack of frames, the outermost first."""
    for frame in reversed(stack):
        for name, parts in STAGES:
            if any(part in frame for part in parts):
                return name
    return "other"


def shares_of(rows: Mapping[str, float]) -> dict[str, float]:
    """Each stage's share of stacks (frames with ; between them) by their weights, the largest first."""
    weights: dict[str, float] = {}
    for stack, weight in rows.items():
        stage = stage_of(stack.split(";"))
        weights[stage] = weights.get(stage, 0.0) + weight
    total = sum(weights.values())
    return {name: round(weight / total, 4) for name, weight in sorted(weights.items(), key=lambda item: -item[1])}


def weighed(lines: Sequence[str], used_s: Mapping[int, float]) -> dict[str, float]:
    """Stacks with the CPU seconds that are theirs. `lines`: as py-spy writes them, the thread first (`THREAD;frame;frame COUNT`);
    `used_s`: what each thread used.
    """
    counts: dict[int, Counter[str]] = {thread: Counter() for thread in used_s}
    for line in lines:
        stack, _, count = line.rpartition(" ")
        if serving_flame.place_of(stack.rpartition(";")[2])[0] in WAITING:
            continue
        if (thread := _THREAD.match(stack)) is not None:
            counts.setdefault(int(thread["id"]), Counter())[f"{thread['name']};{stack[thread.end():]}"] += int(count)
    rows: dict[str, float] = {}
    for thread_id, seconds in used_s.items():
        sampled = counts[thread_id] or Counter({NO_PYTHON: 1})
        for stack, samples in sampled.items():
            rows[stack] = rows.get(stack, 0.0) + seconds * samples / sampled.total()
    return rows


def _scaled(rows: Mapping[str, float], cpu_ms: float) -> list[tuple[str, float]]:
    total = sum(rows.values())
    return [(stack, cpu_ms * weight / total) for stack, weight in rows.items()]


def _by_process(gateway: GatewayProcess, before: Mapping[str, Any], figures: Mapping[str, Any]) -> dict[str, float]:
    """Without the descendants of the gateway's process that are listed themselves. The warming is in it, so shares are scaled."""
    used = {}
    for name, pid in processes(gateway).items():
        now = spent(pid)
        used[name] = now.cpu_s[pid] - before[name].cpu_s[pid]
    scale = figures["cpu_ms"] / sum(used.values())
    return {name: round(seconds * scale, 3) for name, seconds in used.items()}


def _sampled(pid: int, task: Mapping[str, Any], plan: Plan, out: Path) -> dict[str, float]:
    """A process under load: its stacks with the CPU seconds that are theirs."""
    load = Helper("serving_load.py", {"seconds": plan.seconds + 1, "warm_s": 0.2, "at_once": AT_ONCE, "paced_s": 0.0, **task}, plan.load_cores)
    load.begin()
    before_s = _used_by_thread(pid)
    subprocess.run([PY_SPY, "record", "--pid", str(pid), "--duration", str(max(1, round(plan.seconds))), "--rate", str(RATE),
                    "--format", "raw", "--threads", "--output", out, "--full-filenames"], check=True, capture_output=True)
    used_s = {thread: seconds - before_s.get(thread, 0.0) for thread, seconds in _used_by_thread(pid).items()}
    load.result()
    return weighed(out.read_text().splitlines(), used_s)


def _used_by_thread(pid: int) -> dict[int, float]:
    """CPU seconds of each thread."""
    used = {}
    for folder in Path(f"/proc/{pid}/task").iterdir():
        fields = (folder / "stat").read_text().rpartition(")")[2].split()
        used[int(folder.name)] = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return used


def _table(report: Mapping[str, Any]) -> str:
    lines = [f"A JPEG of {report['picture_bytes']} bytes that is next to nothing to decode, {AT_ONCE} requests in flight.", "",
             "| face | requests/s | CPU, ms a request | of it in the gateway's process | in the worker's |", "|---|---|---|---|---|"]
    for face, figures in report["faces"].items():
        by = figures["cpu_ms_by_process"]
        lines.append(f"| {face} | {figures['per_s']:.4g} | {figures['cpu_ms']:.3g} | {by['gateway']:.3g} | {by['worker']:.3g} |")
    for face, figures in report["faces"].items():
        if "shares" not in figures:
            lines += ["", "Stages: not sampled, since py-spy isn't there (make .venv-peers/ready)."]
            break
        lines += ["", f"| {face}: stage | CPU, ms a request |", "|---|---|"]
        for name, shares in figures["shares"].items():
            lines += [f"| {name}: {stage} | {share * figures['cpu_ms_by_process'][name]:.3f} |" for stage, share in shares.items()]
    lines += ["", "| process, at rest | RSS, MB | PSS, MB |", "|---|---|---|"]
    lines += [f"| {name} | {memory['rss_mb']} | {memory['pss_mb']} |" for name, memory in report["at_rest"].items()]
    return "\n".join(lines)
