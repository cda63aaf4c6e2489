"""The audit log of what left: an entry before the first byte goes, chained by hashes to all entries before it.

An entry's hash is SHA-256 over its canonical form, which holds the hash of the entry before. So an entry that is changed,
taken out, put in or moved shows. Entries cut off the end leave a whole chain: that shows against an anchor, the last hash
that somebody noted elsewhere. Against whoever can write the whole table anew only the anchor helps, too.
"""

import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime

FIRST_PREV_HASH = "0" * 64
"""What stands in the first entry for the hash before it."""


@dataclass(frozen=True, slots=True)
class Departure:
    """What is about to leave. No text of the file is in it, and no file name."""

    at: datetime
    tenant: str
    analysis_id: str
    sha256: str
    """Of the bytes that leave, in hex."""
    size_bytes: int
    format: str
    why: str
    """The routing policy's reason, such as unsure."""
    where_to: str
    """The object store or service, without credentials."""
    form: tuple[str, ...]
    """The rules that ran on it, as `Deidentified.rules` names them."""


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """A row of the log: texts and numbers exactly as they were hashed. `form` holds the rules with spaces between."""

    seq: int
    """1, 2, 3 without a gap."""
    at: str
    tenant: str
    analysis_id: str
    sha256: str
    size_bytes: int
    format: str
    why: str
    where_to: str
    form: str
    prev_hash: str
    hash: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """What walking the log found. `broken`: the first entry that isn't as it was written, and `cause`; None for none."""

    entries: int
    """As far as they were whole."""
    last_hash: str
    """What to note as an anchor."""
    broken: int | None = None
    cause: str = ""
    anchor_found: bool | None = None
    """None where no anchor was asked for."""

    @property
    def is_whole(self) -> bool:
        """Whether every entry is as it was written, and the anchor is still among them."""
        return self.broken is None and self.anchor_found is not False


class AuditLog(ABC):
    """Where entries are kept. Every method blocks, and may be called from any thread and process. Nothing is ever changed."""

    @abstractmethod
    def append(self, departure: Departure) -> AuditEntry:
        """Adds an entry behind the last one; when it returns it survives a crash. Raises ValueError for a naive time."""

    @abstractmethod
    def entries(self) -> Iterator[AuditEntry]:
        """All entries in order of `seq`, a part at a time."""

    @abstractmethod
    def last(self, limit: int, *, tenant: str | None = None, analysis_id: str | None = None) -> Sequence[AuditEntry]:
        """The last `limit` entries, newest first."""


def next_entry(departure: Departure, last: AuditEntry | None) -> AuditEntry:
    """The entry of `departure` behind `last`, None for an empty log. Raises ValueError for a time without a zone."""
    if departure.at.tzinfo is None:
        raise ValueError("a time must have a time zone")
    if any(not rule or set(rule) & set(" \n") for rule in departure.form):
        raise ValueError("a rule's name must have no space in it")
    values = asdict(departure) | {
        "seq": 1 if last is None else last.seq + 1,
        "at": departure.at.astimezone(UTC).isoformat(timespec="microseconds"),
        "form": " ".join(departure.form),
        "prev_hash": FIRST_PREV_HASH if last is None else last.hash,
    }
    unsealed = AuditEntry(**values, hash="")
    return AuditEntry(**values, hash=entry_hash(unsealed))


def entry_hash(entry: AuditEntry) -> str:
    """SHA-256, in hex, over every field but the hash itself: JSON with sorted names, no spaces, in ASCII."""
    values = asdict(entry)
    del values["hash"]
    return hashlib.sha256(json.dumps(values, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def verify(entries: Iterable[AuditEntry], anchor: str | None = None) -> Verdict:
    """Walks `entries` from the first on, up to the first that is broken. `anchor`: a hash that must be among them."""
    count, last_hash, found = 0, FIRST_PREV_HASH, anchor == FIRST_PREV_HASH
    for entry in entries:
        cause = _fault(entry, count + 1, last_hash)
        if cause:
            return Verdict(count, last_hash, entry.seq, cause, None if anchor is None else found)
        count, last_hash = count + 1, entry.hash
        found = found or entry.hash == anchor
    return Verdict(count, last_hash, anchor_found=None if anchor is None else found)


def _fault(entry: AuditEntry, expected_seq: int, prev_hash: str) -> str:
    if entry.seq != expected_seq:
        return f"entry {expected_seq} is missing before it"
    if entry.prev_hash != prev_hash:
        return "it isn't chained to the entry before it"
    if entry.hash != entry_hash(entry):
        return "its content isn't what was written"
    return ""
