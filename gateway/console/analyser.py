"""What answers files for `hedgerow analyze`, and the one that needs no gateway: the models run in this program."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

from domains.formats import clip_format
from edge_runtime.node import Answer, Node
from edge_runtime.scheduler import Priority
from gateway.service.clips import ClipReader
from gateway.service.errors import translate
from gateway.service.provenance import provenance_of
from gateway.service.verdicts import Verdicts, sequences_of

TIMEOUT_S = 120.0
OVERLAY = "overlay.png"


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
        self._clips = clips
        self._pictures: dict[str, Mapping[str, bytes]] = {}

    async def analyse(self, domain: str, payload: bytes, parameters: Mapping[str, Any]) -> dict[str, Any]:
        try:
            if clip_format(payload):
                return await self._analyse_clip(domain, payload, parameters)
            answer = await self._ask(domain, payload, parameters)
            reply = answer.reply
            if reply.clip:
                return await self._analyse_clip(domain, payload, reply.parameters)
        except Exception as error:
            told = translate(error)
            raise AnalysisFailed(f"{told} ({told.code})") from error
        self._pictures[reply.media["sha256"]] = answer.pictures
        return {
            "domain": domain, "parameters": reply.parameters, "media": reply.media, "result": reply.document,
            "provenance": provenance_of(answer),
        }

    async def overlay(self, document: Mapping[str, Any], payload: bytes) -> bytes:
        pictures = {"input": payload, **self._pictures.pop(document["media"]["sha256"], {})}
        if OVERLAY in pictures:
            return pictures[OVERLAY]
        try:
            return await self._node.render(
                OVERLAY, document["result"], document["media"], pictures, timeout_s=TIMEOUT_S
            )
        except Exception as error:
            raise AnalysisFailed(str(translate(error))) from error

    async def _analyse_clip(self, domain: str, payload: bytes, parameters: Mapping[str, Any]) -> dict[str, Any]:
        async def ask(frame: bytes) -> Answer:
            return await self._ask(domain, frame, parameters)

        verdicts = Verdicts(domain, sequences_of(domain, self._node.models))
        media = await self._clips.read(payload, ask, verdicts, None)
        took_s = media.pop("total_s")
        result, key_frames = verdicts.document()
        drawn = list((await verdicts.draw(self._node, key_frames[:1])).values())
        self._pictures[media["sha256"]] = {OVERLAY: drawn[0]} if drawn else {}
        return {
            "domain": domain, "parameters": verdicts.last.reply.parameters, "media": media, "result": result,
            "provenance": verdicts.provenance(took_s),
        }

    async def _ask(self, domain: str, payload: bytes, parameters: Mapping[str, Any]) -> Answer:
        return await self._node.analyse(domain, payload, parameters, priority=Priority.BATCH, timeout_s=TIMEOUT_S)
