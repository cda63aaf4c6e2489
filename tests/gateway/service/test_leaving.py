"""Who may let a picture leave, and a log of what left that shows whatever was done to it."""

import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.service.leaving.audit import FIRST_PREV_HASH, AuditEntry, Departure, entry_hash, next_entry, verify
from gateway.service.leaving.consent import Leave, Refusal, TenantLeave, leave_for, tenant_key

ROOT = Path(__file__).parents[3]
NOON = datetime(2026, 5, 4, 12, 0, 0, 123456, tzinfo=UTC)


def departure(number: int = 0) -> Departure:
    """Something that leaves."""
    return Departure(
        at=NOON + timedelta(seconds=number), tenant="clinic", analysis_id=f"analysis-{number}", sha256="a" * 64, size_bytes=1000 + number,
        format="dicom", why="unsure", where_to="s3://bucket", form=("dicom-basic-profile", "no-text-found"),
    )


def log_of(count: int) -> list[AuditEntry]:
    """A log with so many entries."""
    entries: list[AuditEntry] = []
    for number in range(count):
        entries.append(next_entry(departure(number), entries[-1] if entries else None))
    return entries


@pytest.mark.parametrize("request_consents", [True, False, None])
@pytest.mark.parametrize("to_cloud", [True, False])
def test_a_picture_leaves_only_where_tenant_and_request_both_consent(to_cloud: bool, request_consents: bool | None) -> None:
    leave = leave_for(TenantLeave(to_cloud=to_cloud), request_consents=request_consents)
    assert leave.is_given == (to_cloud and request_consents is True)
    assert leave.refusal == (None if leave.is_given else Refusal.REQUEST if to_cloud else Refusal.TENANT)


def test_nobody_consents_by_saying_nothing() -> None:
    assert leave_for(TenantLeave(), request_consents=True) == Leave(Refusal.TENANT)
    assert leave_for(TenantLeave(to_cloud=True), request_consents=None) == Leave(Refusal.REQUEST)


@pytest.mark.parametrize("keep_gps", [True, False])
def test_place_is_kept_only_where_the_tenant_wants_it(keep_gps: bool) -> None:
    assert leave_for(TenantLeave(to_cloud=True, keep_gps=keep_gps), request_consents=True) == Leave(None, keep_gps=keep_gps)


def test_each_tenant_has_a_key_of_its_own_that_stays() -> None:
    secret = b"s" * 32
    assert tenant_key(secret, "clinic") == tenant_key(secret, "clinic")
    assert len({tenant_key(secret, "clinic"), tenant_key(secret, "farm"), tenant_key(b"t" * 32, "clinic"), secret}) == 4
    with pytest.raises(ValueError, match="at least 32 bytes"):
        tenant_key(b"short", "clinic")


def test_a_log_is_whole_as_it_was_written() -> None:
    assert verify([]).is_whole
    assert verify([]).last_hash == FIRST_PREV_HASH
    entries = log_of(5)
    found = verify(entries)
    assert (found.is_whole, found.entries, found.last_hash) == (True, 5, entries[-1].hash)
    assert [entry.prev_hash for entry in entries] == [FIRST_PREV_HASH, *(entry.hash for entry in entries[:-1])]


def test_the_hash_is_one_that_anybody_can_compute() -> None:
    """An entry's form must never change: logs that were written would break."""
    assert log_of(1)[0].hash == "9fbbf132389885d106feacc8bb984d5b98df8f59bfaf0990cb42dbded711066e"


@pytest.mark.parametrize("name", [name for name in AuditEntry.__dataclass_fields__ if name != "hash"])
@pytest.mark.parametrize("at", [0, 2, 4])
def test_a_change_of_any_field_shows_at_its_entry(name: str, at: int) -> None:
    entries = log_of(5)
    value = getattr(entries[at], name)
    changed: Any = {name: value + 1 if isinstance(value, int) else f"{value[:-1]}~"}
    entries[at] = replace(entries[at], **changed)
    found = verify(entries)
    assert not found.is_whole
    assert found.broken == entries[at].seq
    assert found.entries == at


def test_a_change_whose_hash_was_made_anew_shows_at_the_entry_after() -> None:
    entries = log_of(5)
    changed = replace(entries[1], why="audit", hash="")
    entries[1] = replace(changed, hash=entry_hash(changed))
    assert (verify(entries).broken, verify(entries).cause) == (3, "it isn't chained to the entry before it")


def test_an_entry_taken_out_shows_at_the_entry_after() -> None:
    entries = log_of(5)
    del entries[1]
    assert (verify(entries).broken, verify(entries).cause) == (3, "entry 2 is missing before it")
    assert verify(log_of(3)[1:]).broken == 2


def test_entries_cut_off_the_end_show_against_an_anchor_alone() -> None:
    entries = log_of(5)
    anchor = entries[3].hash
    assert verify(entries[:3]).is_whole
    assert verify(entries, anchor).is_whole
    assert verify(entries[:4], anchor).is_whole
    cut = verify(entries[:3], anchor)
    assert (cut.is_whole, cut.broken, cut.anchor_found) == (False, None, False)
    assert verify(entries, FIRST_PREV_HASH).is_whole


CHANGES: dict[str, Callable[[list[AuditEntry], int, int], None]] = {
    "swap": lambda entries, a, b: entries.__setitem__(slice(None), [
        entries[b if i == a else a if i == b else i] for i in range(len(entries))
    ]),
    "repeat": lambda entries, a, b: entries.insert(b, entries[a]),
    "remove": lambda entries, a, b: entries.__delitem__(slice(min(a, b), max(a, b) + 1)),
}


@given(st.integers(2, 8), st.data())
def test_no_rearrangement_goes_unseen(count: int, data: st.DataObject) -> None:
    entries = log_of(count)
    anchor = entries[-1].hash
    first, second = data.draw(st.integers(0, count - 1)), data.draw(st.integers(0, count - 1))
    CHANGES[data.draw(st.sampled_from(sorted(CHANGES)))](entries, first, second)
    assert verify(entries, anchor).is_whole == (entries == log_of(count))


def test_the_same_moment_in_another_zone_is_the_same_entry() -> None:
    elsewhere = replace(departure(), at=NOON.astimezone(timezone(timedelta(hours=2))))
    assert next_entry(elsewhere, None) == next_entry(departure(), None)
    assert next_entry(departure(), None).at == "2026-05-04T12:00:00.123456+00:00"


@pytest.mark.parametrize("bad", [
    replace(departure(), at=NOON.replace(tzinfo=None)), replace(departure(), form=("two words",)), replace(departure(), form=("",)),
])
def test_what_could_not_be_read_back_is_refused(bad: Departure) -> None:
    with pytest.raises(ValueError, match="must have"):
        next_entry(bad, None)


def test_the_gateways_own_process_asks_for_leave_without_loading_numpy() -> None:
    script = "import sys, gateway.service.leaving.audit, gateway.service.leaving.consent, gateway.store.audit; print('numpy' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
