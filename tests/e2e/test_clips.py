"""A clip as a file over REST, against the real program: one verdict, its key frames, and progress on the way."""

import io
import json
from collections.abc import Callable, Sequence
from typing import Any

import httpx
import numpy as np
import pytest
from httpx_sse import connect_sse
from PIL import Image

from tests.clips import Frame, dicom_clip, mp4, rotated_mp4
from tests.gateway_process import SAMPLES, GatewayProcess

LUNG = {"exam": "lung_ultrasound"}
COUNT = 12
FPS = 10


def moved(file: str, count: int = COUNT, width: int = 480, step: int = 3) -> list[Frame]:
    """`count` frames of a sample that a camera passes over, no two alike; even sizes, as video codecs want them."""
    with Image.open(SAMPLES / file) as sample:
        picture = np.asarray(sample.convert("RGB").resize((width + count * step, width * 3 // 4)))
    return [np.ascontiguousarray(picture[:, at : at + width]) for at in range(0, count * step, step)]


def grey_gif(frames: Sequence[Frame]) -> bytes:
    """A GIF animation whose palette has every grey."""
    first, *others = [Image.fromarray(frame[..., 0]) for frame in frames]
    file = io.BytesIO()
    first.save(file, "GIF", save_all=True, append_images=others, duration=1000 // FPS)
    return file.getvalue()


def posted(client: httpx.Client, content: bytes, domain: str = "pathology", **parameters: str) -> dict[str, Any]:
    response = client.post(f"/v1/domains/{domain}/analyses", params=parameters, content=content)
    assert response.status_code == 201, response.text
    document: dict[str, Any] = response.json()
    return document


def png(client: httpx.Client, path: str) -> Image.Image:
    response = client.get(path)
    assert response.status_code == 200, response.text
    assert response.headers["content-type"] == "image/png"
    return Image.open(io.BytesIO(response.content))


@pytest.mark.parametrize(
    ("make", "file_format"), [(mp4, "mp4"), (grey_gif, "gif"), (dicom_clip, "dicom")], ids=["mp4", "gif", "dicom"]
)
def test_a_clip_gets_one_verdict_with_its_share_of_usable_frames_and_key_frames(
    gateway: GatewayProcess, make: Callable[[Sequence[Frame]], bytes], file_format: str
) -> None:
    content = make(moved("lung_scan.png"))
    with gateway.rest() as client:
        document = posted(client, content, **LUNG)
        result, media = document["result"], document["media"]
        assert result["kind"] == "clip_classification"
        assert result["label"] == "normal"
        assert result["frames"]["analysed"] == COUNT
        assert result["frames"]["usable"] == COUNT - sum(result["frames"]["unusable"].values())
        assert result["frames"]["usable"] > COUNT / 2
        assert sum(row["probability"] for row in result["probabilities"]) == pytest.approx(1, abs=1e-3)
        assert len(result["timeline"]) == COUNT
        assert (media["format"], media["frame"], media["frame_count"]) == (file_format, 0, COUNT)
        assert (media["width"], media["height"], media["size_bytes"]) == (480, 360, len(content))
        assert media["frame_rate"] == pytest.approx(FPS, rel=0.1)
        assert media["codec"]
        made_by = document["provenance"]
        assert made_by["devices"] == [f"{made_by['device']} on {made_by['node']}"]
        path, links = document["links"]["self"], document["links"]
        assert links["key_frames"] == [f"{path}/key_frames/{n}.png" for n in range(1, len(result["key_frames"]) + 1)]
        best = png(client, links["key_frames"][0])
        assert best.width == 480
        assert png(client, links["overlay"]).tobytes() == best.tobytes()
        assert client.get(path).json() == document


def test_a_field_in_motion_has_each_plant_counted_once(gateway: GatewayProcess) -> None:
    with gateway.rest() as client:
        document = posted(client, mp4(moved("field.jpg", 6)), "crop_weed")
        result = document["result"]
        assert result["kind"] == "clip_tracking"
        assert {row["label"] for row in result["classes"]} >= {"crop", "weed"}
        for row in result["classes"]:
            assert row["count"] == sum(track["label"] == row["label"] for track in result["tracks"])
        still = posted(client, (SAMPLES / "field.jpg").read_bytes(), "crop_weed")["result"]
        assert len(result["tracks"]) < 3 * len(still["instances"]), "the same plants are not counted again in each frame"
        assert png(client, document["links"]["key_frames"][0]).width == 480


def test_a_clip_is_seen_upright(gateway: GatewayProcess) -> None:
    with gateway.rest() as client:
        media = posted(client, rotated_mp4(moved("lung_scan.png", 4), 90), **LUNG)["media"]
    assert (media["width"], media["height"]) == (360, 480)


def test_one_frame_of_a_dicom_clip_can_still_be_asked_for(gateway: GatewayProcess) -> None:
    with gateway.rest() as client:
        document = posted(client, dicom_clip(moved("lung_scan.png", 4)), frame="3", **LUNG)
    assert document["result"]["kind"] == "classification"
    assert (document["media"]["frame"], document["media"]["frame_count"]) == (3, 4)


def test_a_key_frame_that_is_none_is_told_so(gateway: GatewayProcess) -> None:
    with gateway.rest() as client:
        path = posted(client, mp4(moved("lung_scan.png", 4)), **LUNG)["links"]["self"]
        for number, status, code in (("0", 404, "NOT_FOUND"), ("99", 404, "NOT_FOUND"), ("x", 400, "INVALID_ARGUMENT")):
            response = client.get(f"{path}/key_frames/{number}.png")
            assert (response.status_code, response.json()["code"]) == (status, code)
        heatmap = client.get(f"{path}/heatmap.png")
        assert heatmap.status_code == 404
        assert "overlay.png and key_frame.png" in heatmap.json()["detail"]


def test_a_clip_cut_short_counts_up_to_where_it_breaks_and_one_with_no_frame_is_corrupt(gateway: GatewayProcess) -> None:
    whole = grey_gif(moved("lung_scan.png", 6))
    with gateway.rest() as client:
        assert posted(client, whole[: len(whole) * 2 // 3], **LUNG)["result"]["frames"]["analysed"] in range(2, 6)
        broken = client.post("/v1/domains/pathology/analyses", params=LUNG, content=mp4(moved("lung_scan.png", 4))[:600])
    assert (broken.status_code, broken.json()["code"]) == (422, "CORRUPT_MEDIA")


def test_a_clip_tells_how_far_it_is_and_ends_with_the_stored_analysis(gateway: GatewayProcess) -> None:
    with gateway.rest() as client:
        content = mp4(moved("lung_scan.png"))
        with connect_sse(client, "POST", "/v1/domains/pathology/analyses", params=LUNG, content=content) as source:
            told = [(event.event, json.loads(event.data)) for event in source.iter_sse()]
            request_id = source.response.headers["x-request-id"]
        *progress, (last, document) = told
        assert last == "analysis"
        assert document["request_id"] == request_id
        assert client.get(document["links"]["self"]).json() == document
    assert {name for name, _ in progress} == {"progress"}
    done = [news["frames_done"] for _, news in progress]
    assert done == sorted(set(done))
    assert {news["frames_total"] for _, news in progress} == {COUNT}
    assert progress[-1][1]["verdict"]["kind"] == "running_classification"


def test_what_is_no_file_at_all_keeps_its_status_also_when_progress_was_asked_for(gateway: GatewayProcess) -> None:
    with gateway.rest() as client:
        response = client.post(
            "/v1/domains/pathology/analyses", params=LUNG, content=b"x" * 99, headers={"Accept": "text/event-stream"}
        )
    assert (response.status_code, response.json()["code"]) == (415, "UNSUPPORTED_MEDIA")
