"""From an upload to an answer that isn't stored yet: a picture by one run, a clip frame by frame."""

import asyncio
from collections.abc import Mapping
from typing import Any, Protocol

from domains.formats import clip_format
from edge_runtime.errors import DeadlineExceeded
from edge_runtime.node import Answer, Node
from edge_runtime.scheduler import Priority
from edge_runtime.wire import ReplyMessage
from gateway.service.archive import Made
from gateway.service.clips import ClipReader, OnProgress
from gateway.service.provenance import provenance_of
from gateway.service.verdicts import Verdicts, sequences_of


class Asking(Protocol):
    """How one picture is answered: Rollouts.analyse, or a node without versions on trial."""

    async def __call__(
        self, domain: str, payload: bytes, parameters: Mapping[str, Any], *, request_id: str, priority: Priority,
        timeout_s: float, tenant: str,
    ) -> Answer:
        """As Node.analyse."""
        ...


class Answering:
    """Over a node. `draws_key_frames`: whether pictures are kept, so that a clip's are worth drawing."""

    def __init__(self, node: Node, ask: Asking, clips: ClipReader, *, draws_key_frames: bool) -> None:
        self._node = node
        self._ask = ask
        self._clips = clips
        self._draws_key_frames = draws_key_frames

    async def answer(
        self, tenant: str, domain: str, payload: bytes, parameters: Mapping[str, Any], *, request_id: str,
        timeout_s: float, priority: Priority = Priority.INTERACTIVE, on_progress: OnProgress | None = None,
    ) -> Made:
        """Answers an upload within so many seconds. `on_progress` is told how far a clip is. Raises DomainError, EdgeError."""
        deadline = asyncio.get_running_loop().time() + timeout_s
        if not clip_format(payload):
            answer = await self._ask(
                domain, payload, parameters, request_id=request_id, priority=priority, timeout_s=timeout_s, tenant=tenant
            )
            reply = answer.reply
            if not reply.clip:
                return Made(reply.document, _with_quality(reply), reply.parameters, provenance_of(answer), answer.pictures)
            parameters = reply.parameters

        async def ask(frame: bytes) -> Answer:
            return await self._ask(
                domain, frame, parameters, request_id=request_id, priority=Priority.BATCH, tenant=tenant,
                timeout_s=max(0.001, deadline - asyncio.get_running_loop().time()),
            )

        try:
            async with asyncio.timeout_at(deadline):
                verdicts = Verdicts(domain, sequences_of(domain, self._node.models))
                media, took_s = await self._clips.read(payload, ask, verdicts, on_progress)
                return await verdicts.made(self._node, media, took_s, draws=self._draws_key_frames)
        except TimeoutError:
            raise DeadlineExceeded(f"the clip was not analysed within {timeout_s:g} s") from None


def _with_quality(reply: ReplyMessage) -> dict[str, Any]:
    """What is known of the file, with what was measured of its pixels, but for the thumbnail."""
    measures = {name: value for name, value in reply.quality.items() if isinstance(value, float)}
    return {**reply.media, "quality": measures} if measures else reply.media
