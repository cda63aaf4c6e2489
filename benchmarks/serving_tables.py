"""What benchmarks/serving.py found, as Markdown, and the place in a page where it belongs."""

import statistics
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.serving_rounds import BESIDE, SINGLE, median
from benchmarks.serving_servers import IN_INT8

Round = Mapping[str, Any]
_HEAD = ("| server | in flight | requests/s | of the bare loop | p50 / p95 / p99, ms | CPU, ms a request | of the bare loop | page faults "
         "| callers' CPU, cores |\n|---|---|---|---|---|---|---|---|---|")
_COST_HEAD = "| server | start, s | RSS / PSS at rest, MB | RSS / PSS after load, MB |\n|---|---|---|---|"


def put(page: Path, name: str, text: str) -> None:
    """Puts `text` between `<!-- NAME -->` and `<!-- /NAME -->`. Raises ValueError where the page has no such place."""
    before, opening, rest = page.read_text().partition(f"<!-- {name} -->\n")
    _, closing, after = rest.partition(f"<!-- /{name} -->")
    if not opening or not closing:
        raise ValueError(f"{page} has no place called {name}")
    page.write_text(f"{before}{opening}{text.rstrip()}\n{closing}{after}")


def table(report: Mapping[str, Any]) -> str:
    """Everybody's speed, then what each costs, then who was left out and why."""
    rounds: Sequence[Round] = report["rounds"]
    lines = [_machine(report), "", _HEAD, *(_loop_row(name, rounds) for name in rounds[0]["loops"])]
    names = [name for name in rounds[0]["servers"] if all(name in one["servers"] for one in rounds)]
    for at_once in report["at_once"]:
        lines += [_row(name, str(at_once), rounds) for name in names]
    lines += ["", _COST_HEAD]
    for name in names:
        found = [one["servers"][name] for one in rounds]
        memory = [f"{_number(median(found, when, 'rss_mb'))} / {_number(median(found, when, 'pss_mb'))}" for when in ("at_rest", "after_load")]
        lines.append(f"| {name} | {_number(median(found, 'ready_s'))} | {memory[0]} | {memory[1]} |")
    lines += ["", *(f"Not run: {name} ({why})." for name, why in report["missing"].items())]
    return "\n".join(lines)


def goals(report: Mapping[str, Any]) -> str:
    """The figures that were asked for, each with what it was to be, and what it is where the loop or the peer has our file in int8, too."""
    rounds: Sequence[Round] = report["rounds"]
    lines = ["| figure | to be | found | with all in int8 |", "|---|---|---|---|"]

    def add(what: str, wanted: str, *ratios: Callable[[Round], float | None]) -> None:
        found = [[value for value in map(ratio, rounds) if value is not None] for ratio in ratios]
        cells = [f"{statistics.median(values):.3f}" if values else "not run" for values in found]
        lines.append(f"| {' | '.join([what, wanted, *cells, *([''] * (2 - len(cells)))])} |")

    def of_loops(name: str, at_once: str, key: str, *, single: bool = False) -> list[Callable[[Round], float | None]]:
        return [_of_loop(name, at_once, key, single=single, in_int8=in_int8) for in_int8 in (False, True)]

    for face in ("REST", "gRPC"):
        name = f"hedgerow {face}"
        for at_once in ("4", "16"):
            add(f"{face}, {at_once} in flight: requests/s, of the bare loop", "at least 1.0", *of_loops(name, at_once, "per_s"))
            add(f"{face}, {at_once} in flight: CPU a request, of the bare loop", "at most 1.05", *of_loops(name, at_once, "cpu_ms"))
        add(f"{face}, 1 in flight: p50, of the single-threaded bare loop", "at most 0.75", *of_loops(name, "1", "p50_ms", single=True))
    for tuned, wanted in ((False, "at least 1.25"), (True, "at least 1.05")):
        for face in ("REST", "gRPC"):
            add(f"{face}, 4 in flight: requests/s, of the best peer {'with the same malloc settings' if tuned else 'as documented'}", wanted,
                *(_of_best(f"hedgerow {face}", "4", tuned=tuned, in_int8=in_int8) for in_int8 in ((False, True) if tuned else (False,))))
    for face, wanted in (("REST", "at least 0.92"), ("gRPC", "at least 0.85")):
        add(f"OIP {face}, raw tensors, 4 in flight: requests/s, of invoke alone", wanted,
            *of_loops(f"hedgerow OIP {face}, raw tensors", "4", "per_s"))
    for when, say in (("at_rest", "at rest"), ("after_load", "after load")):
        found = median([one["servers"].get("hedgerow REST", {}) for one in rounds], when, "pss_mb")
        lines.append(f"| PSS of the whole tree {say}, one model, MB | at most 140 | {_number(found)} | |")
    return "\n".join(lines)


