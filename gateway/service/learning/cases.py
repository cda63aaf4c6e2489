"""Setting hard cases aside: the row first, then the picture into a private folder, under the id of its analysis.

A picture without a row is thus one whose analysis is gone, at any moment, and can be swept without looking at its age. A row
without a picture is what a crash leaves: the next `set_aside` of the same analysis mends it, and an export says so.

Videos aren't set aside: they can't be de-identified, so nobody could ever label them. Whether a tenant and a request let a
picture be kept to learn from is for the caller to ask before.
"""

import asyncio
from collections.abc import Collection
from datetime import UTC, datetime

import structlog

from domains.formats import clip_format
from domains.usability import is_foreign
from gateway.service.jobs.payloads import PayloadStore
from gateway.service.learning.ports import HardCase, HardCaseStore, Reason
from gateway.service.records import Analysis
from gateway.service.rollout import difference, side_of

logger = structlog.get_logger("hedgerow.learning")

MOST_BYTES = 20 * 1024**3
"""What all pictures together may take. Work goes before learning: what is over this isn't set aside."""
_STILLS = ("classification", "segmentation")
_SWEPT_AT_ONCE = 500


class HardCases:
    """Use from one event loop. What fails here is logged and costs nobody an answer. `pictures`: a folder of its own."""

    def __init__(self, store: HardCaseStore, pictures: PayloadStore, *, most_bytes: int = MOST_BYTES) -> None:
        self._store = store
        self._pictures = pictures
        self._most_bytes = most_bytes
        self._used_bytes: int | None = None

    async def consider(self, analysis: Analysis, payload: bytes) -> None:
        """Sets the picture aside where its answer isn't sure. For an analysis that is stored."""
        reason = reason_of(analysis)
        if reason is not None:
            await self.set_aside(analysis, payload, reason)

    async def set_aside(self, analysis: Analysis, payload: bytes, reason: Reason) -> None:
        """Keeps `payload`, the upload as it came, as a case of `analysis`, which is stored. Doing it twice does it once."""
        if _is_still(analysis, payload):
            case = HardCase(
                analysis.id, analysis.tenant, analysis.domain, analysis.model, reason, datetime.now(UTC),
                side_of(analysis.result),
            )
            await self._keep(case, payload)

    async def compare(self, first: Analysis, second: Analysis, payload: bytes) -> None:
        """Takes a second opinion: a case where the two disagree, by the rule for versions on trial (rollout.py). The second
        answer is noted with a case that there was before, also where it agrees. Both analyses are stored.
        """
        if not (_is_still(first, payload) and _is_still(second, payload)):
            return
        one, other = side_of(first.result), side_of(second.result)
        reason: Reason | None = "disagreement" if difference(one, other) else None
        try:
            if await asyncio.to_thread(self._store.second, first.id, reason, second.id, other) or reason is None:
                return
        except Exception as error:
            _log("a second opinion could not be noted", error)
            return
        await self._keep(HardCase(
            first.id, first.tenant, first.domain, first.model, reason, datetime.now(UTC), one, second.id, other
        ), payload)

    async def forget(self, analysis_ids: Collection[str]) -> None:
        """Removes the pictures of analyses that are deleted; their rows go with the analyses. OSError escapes."""
        await asyncio.to_thread(self._pictures.delete, analysis_ids)

    async def sweep(self) -> int:
        """Removes pictures whose analysis is gone; gives how many. OSError escapes."""
        return await asyncio.to_thread(self._sweep)

    async def _keep(self, case: HardCase, payload: bytes) -> None:
        try:
            await asyncio.to_thread(self._put, case, payload)
        except Exception as error:
            _log("a hard case could not be set aside", error)

    def _put(self, case: HardCase, payload: bytes) -> None:
        if self._used_bytes is None:
            self._used_bytes = self._pictures.size_bytes()
        if self._used_bytes + len(payload) > self._most_bytes:
            logger.warning("a hard case was not set aside: the pictures' folder is full", limit_bytes=self._most_bytes)
            return
        is_new = self._store.add(case)
        if not is_new and (self._is_gone(case.analysis_id) or self._pictures.get(case.analysis_id) is not None):
            return
        try:
            self._pictures.put(case.analysis_id, payload)
        except OSError:
            self._store.remove(case.analysis_id)
            raise
        self._used_bytes += len(payload)
        if self._is_gone(case.analysis_id):  # deleted meanwhile, and its picture wasn't there yet
            self._pictures.delete([case.analysis_id])

    def _is_gone(self, analysis_id: str) -> bool:
        return bool(self._store.without_case([analysis_id]))

    def _sweep(self) -> int:
        kept = self._pictures.older(datetime.now(UTC), limit=2**31)
        count = 0
        for start in range(0, len(kept), _SWEPT_AT_ONCE):
            orphans = self._store.without_case(kept[start : start + _SWEPT_AT_ONCE])
            self._pictures.delete(orphans)
            count += len(orphans)
        self._used_bytes = None
        return count


def reason_of(analysis: Analysis) -> Reason | None:
    """Why its answer isn't sure: the model took the picture for a foreign one, it abstained, or its prediction set holds several
    labels.
    """
    if is_foreign(analysis.result):
        return "foreign"
    if analysis.abstained:
        return "abstained"
    chosen = analysis.result.get("prediction_set")
    return "unsure" if chosen and len(chosen["labels"]) > 1 else None


def _is_still(analysis: Analysis, payload: bytes) -> bool:
    return analysis.result["kind"] in _STILLS and not clip_format(payload)


def _log(event: str, error: Exception) -> None:
    logger.error(event, kind=type(error).__name__)
