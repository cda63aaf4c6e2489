"""The fault ledger: what callers notice when a device or a node fails under load.

    .venv/bin/python benchmarks/faults.py [--only NAME ...] [--rate 50] [--json FILE] [--table FILE]      (or `make faults`)

For each fault the real gateway is started, asked for `--rate` analyses a second over REST whether it keeps up or not, and
something is broken on command and mended again. A request that was sent counts as accepted unless the gateway refused it at
once (OVERLOADED); it is lost if it got no answer. The Edge TPU is the simulated one: its faults are commanded, its
times are modelled, and what they do to the gateway's processes is real. The faults of a remote node need root: the node runs
in a network namespace of its own.
"""

import argparse
import asyncio
import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path

import httpx

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.gateway_process import HEDGEROW, ROOT, SAMPLES, GatewayProcess

PATH = "/v1/domains/pathology/analyses?exam=lung_ultrasound"
TPU = "simulated:usb3"
CALM_S = 4.0
"""Load before the fault, and after everything is well again."""
PATIENCE_S = 120.0


@dataclass(slots=True)
class Sent:
    """One request. `by`: the backend and node that answered; empty where none did."""

    at: float
    ended: float = 0.0
    status: int = 0
    by: str = ""
    node: str = ""
    reason: str = ""
    error: str = ""
    """The problem's code, or the class of the exception where the connection broke."""


@dataclass(slots=True)
class Row:
    """One line of the ledger. Times are seconds; `backup` is whoever should take over."""

    fault: str
    what: str
    rate: float
    accepted: int = 0
    answered: int = 0
    refused: int = 0
    lost: int = 0
    first_backup_answer_s: float | None = None
    """From the fault to the first answer of the backup."""
    back_in_service_s: float | None = None
    """From the moment the cause was gone to the first answer of what had failed."""
    p50_ms_calm: float = 0.0
    p99_ms_calm: float = 0.0
    p99_ms_fault: float = 0.0
    slowest_ms: float = 0.0
    reasons: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    """What came instead of an answer."""


