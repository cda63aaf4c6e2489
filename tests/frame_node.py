"""A node that answers frames as a test says, and what such a test needs around it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from domains.sequences import Frame, Sequence, Verdict
from edge_runtime.errors import EdgeError
from edge_runtime.node import Answer, Renew
from edge_runtime.scheduler import Priority
from edge_runtime.wire import ReplyMessage, Timings, Track
from gateway.service.verdicts import Verdicts
from tests.scripted_node import LUNG, Run, ScriptedNode

MODEL = {"name": LUNG, "version": "1", "variant": "int8", "sha256": "0" * 64}
UNUSABLE = b"blurred"


def answer_to(payload: bytes, *, size: tuple[int, int] = (64, 48), node: str = "scripted", clip: bool = False) -> Answer:
    """A frame's answer: "abnormal" with its last byte as percent, its payload as evidence."""
    share = (payload[-1] if payload else 0) % 101 / 100
    document = {
        "kind": "classification", "label": "abnormal" if share >= 0.5 else "normal", "probability": max(share, 1 - share),
        "probabilities": [{"label": "normal", "probability": 1 - share}, {"label": "abnormal", "probability": share}],
        "prediction_set": None, "abstained": False, "abstention": None, "region": {"x": 0, "y": 0, "width": 9, "height": 9},
        "evidence": {"width": 1, "height": 1}, "notices": [],
    }
    media = {"format": "png", "width": size[0], "height": size[1], "frame": 1, "frame_count": 1, "size_bytes": 1, "sha256": "0"}
    reply = ReplyMessage(
        1, document=document, media=media, model=dict(MODEL), timings=Timings(infer=0.002), parameters={"exam": LUNG},
        clip=clip, quality={"unusable": payload.startswith(UNUSABLE)},
    )
    return Answer(reply, {"evidence.png": payload}, node, "a device", "litert", False, "it is the only one", 1)


class CountingSequence(Sequence):
    """Says what came; frames whose payload begins with UNUSABLE don't count. Its best frame is the surest one."""

    def __init__(self) -> None:
        self.frames: list[Frame] = []
        self.usable = 0

    def add(self, frame: Frame) -> str:
        self.frames.append(frame)
        unusable = bool(frame.quality.get("unusable"))
        self.usable += not unusable
        return "blurred" if unusable else ""

    def running(self) -> dict[str, Any]:
        counts = {"analysed": len(self.frames), "usable": self.usable, "usable_share": 1.0, "unusable": {}}
        last = self.frames[-1].result
        return {
            "kind": "running_classification", "label": last["label"], "probability": last["probability"], "interval": None,
            "probabilities": last["probabilities"], "usable_share": 1.0, "frames": counts, "abstained": False, "abstention": None,
        }

    def key_frames(self) -> tuple[int, ...]:
        ranked = sorted(self.frames, key=lambda frame: -float(frame.result["probability"]))
        return tuple(frame.number for frame in ranked[:2])

    def verdict(self) -> Verdict:
        times = {frame.number: frame for frame in self.frames}
        rows = [{"number": number, "time_s": times[number].time_s, "label": "abnormal", "probability": 0.9} for number in self.key_frames()]
        document = self.running() | {
            "kind": "clip_classification", "key_frames": rows, "timeline": [], "aggregation": "counting", "notices": [],
        }
        del document["usable_share"]
        return Verdict(document, self.key_frames())


def counting_verdicts() -> Verdicts:
    """Verdicts over a CountingSequence."""
    sequence = CountingSequence()
    return Verdicts("pathology", lambda _: sequence)


@dataclass
class FrameNode(ScriptedNode):
    """Answers frames as `answer_to`, in `takes_s`. `busy`: so many runs are refused first, with `refusal`."""

    size: tuple[int, int] = (64, 48)
    clips: bool = False
    """Whether it says that the first payload is a clip."""
    busy: int = 0
    refusal: EdgeError | None = None
    drawn: list[Mapping[str, bytes]] = field(default_factory=list)

    async def analyse(
        self, domain: str, payload: bytes, parameters: Mapping[str, Any], *,
        priority: Priority, timeout_s: float, tenant: str = "", track: Track = "active", renew: Renew | None = None,
    ) -> Answer:
        content = payload

        def taken() -> None:
            nonlocal content
            content = payload if renew is None else renew()
            self.runs.append(Run(domain, content, dict(parameters), priority, timeout_s, tenant, track))

        await self._work(taken)
        if self.busy and self.refusal is not None:
            self.busy -= 1
            raise self.refusal
        clip, self.clips = self.clips, False
        return answer_to(content, size=self.size, node=self.name, clip=clip)

    async def render(
        self, artifact: str, document: Mapping[str, Any], media: Mapping[str, Any], pictures: Mapping[str, bytes],
        *, timeout_s: float,
    ) -> bytes:
        self.drawn.append(pictures)
        return await super().render(artifact, document, media, pictures, timeout_s=timeout_s)
