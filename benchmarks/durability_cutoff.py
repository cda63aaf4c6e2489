"""Scenario of benchmarks/durability.py: the cloud can't be reached while cases come that it should see; then it can again."""

import http.client
import json
import time
from collections.abc import Collection
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx
import msgspec
import numpy as np

from benchmarks.durability_books import Kept, Letter, Tally, counted, in_database, over_rest
from benchmarks.durability_cloud import pictures
from benchmarks.durability_cloud_books import CloudKept, cloud_in_database, cloud_tally, cloud_verdicts
from benchmarks.durability_gateway import Bench, Gateway
from benchmarks.durability_receiver import Receiver
from benchmarks.durability_tier import CONSENT, Worker, check_cloud, cloud_settings, redis
from benchmarks.stream_runs import Outcome, Verdict
from tests.cloud_servers import S3Server

BUCKET = "hedgerow-durability"
ROUTES: list[dict[str, Any]] = [{"domain": "pathology", "to_cloud": True, "audit_share": 1.0}]
MOST_P50, MOST_P95 = 1.5, 2.0
"""How many times as long the edge's answer may take as it does from a gateway without a cloud tier."""
WARM_UP = 6
HELD_UP_S = 1.0
"""An answer within so long did not wait for the cloud, whose shortest limit on a connection is 3 s."""
PATIENCE_S = 900.0


class Case(msgspec.Struct):
    """A picture that was answered by the edge. `analysis`: its document; `done_after_s`: from the cloud's return until its second
    opinion was there.
    """

    letter: Letter
    with_webhook: bool
    seconds: float
    status: int
    analysis: dict[str, Any]
    done_after_s: float | None = None

    @property
    def job(self) -> str:
        """Of the second opinion; empty where none was promised."""
        provenance = self.analysis.get("provenance", {})
        return str((provenance.get("second_opinion") or {}).get("job") or "") if provenance.get("provisional") else ""


def cloud_cut_off(bench: Bench) -> Outcome:
    """Neither broker nor object store is there. Half of the cases are plain requests, half have a key and a webhook. Each is sent
    to a gateway without a cloud tier as well, in turn before and after.
    """
    check_cloud()
    letters = pictures(bench.of(100, 20), bench.chance)
    with TemporaryDirectory(dir=bench.folder, ignore_cleanup_errors=True) as place:
        folder = Path(place)
        with ExitStack() as stack:
            broker, receiver = stack.enter_context(redis()), stack.enter_context(Receiver())
            store = S3Server(folder / "s3")
            stack.callback(store.close)
            settings = cloud_settings(
                folder / "cloud", broker, ROUTES, cloud_store=f"s3://{BUCKET}/jobs", cloud_store_options=json.dumps(store.options),
                private_callbacks="true",
            )
            gateway = stack.enter_context(Gateway(folder / "gateway", more=settings))
            plain = stack.enter_context(Gateway(folder / "plain", more={"private_callbacks": "true"}))
            client, other = stack.enter_context(gateway.rest()), stack.enter_context(plain.rest())
            cut_at = time.monotonic()
            cases, without = _cases(letters, client, other, receiver.url, bench)
            time.sleep(max(0.0, cut_at + bench.of(120, 20) - time.monotonic()))
            meanwhile = in_database(gateway.database_url)
            cut_s, tried = time.monotonic() - cut_at, sum(cloud_in_database(gateway.database_url).left.values())
            worker = Worker(folder / "worker", settings)
            stack.callback(worker.stop)
            _come_back(broker, store, worker)
            back_at = time.monotonic()
            _wait_for_opinions(client, cases, back_at)
            _wait_for_webhooks(receiver, cases)
            rest, audit = over_rest(client), json.loads(gateway.command("audit", "verify", "--json").stdout or "{}")
            errors = gateway.errors()
        kept, cloud = in_database(gateway.database_url), cloud_in_database(gateway.database_url)
    return _outcome(cases, without, receiver, (meanwhile, kept, rest, cloud), audit, {
        "cut_s": round(cut_s, 1), "entries_while_cut": tried, "webhooks_after_s": round(receiver.last_at - back_at, 1),
        "errors": errors,
    })


def _cases(
    letters: Collection[Letter], client: httpx.Client, other: httpx.Client, callback: str, bench: Bench
) -> tuple[list[Case], list[Case]]:
    """Those of the gateway whose cloud is cut off, and those of the other one."""
    cases: list[Case] = []
    without: list[Case] = []
    for number, letter in enumerate(letters):
        turns = [(client, cases), (other, without)]
        bench.chance.shuffle(turns)
        for asked, noted in turns:
            case = _sent(asked, letter, callback if number % 2 else "")
            noted.append(case)
    return cases, without


def _sent(client: httpx.Client, letter: Letter, callback: str) -> Case:
    headers = {"Content-Type": "image/jpeg", **CONSENT} | ({"Idempotency-Key": letter.key} if callback else {})
    began = time.perf_counter()
    response = client.post(
        "/v1/domains/pathology/analyses", content=letter.payload, headers=headers,
        params={"exam": "lung_ultrasound"} | ({"callback_url": callback} if callback else {}),
    )
    seconds = time.perf_counter() - began
    return Case(letter, bool(callback), seconds, response.status_code, response.json())