class Load:
    """So many requests a second, whether the gateway keeps up or not."""

    def __init__(self, gateway: GatewayProcess, rate: float) -> None:
        self._gateway = gateway
        self._rate = rate
        self._payload = (SAMPLES / "lung_scan.png").read_bytes()
        self._pending: set[asyncio.Task[None]] = set()
        self.sent: list[Sent] = []

    async def run(self, until: asyncio.Event) -> None:
        """Sends until told to stop, then waits for every answer."""
        headers = {"Authorization": f"Bearer {self._gateway.key}"}
        limits = httpx.Limits(max_connections=400)
        async with httpx.AsyncClient(base_url=self._gateway.url, headers=headers, timeout=60, limits=limits) as client:
            due = time.monotonic()
            while not until.is_set():
                request = asyncio.create_task(self._one(client))
                self._pending.add(request)
                request.add_done_callback(self._pending.discard)
                due += 1 / self._rate
                await asyncio.sleep(max(0.0, due - time.monotonic()))
            await asyncio.gather(*self._pending)

    async def _one(self, client: httpx.AsyncClient) -> None:
        row = Sent(time.monotonic())
        self.sent.append(row)
        try:
            response = await client.post(PATH, content=self._payload)
        except httpx.HTTPError as error:
            row.ended, row.error = time.monotonic(), type(error).__name__
            return
        row.ended, row.status = time.monotonic(), response.status_code
        if response.status_code == 201:
            made = response.json()["provenance"]
            row.by, row.node, row.reason = made["backend"], made["node"], made["tier_reason"]
        else:
            row.error = str(response.json()["code"])


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that breaks. `failed` tells an answer of what breaks from one of its backup."""

    name: str
    what: str
    set_up: Callable[[ExitStack, Path], GatewayProcess]
    begin: Callable[[Path], Awaitable[None]]
    end: Callable[[Path], Awaitable[None]]
    lasts_s: float
    failed: Callable[[Sent], bool]
    absent_at_start: bool = False


async def ledger_row(fault: Fault, rate: float) -> Row:
    """Breaks one thing under load and mends it."""
    row = Row(fault.name, fault.what, rate)
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        data = Path(folder)
        if fault.absent_at_start:
            await fault.begin(data)
        gateway = fault.set_up(stack, data)
        load, stop = Load(gateway, rate), asyncio.Event()
        running = asyncio.create_task(load.run(stop))
        if not fault.absent_at_start:
            await _until(lambda: any(fault.failed(sent) for sent in load.sent))
            await asyncio.sleep(CALM_S)
        broken_at = time.monotonic()
        if not fault.absent_at_start:
            await fault.begin(data)
        await asyncio.sleep(fault.lasts_s)
        await fault.end(data)
        mended_at = time.monotonic()
        back = await _until(lambda: any(sent.at > mended_at and fault.failed(sent) for sent in load.sent))
        await asyncio.sleep(CALM_S)
        stop.set()
        await running
    _judge(row, load.sent, fault, broken_at, mended_at, back)
    return row


def _judge(row: Row, sent: list[Sent], fault: Fault, broken_at: float, mended_at: float, back: bool) -> None:
    answered = [one for one in sent if one.status == 201]
    row.answered, row.refused = len(answered), sum(one.status == 503 for one in sent)
    row.accepted = len(sent) - row.refused
    row.lost = row.accepted - row.answered
    backup = [one.ended - broken_at for one in answered if one.ended > broken_at and not fault.failed(one)]
    row.first_backup_answer_s = round(min(backup), 2) if backup else None
    if back:
        row.back_in_service_s = round(min(one.ended for one in answered if one.at > mended_at and fault.failed(one)) - mended_at, 2)
    calm = sorted(one.ended - one.at for one in answered if one.at < broken_at - 0.5)
    hurt = sorted(one.ended - one.at for one in answered if broken_at <= one.at < mended_at)
    row.p50_ms_calm, row.p99_ms_calm = _ms(calm, 0.5), _ms(calm, 0.99)
    row.p99_ms_fault, row.slowest_ms = _ms(hurt, 0.99), _ms(hurt, 1.0)
    seen = {one.reason for one in answered if one.ended > broken_at and not fault.failed(one)}
    row.reasons = sorted(seen)[:6]
    row.errors = sorted(one.error for one in sent if one.error)


def _ms(sorted_s: list[float], share: float) -> float:
    return round(sorted_s[min(len(sorted_s) - 1, int(len(sorted_s) * share))] * 1000, 1) if sorted_s else 0.0


async def _until(condition: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        if time.monotonic() > deadline:
            return False
        await asyncio.sleep(0.02)
    return True


# The simulated Edge TPU.


def embedded(stack: ExitStack, data: Path) -> GatewayProcess:
    """A gateway with a CPU and a simulated Edge TPU."""
    return stack.enter_context(GatewayProcess(data, devices=json.dumps(["cpu", TPU])))


async def _simulate(data: Path, *words: str) -> None:
    command = [str(HEDGEROW), "simulate", TPU, *words]
    done = await asyncio.create_subprocess_exec(*command, env={**os.environ, "HEDGEROW_DATA_DIR": str(data)})
    if await done.wait():
        raise RuntimeError(f"{' '.join(command)} failed")


def device_fault(name: str, what: str, *words: str, lasts_s: float = 5.0, absent_at_start: bool = False) -> Fault:
    """One of the simulated device's faults."""
    return Fault(
        name, what, embedded, lambda data: _simulate(data, *words), lambda data: _simulate(data, "none"), lasts_s,
        lambda sent: sent.by == "simulated", absent_at_start,
    )


async def _kill_worker(_: Path) -> None:
    await asyncio.to_thread(_kill_simulated)


def _kill_simulated() -> None:
    for folder in Path("/proc").glob("[0-9]*"):
        if b'"backend":"simulated"' in (folder / "cmdline").read_bytes():
            os.kill(int(folder.name), signal.SIGKILL)


async def _nothing(_: Path) -> None:
    pass


