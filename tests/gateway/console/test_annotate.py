"""The annotated video: every frame once, in order, with the last answer that there was for it."""

import io
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest
from PIL import Image

from gateway.console.annotate import AnnotatedVideo
from gateway.console.player import Picture
from gateway.console.verdicts import summary
from hedgerow_client.reading import read_event

SIZE = (64, 96)
REFUSED = {"abstained": True, "abstention": {"code": "foreign", "reason": "Not a field photo: 9 of 9 frames do not look like one."}}


def picture(number: int) -> Picture:
    grey = np.full((*SIZE, 3), 60, np.uint8)
    return Picture(number, (number - 1) * 0.1, cv2.imencode(".jpg", grey)[1].tobytes())


def event(name: str, pictures: dict[str, bytes] | None = None, **document: Any) -> Any:
    return read_event(name, document, pictures or {})


def answer(number: int, *, foreign: bool = False) -> Any:
    """The whole frame is weed, or it is no field at all."""
    abstention = {"code": "foreign", "reason": "This does not look like a field photo."} if foreign else None
    result = {
        "kind": "segmentation", "width": SIZE[1], "height": SIZE[0],
        "classes": [
            {"index": 0, "label": "soil", "area_px": 0, "area_fraction": 0.0},
            {"index": 1, "label": "weed", "area_px": SIZE[0] * SIZE[1], "area_fraction": 1.0},
        ],
        "instances": [], "abstained": foreign, "abstention": abstention, "notices": [],
    }
    stream = io.BytesIO()
    Image.fromarray(np.full(SIZE, not foreign, np.uint8)).save(stream, "PNG")
    provenance = {
        "model": {"name": "m", "version": "1", "variant": "int8", "sha256": "a"}, "device": "cpu", "backend": "litert",
        "node": "n", "tier": "edge", "tier_reason": "", "attempts": 1, "timings_ms": {}, "software": "s",
    }
    return event(
        "frame", {"mask.png": stream.getvalue()}, number=number, time_s=0.0, result=result, unusable="", age_ms=1.0,
        provenance=provenance,
    )


def verdict() -> Any:
    return event("verdict", document={
        "kind": "running_tracking", "classes": [{"label": "weed", "count": 2, "mean_area_fraction": 1.0, "visible": 1}],
        "usable_share": 1.0, "frames": {"analysed": 1, "usable": 1, "usable_share": 1.0, "unusable": {}},
        "abstained": False, "abstention": None,
    })


def frames(path: Path) -> list[Any]:
    with av.open(str(path)) as container:
        return [(frame.time, frame.to_ndarray(format="rgb24")) for frame in container.decode(video=0)]


def is_tinted(pixels: Any) -> bool:
    middle = pixels[20:40, 20:70].astype(int)
    return bool(np.ptp(middle.mean(axis=(0, 1))) > 10)


def test_every_frame_is_there_at_its_time_with_the_last_answer_before_it_and_a_caption(tmp_path: Path) -> None:
    video = AnnotatedVideo(tmp_path / "out.mp4")
    for number in range(1, 4):
        video.add(picture(number))
    video.tell(event("dropped", first=3, last=3, count=1, reason="superseded"))  # told while frame 2 is still at work
    video.tell(answer(2))
    video.tell(verdict())
    for number in range(4, 7):
        video.add(picture(number))
    video.close()
    assert (video.failed, video.written) == ("", 6)
    found = frames(tmp_path / "out.mp4")
    assert [round(time, 2) for time, _ in found] == [0, 0.1, 0.2, 0.3, 0.4, 0.5]
    assert [is_tinted(pixels) for _, pixels in found] == [False, True, True, True, True, True]
    assert {pixels.shape for _, pixels in found} == {found[0][1].shape}
    assert found[0][1].shape[0] > SIZE[0]
    assert found[1][1][SIZE[0] :].max() > 150


def scanned(number: int, *, foreign: bool) -> Any:
    """A scan with evidence all over it, or something that is none."""
    said = {
        "label": "", "probability": 0.0, "probabilities": [], "prediction_set": None, "evidence": None, "abstained": True,
        "abstention": {"code": "foreign", "reason": "This does not look like a breast ultrasound."},
    } if foreign else {
        "label": "benign", "probability": 0.9, "probabilities": [
            {"label": "benign", "probability": 0.9}, {"label": "normal", "probability": 0.1}],
        "prediction_set": None, "evidence": {"width": 4, "height": 4}, "abstained": False, "abstention": None,
    }
    told = answer(number)
    region = {"x": 0, "y": 0, "width": SIZE[1], "height": SIZE[0]}
    result = {"kind": "classification", **said, "region": region, "notices": []}
    stream = io.BytesIO()
    Image.fromarray(np.full((4, 4), 255, np.uint8)).save(stream, "PNG")
    return event("frame", {} if foreign else {"evidence.png": stream.getvalue()}, **{**told.raw, "result": result})


@pytest.mark.parametrize("answered", [answer, scanned], ids=["field", "scan"])
def test_a_foreign_frame_is_shown_as_it_is_with_the_reason_below_it(tmp_path: Path, answered: Any) -> None:
    video = AnnotatedVideo(tmp_path / "out.mp4")
    for number, foreign in ((1, False), (2, True)):
        video.add(picture(number))
        video.tell(answered(number, foreign=foreign))
        video.tell(verdict())
    video.close()
    assert video.failed == ""
    assert [is_tinted(pixels) for _, pixels in frames(tmp_path / "out.mp4")] == [True, False]
    for told in (answered(2, foreign=True).raw["result"], {**verdict().raw["document"], **REFUSED}):
        assert summary(told) == f"no verdict: {told['abstention']['reason']}"


def test_a_picture_of_another_size_is_fitted_in(tmp_path: Path) -> None:
    video = AnnotatedVideo(tmp_path / "out.mp4")
    video.add(picture(1))
    large = np.full((200, 300, 3), 60, np.uint8)
    video.add(Picture(2, 0.1, cv2.imencode(".jpg", large)[1].tobytes()))
    video.tell(answer(2))
    video.close()
    assert (video.failed, video.written) == ("", 2)


def test_a_video_that_cannot_be_written_says_why_and_stops_nothing(tmp_path: Path) -> None:
    video = AnnotatedVideo(tmp_path / "no such folder" / "out.mp4")
    for number in range(1, 5):
        video.add(picture(number))
        video.tell(answer(number))
        video.tell(verdict())
    video.close()
    assert "can't be written" in video.failed
    with pytest.raises(ValueError, match="mp4"):
        AnnotatedVideo(tmp_path / "out.txt")
