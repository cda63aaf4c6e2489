"""From the frames of a robot's forward video to a count of plants. Loads no numpy.

How plants are followed stands in tracking.py; what that is worth, in docs/plant-tracking.md.
"""

from collections import Counter, deque
from collections.abc import Iterable, Mapping
from typing import Any

from domains.crop_weed.key_frames import KeyFrame, KeyFrames
from domains.crop_weed.motion import BOTTOM, LEFT, RIGHT, TOP
from domains.crop_weed.tracking import Plant, Track, Tracker
from domains.sequences import Document, Frame, Sequence, Verdict
from domains.usability import FOREIGN, FROZEN, LOW_CONFIDENCE, TOO_FEW, WORLD, Usability, Watch, not_of, options_from

MOST_TRACKS_TOLD = 500
MOST_SAID = 5
RECENT_S = 2.0
MOST_RECENT = 256


class SequenceOptions(Usability, frozen=True, forbid_unknown_fields=True):
    """The `[domain_options.sequence]` of a crop_weed model."""


class OpenedWith(SequenceOptions, frozen=True, forbid_unknown_fields=False):
    """What a sequence is opened with: its options and, where the model has a gate, what its pictures are."""

    world: str = WORLD


class PlantSequence(Sequence):
    """Frames of one drive over a field."""

    def __init__(self, options: OpenedWith) -> None:
        self._options = options
        self._watch = Watch(options)
        self._tracker = Tracker()
        self._labels: dict[str, None] = {}
        self._unsure = 0
        self._areas: Counter[str] = Counter()
        self._ended: Counter[str] = Counter()
        self._told: deque[Track] = deque(maxlen=MOST_TRACKS_TOLD)
        self._recent: deque[tuple[float, bool]] = deque(maxlen=MOST_RECENT)
        self._visible: list[Track] = []
        self._said: dict[str, None] = {}
        self._key_frames = KeyFrames()

    @property
    def visible(self) -> tuple[int, ...]:
        """The track of each instance of the last usable frame, in the order of its document."""
        return tuple(track.id for track in self._visible)

    def add(self, frame: Frame) -> str:
        self._labels |= dict.fromkeys(row["label"] for row in frame.result["classes"][1:])
        fault = self._watch.fault_of(frame)
        self._recent.append((frame.time_s, not fault))
        if fault:
            return fault
        self._unsure += frame.result["abstained"]
        for notice in frame.result["notices"]:
            if len(self._said) < MOST_SAID:
                self._said[notice] = None
        for row in frame.result["classes"]:
            self._areas[row["label"]] += row["area_fraction"]
        size = (frame.result["width"], frame.result["height"])
        plants = [plant_of(row, size) for row in frame.result["instances"]]
        self._visible, ended = self._tracker.update(frame.number, frame.time_s, size, plants)
        for track in ended:
            if track.is_plant:
                self._ended[track.label] += 1
                self._told.append(track)
        self._key_frames.offer(self._key_frame(frame, plants))
        return fault

    def running(self) -> dict[str, Any]:
        last_s = self._recent[-1][0] if self._recent else 0.0
        recent = [usable for time_s, usable in self._recent if last_s - time_s <= RECENT_S]
        return {
            "kind": "running_tracking",
            "classes": self._classes(sure=True),
            "usable_share": round(sum(recent) / len(recent), 4) if recent else 0.0,
            "frames": self._watch.counts(),
            **self._abstention(),
        }

    def key_frames(self) -> tuple[int, ...]:
        return tuple(frame.number for frame in self._key_frames.best())

    def verdict(self) -> Verdict:
        seen = [*self._told, *(track for track in self._tracker.live if track.is_plant)][-MOST_TRACKS_TOLD:]
        classes = self._classes(sure=False)
        best = self._key_frames.best()
        document = {
            "kind": "clip_tracking",
            "classes": classes,
            "tracks": [_track(track) for track in sorted(seen, key=lambda track: track.id)],
            **self._abstention(),
            "frames": self._watch.counts(),
            "key_frames": [{"number": frame.number, "time_s": round(frame.time_s, 3), "label": frame.label,
                            "probability": round(frame.probability, 6)} for frame in best],
            "notices": self._notices(sum(row["count"] for row in classes) - len(seen)),
        }
        return Verdict(document, tuple(frame.number for frame in best))

    def _classes(self, *, sure: bool) -> list[dict[str, Any]]:
        """`sure`: a plant that was seen once doesn't count yet, unless one frame is all there is."""
        live = Counter(track.label for track in self._tracker.live
                       if track.is_plant and (track.seen > 1 or not sure or self._watch.usable == 1))
        visible = Counter(track.label for track in self._visible if track.is_plant)
        usable = max(1, self._watch.usable)
        return [
            {"label": label, "count": self._ended[label] + live[label],
             "mean_area_fraction": round(self._areas[label] / usable, 6), "visible": visible[label]}
            for label in self._labels
        ]

    def _key_frame(self, frame: Frame, plants: Iterable[Plant]) -> KeyFrame:
        scores: dict[str, list[float]] = {}
        for plant in plants:
            scores.setdefault(plant.label, []).append(plant.score)
        if not scores:
            bare = frame.result["classes"][0]
            return KeyFrame(frame.number, frame.time_s, bare["label"], bare["area_fraction"], 0.0)
        label = max(scores, key=lambda name: sum(scores[name]))
        worth = sum(map(sum, scores.values()))
        return KeyFrame(frame.number, frame.time_s, label, sum(scores[label]) / len(scores[label]), worth)

    def _abstention(self) -> dict[str, Any]:
        abstention = self._too_few() or self._low()
        return {"abstained": abstention is not None, "abstention": abstention}

    def _too_few(self) -> Document | None:
        watch = self._watch
        enough = self._options.least_usable_share * (watch.analysed - watch.faults[FROZEN])
        if watch.usable >= self._options.fewest_usable and watch.usable >= enough:
            return None
        if 2 * watch.faults[FOREIGN] > watch.analysed:
            return {"code": FOREIGN, "reason": not_of(self._options.world, watch)}
        return {"code": TOO_FEW, "reason": f"{watch.usable} of {watch.analysed} frames could be used; that is too few "
                                           "to stand by a count."}

    def _low(self) -> Document | None:
        usable = self._watch.usable
        if 2 * self._unsure <= usable:
            return None
        return {"code": LOW_CONFIDENCE, "reason": f"In {self._unsure} of {usable} usable frames the model didn't "
                                                  "stand by its map."}

    def _notices(self, more: int) -> list[str]:
        """What the first frames said, each sentence once, and how many plants aren't listed."""
        if more <= 0:
            return list(self._said)
        return [*self._said, f"Only the last {MOST_TRACKS_TOLD} plants are listed; {more} before them are in the counts alone."]


def open_sequence(options: Mapping[str, Any]) -> Sequence:
    """A new sequence. `options`: ModelInfo.sequence, see OpenedWith. Raises ValueError where they are something else."""
    return PlantSequence(options_from(options, OpenedWith))


def plant_of(row: Document, size: tuple[int, int]) -> Plant:
    """The plant of an instance's document. `size`: width and height of its picture."""
    box, centroid = row["box"], row["centroid"]
    left, top = box["x"], box["y"]
    right, bottom = left + box["width"], top + box["height"]
    cut = LEFT * (left <= 0) + TOP * (top <= 0) + RIGHT * (right >= size[0]) + BOTTOM * (bottom >= size[1])
    return Plant(row["label"], row["score"], centroid["x"], centroid["y"], float(row["area_px"]),
                 (left, top, right, bottom), cut)


def _track(track: Track) -> dict[str, Any]:
    left, top, right, bottom = track.last.extent
    return {
        "id": track.id, "label": track.label, "score": round(track.score, 6),
        "first_frame": track.first_frame, "last_frame": track.last_frame, "seen": track.seen,
        "centroid": {"x": track.last.x, "y": track.last.y},
        "box": {"x": int(left), "y": int(top), "width": int(right - left), "height": int(bottom - top)},
    }
