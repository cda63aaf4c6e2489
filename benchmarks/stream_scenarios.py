"""The scenarios of benchmarks/streams.py. Each starts its own gateway; docs/streams-measured.md says how they measure."""

import asyncio
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import httpx

from benchmarks.stream_figures import (
    account,
    figures,
    least_infer_s,
    quantile,
    services_s,
    slope_per_minute,
    undisturbed_s,
)
from benchmarks.stream_link import FAR, NEAR, BadLink
from benchmarks.stream_records import Record
from benchmarks.stream_runs import (
    Bench,
    Outcome,
    Verdict,
    command_slow,
    modelled_run_s,
    simulated_devices,
    tree_memory_mb,
)
from tests.gateway_process import SAMPLES, GatewayProcess

PERIOD_S = 1 / 30
STREAMS = (1, 2, 4, 8)
FAIR = 0.95
"""Least Jain index of a fair division."""
GROWTH_MB_PER_MIN = 0.5
"""What is still taken for no growth: 30 MB an hour."""
MEMORY_EVERY_S = 5.0
TIMES_SLOWER = 10.0
LINK_FPS = 10.0
OUTAGE_S = 5.0
STILLS_AT_ONCE = 16
NEIGHBOUR_RATIO = 1.5
"""How much worse the healthy stream's p95 may be beside bad neighbours than beside as many well-behaved ones."""


def streams(bench: Bench) -> Outcome:
    """One stream of 30 fps, then 2, 4 and 8 at once."""
    seconds, rows, verdicts = bench.seconds(60, 8), [], []
    with bench.gateway() as gateway:
        for count in STREAMS:
            (records,) = bench.run(bench.plan(gateway, seconds, streams=count))
            row = figures(records, seconds)
            limit_s = 2 * PERIOD_S + quantile(services_s(records), 0.95)
            row["limit_ms"] = round(limit_s * 1000, 1)
            rows.append(row)
            verdicts.append(_bounded(f"{_streams(count)}: p99 of the age within two frame periods and one service time",
                                     row["age_ms"]["p99"], row["limit_ms"]))
            verdicts.append(_accounted(_streams(count), row))
            if count > 1:
                verdicts.append(Verdict(f"{_streams(count)}: answered frames divided fairly (Jain at least {FAIR})",
                                        f"{row['fairness']:.3f}", row["fairness"] >= FAIR))
    return Outcome({"seconds": seconds, "rows": rows}, verdicts)


def memory(bench: Bench) -> Outcome:
    """Eight streams for minutes: the memory of all the gateway's processes."""
    seconds = bench.seconds(bench.minutes * 60, 30)
    every_s = bench.seconds(MEMORY_EVERY_S, 1.0)
    points: list[tuple[float, float]] = []
    with bench.gateway() as gateway:
        def watch(begin_at: float) -> None:
            while (now := time.monotonic() - begin_at) < seconds:
                if now >= 0:
                    points.append((round(now, 2), round(tree_memory_mb(gateway.process.pid), 2)))
                time.sleep(every_s)

        (records,) = bench.run(bench.plan(gateway, seconds, streams=8, samples_per_s=0.0), during=watch)
    slope = slope_per_minute(*zip(*points, strict=True))
    row = figures(records, seconds) | {
        "seconds": seconds, "memory": points, "slope_mb_per_min": round(slope, 3),
        "age_by_quarter_ms": _by_quarter(records, seconds),
    }
    verdicts = [
        Verdict(f"8 streams: memory grows by at most {GROWTH_MB_PER_MIN} MB a minute (second half)", f"{slope:+.2f} MB/min",
                slope <= GROWTH_MB_PER_MIN),
        _accounted("8 streams", row),
    ]
    return Outcome(row, verdicts)


def _by_quarter(records: list[Record], seconds: float) -> list[float]:
    """The age's p95 in each quarter of the time, in milliseconds."""
    began = records[0].begin_at
    quarters: list[list[float]] = [[], [], [], []]
    for record in records:
        for answer in record.answers:
            sent_at = record.sent[answer.number]
            quarters[min(3, int((sent_at - began) / seconds * 4))].append(answer.at - sent_at)
    return [round(quantile(ages, 0.95) * 1000, 1) for ages in quarters]


