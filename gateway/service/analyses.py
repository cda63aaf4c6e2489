"""The application: who may ask, where it runs, what is kept, what goes back. Both transports call this and only this."""

import asyncio
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from domains import registry
from domains.errors import EmptyMedia
from edge_runtime.node import Node
from edge_runtime.wire import DomainDescription, ModelInfo, NodeState
from gateway.service.answering import Answering
from gateway.service.archive import INPUT, Archive
from gateway.service.clips import OnProgress
from gateway.service.errors import ErrorCode, ServiceError
from gateway.service.keys import ADMIN, NODES, READ, Caller
from gateway.service.ports import AnalysisStore, ImageStore
from gateway.service.records import Analysis, AnalysisFilter
from gateway.service.tiers import Asked, Tiers
from gateway.service.trials import Rollouts
from gateway.service.verdicts import CLIPS, KEY_FRAME

MASK = "mask.png"
EVIDENCE = "evidence.png"
OVERLAY = "overlay.png"
HEATMAP = "heatmap.png"
KEY_FRAME_PICTURE = "key_frame.png"
ARTIFACTS = {
    "classification": (OVERLAY, HEATMAP), "segmentation": (OVERLAY, MASK),
    **dict.fromkeys(CLIPS, (OVERLAY, KEY_FRAME_PICTURE)),
}
"""Which pictures can be had of each kind of result."""

MAX_PAGE = 200
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_LONGEST_TIMEOUTS = 10


