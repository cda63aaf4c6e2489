"""Clients of benchmarks/durability.py that send photos over REST and don't give up: each under a key, some more than once."""

import asyncio
import hashlib
import random
import time
from collections.abc import Sequence

import cv2
import httpx

from benchmarks.durability_books import Letter
from tests.gateway_process import SAMPLES

DOMAIN, EXAM = "pathology", "lung_ultrasound"
PATH = f"/v1/domains/{DOMAIN}/analyses?exam={EXAM}"
ASYNC = {"Prefer": "respond-async"}
WIDTH_PX = 320
CLIENTS = 12
PATIENCE_S = 300.0
PAUSE_S = 0.3
"""After a try that failed; a refusal that names a longer one is obeyed up to LONGEST_PAUSE_S."""
LONGEST_PAUSE_S = 2.0
COMMENT_BYTES = 60_000
"""Of one comment in a JPEG, which could hold 65,533."""


def photos(
    count: int, chance: random.Random, *, sizes_bytes: Sequence[int] = (0,), sent_again: float = 0.0, most_copies: int = 3
) -> list[Letter]:
    """One small scan as so many files, no two alike: each has a comment of its own, which also brings it to one of
    `sizes_bytes`, in turn, where it is smaller.

    `sent_again`: the share that a sender sends more than once, `most_copies` times at most.
    """
    scan = cv2.imread(str(SAMPLES / "lung_scan.png"), cv2.IMREAD_GRAYSCALE)
    if scan is None:
        raise ValueError("samples/lung_scan.png is no picture")
    height = scan.shape[0] * WIDTH_PX // scan.shape[1]
    small = cv2.resize(scan, (WIDTH_PX, height), interpolation=cv2.INTER_AREA)
    plain = cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, 70])[1].tobytes()
    letters = []
    for number in range(count):
        wanted_bytes = sizes_bytes[number % len(sizes_bytes)] - len(plain)
        payload = plain[:2] + _comments(f"photo {number} ".encode(), wanted_bytes, chance) + plain[2:]
        copies = chance.randint(2, most_copies) if chance.random() < sent_again else 1
        letters.append(Letter(f"photo-{number}", payload, hashlib.sha256(payload).hexdigest(), copies))
    return letters


def _comments(first: bytes, size_bytes: int, chance: random.Random) -> bytes:
    """Segments COM of a JPEG: ITU-T T.81 B.2.4.5."""
    content = first + chance.randbytes(max(16, size_bytes - len(first)))
    parts = [content[at:at + COMMENT_BYTES] for at in range(0, len(content), COMMENT_BYTES)]
    return b"".join(b"\xff\xfe" + (len(part) + 2).to_bytes(2, "big") + part for part in parts)


class Senders:
    """Some clients that share letters out between them. `urls`: gateways; a client whose gateway doesn't answer asks the next.
    `apart_s`: how long after the first copy of a letter the others follow at the latest.
    """

    def __init__(self, urls: Sequence[str], key: str, chance: random.Random, *, apart_s: float = 0.3) -> None:
        self._urls, self._chance, self._apart_s = urls, chance, apart_s
        self._headers = {"Authorization": f"Bearer {key}"}
        self.accepted_at: dict[str, float] = {}
        """When each letter's first job was told of."""

    def have_more_than(self, count: int) -> bool:
        """Whether more letters than that are accepted by now."""
        return len(self.accepted_at) > count

    async def send(self, letters: Sequence[Letter], *, headers: Sequence[dict[str, str]] = (ASYNC,)) -> None:
        """All of them, as fast as it goes; when it returns, each is accepted or has been tried for PATIENCE_S.

        `headers`: in turn.
        """
        waiting = list(enumerate(letters))[::-1]
        limits = httpx.Limits(max_connections=CLIENTS * 3)
        async with httpx.AsyncClient(timeout=20, limits=limits, headers=self._headers) as client:
            async def work() -> None:
                while waiting:
                    number, letter = waiting.pop()
                    await self._copies(client, letter, headers[number % len(headers)])

            await asyncio.gather(*(work() for _ in range(CLIENTS)))

    async def try_once(
        self, client: httpx.AsyncClient, letter: Letter, url: str, headers: dict[str, str]
    ) -> float | None:
        """None where the letter needs no further try, else the pause before it."""
        try:
            response = await client.post(
                url + (letter.path or PATH), content=letter.payload,
                headers=self._headers | headers | {"Idempotency-Key": letter.key, "Content-Type": "image/jpeg"},
            )
        except httpx.TransportError:
            letter.broken += 1
            return PAUSE_S
        if response.status_code in {201, 202}:
            letter.job_ids.add(response.json()["id"])
            self.accepted_at.setdefault(letter.key, time.monotonic())
            return None
        told = _code(response)
        if response.status_code in {429, 502, 503, 504, 507} and told:
            letter.refusals.append(told)
            return max(PAUSE_S, min(LONGEST_PAUSE_S, float(response.headers.get("retry-after", "0"))))
        letter.strange.append(f"{response.status_code} {told or 'without a problem document'}")
        return PAUSE_S if response.status_code >= 500 else None

    async def _copies(self, client: httpx.AsyncClient, letter: Letter, headers: dict[str, str]) -> None:
        """A client on a bad link sends again what it has no answer to yet."""
        moments = [0.0, *(self._chance.uniform(0, self._apart_s) for _ in range(letter.copies - 1))]
        await asyncio.gather(*(self._insist(client, letter, moment, headers) for moment in moments))

    async def _insist(
        self, client: httpx.AsyncClient, letter: Letter, moment: float, headers: dict[str, str]
    ) -> None:
        await asyncio.sleep(moment)
        until = time.monotonic() + PATIENCE_S
        at = self._chance.randrange(len(self._urls))
        while (pause_s := await self.try_once(client, letter, self._urls[at], headers)) is not None:
            if time.monotonic() > until:
                letter.strange.append(f"not accepted in {PATIENCE_S:g} s")
                return
            at = (at + 1) % len(self._urls)
            await asyncio.sleep(pause_s)


def _code(response: httpx.Response) -> str:
    """The problem's code; empty where there is no problem document."""
    if not response.headers.get("content-type", "").startswith("application/problem+json"):
        return ""
    return str(response.json().get("code", ""))


def wait_until_done(client: httpx.Client, patience_s: float = PATIENCE_S) -> float | None:
    """The moment at which no job is open any more; None where some still are after so long."""
    until = time.monotonic() + patience_s
    while time.monotonic() < until:
        if not any(_has_jobs(client, state) for state in ("queued", "running")):
            return time.monotonic()
        time.sleep(0.2)
    return None


def _has_jobs(client: httpx.Client, state: str) -> bool:
    """Also where the gateway doesn't answer: it can't be told then."""
    try:
        response = client.get("/v1/jobs", params={"state": state, "limit": 1})
    except httpx.TransportError:
        return True
    return response.status_code != 200 or bool(response.json()["jobs"])