def slow_device(bench: Bench) -> Outcome:
    """One stream on a device that takes ten times as long as it took a moment ago."""
    seconds = bench.seconds(60, 10)
    with bench.gateway(devices=simulated_devices()) as gateway:
        (before,) = bench.run(bench.plan(gateway, seconds / 2))
        usual_faults = _device(gateway)["faults"]
    usual_s = quantile([answer.infer_s for record in before for answer in record.answers], 0.5)
    factor = max(1.0, TIMES_SLOWER * usual_s / modelled_run_s("lung_ultrasound"))
    with bench.gateway(lambda data: command_slow(data, factor), devices=simulated_devices()) as gateway:
        (records,) = bench.run(bench.plan(gateway, seconds))
        device = _device(gateway)
    infer_s = least_infer_s(records)
    alone_s, over_ms, strictly_over_s = undisturbed_s(records), [], []
    for record in records:
        for answer in record.answers:
            if answer.number < max(record.sent):  # no newer frame takes the place of the last one, however long it waits
                age_s = answer.at - record.sent[answer.number]
                over_ms.append((age_s - answer.service_s - 2 * PERIOD_S) * 1000)
                strictly_over_s.append(age_s - alone_s - 2 * PERIOD_S)
    within, strictly = (sum(over <= 0 for over in overs) / max(1, len(overs)) for overs in (over_ms, strictly_over_s))
    row = figures(records, seconds) | {
        "seconds": seconds, "usual": figures(before, seconds / 2), "usual_infer_ms": round(usual_s * 1000, 1),
        "infer_ms": round(infer_s * 1000, 1), "times_slower": round(infer_s / usual_s, 2), "commanded_factor": round(factor, 2),
        "within_own_limit": round(within, 4), "over_own_limit_ms_max": round(max(over_ms, default=0.0), 1),
        "undisturbed_service_ms": round(alone_s * 1000, 1), "limit_ms": round((2 * PERIOD_S + alone_s) * 1000, 1),
        "within_limit": round(strictly, 4),
        "device_faults": device["faults"], "device_state": device["state"], "usual_device_faults": usual_faults,
    }
    verdicts = [
        Verdict("the device takes ten times as long and stays in service",
                f"{row['times_slower']:.1f} times; faults {row['device_faults'] or 'none'}",
                abs(infer_s / usual_s - TIMES_SLOWER) < 0.2 * TIMES_SLOWER and not row["device_faults"]),
        Verdict("age within two frame periods and the frame's own service time in 99 of 100 answers",
                f"{within:.1%}, the worst {max(over_ms, default=0.0):+.0f} ms; {strictly:.1%} within {row['limit_ms']:.0f} ms, where the "
                "device does nothing else meanwhile", within >= 0.99),
        _accounted("slow device", row),
    ]
    return Outcome(row, verdicts)


def _device(gateway: GatewayProcess) -> dict[str, Any]:
    """The only device of a gateway, as it describes it."""
    with gateway.rest() as client:
        device: dict[str, Any] = client.get("/v1/nodes").raise_for_status().json()["nodes"][0]["devices"][0]
    return device


