"""Scenarios of benchmarks/durability.py: gateway, broker and cloud worker are killed while photos come in, of which the cloud
answers a part.
"""

import asyncio
import hashlib
import json
import random
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Protocol

import cv2
import msgspec
import numpy as np

from benchmarks.durability_books import Letter, in_database, over_rest
from benchmarks.durability_cloud_books import cloud_in_database, cloud_tally, cloud_verdicts, firsts
from benchmarks.durability_gateway import START_S, Bench, Gateway, postgres
from benchmarks.durability_kills import outcome_of
from benchmarks.durability_senders import ASYNC, PATH, Senders, wait_until_done
from benchmarks.durability_tier import (
    CONSENT,
    WORKER_START_S,
    Broker,
    Worker,
    check_cloud,
    cloud_settings,
    objects_in,
    rabbitmq,
    redis,
)
from benchmarks.stream_runs import Outcome, Verdict
from tests.gateway_process import SAMPLES

FIELDS_EVERY = 14
"""One photo in so many is of a field, and the cloud answers all of these; the others are scans, which the edge answers."""
AUDIT_SHARE = 0.08
"""Of the scans get a second opinion."""
ROUTES: list[dict[str, Any]] = [
    {"domain": "crop_weed", "mode": "always_cloud", "to_cloud": True},
    {"domain": "pathology", "to_cloud": True, "unsure": False, "near_foreign": False, "audit_share": AUDIT_SHARE},
]
ANSWER_S = 30
"""HEDGEROW_CLOUD_ANSWER_S: what a broker or a worker lost is sent again after so long, and not after minutes."""
SCAN_PX, FIELD_PX = (240, 240), (240, 180)
NOISE = 4.0
LONGEST_PAUSE_S = 15.0
"""Between a start of the gateway and its next burst; else all kills would come before the cloud has begun."""
BETWEEN_S, DOWN_S = (4.0, 20.0), (1.0, 8.0)
"""How long a broker or a worker is up, at least, before it is killed, and how long it is gone."""
LONGEST_BURST_S = 20.0
PATIENCE_S = 900.0
POLL_S = 0.02


class Fall(msgspec.Struct):
    """One kill. `accepted`: photos until then; `gone_s`: until it was ready again."""

    who: str
    at_s: float
    accepted: int
    gone_s: float = 0.0


class Mortal(Protocol):
    """What can be killed and started again."""

    def start(self) -> None:
        """Starts it."""

    def kill(self) -> None:
        """As a crash would."""


def killed_cloud_redis(bench: Bench) -> Outcome:
    """SQLite and Redis."""
    check_cloud()
    with redis() as broker:
        return _killed(bench, broker)


def killed_cloud_rabbitmq(bench: Bench) -> Outcome:
    """PostgreSQL and RabbitMQ."""
    check_cloud()
    with postgres() as url, rabbitmq() as broker:
        return _killed(bench, broker, url)


def pictures(count: int, chance: random.Random, *, fields_every: int = 0) -> list[Letter]:
    """Small scans of a lung, each with a noise of its own: no two are alike, also when all but their pixels is taken away. One in
    `fields_every`, if any, is a photo of a field instead.
    """
    noise = np.random.default_rng(chance.randrange(2**32))
    scan, field = (_small(name, size) for name, size in (("lung_scan.png", SCAN_PX), ("field.jpg", FIELD_PX)))
    letters = []
    for number in range(count):
        is_field = fields_every > 0 and number % fields_every == 0
        plain = field if is_field else scan
        noisy = np.clip(plain + noise.normal(0, NOISE, plain.shape), 0, 255).astype(np.uint8)
        payload = cv2.imencode(".jpg", noisy, [cv2.IMWRITE_JPEG_QUALITY, 80])[1].tobytes()
        path = "/v1/domains/crop_weed/analyses" if is_field else PATH
        letters.append(Letter(f"photo-{number}", payload, hashlib.sha256(payload).hexdigest(), path=path))
    return letters


def _small(name: str, size: tuple[int, int]) -> np.ndarray[Any, Any]:
    picture = cv2.imread(str(SAMPLES / name), cv2.IMREAD_COLOR if name.endswith(".jpg") else cv2.IMREAD_GRAYSCALE)
    if picture is None:
        raise ValueError(f"samples/{name} is no picture")
    return cv2.resize(picture, size, interpolation=cv2.INTER_AREA)