def _come_back(broker: Any, store: S3Server, worker: Worker) -> None:
    broker.start()
    store.start()
    connection = http.client.HTTPConnection("127.0.0.1", store.port, timeout=30)
    connection.request("PUT", f"/{BUCKET}")
    if connection.getresponse().status != http.client.OK:
        raise RuntimeError("no bucket was made")
    connection.close()
    worker.start()
    worker.wait_ready()


def _wait_for_opinions(client: httpx.Client, cases: Collection[Case], back_at: float) -> None:
    """Asks for the job of each, as its caller would."""
    waiting = [case for case in cases if case.job]
    while waiting and time.monotonic() < back_at + PATIENCE_S:
        still = []
        for case in waiting:
            state = client.get(f"/v1/jobs/{case.job}").json()["state"]
            if state == "done":
                case.done_after_s = round(time.monotonic() - back_at, 1)
            elif state in {"queued", "running"}:
                still.append(case)
        waiting = still
        time.sleep(0.5)


def _wait_for_webhooks(receiver: Receiver, cases: Collection[Case]) -> None:
    wanted = {case.job for case in cases if case.with_webhook}
    until = time.monotonic() + 60
    while not wanted <= receiver.told.keys() and time.monotonic() < until:
        time.sleep(0.2)


def _outcome(
    cases: list[Case], without: list[Case], receiver: Receiver, books: tuple[Kept, Kept, Kept, CloudKept],
    audit: dict[str, Any], more: dict[str, Any],
) -> Outcome:
    meanwhile, kept, rest, cloud = books
    told = cloud_tally(kept, cloud)
    promised = [case for case in cases if case.status == 201 and case.job]
    waiting = [case for case in promised if meanwhile.states.get(case.job) in {"queued", "running"}]
    seen = [case for case in promised if case.done_after_s is not None and cloud.on.get(case.job) == case.analysis["id"]
            and kept.files.get(case.job) == case.letter.sha256]
    hooked = [case for case in promised if case.with_webhook]
    delivered = [case for case in hooked if _is_opinion(receiver.told.get(case.job), case)]
    twice = sum(len(ids) - 1 for ids in receiver.messages.values())
    slow = {kind: _latency(cases, without, with_webhook=kind != "plain") for kind in ("plain", "key and webhook")}
    last_s = max((case.done_after_s for case in seen if case.done_after_s is not None), default=None)
    longest = max(case.seconds for case in cases[WARM_UP:])
    figures: dict[str, Any] = {
        "tally": msgspec.to_builtins(Tally(len(cases), len(seen), len(cases) - len(seen), max(told.double, twice), 0, last_s)),
        "cloud": msgspec.to_builtins(told), "whys": counted(why for why in cloud.whys.values() if why), "latency": slow,
        "longest_ms": round(longest * 1000), "first_after_s": min((case.done_after_s or 0.0 for case in seen), default=None),
        "last_after_s": last_s, **more,
    }
    ratios = [(one["p50_ratio"], one["p95_ratio"]) for one in slow.values()]
    return Outcome(figures, [
        Verdict(f"all {len(cases)} are answered by the edge, provisional, with a job for the second opinion",
                f"{len(promised)}, {counted(str(case.status) for case in cases)}", len(promised) == len(cases)),
        Verdict(f"none waits for the cloud: {HELD_UP_S:g} s at most", f"{longest:.2f} s", longest <= HELD_UP_S),
        Verdict(f"p50 and p95 at most {MOST_P50:g} and {MOST_P95:g} times those without a cloud tier",
                "; ".join(f"{p50:.2f} and {p95:.2f}" for p50, p95 in ratios),
                all(p50 <= MOST_P50 and p95 <= MOST_P95 for p50, p95 in ratios)),
        Verdict("while it is cut off each second opinion waits", f"{len(waiting)}", len(waiting) == len(cases)),
        Verdict("afterwards each is there by its job", f"{len(seen)}, the last {last_s} s after the return", len(seen) == len(cases)),
        Verdict("and by webhook, where one was asked for", f"{len(delivered)} of {len(hooked)}", len(delivered) == len(hooked) > 0),
        Verdict("no webhook tells of a job twice under two ids", f"{twice}", twice == 0),
        Verdict("REST lists what the database has", f"{len(rest.states)} jobs, {len(rest.files)} analyses",
                (rest.states, rest.files) == (kept.states, kept.files)),
        *cloud_verdicts(told, rest, kept, cloud, audit),
    ])


def _is_opinion(document: dict[str, Any] | None, case: Case) -> bool:
    """Whether a webhook brought the cloud's analysis of that case."""
    analysis = (document or {}).get("analysis") or {}
    provenance = analysis.get("provenance", {})
    return (provenance.get("tier"), provenance.get("opinion_on")) == ("cloud", case.analysis["id"])


def _latency(cases: list[Case], without: list[Case], *, with_webhook: bool) -> dict[str, float]:
    """Milliseconds of the edge's answers, with the cloud cut off and without a cloud tier, and how many times as long."""
    found: dict[str, float] = {}
    for name, some in (("cut", cases), ("without", without)):
        taken = [case.seconds * 1000 for case in some[WARM_UP:] if case.with_webhook is with_webhook]
        p50, p95 = np.percentile(taken, (50, 95))
        found |= {f"{name}_p50_ms": round(float(p50), 1), f"{name}_p95_ms": round(float(p95), 1)}
    for percentile in ("p50", "p95"):
        found[f"{percentile}_ratio"] = round(found[f"cut_{percentile}_ms"] / found[f"without_{percentile}_ms"], 2)
    return found
