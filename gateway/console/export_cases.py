"""`hedgerow export-hard-cases`: pictures that were set aside, de-identified, as a data set to be labelled.

Each goes one way: consent as the rules are now, the picture's bytes, de-identification in a process of its own, the form's
format, the entry in the audit log, the file. What is held anywhere on that way stays here, and is listed with the reason.
"""

import asyncio
import hashlib
import hmac
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Table

from domains import media, registry
from domains.errors import DomainError, UnknownDomain
from edge_runtime.embedded import package_folders
from gateway.assembly import media_limits
from gateway.console.drift import DriftUnknown, InService
from gateway.console.export_coco import CocoFolder
from gateway.console.export_dicom import DicomFolder
from gateway.console.export_form import CleanCase, ExportRefused, Leaving, Target
from gateway.service.cloud.ports import Held
from gateway.service.learning.ports import REASONS, CaseFilter, HardCase, Reason
from gateway.service.leaving.audit import AuditLog, Departure
from gateway.service.leaving.cleaning import ProcessCleaner
from gateway.service.leaving.consent import tenant_key
from gateway.service.routing.rules import Routes, Rule
from gateway.settings import Settings
from gateway.store.analyses import SqlAnalysisStore
from gateway.store.audit import SqlAuditLog
from gateway.store.database import Database
from gateway.store.hard_cases import SqlHardCaseStore
from gateway.store.payloads import FolderPayloadStore

FORMS: Mapping[str, Callable[[Path, media.Limits], Target]] = {"coco": CocoFolder, "dicom": DicomFolder}
WHY, WHERE_TO = "learning", "export"
"""In the audit log."""
SAVED_EVERY = 20
"""Cases after which the index is written; a run that is killed does no more than these again."""
_PAGE = 100
_NAME_PURPOSE = b"hedgerow hard case\0"

NO_LEAVE = "the tenant no longer lets its pictures be used to learn from"
NO_PICTURE = "its picture isn't there"
NO_ANSWER = "its analysis isn't there any more"


@dataclass(frozen=True, slots=True)
class Export:
    """What came of an export. By analysis id: `exported` the name in the folder, `held` the reason."""

    form: str
    folder: Path
    exported: dict[str, str] = field(default_factory=dict)
    held: dict[str, str] = field(default_factory=dict)
    already_there: list[str] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """As a JSON object. It ties names to analyses, so it stays here."""
        return {**asdict(self), "folder": str(self.folder)}


def chosen_cases(*, tenant: str, domain: str, reason: str, since: str) -> CaseFilter:
    """Which cases the options choose; "" doesn't choose. Raises ExportRefused."""
    if domain:
        try:
            registry.check_name(domain)
        except UnknownDomain as error:
            raise ExportRefused(str(error)) from error
    wanted: Reason | None = next((known for known in REASONS if known == reason), None)
    if reason and wanted is None:
        raise ExportRefused(f"--reason is one of {', '.join(REASONS)}")
    return CaseFilter(tenant or None, domain or None, wanted, _moment(since) if since else None)


def export(
    settings: Settings, database: Database, folder: Path, form: str, chosen: CaseFilter, say: Callable[[str], None]
) -> Export:
    """Exports what isn't in the folder yet. `say` is told how far it is. Raises ExportRefused; what was done until then is
    kept, and a second run goes on.
    """
    if form not in FORMS:
        raise ExportRefused(f"--format is one of {', '.join(FORMS)}")
    run = _Run(settings, database, _secret(settings))
    target = FORMS[form](folder, run.limits)
    try:
        return asyncio.run(run.export(target, Export(form, folder), chosen, say))
    except OSError as error:
        raise ExportRefused(f"{error.filename or folder} can't be used: {error.strerror}") from error


def export_view(done: Export) -> RenderableType:
    """How many went, and each that was held with its reason."""
    head = f"{len(done.exported)} exported to {escape(str(done.folder))}, {len(done.already_there)} there already, {len(done.held)} held back"
    if not done.held:
        return head
    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), show_edge=False)
    table.add_column("held back", no_wrap=True)
    table.add_column("why")
    for analysis_id, reason in done.held.items():
        table.add_row(analysis_id, escape(reason))
    return Group(head, table)