def lossy_link(bench: Bench) -> Outcome:
    """A sender behind 2 Mbit/s with 5 % loss, and three outages of 5 s."""
    seconds = bench.seconds(75, 38)
    outages = (bench.seconds(12, 5), bench.seconds(30, 15), bench.seconds(48, 25))
    plugged: list[float] = []
    with BadLink() as link, bench.gateway(host=NEAR) as gateway:
        def break_it(begin_at: float) -> None:
            for outage in outages:
                time.sleep(max(0.0, begin_at + outage - time.monotonic()))
                link.pull()
                time.sleep(OUTAGE_S)
                link.plug()
                plugged.append(time.monotonic())

        plan = bench.plan(gateway, seconds, frames_file=str(bench.narrow_frames_file), fps=LINK_FPS, most_in_flight=3, silence_s=2.0)
        ((record,),) = bench.run(plan, during=break_it, before=link.inside)
    whole = account(record)
    began = record.begin_at
    row = figures([record], seconds) | {
        "seconds": seconds, "fps": LINK_FPS, "frame_bytes": bench.narrow_frame_bytes, "sender": FAR,
        "outages_s": [[outage, outage + OUTAGE_S] for outage in outages],
        "resumed": sum(connection.resumed for connection in record.connections),
        "lost_events": sum(connection.lost_events for connection in record.connections),
        "events_twice": record.events_twice, "sent_again": len(record.sent_again),
        "first_answer_after_outage_s": [
            round(min((answer.at for answer in record.answers if answer.at > at), default=float("inf")) - at, 2) for at in plugged
        ],
        "timeline": {
            "sent": [round(at - began, 3) for at in record.sent.values()],
            "answers": [[round(answer.at - began, 3), round((answer.at - record.sent[answer.number]) * 1000, 1)] for answer in record.answers],
            "shown": [[round(at - began, 2), round(age * 1000, 1)] for at, age in record.shown[::10]],
            "connections": [[round(connection.at - began, 2), connection.resumed] for connection in record.connections],
        },
    }
    ended = record.ended.reason if record.ended else "no end"
    verdicts = [
        Verdict("resumes after each outage and comes to its final verdict", f"{row['resumed']} resumes, {ended} {record.error}".strip(),
                row["resumed"] >= len(outages) and ended == "finished" and not record.error),
        Verdict("nothing counted twice", f"{whole.answered_twice} frames, {record.events_twice} events; counts "
                + ("agree" if whole.counts_agree else f"differ: gateway {record.ended}"),
                not whole.answered_twice and not record.events_twice and whole.counts_agree),
        Verdict("nothing unaccounted for", f"{whole.delivered} delivered = {whole.answered} answered + {whole.dropped} told as dropped; "
                f"{whole.unaccounted} unaccounted, {row['lost_events']} events missed for good",
                not whole.unaccounted and not row["lost_events"]),
    ]
    return Outcome(row, verdicts)


def batch(bench: Bench) -> Outcome:
    """One stream alone, then beside stills that are sent over REST as fast as they are answered."""
    seconds = bench.seconds(30, 8)
    posted: Counter[int] = Counter()
    with bench.gateway() as gateway:
        (alone,) = bench.run(bench.plan(gateway, seconds))
        (beside,) = bench.run(
            bench.plan(gateway, seconds), during=lambda begin_at: posted.update(asyncio.run(_post_stills(gateway, begin_at + seconds))))
    rows = {"alone": figures(alone, seconds), "beside": figures(beside, seconds)}
    limit_ms = (2 * PERIOD_S + 2 * quantile(services_s(beside), 0.95)) * 1000
    row = rows | {"seconds": seconds, "stills": {str(status): count for status, count in sorted(posted.items())},
                  "stills_at_once": STILLS_AT_ONCE, "limit_ms": round(limit_ms, 1)}
    verdicts = [
        _bounded("beside batch work: p99 of the age within two frame periods and two service times (its own, and that of the "
                 "still that is running)", rows["beside"]["age_ms"]["p99"], limit_ms),
        Verdict("stills are answered meanwhile", f"{posted[201]} answered of {posted.total()}", posted[201] > 0),
        _accounted("beside batch work", rows["beside"]),
    ]
    return Outcome(row, verdicts)


async def _post_stills(gateway: GatewayProcess, until: float) -> Counter[int]:
    """How many were answered with which status."""
    still, statuses = (SAMPLES / "lung_scan.png").read_bytes(), Counter[int]()
    headers = {"Authorization": f"Bearer {gateway.key}"}
    async with httpx.AsyncClient(base_url=gateway.url, headers=headers, timeout=60) as client:
        async def caller() -> None:
            while time.monotonic() < until:
                response = await client.post("/v1/domains/pathology/analyses?exam=lung_ultrasound", content=still)
                statuses[response.status_code] += 1

        await asyncio.gather(*(caller() for _ in range(STILLS_AT_ONCE)))
    return statuses


