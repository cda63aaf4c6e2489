"""Frames that come together: the verdict on a clip or a stream, its key frames and what made it."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import structlog

from domains import registry
from domains.errors import DomainError
from domains.sequences import Frame, Sequence
from edge_runtime.errors import EdgeError
from edge_runtime.node import Answer, Node
from edge_runtime.wire import ModelInfo
from gateway.service.archive import Made
from gateway.service.provenance import provenance_of

logger = structlog.get_logger("hedgerow")

RENDER_TIMEOUT_S = 10.0
KEY_FRAME = "key_frame_{}.png"
CLIPS = ("clip_classification", "clip_tracking")
"""The kinds of result that are made of many frames."""

OpenSequence = Callable[[str], Sequence]
"""A new sequence for the model of that name."""


@dataclass(frozen=True, slots=True)
class KeyFrame:
    """What a picture of a frame is drawn from. `payload`: the frame's file."""

    payload: bytes
    answer: Answer


@dataclass(slots=True)
class Verdicts:
    """The answers of one clip or stream, taken in order. Memory doesn't grow with its length."""

    domain: str
    open_sequence: OpenSequence
    analysed: int = 0
    _sequence: Sequence | None = None
    _key_frames: dict[int, KeyFrame] = field(default_factory=dict)
    _last: Answer | None = None
    _devices: dict[str, None] = field(default_factory=dict)
    _attempts: int = 0
    _timings: dict[str, float] = field(default_factory=dict)

    def add(self, number: int, time_s: float, payload: bytes, answer: Answer) -> str:
        """Takes a frame's answer; gives why it doesn't count, empty where it does."""
        reply = answer.reply
        if self._sequence is None:
            self._sequence = self.open_sequence(reply.model["name"])
        unusable = self._sequence.add(Frame(number, time_s, reply.document, reply.quality))
        self.analysed += 1
        self._last = answer
        self._devices[f"{answer.device} on {answer.node}"] = None
        self._attempts = max(self._attempts, answer.attempts)
        for name in reply.timings.__struct_fields__:
            self._timings[name] = self._timings.get(name, 0.0) + getattr(reply.timings, name)
        wanted = self._sequence.key_frames()
        if number in wanted:
            self._key_frames[number] = KeyFrame(payload, answer)
        if len(self._key_frames) > len(wanted):
            self._key_frames = {kept: frame for kept, frame in self._key_frames.items() if kept in wanted}
        return unusable

    @property
    def any(self) -> bool:
        """Whether there is anything to tell."""
        return self._last is not None

    def running(self) -> dict[str, Any]:
        """The verdict on the last moments; empty before the first frame."""
        return self._sequence.running() if self._sequence else {}

    async def made(self, node: Node, media: Mapping[str, Any], total_s: float, *, draws: bool) -> Made:
        """The final verdict. `total_s`: from the first frame to the last; `draws`: whether its key frames are wanted."""
        assert self._sequence is not None, "asked before the first frame"
        verdict = self._sequence.verdict()
        pictures = await self._draw(node, verdict.key_frames) if draws else {}
        return Made(verdict.document, media, self._answer.reply.parameters, self._provenance(total_s), pictures)

    @property
    def _answer(self) -> Answer:
        assert self._last is not None, "asked before the first frame"
        return self._last

    def _provenance(self, total_s: float) -> dict[str, Any]:
        """As of the last frame, with the times of all of them."""
        made = provenance_of(self._answer)
        timings = {name: round(seconds * 1000, 3) for name, seconds in self._timings.items()}
        return made | {
            "devices": list(self._devices), "attempts": self._attempts,
            "timings_ms": timings | {"total": round(total_s * 1000, 3)},
        }

    async def _draw(self, node: Node, numbers: tuple[int, ...]) -> dict[str, bytes]:
        """Pictures of key frames by name, the best first. Where one can't be drawn, it and those after it are left out."""
        pictures: dict[str, bytes] = {}
        for rank, number in enumerate(numbers, 1):
            shown = self._key_frames.get(number)
            if shown is None:
                break
            reply = shown.answer.reply
            try:
                pictures[KEY_FRAME.format(rank)] = await node.render(
                    "overlay.png", reply.document, reply.media, {"input": shown.payload, **shown.answer.pictures},
                    timeout_s=RENDER_TIMEOUT_S,
                )
            except (DomainError, EdgeError) as error:
                logger.warning("a key frame could not be drawn", kind=type(error).__name__)
                break
        return pictures


def sequences_of(domain: str, models: Callable[[], Iterable[ModelInfo]]) -> OpenSequence:
    """Sequences of a domain as its models ask for. `models`: those that are served now."""
    def open_sequence(model: str) -> Sequence:
        options: Mapping[str, Any] = next((info.sequence for info in models() if info.name == model), {})
        return registry.open_sequence(domain, options)

    return open_sequence
