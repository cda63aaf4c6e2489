"""A bad link: a network namespace behind a virtual cable that is narrow, loses packets, and can be pulled. Needs root."""

import os
import shutil
import subprocess
from types import TracebackType
from typing import Self

SPACE, NEAR_END, FAR_END = "hedgerow-streams", "hedgerow-s0", "hedgerow-s1"
NEAR, FAR = "10.213.11.1", "10.213.11.2"
QUEUE_MS = 200
"""How long a packet may wait for the line before it is thrown away; twice that is what cheap routers have."""


class NoLinkError(Exception):
    """Such a link can't be made here; the message says why."""


class BadLink:
    """`rate`: as tc says it, both ways. `loss`: share of packets, both ways."""

    def __init__(self, rate: str = "2mbit", loss: float = 0.05) -> None:
        self._rate, self._loss = rate, loss

    def __enter__(self) -> Self:
        missing = [name for name in ("ip", "tc", "iptables") if shutil.which(name) is None]
        if os.geteuid() != 0 or missing:
            raise NoLinkError(f"needs root, and {', '.join(missing) or 'nothing else'} is missing (Debian: iproute2, iptables)")
        self._remove()
        try:
            self._make()
        except subprocess.CalledProcessError as error:
            self._remove()
            raise NoLinkError(f"{' '.join(error.cmd)}: {error.stderr.decode().strip()}") from error
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._remove()

    @property
    def inside(self) -> list[str]:
        """Words that put a command at the far end."""
        return ["ip", "netns", "exec", SPACE]

    def pull(self) -> None:
        """Nothing arrives any more, and nobody is told."""
        _run("ip", "-n", SPACE, "link", "set", FAR_END, "down")

    def plug(self) -> None:
        """It is in again."""
        _run("ip", "-n", SPACE, "link", "set", FAR_END, "up")

    def _make(self) -> None:
        _run("ip", "netns", "add", SPACE)
        _run("ip", "link", "add", NEAR_END, "type", "veth", "peer", "name", FAR_END, "netns", SPACE)
        ends = ((), NEAR, NEAR_END), (("-n", SPACE), FAR, FAR_END)
        for space, address, end in ends:
            # One packet of the wire a packet: else the kernel sends, shapes and loses bundles of 64 kB.
            _run("ip", *space, "link", "set", end, "gso_max_segs", "1")
            _run("ip", *space, "addr", "add", f"{address}/24", "dev", end)
            _run("ip", *space, "link", "set", end, "up")
            shaped = ("qdisc", "add", "dev", end, "root", "tbf", "rate", self._rate, "burst", "4kb", "latency", f"{QUEUE_MS}ms")
            _run("tc", *space, *shaped)
        _run("ip", "-n", SPACE, "link", "set", "lo", "up")
        _run(*self._losing("-I", NEAR_END))
        _run(*self.inside, *self._losing("-I", FAR_END))

    def _losing(self, action: str, end: str) -> list[str]:
        """Packets are lost where they arrive, so that the sending kernel doesn't know."""
        chance = ("-m", "statistic", "--mode", "random", "--probability", str(self._loss))
        return ["iptables", "-w", action, "INPUT", "-i", end, *chance, "-j", "DROP"]

    def _remove(self) -> None:
        for words in (["ip", "netns", "del", SPACE], ["ip", "link", "del", NEAR_END], self._losing("-D", NEAR_END)):
            subprocess.run(words, check=False, capture_output=True)


def _run(*words: str) -> None:
    subprocess.run(words, check=True, capture_output=True)