def _of_loop(name: str, at_once: str, key: str, *, single: bool = False, in_int8: bool = False) -> Callable[[Round], float | None]:
    """A server's figure as a share of that of the loop beside it. `single`: of the one in one process; `in_int8`: of the one with our
    file.
    """
    def ratio(one: Round) -> float | None:
        if name not in one["servers"] or at_once not in one["servers"][name]["at_once"]:
            return None
        server = one["servers"][name]
        loops = server["beside"].items()
        beside = next((found for loop, found in loops if loop.endswith(SINGLE) == single and (IN_INT8 in loop) == in_int8), None)
        return None if beside is None else float(server["at_once"][at_once][key]) / float(beside[key])

    return ratio


def _of_best(name: str, at_once: str, *, tuned: bool, in_int8: bool) -> Callable[[Round], float | None]:
    """Each as a share of the loop with the published network beside it. `in_int8`: of the best that was given our file."""
    def ratio(one: Round) -> float | None:
        peers = [peer for peer in one["servers"] if not peer.startswith("hedgerow")
                 and ("tuned" in peer) == tuned and peer.endswith(IN_INT8) == in_int8]
        shares = [share for share in (_of_loop(peer, at_once, "per_s")(one) for peer in peers) if share is not None]
        own = _of_loop(name, at_once, "per_s")(one)
        return own / max(shares) if shares and own else None

    return ratio


def _loop_row(name: str, rounds: Sequence[Round]) -> str:
    found = [one["loops"][name] for one in rounds]
    times = " / ".join(_number(median(found, f"p{share}_ms")) for share in (50, 95, 99))
    return (f"| {name} | | {_number(median(found, 'per_s'))} | | {times} | {_number(median(found, 'cpu_ms'))} | "
            f"| {_number(median(found, 'faults'))} | |")


def _row(name: str, at_once: str, rounds: Sequence[Round]) -> str:
    found = [one["servers"][name]["at_once"].get(at_once, {}) for one in rounds]
    ratios = []
    for key in ("per_s", "cpu_ms"):
        shares = [share for share in map(_of_loop(name, at_once, key), rounds) if share is not None]
        ratios.append(f"{statistics.median(shares):.3f}" if shares else "")
    times = " / ".join(_number(median(found, f"p{share}_ms")) for share in (50, 95, 99))
    return (f"| {name} | {at_once} | {_number(median(found, 'per_s'))} | {ratios[0]} | {times} | {_number(median(found, 'cpu_ms'))} "
            f"| {ratios[1]} | {_number(median(found, 'faults'))} | {_number(median(found, 'callers_cores'))} |")


def _machine(report: Mapping[str, Any]) -> str:
    machine = report["machine"]
    return (f"{len(machine['cores'])} cores of {machine['processor']}, callers on {machine['callers']}; {report['pictures']}; "
            f"{len(report['rounds'])} rounds of {report['seconds']:g} s a figure, medians. Ratios are to a loop of "
            f"{report['seconds'] * BESIDE:g} s right before each server; raw tensors are compared with `invoke alone`.")


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}"