@dataclass(frozen=True, slots=True)
class Policy:
    """The settings that the service itself obeys."""

    max_upload_bytes: int
    timeout_s: float
    keep_images: timedelta
    keep_analyses: timedelta

    def check_size(self, size_bytes: int) -> None:
        """Raises PAYLOAD_TOO_LARGE for an upload over the limit."""
        if size_bytes > self.max_upload_bytes:
            raise ServiceError(
                ErrorCode.PAYLOAD_TOO_LARGE, f"the upload is larger than {self.max_upload_bytes} bytes, which is the limit"
            )


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a listing, newest first. `next_id` is the cursor of the next one; None on the last."""

    analyses: Sequence[Analysis]
    next_id: str | None


class AnalysisService:
    """Analyse, read, list, delete, draw. Every method may raise ServiceError, DomainError or EdgeError."""

    def __init__(
        self, node: Node, store: AnalysisStore, images: ImageStore, policy: Policy, rollouts: Rollouts,
        archive: Archive, answering: Answering, tiers: Tiers,
    ) -> None:
        self.policy = policy
        self._node = node
        self._store = store
        self._images = images
        self._rollouts = rollouts
        self._archive = archive
        self._answering = answering
        self._tiers = tiers

    async def analyse(
        self, caller: Caller, domain: str, payload: bytes, parameters: Mapping[str, Any], *,
        request_id: str, timeout_s: float | None = None, on_progress: OnProgress | None = None,
        consents: tuple[str, ...] = (), note: str = "",
    ) -> Analysis:
        """Answers one upload at the edge; when it returns, the answer is stored. `on_progress` is told how far a clip is;
        `note`: why the cloud doesn't answer, where it should.
        """
        self.admit(caller, domain)
        if not payload:
            raise EmptyMedia("the body is empty: send the picture's bytes")
        made = await self._answering.answer(
            caller.tenant, domain, payload, parameters, request_id=request_id, timeout_s=self.timeout(timeout_s),
            on_progress=on_progress,
        )
        asked = Asked(caller.tenant, domain, payload, parameters, request_id, consents)
        analysis = await self._tiers.judged(asked, made.record(caller.tenant, domain, request_id), note)
        analysis = await self._archive.keep(analysis, made.pictures, payload)
        self._rollouts.observe(analysis, payload, parameters)
        await self._tiers.learn(asked, analysis)
        return analysis

    def admit(self, caller: Caller, domain: str) -> None:
        """Whether the caller may analyse in that domain at all; asked before an upload is read."""
        registry.check_name(domain)
        caller.require_analyze(domain)

    async def get(self, caller: Caller, analysis_id: str) -> Analysis:
        """One stored answer. Another tenant's is NOT_FOUND."""
        caller.require(READ)
        return await self._find(caller, analysis_id)

    async def page(self, caller: Caller, chosen: AnalysisFilter, *, cursor: str | None, limit: int) -> Page:
        """A page of the caller's tenant's answers, newest first."""
        caller.require(READ)
        if not 1 <= limit <= MAX_PAGE:
            raise ServiceError(ErrorCode.INVALID_ARGUMENT, f"a page has 1 to {MAX_PAGE} analyses", parameter="limit")
        if cursor is not None and not _UUID.fullmatch(cursor):
            raise ServiceError(ErrorCode.INVALID_ARGUMENT, "not a cursor of an earlier page", parameter="cursor")
        rows = await asyncio.to_thread(self._store.page, caller.tenant, chosen, before_id=cursor, limit=limit + 1)
        return Page(rows[:limit], rows[limit - 1].id if len(rows) > limit else None)

    async def delete(self, caller: Caller, analysis_id: str) -> None:
        """Removes an answer and its pictures for good."""
        caller.require(ADMIN)
        await self._tiers.forget(await self._find(caller, analysis_id))
        await asyncio.to_thread(self._images.delete, analysis_id)  # first: what is left after a crash can be deleted again
        await asyncio.to_thread(self._store.delete, caller.tenant, analysis_id)

    async def artifact(
        self, caller: Caller, analysis_id: str, name: str, *, key_frame: int = 1, timeout_s: float | None = None
    ) -> bytes:
        """A picture of an answer as PNG: overlay.png, and mask.png, heatmap.png or key_frame.png by the kind of result.

        `key_frame`: which one, from 1. The overlay of a clip is its best key frame.
        """
        analysis = await self.get(caller, analysis_id)
        offered = ARTIFACTS[str(analysis.result["kind"])]
        if name not in offered:
            raise ServiceError(
                ErrorCode.NOT_FOUND, f"a {analysis.result['kind']} has no {name}; it has {' and '.join(offered)}"
            )
        if name == HEATMAP and not analysis.result["evidence"]:
            raise ServiceError(ErrorCode.NOT_FOUND, "there is no evidence map of this answer")
        if analysis.result["kind"] in CLIPS:
            return await self._key_frame(analysis, 1 if name == OVERLAY else key_frame)
        needed = {OVERLAY: (INPUT, *analysis.images), HEATMAP: (EVIDENCE,), MASK: (MASK,)}[name]
        pictures = {}
        for part in needed:
            found = await asyncio.to_thread(self._images.get, analysis.id, part)
            if found is None:
                raise ServiceError(ErrorCode.GONE, "the pictures of this analysis are no longer kept")
            pictures[part] = found
        if name == MASK:
            return pictures[MASK]
        return await self._node.render(
            name, analysis.result, analysis.media, pictures, timeout_s=self.timeout(timeout_s)
        )

    def domains(self) -> Sequence[DomainDescription]:
        """Every domain with its parameters and models."""
        return self._node.domains()

    def models(self) -> Sequence[ModelInfo]:
        """Every model package, refused ones with the reason."""
        return self._node.models()

    def nodes(self, caller: Caller) -> Sequence[NodeState]:
        """Every node with its devices, as they are now. Nothing of any tenant is in it."""
        caller.require(NODES, ADMIN)
        return self._node.states()

    @property
    def ready(self) -> bool:
        """Whether any node serves at least one model, in the versions from before the last stop."""
        return self._node.ready and self._rollouts.ready

    async def sweep(self) -> int:
        """Deletes what is past its retention, a batch at a time; gives how many things went."""
        now = datetime.now(UTC)
        expired = await asyncio.to_thread(self._store.delete_older, now - self.policy.keep_analyses, limit=500)
        for analysis_id in expired:
            await asyncio.to_thread(self._images.delete, analysis_id)
        return len(expired) + await asyncio.to_thread(
            self._images.delete_older, now - self.policy.keep_images, limit=500
        )

    async def close(self) -> None:
        """Waits for what is being stored."""
        await self._archive.close()

    async def _key_frame(self, analysis: Analysis, number: int) -> bytes:
        count = len(analysis.result["key_frames"])
        if not 1 <= number <= count:
            raise ServiceError(ErrorCode.NOT_FOUND, f"this analysis has {count or 'no'} key frame{'s' * (count != 1)}")
        found = await asyncio.to_thread(self._images.get, analysis.id, KEY_FRAME.format(number))
        if found is None:
            raise ServiceError(ErrorCode.GONE, "the pictures of this analysis are no longer kept")
        return found

    async def _find(self, caller: Caller, analysis_id: str) -> Analysis:
        found = await asyncio.to_thread(self._store.get, caller.tenant, analysis_id)
        if found is None:
            raise ServiceError(ErrorCode.NOT_FOUND, "there is no analysis of that id")
        return found

    def timeout(self, wanted: float | None) -> float:
        """Seconds that a request may take: what its caller wants, within bounds."""
        longest = self.policy.timeout_s * _LONGEST_TIMEOUTS
        return self.policy.timeout_s if wanted is None else min(wanted, longest)