# A remote node in a network namespace of its own.


class RemoteNodeProcess:
    """`hedgerow node serve` behind a virtual cable, which can be pulled."""

    SPACE, CABLE, FAR_CABLE, NEAR, FAR = "hedgerow-faults", "hedgerow-f0", "hedgerow-f1", "10.213.7.1", "10.213.7.2"
    PORT = 8090

    def __init__(self, data: Path) -> None:
        self._data = data
        self.token = data / "token"
        self.token.write_text("a-token-for-the-ledger-only-0123456789")
        self.token.chmod(0o600)
        self.process: subprocess.Popen[bytes] | None = None
        _ip("netns", "add", self.SPACE)
        _ip("link", "add", self.CABLE, "type", "veth", "peer", "name", self.FAR_CABLE, "netns", self.SPACE)
        _ip("addr", "add", f"{self.NEAR}/24", "dev", self.CABLE)
        _ip("link", "set", self.CABLE, "up")
        for words in (("addr", "add", f"{self.FAR}/24", "dev", self.FAR_CABLE), ("link", "set", self.FAR_CABLE, "up"),
                      ("link", "set", "lo", "up")):
            _ip("-n", self.SPACE, *words)

    def start(self) -> None:
        """Starts the node; it may take a second until it answers."""
        log = (self._data / "node.log").open("ab")
        self.process = subprocess.Popen(
            ["ip", "netns", "exec", self.SPACE, str(HEDGEROW), "node", "serve", "--listen", f"{self.FAR}:{self.PORT}",
             "--name", "field", "--device", "cpu", "--data", str(self._data / "node"),
             "--token-file", str(self.token), "--plaintext"],
            stdout=log, stderr=log, cwd=ROOT,
        )

    def signal(self, number: signal.Signals) -> None:
        """Sends the node and its workers a signal."""
        if self.process is None:
            return
        pid = self.process.pid
        workers = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        for one in (pid, *map(int, workers)):
            os.kill(one, number)

    def cable(self, state: str) -> None:
        """`up` or `down`, at the far end: at the near one packets would leave by another way."""
        _ip("-n", self.SPACE, "link", "set", self.FAR_CABLE, state)

    def close(self) -> None:
        """Ends the node and takes the namespace away."""
        if self.process is not None and self.process.poll() is None:
            self.signal(signal.SIGCONT)
            self.process.kill()
            self.process.wait()
        subprocess.run(["ip", "netns", "del", self.SPACE], check=False, capture_output=True)
        subprocess.run(["ip", "link", "del", self.CABLE], check=False, capture_output=True)


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True)


class RemoteFaults:
    """The three things that happen to a node, with the node that they happen to."""

    def __init__(self) -> None:
        self._node: RemoteNodeProcess | None = None
        self._slowing: asyncio.Task[None] | None = None

    def set_up(self, stack: ExitStack, data: Path) -> GatewayProcess:
        """A gateway with an embedded CPU and a remote node, which is busy enough that both are used."""
        self._node = node = RemoteNodeProcess(data)
        stack.callback(node.close)
        node.start()
        nodes = [{"name": "field", "address": f"{node.FAR}:{node.PORT}", "token_file": str(node.token)}]
        return stack.enter_context(GatewayProcess(data / "gateway", devices='["cpu"]', nodes=json.dumps(nodes), workers="1"))

    @property
    def node(self) -> RemoteNodeProcess:
        """The node of the present row."""
        if self._node is None:
            raise RuntimeError("no node was started")
        return self._node

    async def kill(self, _: Path) -> None:
        """As a power cut would."""
        self.node.signal(signal.SIGKILL)

    async def restart(self, _: Path) -> None:
        """Power is back."""
        self.node.start()

    async def pull(self, _: Path) -> None:
        """The cable is out: nothing arrives, and nobody says so."""
        self.node.cable("down")

    async def plug(self, _: Path) -> None:
        """The cable is in."""
        self.node.cable("up")

    async def slow(self, _: Path) -> None:
        """The node gets a tenth of its time."""
        async def stutter() -> None:
            while True:
                self.node.signal(signal.SIGSTOP)
                await asyncio.sleep(0.09)
                self.node.signal(signal.SIGCONT)
                await asyncio.sleep(0.01)

        self._slowing = asyncio.create_task(stutter())

    async def normal(self, _: Path) -> None:
        """The node gets all of its time."""
        if self._slowing is not None:
            self._slowing.cancel()
            await asyncio.gather(self._slowing, return_exceptions=True)
        self.node.signal(signal.SIGCONT)


