"""What callers who give up cost a device that is full, and what is saved where the gateway can tell that they are gone.

    .venv/bin/python benchmarks/cancellation.py [--rounds 3] [--seconds 60] [--callers 24] [--quick]

In each arm so many callers send field photos to a gateway of its own, wait for each as long as PATIENCE photos take, and send
the next. What they do when they give up is the arm:

    kept        the gateway can't tell: no deadline, and the connection stays open (a proxy that reads on, a client that queues)
    hung up     they close the connection
    header      they name their patience as the deadline: Request-Timeout
    grpc        the same as a gRPC deadline

The arms are interleaved, in another order each round. Device time is what the answers' own timings say (all stages but the
queue) and, for what was stopped, what the node counts (`abandoned.device_s`). It is wasted where nobody took the answer.
Writes var/cancellation.json; a run that isn't quick also writes the figures in docs/cancellation.md.
"""

import argparse
import asyncio
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import grpc
import httpx

sys.path.insert(0, str(Path(__file__).parents[1]))

from edge_runtime.toolchain.report.machine import machine
from protos.hedgerow.v1 import analysis_pb2 as pb
from protos.hedgerow.v1 import analysis_pb2_grpc
from tests.gateway_process import SAMPLES, GatewayProcess

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "cancellation.md"
BEGIN, END = "<!-- figures: written by benchmarks/cancellation.py -->", "<!-- end of the figures -->"
PHOTO = (SAMPLES / "field.jpg").read_bytes()
DOMAIN, RESOLUTION_MM = "crop_weed", 0.6
"""The photo at twice its size: some fifty tiles."""
PATH = f"/v1/domains/{DOMAIN}/analyses?ground_resolution_mm={RESOLUTION_MM}"
ARMS = ("kept", "hung up", "header", "grpc")
PATIENCE = 6.0
"""For how many photos' time a caller waits, each alone on the device."""
LEAST_TURNS = 4
"""An arm lasts as long as so many times the patience, at least."""
CALIBRATION = 5
BUSY_STAGES = ("decode", "preprocess", "infer", "postprocess")


@dataclass
class Account:
    """One arm in one round. Times are seconds, those of devices summed over the photos."""

    arm: str
    patience_s: float
    seconds: float
    sent: int = 0
    answered: int = 0
    """In time."""
    gave_up: int = 0
    refused: int = 0
    """Told at once that it would take too long, or that the queue is full."""
    became_jobs: int = 0
    """Only where the gateway can't tell: what it can't answer in its usual time it goes on with. That isn't counted as wasted."""
    useful_s: float = 0.0
    wasted_s: float = 0.0
    abandoned_waiting: int = 0
    abandoned_running: int = 0
    errors: list[str] = field(default_factory=list)

    @property
    def wasted_share(self) -> float:
        """Of the device time that was spent."""
        spent_s = self.useful_s + self.wasted_s
        return self.wasted_s / spent_s if spent_s else 0.0


