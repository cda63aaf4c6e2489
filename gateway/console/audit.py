"""`hedgerow audit`: the log of what left, walked and listed straight from the database."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.markup import escape
from rich.table import Table

from gateway.service.leaving.audit import AuditEntry, Verdict, verify
from gateway.store.audit import SqlAuditLog
from gateway.store.database import Database


def verified(database: Database, anchor: str) -> Verdict:
    """What a walk through the whole log finds. `anchor`: a hash that must still be in it; "" for none."""
    return verify(SqlAuditLog(database).entries(), anchor.strip().lower() or None)


def told(verdict: Verdict) -> str:
    """The verdict in a sentence or two."""
    if verdict.broken is not None:
        return f"entry {verdict.broken} is broken: {verdict.cause}. The {verdict.entries} entries before it are whole."
    lines = [f"{verdict.entries} entries, each as it was written; the last hash is {verdict.last_hash}"]
    if verdict.anchor_found is True:
        lines.append("the anchor is among them")
    elif verdict.anchor_found is False:
        lines.append("the anchor is NOT among them: entries were cut off the end, or the log was written anew")
    return "\n".join(lines)


def verdict_to_json(verdict: Verdict) -> dict[str, Any]:
    """The verdict as a JSON object."""
    return {"whole": verdict.is_whole, **asdict(verdict)}


def departures(database: Database, *, last: int, tenant: str, analysis_id: str) -> Sequence[AuditEntry]:
    """The newest entries, newest first. "" stands for every tenant and every analysis."""
    return SqlAuditLog(database).last(last, tenant=tenant or None, analysis_id=analysis_id or None)


def entry_to_json(entry: AuditEntry) -> dict[str, Any]:
    """The entry as a JSON object: its fields as they were hashed, and the rules as a list beside."""
    return {**asdict(entry), "rules": entry.form.split()}


def entries_table(entries: Sequence[AuditEntry]) -> Table:
    """A row for each entry."""
    shown = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), show_edge=False)
    shown.add_column("seq", justify="right", no_wrap=True)
    for column in ("at", "tenant", "analysis", "what", "why", "where to", "in which form"):
        shown.add_column(column, overflow="fold")
    for entry in entries:
        what = f"{entry.size_bytes} bytes of {entry.format}, {entry.sha256[:12]}"
        cells = (entry.at[:19], entry.tenant, entry.analysis_id, what, entry.why, entry.where_to, entry.form)
        shown.add_row(str(entry.seq), *(escape(cell) for cell in cells))
    return shown
