"""What answers files for `hedgerow analyze`, and the one that needs no gateway: the models run in this program."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

from edge_runtime.node import Answer, Node
from edge_runtime.scheduler import Priority
from gateway.service.answering import Answering
from gateway.service.clips import ClipReader
from gateway.service.errors import translate
from gateway.service.verdicts import KEY_FRAME

TIMEOUT_S = 120.0
"""Of a request, and without a gateway of a picture or of each frame of a clip."""
CLIP_TIMEOUT_S = 24 * 3600.0


class AnalysisFailed(Exception):
    """One file could not be answered; the message is the gateway's."""


class Analyser(ABC):
    """Something that answers files."""

    @abstractmethod
    async def analyse(self, domain: str, payload: bytes, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """The answer's document. Raises AnalysisFailed."""

    @abstractmethod
    async def overlay(self, document: Mapping[str, Any], payload: bytes) -> bytes:
        """The picture of an answer that `analyse` gave last for this payload. Raises AnalysisFailed."""


class LocalAnalyser(Analyser):
    """A node in this program: nothing is stored."""

    def __init__(self, node: Node, clips: ClipReader) -> None:
        self._node = node
        self._answering = Answering(node, self._ask, clips, draws_key_frames=True)
        self._pictures: dict[str, Mapping[str, bytes]] = {}

    async def analyse(self, domain: str, payload: bytes, parameters: Mapping[str, Any]) -> dict[str, Any]:
        try:
            made = await self._answering.answer(
                "", domain, payload, parameters, request_id="", timeout_s=CLIP_TIMEOUT_S, priority=Priority.BATCH
            )
        except Exception as error:
            told = translate(error)
            raise AnalysisFailed(f"{told} ({told.code})") from error
        self._pictures[made.media["sha256"]] = made.pictures
        return {
            "domain": domain, "parameters": made.parameters, "media": made.media, "result": made.result,
            "provenance": made.provenance,
        }

    async def overlay(self, document: Mapping[str, Any], payload: bytes) -> bytes:
        made = self._pictures.pop(document["media"]["sha256"], {})
        if (best := KEY_FRAME.format(1)) in made:
            return made[best]
        try:
            return await self._node.render(
                "overlay.png", document["result"], document["media"], {"input": payload, **made}, timeout_s=TIMEOUT_S
            )
        except Exception as error:
            raise AnalysisFailed(str(translate(error))) from error

    async def _ask(
        self, domain: str, payload: bytes, parameters: Mapping[str, Any], *, request_id: str, priority: Priority,
        timeout_s: float, tenant: str,
    ) -> Answer:
        del request_id
        return await self._node.analyse(
            domain, payload, parameters, priority=priority, timeout_s=min(timeout_s, TIMEOUT_S), tenant=tenant
        )