def _killed(bench: Bench, broker: Broker, database_url: str = "") -> Outcome:
    letters = pictures(bench.of(1000, 84), bench.chance, fields_every=FIELDS_EVERY)
    with TemporaryDirectory(dir=bench.folder) as place:
        folder = Path(place)
        settings = cloud_settings(folder / "cloud", broker, ROUTES, cloud_answer_s=str(ANSWER_S))
        broker.start()
        worker = Worker(folder / "worker", settings)
        try:
            with Gateway(folder / "gateway", database_url=database_url, more=settings) as gateway, gateway.rest() as client:
                worker.start()
                worker.wait_ready()
                senders = Senders([gateway.url], gateway.key, bench.chance)
                began = time.monotonic()
                falls = asyncio.run(_under_fire(bench, senders, letters, gateway, broker, worker))
                last_start = began + max(fall.at_s + fall.gone_s for fall in falls)
                done_at = wait_until_done(client, PATIENCE_S)
                rest = over_rest(client)
                audit = json.loads(gateway.command("audit", "verify", "--json").stdout or "{}")
        finally:
            worker.stop()
        kept, cloud = in_database(gateway.database_url), cloud_in_database(gateway.database_url)
        left_behind = len(objects_in(folder / "cloud" / "objects"))
    told = cloud_tally(kept, cloud)
    recovery_s = None if done_at is None else done_at - last_start
    outcome = outcome_of(letters, firsts(rest, cloud), firsts(kept, cloud), recovery_s, {
        "cloud": msgspec.to_builtins(told),
        "whys": {why: sum(found == why for found in cloud.whys.values()) for why in sorted(set(cloud.whys.values()) - {""})},
        "falls": [msgspec.to_builtins(fall) for fall in falls],
        "seconds": None if done_at is None else round(done_at - began, 1),
        "answer_s": ANSWER_S, "objects_left_behind": left_behind, "errors": gateway.errors(),
    })
    killed = {who: sum(fall.who == who for fall in falls) for who in ("gateway", "broker", "worker")}
    again = sum(kept.attempts[own] > 1 for own, tier in cloud.tiers.items() if tier == "cloud")
    outcome.figures["cloud"]["taken_up_again"] = again
    outcome.verdicts += [
        *cloud_verdicts(told, rest, kept, cloud, audit),
        Verdict("all is done within minutes of the last start",
                "never" if recovery_s is None else f"{recovery_s:.1f} s", recovery_s is not None),
        Verdict("kills hit jobs of the cloud at work, which are taken up again", f"{again}, {told.again} sent again",
                again + told.again > 0),
        Verdict("gateway, broker and worker are killed as often as they should be",
                ", ".join(f"{who} {count}" for who, count in killed.items()),
                killed == {"gateway": _gateway_kills(bench), "broker": _other_kills(bench), "worker": _other_kills(bench)}),
    ]
    return outcome


def _gateway_kills(bench: Bench) -> int:
    return bench.of(10, 3)


def _other_kills(bench: Bench) -> int:
    return bench.of(5, 2)


async def _under_fire(
    bench: Bench, senders: Senders, letters: list[Letter], gateway: Gateway, broker: Broker, worker: Worker
) -> list[Fall]:
    """Photos come in bursts, and the gateway is killed in each; meanwhile the broker and the worker fall at moments of their own.
    All are up again when it returns.
    """
    began, falls = time.monotonic(), list[Fall]()
    mine, brokers, workers = (random.Random(bench.chance.randrange(2**32)) for _ in range(3))

    def noted(who: str) -> Fall:
        falls.append(Fall(who, round(time.monotonic() - began, 1), len(senders.accepted_at)))
        return falls[-1]

    async def others(who: str, mortal: Mortal, chance: random.Random, is_ready: Callable[[], bool]) -> None:
        for _ in range(_other_kills(bench)):
            await asyncio.sleep(chance.uniform(*BETWEEN_S))
            fall, killed_at = noted(who), time.monotonic()
            await asyncio.to_thread(mortal.kill)
            await asyncio.sleep(chance.uniform(*DOWN_S))
            await asyncio.to_thread(mortal.start)
            await _until(is_ready, WORKER_START_S)
            fall.gone_s = round(time.monotonic() - killed_at, 1)

    async with asyncio.TaskGroup() as group:
        group.create_task(others("broker", broker, brokers, lambda: True))
        group.create_task(others("worker", worker, workers, lambda: worker.is_ready))
        await _bursts(_gateway_kills(bench), senders, letters, gateway, mine, noted)
    gateway.wait_ready()
    return falls


async def _bursts(
    count: int, senders: Senders, letters: Sequence[Letter], gateway: Gateway, chance: random.Random,
    noted: Callable[[str], Fall],
) -> None:
    sending = []
    for number in range(count):
        burst = letters[number::count]
        await _until(lambda: gateway.is_ready, START_S)
        await asyncio.sleep(chance.uniform(0, LONGEST_PAUSE_S))
        enough = len(senders.accepted_at) + int(chance.random() * len(burst))
        sending.append(asyncio.create_task(senders.send(burst, headers=(ASYNC | CONSENT,))))
        await _until(partial(senders.have_more_than, enough), LONGEST_BURST_S)
        fall, killed_at = noted("gateway"), time.monotonic()
        await asyncio.to_thread(gateway.kill)
        gateway.start()
        await _until(lambda: gateway.is_ready, START_S)
        fall.gone_s = round(time.monotonic() - killed_at, 1)
    await asyncio.gather(*sending)


async def _until(condition: Callable[[], bool], patience_s: float) -> None:
    until = time.monotonic() + patience_s
    while time.monotonic() < until:
        if condition():
            return
        await asyncio.sleep(POLL_S)