class Callers:
    """The callers of one arm. Use from one event loop."""

    def __init__(self, gateway: GatewayProcess, account: Account) -> None:
        self._gateway = gateway
        self._account = account
        self._late: set[asyncio.Task[None]] = set()
        self._client = httpx.AsyncClient(
            base_url=gateway.url, headers={"Authorization": f"Bearer {gateway.key}"}, timeout=None, trust_env=False,
            limits=httpx.Limits(max_connections=None),
        )
        self._channel = grpc.aio.insecure_channel(gateway.grpc_address)
        self._stub: Any = analysis_pb2_grpc.AnalysisServiceStub(self._channel)  # type: ignore[no-untyped-call] # generated code

    async def run(self, count: int) -> None:
        """Has so many callers at work until the time is over; then nobody waits any more."""
        self._until = time.monotonic() + self._account.seconds
        await asyncio.gather(*(self._caller() for _ in range(count)))
        for task in self._late:
            task.cancel()
        await asyncio.gather(*self._late, return_exceptions=True)
        await self._client.aclose()
        await self._channel.close()

    async def _caller(self) -> None:
        while time.monotonic() < self._until:
            began = time.monotonic()
            self._account.sent += 1
            await (self._over_grpc() if self._account.arm == "grpc" else self._over_rest(began))

    async def _over_rest(self, began: float) -> None:
        patience_s = self._account.patience_s
        headers = {"Request-Timeout": f"{patience_s:.3f}"} if self._account.arm == "header" else {}
        call = asyncio.create_task(self._post(began, headers))
        await asyncio.wait([call], timeout=patience_s + (1.0 if headers else 0.0))
        if call.done():
            call.result()
            return
        self._account.gave_up += 1
        if self._account.arm == "kept":
            self._late.add(call)
            call.add_done_callback(self._late.discard)
        else:
            call.cancel()
            await asyncio.gather(call, return_exceptions=True)

    async def _post(self, began: float, headers: dict[str, str]) -> None:
        response = await self._client.post(PATH, content=PHOTO, headers=headers)
        if response.status_code == httpx.codes.CREATED:
            took_s = sum(response.json()["provenance"]["timings_ms"][stage] for stage in BUSY_STAGES) / 1000
            self._answered(took_s, in_time=time.monotonic() - began <= self._account.patience_s + (1.0 if headers else 0.0))
        elif response.status_code == httpx.codes.GATEWAY_TIMEOUT:
            self._account.gave_up += 1
        elif response.status_code == httpx.codes.SERVICE_UNAVAILABLE:
            await self._refused(float(response.headers.get("retry-after", 1)))
        elif response.status_code == httpx.codes.ACCEPTED:
            self._account.became_jobs += 1
        else:
            self._account.errors.append(f"HTTP {response.status_code}")

    async def _over_grpc(self) -> None:
        request = pb.AnalyzeRequest(domain=DOMAIN, content=PHOTO)
        request.parameters.update({"ground_resolution_mm": RESOLUTION_MM})
        try:
            answer = await self._stub.Analyze(
                request, metadata=self._gateway.metadata(), timeout=self._account.patience_s
            )
        except grpc.aio.AioRpcError as error:
            if error.code() is grpc.StatusCode.DEADLINE_EXCEEDED:
                self._account.gave_up += 1
            elif error.code() in {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.RESOURCE_EXHAUSTED}:
                await self._refused(1.0)
            else:
                self._account.errors.append(error.code().name)
            return
        timings = answer.analysis.provenance.timings
        self._answered(sum(getattr(timings, f"{stage}_ms") for stage in BUSY_STAGES) / 1000, in_time=True)

    def _answered(self, took_s: float, *, in_time: bool) -> None:
        if in_time:
            self._account.answered += 1
            self._account.useful_s += took_s
        else:
            self._account.wasted_s += took_s

    async def _refused(self, pause_s: float) -> None:
        self._account.refused += 1
        await asyncio.sleep(min(pause_s, self._account.patience_s, max(0.0, self._until - time.monotonic())))


def photo_s(gateway: GatewayProcess) -> float:
    """Seconds of one photo alone, the median of a few."""
    with gateway.rest() as client:
        times = []
        for _ in range(CALIBRATION):
            began = time.monotonic()
            client.post(PATH, content=PHOTO).raise_for_status()
            times.append(time.monotonic() - began)
    return statistics.median(times)


def abandoned(gateway: GatewayProcess) -> dict[str, Any]:
    """What the node has counted so far."""
    with gateway.rest() as client:
        found: dict[str, Any] = client.get("/v1/nodes").json()["nodes"][0]["abandoned"]
    return found


def run_arm(arm: str, patience_s: float, seconds: float, callers: int) -> Account:
    """One arm, on a gateway of its own."""
    account = Account(arm, patience_s, seconds)
    with tempfile.TemporaryDirectory() as folder, GatewayProcess(
        Path(folder), devices='["cpu"]', keep_images_hours="0"
    ) as gateway:
        async def run() -> None:
            await Callers(gateway, account).run(callers)

        photo_s(gateway)
        before = abandoned(gateway)
        asyncio.run(run())
        time.sleep(min(2.0, patience_s))
        after = abandoned(gateway)
    if arm != "kept":  # there they hang up only when the run is over
        account.wasted_s += after["device_s"] - before["device_s"]
        account.abandoned_waiting = after["waiting"] - before["waiting"]
        account.abandoned_running = after["running"] - before["running"]
    return account