def neighbours(bench: Bench) -> Outcome:
    """A healthy stream alone, beside well-behaved ones, and beside a reader that hardly reads and streams of garbage."""
    seconds = bench.seconds(40, 10)
    with bench.gateway() as gateway:
        healthy = bench.plan(gateway, seconds)
        good = bench.plan(gateway, seconds, with_pictures=True, samples_per_s=0.0)
        bad = bench.plan(gateway, seconds, with_pictures=True, role="slow_reader", samples_per_s=0.0)
        (alone,) = bench.run(healthy)
        beside_good, _ = bench.run(healthy, good)
        beside_slow, slow = bench.run(healthy, bad)
        beside_bad, _, garbage = bench.run(healthy, bad, bench.plan(gateway, seconds, role="garbage"))
    rows = {
        "alone": figures(alone, seconds), "beside_well_behaved": figures(beside_good, seconds),
        "beside_slow_reader": figures(beside_slow, seconds), "beside_slow_reader_and_garbage": figures(beside_bad, seconds),
    }
    p95 = {name: row["age_ms"]["p95"] for name, row in rows.items()}
    ratios = {name: {to: round(p95[name] / p95[to], 2) for to in ("alone", "beside_well_behaved")} for name in rows}
    outcomes = garbage[0].outcomes
    row = rows | {"seconds": seconds, "p95_ratio": ratios, "garbage": outcomes, "slow_reader_sent": len(slow[0].sent),
                  "slow_reader_error": slow[0].error}
    hanging = sum(count for outcome, count in outcomes.items() if "not ended" in outcome)
    worst = ratios["beside_slow_reader_and_garbage"]
    verdicts = [
        Verdict(f"healthy stream's p95 beside a slow reader at most {NEIGHBOUR_RATIO} times that beside one that reads",
                _ratio(ratios["beside_slow_reader"]), ratios["beside_slow_reader"]["beside_well_behaved"] <= NEIGHBOUR_RATIO),
        Verdict(f"... and beside a slow reader and garbage at most {NEIGHBOUR_RATIO} times", _ratio(worst),
                worst["beside_well_behaved"] <= NEIGHBOUR_RATIO),
        Verdict("each stream of garbage comes to an end", f"{sum(outcomes.values()) - hanging} of {sum(outcomes.values())}", not hanging),
        _accounted("beside a slow reader and garbage", rows["beside_slow_reader_and_garbage"]),
    ]
    return Outcome(row, verdicts)


def _ratio(ratio: dict[str, float]) -> str:
    return f"{ratio['beside_well_behaved']:.2f} times (alone: {ratio['alone']:.2f})"


def _streams(count: int) -> str:
    return f"{count} stream{'s' if count > 1 else ''}"


def _bounded(claim: str, p99_ms: float, limit_ms: float) -> Verdict:
    return Verdict(claim, f"{p99_ms:.0f} ms, limit {limit_ms:.0f} ms", p99_ms <= limit_ms)


def _accounted(what: str, row: dict[str, Any]) -> Verdict:
    """Drops are counted, and are what was sent less what was answered."""
    totals = Counter[str]()
    for one in row["accounts"]:
        totals.update({name: one[name] for name in ("delivered", "answered", "dropped", "unaccounted", "answered_twice")})
    figure = f"{totals['delivered']} sent = {totals['answered']} answered + {totals['dropped']} dropped"
    if not row["accounts_right"]:
        figure = (f"{totals['delivered']} sent, {totals['answered']} answered, {totals['dropped']} told as dropped; "
                  f"{totals['unaccounted']} unaccounted; {'; '.join(row['errors']) or 'ended ' + ', '.join(row['ended'])}")
    return Verdict(f"{what}: every frame is answered or told as dropped, once", figure, row["accounts_right"])


SCENARIOS: dict[str, Callable[[Bench], Outcome]] = {
    "streams": streams, "memory": memory, "slow_device": slow_device, "lossy_link": lossy_link, "batch": batch,
    "neighbours": neighbours,
}
