"""The benchmark of serving works, counts right, and writes only what it measured."""

from pathlib import Path
from typing import Any

import pytest

from benchmarks import serving_gateway as gateways
from benchmarks.growth import worse
from benchmarks.serving_echo import NO_PYTHON, echo_model, shares_of, weighed
from benchmarks.serving_flame import draw, place_of
from benchmarks.serving_photos import padded
from benchmarks.serving_process import spent
from benchmarks.serving_rounds import SINGLE, Plan, cores_for, loaded, percentiles
from benchmarks.serving_servers import IN_INT8
from benchmarks.serving_tables import goals, put, table
from benchmarks.soak import verdict


@pytest.mark.parametrize("face", ["REST", "gRPC"])
def test_a_gateway_under_load_answers_and_is_charged_for_it(tmp_path: Path, face: str) -> None:
    picture = tmp_path / "picture.jpg"
    picture.write_bytes(padded(64, 64, 100_000))
    gateways.package(tmp_path / "models", echo_model(tmp_path / "echo.tflite"))
    cores, load_cores = cores_for(1)
    with gateways.running(gateways.lay_out(tmp_path), tmp_path / "models", tmp_path / "data", cores) as gateway:
        task = (gateways.rest_task(gateway, picture) if face == "REST"
                else gateways.grpc_task(gateway, picture, tmp_path / "request.bin"))
        found = loaded(gateway.process.pid, task, Plan(0.5, 0.1, (), load_cores), 3)
    assert found["errors"] == {}
    assert found["requests"] >= 3
    assert found["cpu_ms"] > 0
    assert gateways.labels_of(task, found["answer"]) == [f"class {number}" for number in range(5)]


def test_a_refusal_is_an_error_and_no_fast_answer(tmp_path: Path) -> None:
    picture = tmp_path / "picture.jpg"
    picture.write_bytes(b"no picture")
    gateways.package(tmp_path / "models", echo_model(tmp_path / "echo.tflite"))
    with gateways.running(gateways.lay_out(tmp_path), tmp_path / "models", tmp_path / "data", cores_for(1)[0]) as gateway:
        task = gateways.rest_task(gateway, picture)
        with pytest.raises(RuntimeError, match=r"no request was answered: .'415'"):
            loaded(gateway.process.pid, task, Plan(0.3, 0.1, (), cores_for(1)[1]), 1)


def test_a_process_that_ended_is_charged_to_nobody() -> None:
    assert spent(2**22 + 1).since(spent(2**22 + 1)) == (0, 0)


def test_percentiles_are_of_the_answers_themselves() -> None:
    assert percentiles(range(1000, 0, -1)) == {"p50_ms": 501, "p95_ms": 951, "p99_ms": 991}


def test_a_sample_belongs_to_the_innermost_stage() -> None:
    assert shares_of({
        "main (uvloop/__init__.py);add (gateway/store/analyses.py);execute (sqlalchemy/engine/base.py)": 3,
        "main (uvloop/__init__.py);send (uvicorn/protocols/http/httptools_impl.py)": 1,
    }) == {"store: row": 0.75, "HTTP parsing and writing": 0.25}


def test_a_threads_samples_are_worth_what_it_used() -> None:
    lines = ["thread (7): MainThread;main (gateway/entry.py:1);wait (asyncio/x.py:2) 90", "thread (7): MainThread;main (gateway/entry.py:1) 10",
             "thread (8): recorder_0;_worker (/a/lib/python3.11/concurrent/futures/thread.py:81);add (gateway/store/analyses.py:3) 900",
             "thread (8): recorder_0;_worker (/a/lib/python3.11/concurrent/futures/thread.py:81) 100", "other 5"]
    found = weighed(lines, {7: 2.0, 8: 1.0, 9: 0.5})
    assert found == pytest.approx({
        "MainThread;main (gateway/entry.py:1);wait (asyncio/x.py:2)": 1.8, "MainThread;main (gateway/entry.py:1)": 0.2,
        "recorder_0;_worker (/a/lib/python3.11/concurrent/futures/thread.py:81);add (gateway/store/analyses.py:3)": 1.0, NO_PYTHON: 0.5,
    })