def summary(accounts: Sequence[Account]) -> list[dict[str, Any]]:
    """The arms, each over all rounds; answers in time as a ratio to those of `kept`."""
    rows: list[dict[str, Any]] = []
    for arm in ARMS:
        own = [account for account in accounts if account.arm == arm]
        spent_s = sum(account.useful_s + account.wasted_s for account in own)
        rows.append({
            "arm": arm, "sent": sum(account.sent for account in own), "answered": sum(account.answered for account in own),
            "refused": sum(account.refused for account in own), "gave_up": sum(account.gave_up for account in own),
            "wasted_share": sum(account.wasted_s for account in own) / spent_s if spent_s else 0.0,
            "least": min(account.wasted_share for account in own), "most": max(account.wasted_share for account in own),
        })
    kept = next(row["answered"] for row in rows if row["arm"] == "kept")
    return [row | {"ratio": row["answered"] / kept if kept else float("nan")} for row in rows]


def table(rows: Sequence[dict[str, Any]]) -> str:
    """As Markdown."""
    lines = [
        "| when they give up | sent | answered in time | against `kept` | refused at once | gave up | device time wasted (rounds) |",
        "|---|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {row['arm']} | {row['sent']} | {row['answered']} | {row['ratio']:.2f} | {row['refused']} | {row['gave_up']} "
        f"| {row['wasted_share']:.1%} ({row['least']:.1%} to {row['most']:.1%}) |"
        for row in rows
    ]
    return "\n".join(lines)


def write_page(text: str) -> None:
    """Puts the figures into the page."""
    page = PAGE.read_text(encoding="utf-8")
    before, _, rest = page.partition(BEGIN)
    after = rest.partition(END)[2]
    PAGE.write_text(f"{before}{BEGIN}\n\n{text}\n\n{END}{after}", encoding="utf-8")


def main() -> None:
    """Runs the arms and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--callers", type=int, default=24)
    parser.add_argument("--quick", action="store_true", help="one short round: whether it works, not what it measures")
    wanted = parser.parse_args()
    rounds, seconds = (1, 5.0) if wanted.quick else (wanted.rounds, wanted.seconds)
    with tempfile.TemporaryDirectory() as folder, GatewayProcess(Path(folder), devices='["cpu"]') as gateway:
        alone_s = photo_s(gateway)
    patience_s = PATIENCE * alone_s
    seconds = max(seconds, LEAST_TURNS * patience_s)
    accounts = []
    for number in range(rounds):
        turn = number % len(ARMS)
        for arm in (*ARMS[turn:], *ARMS[:turn]):
            accounts.append(run_arm(arm, patience_s, seconds, wanted.callers))
            print(f"round {number + 1}, {arm}: {accounts[-1].wasted_share:.1%} wasted", file=sys.stderr)
    rows = summary(accounts)
    here, kernel = machine(), subprocess.run(["/usr/bin/uname", "-r"], capture_output=True, text=True, check=True).stdout.strip()
    told = (
        f"Measured on {datetime.now(UTC):%Y-%m-%d}: {here.cores} cores of {here.cpu}, Linux {kernel}; {rounds} rounds of "
        f"{seconds:g} s, {wanted.callers} callers, one photo alone {alone_s:.2f} s, patience {patience_s:.2f} s.\n\n"
        f"{table(rows)}"
    )
    print(told)
    out = ROOT / "var" / "cancellation.json"
    out.parent.mkdir(exist_ok=True)
    out.write_text(json.dumps({"rows": rows, "accounts": [asdict(account) for account in accounts]}, indent=2))
    if not wanted.quick:
        write_page(told)
    errors = sorted({error for account in accounts for error in account.errors})
    if errors:
        raise SystemExit(f"unforeseen answers: {', '.join(errors)}")


if __name__ == "__main__":
    main()
