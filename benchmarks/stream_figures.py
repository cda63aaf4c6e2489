"""From what clients wrote down to figures: ages, drops, fairness, and whether every frame is accounted for."""

import math
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
import numpy as np

from benchmarks.stream_records import Record

CURVE_POINTS = 101


class Account(msgspec.Struct):
    """Every frame of one stream, by what became of it.

    `delivered`: sent and not lost with a connection. `answered_twice`: answers to a frame that already had one.
    `unaccounted`: delivered frames without an answer that no notice of a drop tells of, or drops too many. `counts_agree`: whether the
    gateway's own counts (`ended`) are those of the receiver.
    """

    sent: int
    delivered: int
    answered: int
    dropped: int
    skipped_by_sender: int
    lost_with_connections: int
    answered_twice: int
    unaccounted: int
    counts_agree: bool

    @property
    def right(self) -> bool:
        """Nothing is counted twice, nothing is missing."""
        return self.counts_agree and not self.answered_twice and not self.unaccounted


def account(record: Record) -> Account:
    """What became of a stream's frames."""
    answered = [answer.number for answer in record.answers]
    once = set(answered)
    delivered = set(record.sent) - set(record.undelivered)
    dropped = sum(drop.count for drop in record.drops)
    missing = sorted(delivered - once)
    untold = sum(not any(drop.first <= number <= drop.last for drop in record.drops) for number in missing)
    agree = record.ended is not None and (record.ended.received, record.ended.analysed, record.ended.dropped) == (
        len(delivered), len(once), dropped)
    return Account(
        sent=len(record.sent), delivered=len(delivered), answered=len(once), dropped=dropped,
        skipped_by_sender=record.skipped, lost_with_connections=len(record.undelivered),
        answered_twice=len(answered) - len(once), unaccounted=max(untold, abs(len(missing) - dropped)),
        counts_agree=agree,
    )


def ages_s(records: Iterable[Record]) -> list[float]:
    """Of every answer: from the moment the frame was there to the moment its answer was here."""
    return [answer.at - record.sent[answer.number] for record in records for answer in record.answers]


def services_s(records: Iterable[Record]) -> list[float]:
    """Of every answer: decoding to post-processing, without waiting."""
    return [answer.service_s for record in records for answer in record.answers]


def least_infer_s(records: Iterable[Record]) -> float:
    """The model's time on a slow device, but for the wait for the known answer that the device is asked for once a second:
    the 5th percentile.
    """
    return quantile([answer.infer_s for record in records for answer in record.answers], 0.05)


def undisturbed_s(records: Sequence[Record]) -> float:
    """The service time of a frame while a slow device does nothing else."""
    rest = [answer.service_s - answer.infer_s for record in records for answer in record.answers]
    return least_infer_s(records) + quantile(rest, 0.5)


def quantile(values: Sequence[float], share: float) -> float:
    """NaN where there are none."""
    return float(np.quantile(values, share)) if len(values) else math.nan


def quantiles_ms(values_s: Sequence[float]) -> dict[str, float]:
    """p50, p95, p99 and the largest, in milliseconds."""
    shares = {"p50": 0.5, "p95": 0.95, "p99": 0.99, "max": 1.0}
    return {name: round(quantile(values_s, share) * 1000, 1) for name, share in shares.items()}


def curve_ms(values_s: Sequence[float]) -> list[float]:
    """The values at 0, 1, ... 100 %, in milliseconds: a distribution to draw."""
    return [round(quantile(values_s, share) * 1000, 1) for share in np.linspace(0, 1, CURVE_POINTS)] if values_s else []


def fairness(shares: Sequence[float]) -> float:
    """Jain's index: 1 where all get the same, 1 / n where one gets everything (DEC-TR-301, 1984)."""
    squares = sum(share * share for share in shares)
    return sum(shares) ** 2 / (len(shares) * squares) if squares else 0.0


def slope_per_minute(at_s: Sequence[float], values: Sequence[float]) -> float:
    """By least squares over the second half of the time; NaN where that holds fewer than three points."""
    middle = (at_s[0] + at_s[-1]) / 2
    later = [(at, value) for at, value in zip(at_s, values, strict=True) if at >= middle]
    if len(later) < 3:
        return math.nan
    return float(np.polyfit([at / 60 for at, _ in later], [value for _, value in later], 1)[0])


def figures(records: Sequence[Record], seconds: float) -> dict[str, Any]:
    """All that is told of some streams that ran together, as JSON."""
    ages, services, accounts = ages_s(records), services_s(records), [account(record) for record in records]
    rates = [round(one.answered / seconds, 2) for one in accounts]
    waits = [answer.at - record.sent[answer.number] - answer.gateway_age_s for record in records for answer in record.answers]
    return {
        "streams": len(records),
        "answered_fps": rates,
        "answered_fps_total": round(sum(rates), 2),
        "fairness": round(fairness(rates), 4),
        "age_ms": quantiles_ms(ages),
        "shown_age_ms": quantiles_ms([age for record in records for _, age in record.shown]),
        "service_ms": quantiles_ms(services),
        "queue_ms": quantiles_ms([answer.queue_s for record in records for answer in record.answers]),
        "outside_the_gateway_ms": quantiles_ms(waits),
        "dropped": sum(one.dropped for one in accounts),
        "accounts": [msgspec.to_builtins(one) for one in accounts],
        "accounts_right": all(one.right for one in accounts),
        "ended": sorted({record.ended.reason if record.ended else "no end" for record in records}),
        "errors": sorted({record.error for record in records if record.error}),
        "devices": sorted({device for record in records for device in record.devices}),
        "age_curve_ms": curve_ms(ages),
        "shown_curve_ms": curve_ms([age for record in records for _, age in record.shown]),
    }
