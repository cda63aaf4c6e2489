"""Scenarios of benchmarks/durability.py: gateways that are killed while photos come in, and photos that come twice."""

import asyncio
import time
from collections.abc import Callable, Collection
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import msgspec

from benchmarks.durability_books import Kept, Letter, counted, in_database, over_rest, tally, verdicts
from benchmarks.durability_gateway import START_S, Bench, Gateway, postgres
from benchmarks.durability_senders import ASYNC, Senders, photos, wait_until_done
from benchmarks.stream_runs import Outcome, Verdict

SENT_AGAIN = 0.25
WHILE_STARTING_EVERY = 3
"""One kill in so many comes while the gateway starts; the others come while photos come in."""
LONGEST_BURST_S = 20.0
POLL_S = 0.005
SYNCHRONOUS: dict[str, str] = {}


class Kill(msgspec.Struct):
    """One of them. `after_s`: since the gateway's start; `accepted`: photos until then."""

    at: float
    after_s: float
    was_ready: bool
    accepted: int


def killed_sqlite(bench: Bench) -> Outcome:
    """One gateway on SQLite."""
    return _killed(bench)


def killed_postgres(bench: Bench) -> Outcome:
    """One gateway on PostgreSQL."""
    with postgres() as url:
        return _killed(bench, url)


def two_gateways(bench: Bench) -> Outcome:
    """Two on one PostgreSQL and one folder of payloads. One is killed again and again, and the last time it stays dead."""
    with postgres() as url:
        return _killed(bench, url, with_second=True)


def sent_twice(bench: Bench) -> Outcome:
    """Photos that come twice at the same moment: half of them with `Prefer: respond-async`, half wait for their answer."""
    letters = photos(bench.of(100, 20), bench.chance, sent_again=1.0, most_copies=2)
    with TemporaryDirectory(dir=bench.folder) as folder:
        with Gateway(Path(folder)) as gateway, gateway.rest() as client:
            senders = Senders([gateway.url], gateway.key, bench.chance, apart_s=0.0)
            began = time.monotonic()
            asyncio.run(senders.send(letters, headers=(ASYNC, SYNCHRONOUS)))
            done_at = wait_until_done(client)
            rest = over_rest(client)
        errors = gateway.errors()
        kept = in_database(gateway.database_url)
    seconds = None if done_at is None else round(done_at - began, 1)
    return outcome_of(letters, rest, kept, None, {"seconds": seconds, "errors": errors})


def _killed(bench: Bench, database_url: str = "", *, with_second: bool = False) -> Outcome:
    letters = photos(bench.of(1000, 100), bench.chance, sent_again=SENT_AGAIN)
    with TemporaryDirectory(dir=bench.folder) as folder:
        with ExitStack() as stack:
            victim = stack.enter_context(Gateway(Path(folder) / "victim", database_url=database_url))
            gateways = [victim]
            if with_second:
                second = Gateway(Path(folder) / "second", data=victim.data, key=victim.key, database_url=database_url)
                gateways.append(stack.enter_context(second))
            senders = Senders([gateway.url for gateway in gateways], victim.key, bench.chance)
            kills = asyncio.run(_under_fire(bench, senders, letters, victim, for_good=with_second))
            survivor = gateways[-1]
            survivor.wait_ready()
            with survivor.rest() as client:
                done_at = wait_until_done(client)
                rest = over_rest(client)
        kept = in_database(survivor.database_url)
        errors = sorted({line for gateway in gateways for line in gateway.errors()})
    from_when = kills[-1].at if with_second else victim.started_at
    recovery_s = None if done_at is None else done_at - from_when
    outcome = outcome_of(letters, rest, kept, recovery_s, {
        "start_s": round(victim.first_start_s, 1),
        "kills": [{"after_s": kill.after_s, "was_ready": kill.was_ready, "accepted": kill.accepted} for kill in kills],
        "last_accepted_after_s": round(max(senders.accepted_at.values(), default=from_when) - from_when, 1),
        "errors": errors,
    })
    again = outcome.figures["tried_more_than_once"]
    outcome.verdicts += [
        Verdict("all is done within minutes of the last start", f"{_seconds(recovery_s)}", recovery_s is not None),
        Verdict("kills hit jobs at work, which are taken up again", f"{again}", again > 0),
    ]
    return outcome


async def _under_fire(
    bench: Bench, senders: Senders, letters: list[Letter], victim: Gateway, *, for_good: bool
) -> list[Kill]:
    """The photos come in, in as many bursts as there are kills. `for_good`: after the last kill it isn't started again."""
    count, kills = bench.of(10, 4), list[Kill]()
    sending = []
    for number in range(count):
        stays_dead = for_good and number + 1 == count
        if number % WHILE_STARTING_EVERY == 1 and not stays_dead:
            await asyncio.sleep(bench.chance.uniform(0.05, 0.95) * victim.first_start_s)
            sending.append(asyncio.create_task(senders.send(letters[number::count])))
        else:
            await _until(lambda: victim.is_ready, START_S)
            burst = letters[number::count]
            enough = len(senders.accepted_at) + int(bench.chance.random() * len(burst))
            sending.append(asyncio.create_task(senders.send(burst)))
            await _until(partial(senders.have_more_than, enough), LONGEST_BURST_S)
        now = time.monotonic()
        kills.append(Kill(now, round(now - victim.started_at, 2), victim.is_ready, len(senders.accepted_at)))
        victim.kill()
        if not stays_dead:
            victim.start()
    await asyncio.gather(*sending)
    return kills


async def _until(condition: Callable[[], bool], patience_s: float) -> None:
    until = time.monotonic() + patience_s
    while time.monotonic() < until:
        if condition():
            return
        await asyncio.sleep(POLL_S)


def outcome_of(
    letters: Collection[Letter], rest: Kept, kept: Kept, recovery_s: float | None, more: dict[str, Any]
) -> Outcome:
    """Of photos that were sent over REST."""
    told = tally(letters, kept, None if recovery_s is None else round(recovery_s, 1))
    return Outcome({
        "tally": msgspec.to_builtins(told), "files": len(letters), "copies": sum(letter.copies for letter in letters),
        "connections_broken": sum(letter.broken for letter in letters),
        "refusals": counted(code for letter in letters for code in letter.refusals),
        "strange": counted(answer for letter in letters for answer in letter.strange),
        "states": counted(kept.states.values()), "failures": counted(kept.failures),
        "tried_more_than_once": sum(attempts > 1 for attempts in kept.attempts.values()), **more,
    }, verdicts(letters, told, rest, kept))


def _seconds(value: float | None) -> str:
    return "never" if value is None else f"{value:.1f} s"