class _Run:
    """The stores, and what cleans."""

    def __init__(self, settings: Settings, database: Database, secret: bytes) -> None:
        self.limits = media.Limits(**media_limits(settings))
        self._secret = secret
        self._cases = SqlHardCaseStore(database)
        self._analyses = SqlAnalysisStore(database)
        self._log: AuditLog = SqlAuditLog(database)
        self._pictures = FolderPayloadStore(settings.data_dir / "hard_cases")
        self._routes = Routes([Rule(**route.model_dump()) for route in settings.routes])
        try:
            self._labels = {info.name: info.labels for info in InService(settings, database).models()}
        except DriftUnknown as error:
            raise ExportRefused(str(error)) from error
        folders = package_folders(settings.models_dirs)
        self._cleaner = ProcessCleaner(secret, lambda: folders, media_limits(settings))

    async def export(self, target: Target, done: Export, chosen: CaseFilter, say: Callable[[str], None]) -> Export:
        """All of it; the index is written whatever ends it."""
        try:
            for number, case in enumerate(self._all(chosen), 1):
                await self._one(target, done, case)
                if number % SAVED_EVERY == 0:
                    target.save()
                    say(f"{number} cases looked at, {len(done.exported)} exported")
        finally:
            target.save()
        return done

    def _all(self, chosen: CaseFilter) -> Iterator[HardCase]:
        after_id: str | None = None
        while True:
            page = self._cases.page(chosen, after_id=after_id, limit=_PAGE)
            yield from page
            if len(page) < _PAGE:
                return
            after_id = page[-1].analysis_id

    async def _one(self, target: Target, done: Export, case: HardCase) -> None:
        name = case_name(self._secret, case)
        if target.holds(name):
            done.already_there.append(case.analysis_id)
            return
        try:
            clean = await self._cleaned(case, name)
            if isinstance(clean, str):
                done.held[case.analysis_id] = clean
                return
            leaving = target.form(clean)
        except DomainError as error:
            done.held[case.analysis_id] = str(error)
            return
        self._note(case, leaving)
        target.keep(clean, leaving)
        done.exported[case.analysis_id] = name

    async def _cleaned(self, case: HardCase, name: str) -> CleanCase | str:
        """The case with its cleaned picture, or why it is held."""
        if not self._routes.rule(case.tenant, case.domain).to_learning:
            return NO_LEAVE
        analysis = self._analyses.get(case.tenant, case.analysis_id)
        if analysis is None:
            return NO_ANSWER
        payload = self._pictures.get(case.analysis_id)
        if payload is None:
            return NO_PICTURE
        cleaned = await self._cleaner.clean(
            payload, case.domain, analysis.parameters, tenant=case.tenant, keep_gps=False  # no model learns from a place
        )
        if isinstance(cleaned, Held):
            return cleaned.reason
        labels = dict.fromkeys([*self._labels.get(case.model, ()), *case.answer.values])
        return CleanCase(name, case, analysis, cleaned.payload, cleaned.format, cleaned.rules, tuple(labels))

    def _note(self, case: HardCase, leaving: Leaving) -> None:
        self._log.append(Departure(
            datetime.now(UTC), case.tenant, case.analysis_id, hashlib.sha256(leaving.payload).hexdigest(),
            len(leaving.payload), leaving.format, WHY, WHERE_TO, leaving.rules,
        ))


def case_name(secret: bytes, case: HardCase) -> str:
    """The pseudonym of a case: an analysis id would say when the picture was taken in."""
    key = tenant_key(secret, case.tenant)
    return hmac.new(key, _NAME_PURPOSE + case.analysis_id.encode(), hashlib.sha256).hexdigest()[:32]


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise ExportRefused("--since is a date such as 2026-01-31, or a time such as 2026-01-31T08:30+01:00") from None


def _secret(settings: Settings) -> bytes:
    path = settings.pseudonym_secret_file
    if path is None:
        raise ExportRefused("an export needs HEDGEROW_PSEUDONYM_SECRET_FILE: names and UIDs in it are made from that secret")
    try:
        secret = path.read_bytes().strip()
        tenant_key(secret, "")
    except OSError as error:
        raise ExportRefused(f"HEDGEROW_PSEUDONYM_SECRET_FILE: {path} can't be read ({error.strerror})") from error
    except ValueError as error:
        raise ExportRefused(f"HEDGEROW_PSEUDONYM_SECRET_FILE: {path}: {error}") from error
    return secret