def test_a_flame_graph_says_what_code_it_is_and_not_where_that_lies(tmp_path: Path) -> None:
    assert place_of("run (/home/me/.venv/lib/python3.11/site-packages/uvloop/__init__.py:92)") == ("run", "uvloop/__init__.py")
    assert place_of("Runner.run (/usr/lib/python3.11/asyncio/runners.py:118)") == ("Runner.run", "asyncio/runners.py")
    assert place_of("Pool.submit (/home/me/hedgerow/edge_runtime/pool.py:140)") == ("Pool.submit", "edge_runtime/pool.py")
    draw({"gateway": [("main (/a/gateway/entry.py:1);serve (/a/gateway/app.py:2)", 1.5)], "worker": [("run (/a/domains/x.py:3)", 0.5)]},
         tmp_path / "flame.png")
    assert (tmp_path / "flame.png").stat().st_size > 1000


def test_a_page_without_the_place_is_left_alone(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- one -->\nold\n<!-- /one -->\nafter\n")
    put(page, "one", "new\n")
    assert page.read_text() == "before\n<!-- one -->\nnew\n<!-- /one -->\nafter\n"
    with pytest.raises(ValueError, match="no place called two"):
        put(page, "two", "new")


def test_ratios_are_to_the_loop_beside_the_server() -> None:
    report = _report([_round(loop=100.0, ours=110.0), _round(loop=50.0, ours=55.0), _round(loop=80.0, ours=40.0)])
    assert "| REST, 4 in flight: requests/s, of the bare loop | at least 1.0 | 1.100 | 0.550 |" in goals(report)
    assert "| gRPC, 4 in flight: requests/s, of the bare loop | at least 1.0 | not run | not run |" in goals(report)
    assert "| hedgerow REST | 4 | 55 | 1.100 |" in table(report)
    assert "Not run: LitServe (it isn't there)." in table(report)


def test_the_best_peer_is_one_with_the_same_malloc_and_the_same_file() -> None:
    one = _round(loop=100.0, ours=120.0)
    for name, per_s in (("FastAPI", 80.0), ("FastAPI, malloc tuned", 100.0), (f"FastAPI, malloc tuned,{IN_INT8}", 150.0)):
        one["servers"][name] = _round(loop=100.0, ours=per_s)["servers"]["hedgerow REST"]
    found = goals(_report([one]))
    assert "REST, 4 in flight: requests/s, of the best peer as documented | at least 1.25 | 1.500 |  |" in found
    assert "REST, 4 in flight: requests/s, of the best peer with the same malloc settings | at least 1.05 | 1.200 | 0.800 |" in found


@pytest.mark.parametrize(("costs", "rule", "found"), [
    ([10, 11, 10.5], "flat", False), ([10, 10, 14], "flat", True), ([10, 20, 30], "linear", False), ([10, 20, 60], "linear", True),
    ([10, 10, 10.2], "linear", False), ([10, 20, 21, 31], "linear", False), ([10, 20, 21, 45], "linear", True),
])
def test_what_grows_faster_than_it_may_is_named(costs: list[float], rule: str, found: bool) -> None:
    rows = [{"x": x, "cost": cost} for x, cost in enumerate(costs)]
    assert bool(worse("step", rows, {"cost": rule})) is found


def test_memory_that_grows_is_told() -> None:
    steady = [{"pss_mb": 100.0, "p99_ms": 20.0, "errors": {}} for _ in range(8)]
    growing = [{**row, "pss_mb": 100.0 + minute} for minute, row in enumerate(steady)]
    assert not verdict(steady)["grows"]
    assert verdict(growing)["grows"]
    assert verdict([{**steady[0], "errors": {"503": 2}}, *steady])["errors"] == 2


def _round(*, loop: float, ours: float) -> dict[str, Any]:
    times = {"p50_ms": 1.0, "p95_ms": 1.0, "p99_ms": 1.0, "cpu_ms": 10.0, "faults": 0.0}
    loops = {f"bare loop{file}{count}": {**times, "per_s": loop * speed}
             for file, speed in (("", 1), (IN_INT8, 2)) for count in ("", SINGLE)}
    memory = {"rss_mb": 1.0, "pss_mb": 1.0}
    server = {"beside": loops, "ready_s": 1.0, "at_rest": memory, "after_load": memory, "at_once": {"4": {**times, "per_s": ours, "callers_cores": 0.1}}}
    return {"loops": loops, "servers": {"hedgerow REST": server}}


def _report(rounds: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "machine": {"cores": [0, 1], "processor": "p", "callers": "others"}, "at_once": [4], "seconds": 1.0, "pictures": "a JPEG",
        "missing": {"LitServe": "it isn't there"}, "rounds": rounds,
    }