def faults() -> list[Fault]:
    """Every row of the ledger."""
    remote = RemoteFaults()

    def on_node(name: str, what: str, begin: Callable[[Path], Awaitable[None]], end: Callable[[Path], Awaitable[None]],
                lasts_s: float) -> Fault:
        return Fault(name, what, remote.set_up, begin, end, lasts_s, lambda sent: sent.node == "field")

    return [
        device_fault("absent", "the TPU is not there at the start, and is plugged in after 5 s", "absent", absent_at_start=True),
        device_fault("unplugged", "the TPU is unplugged for 5 s", "unplugged"),
        device_fault("hung", "an invocation never comes back; the device hangs for 5 s", "hung"),
        device_fault("slow", "the TPU takes 20 times as long for 5 s", "slow", "--factor", "20"),
        device_fault("wrong", "the TPU computes wrongly for 5 s", "wrong"),
        device_fault("crash", "the native library crashes at every invocation for 5 s", "crash"),
        Fault("killed", "the TPU's process is killed with -9", embedded, _kill_worker, _nothing, 5.0,
              lambda sent: sent.by == "simulated"),
        on_node("node_killed", "a remote node is killed with -9 and started again after 5 s", remote.kill, remote.restart, 5.0),
        on_node("node_cut", "a remote node's network cable is out for 30 s", remote.pull, remote.plug, 30.0),
        on_node("node_slow", "a remote node gets a tenth of its time for 10 s", remote.slow, remote.normal, 10.0),
    ]


def table(rows: list[Row]) -> str:
    """The ledger as Markdown."""
    heads = ("fault", "accepted", "answered", "lost", "refused", "first answer of the backup, s", "back after the cause was gone, s",
             "p50 / p99 before, ms", "p99 / slowest during, ms")
    lines = [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    lines += [
        f"| {row.what} | {row.accepted} | {row.answered} | {row.lost} | {row.refused} | {row.first_backup_answer_s} | "
        f"{row.back_in_service_s} | {row.p50_ms_calm:.0f} / {row.p99_ms_calm:.0f} | {row.p99_ms_fault:.0f} / {row.slowest_ms:.0f} |"
        for row in rows
    ]
    return "\n".join(lines)


def main() -> None:
    """Runs the faults asked for and prints the ledger; ends with 1 where anything was lost."""
    everything = faults()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="*", choices=[fault.name for fault in everything])
    parser.add_argument("--rate", type=float, default=50.0)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--table", type=Path)
    wanted = parser.parse_args()
    may_make_networks = os.geteuid() == 0 and shutil.which("ip") is not None
    rows = []
    for fault in everything:
        if wanted.only and fault.name not in wanted.only:
            continue
        if fault.name.startswith("node_") and not may_make_networks:
            print(f"{fault.name}: skipped, since it needs root and `ip`", file=sys.stderr)
            continue
        row = asyncio.run(ledger_row(fault, wanted.rate))
        rows.append(row)
        print(json.dumps(asdict(row)), flush=True)
    print(table(rows))
    if wanted.json:
        wanted.json.write_text(json.dumps([asdict(row) for row in rows], indent=2))
    if wanted.table:
        wanted.table.write_text(table(rows) + "\n")
    medians = [row.first_backup_answer_s for row in rows if row.first_backup_answer_s is not None]
    if medians:
        print(f"first answer of the backup: median {statistics.median(medians)} s, longest {max(medians)} s")
    sys.exit(any(row.lost for row in rows))


if __name__ == "__main__":
    main()
