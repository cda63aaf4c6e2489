"""Scenarios of benchmarks/durability.py: a large file through a bad link, with outages, and with a gateway that is killed."""

import hashlib
import importlib.util
import json
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import cv2
import msgspec
import numpy as np

from benchmarks.durability_books import Letter, in_database, over_rest, tally, verdicts
from benchmarks.durability_gateway import Bench, Gateway, SkippedError
from benchmarks.durability_senders import DOMAIN, EXAM, wait_until_done
from benchmarks.durability_tus import Plan, Report
from benchmarks.stream_link import FAR_END, NEAR, SPACE, BadLink
from benchmarks.stream_runs import Outcome, Verdict
from tests.gateway_process import ROOT

OUTAGE_S = 5.0
OUTAGES = (0.15, 0.4, 0.75)
KILL = 0.5
"""They come when so much of the file's size has gone over the wire."""
MOST_WIRE = 1.5
"""Bytes on the wire over bytes of the file: 5 % are lost, 5 % are headers, and each resumption sends some again."""
SLOWEST_BYTES_PER_S = 60_000
"""A quarter of what the link can carry."""
WATCH_EVERY_S = 0.1

Event = tuple[float, str, Callable[[], None]]


def upload(bench: Bench) -> Outcome:
    """Three outages."""
    return _upload(bench, "own", with_kill=False)


def upload_killed(bench: Bench) -> Outcome:
    """The same, and half-way the gateway is killed."""
    return _upload(bench, "own", with_kill=True)


def upload_tuspy(bench: Bench) -> Outcome:
    """The same with tuspy."""
    if importlib.util.find_spec("tusclient") is None:
        raise SkippedError("tuspy isn't installed")
    return _upload(bench, "tuspy", with_kill=True)


def noise(size_bytes: int, bench: Bench) -> bytes:
    """A picture of about so many bytes, TIFF without compression, which nothing on the way can make smaller."""
    side = int((size_bytes / 3) ** 0.5)
    pixels = np.random.default_rng(bench.chance.randrange(2**32)).integers(0, 256, (side, side, 3), dtype=np.uint8)
    return cv2.imencode(".tiff", pixels, [cv2.IMWRITE_TIFF_COMPRESSION, 1])[1].tobytes()


def _upload(bench: Bench, client: str, *, with_kill: bool) -> Outcome:
    payload = noise(bench.of(50_000_000, 5_000_000), bench)
    letter = Letter("upload", payload, hashlib.sha256(payload).hexdigest())
    with TemporaryDirectory(dir=bench.folder) as folder, BadLink() as link:
        file = Path(folder) / "picture.tiff"
        file.write_bytes(payload)
        with Gateway(Path(folder) / "gateway", host=NEAR) as gateway:
            back_at: list[float] = []

            def outage() -> None:
                link.pull()
                time.sleep(OUTAGE_S)
                back_at.append(time.monotonic())
                link.plug()

            def kill() -> None:
                gateway.kill()
                gateway.start()
                back_at.append(gateway.started_at)
                gateway.wait_ready()

            events: list[Event] = [(share, "outage", outage) for share in OUTAGES]
            if with_kill:
                events.append((KILL, "kill", kill))
            patience_s = len(payload) / SLOWEST_BYTES_PER_S + 120
            plan = Plan(gateway.url, gateway.key, str(file), _metadata(letter.key), client, patience_s)
            events.sort(key=lambda event: event[0])
            report, wire_bytes, happened = _watched(plan, Path(folder), link, events)
            with gateway.rest() as rest_client:
                wait_until_done(rest_client)
                rest = over_rest(rest_client)
        errors = gateway.errors()
        kept = in_database(gateway.database_url)
    if report.job:
        letter.job_ids.add(report.job.rpartition("/")[2])
    letter.refusals += report.refusals
    letter.strange += [report.error] if report.error else []
    recovery_s = _slowest_recovery_s(back_at, report)
    told = tally([letter], kept, recovery_s)
    ratio = wire_bytes / len(payload)
    figures: dict[str, Any] = {
        "tally": msgspec.to_builtins(told), "client": client, "file_bytes": len(payload), "wire_bytes": wire_bytes,
        "wire_over_file": round(ratio, 3),
        "body_over_file": round(report.body_bytes / len(payload), 3) if report.body_bytes else None,
        "seconds": round(report.ended_at - report.began_at, 1), "resumed": len(report.resumed), "happened": happened,
        "refusals": report.refusals, "errors": errors,
    }
    return Outcome(figures, [
        *verdicts([letter], told, rest, kept),
        Verdict(f"the {_all(events)} came while it was on its way", ", ".join(happened), len(happened) == len(events)),
        Verdict(f"bytes sent over file size, at most {MOST_WIRE:g}", f"{ratio:.3f}", ratio <= MOST_WIRE),
    ])


def _metadata(key: str) -> dict[str, str]:
    return {"domain": DOMAIN, "parameters": json.dumps({"exam": EXAM}), "idempotency_key": key, "filename": "picture.tiff"}


def _watched(plan: Plan, folder: Path, link: BadLink, events: Sequence[Event]) -> tuple[Report, int, list[str]]:
    """Lets the client work at the far end, and things happen meanwhile. Gives what it wrote down, how many bytes went from
    there over the wire, and what happened.
    """
    told, kept = folder / "plan.json", folder / "report.json"
    told.write_bytes(msgspec.json.encode(plan))
    size, before, happened = Path(plan.file).stat().st_size, _wire_bytes(), []
    script = Path(__file__).with_name("durability_tus.py")
    waiting, until = list(events), time.monotonic() + plan.patience_s + 60
    process = subprocess.Popen([*link.inside, sys.executable, str(script), str(told), str(kept)], cwd=ROOT)
    try:
        while process.poll() is None and time.monotonic() < until:
            share = (_wire_bytes() - before) / size
            if waiting and share >= waiting[0][0]:
                _, name, happen = waiting.pop(0)
                happen()
                happened.append(f"{name} at {share:.0%}")
            time.sleep(WATCH_EVERY_S)
    finally:
        process.kill()
        process.wait()
    wire_bytes = _wire_bytes() - before
    if not kept.exists():
        return Report(error="the client never ended"), wire_bytes, happened
    return msgspec.json.decode(kept.read_bytes(), type=Report), wire_bytes, happened


def _wire_bytes() -> int:
    """What the far end has sent: what is lost later, headers and repetitions of TCP are all in it."""
    listed = subprocess.run(["ip", "-n", SPACE, "-s", "-j", "link", "show", "dev", FAR_END], check=True, capture_output=True)
    return int(json.loads(listed.stdout)[0]["stats64"]["tx"]["bytes"])


def _slowest_recovery_s(back_at: Sequence[float], report: Report) -> float | None:
    """From the moment that the link was back or the gateway was started to the moment that the client knew where to go on:
    the longest of them.
    """
    found = [min((at - back for at, _ in report.resumed if at >= back), default=None) for back in back_at]
    known = [seconds for seconds in found if seconds is not None]
    return round(max(known), 1) if known and report.body_bytes else None


def _all(events: Sequence[Event]) -> str:
    names = [name for _, name, _ in events]
    outages, kills = names.count("outage"), names.count("kill")
    return f"{outages} outages" + (" and the kill" if kills else "")
