"""Live streams and clips over gRPC, with the real program, its models and its decoders."""

import io
import json
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
from PIL import Image

from protos.hedgerow.v1 import analysis_pb2 as pb
from tests import clips
from tests.clips import Frame
from tests.gateway.grpc.scans import PATIENCE_S, Connection, end, kind, resume, start
from tests.gateway_process import ROOT, SAMPLES, GatewayProcess

ALL = pb.STREAM_POLICY_ALL
BUF = Path(sys.executable).with_name("buf")
LATER_KILLED = """
import os, sys
import grpc
from protos.hedgerow.v1 import analysis_pb2 as pb
from protos.hedgerow.v1.analysis_pb2_grpc import AnalysisServiceStub
from tests.gateway.grpc.scans import Connection, frames, of_frame, start

address, key, scan = sys.argv[1:]
stub = AnalysisServiceStub(grpc.insecure_channel(address))
connection = Connection(stub, key, start(policy=pb.STREAM_POLICY_ALL), *frames(1, 5, open(scan, "rb").read()))
responses = connection.until(of_frame(5))
print(responses[0].started.token, responses[-1].event, flush=True)
os.kill(os.getpid(), 9)
"""


def sample(name: str, width: int, height: int) -> Frame:
    """A sample picture as RGB of that size."""
    return np.asarray(Image.open(SAMPLES / name).convert("RGB").resize((width, height)))


def scan(count: int) -> list[Frame]:
    """A lung scan over which the probe moves: grey in RGB, 320x240."""
    picture = sample("lung_scan.png", 320, 240)
    return [np.roll(picture, 2 * number, axis=1) for number in range(count)]


def png(frame: Frame) -> bytes:
    """The frame as a file."""
    file = io.BytesIO()
    Image.fromarray(frame).save(file, "png")
    return file.getvalue()


def pictures(frames: list[Frame]) -> list[pb.StreamRequest]:
    """Frames for the codec PICTURES."""
    return [
        pb.StreamRequest(frame=pb.StreamFrame(number=number, time_s=number / 10, content=png(frame)))
        for number, frame in enumerate(frames, 1)
    ]


def chunks(content: bytes, size: int) -> Iterator[pb.StreamRequest]:
    """An encoded stream, cut."""
    for at in range(0, len(content), size):
        yield pb.StreamRequest(chunk=pb.StreamChunk(offset=at, content=content[at : at + size]))


def answers(responses: list[pb.StreamResponse]) -> dict[int, pb.StreamFrameResult]:
    """The frames' results by number."""
    found = {row.frame.number: row.frame for row in responses if kind(row) == "frame"}
    assert len(found) == sum(kind(row) == "frame" for row in responses)
    return found


@pytest.fixture
def stub(gateway: GatewayProcess) -> Iterator[Any]:
    with gateway.channel() as channel:
        yield gateway.stub(channel)


def test_a_probe_that_moves_gets_its_answers_pictures_and_one_line_in_the_log(gateway: GatewayProcess, stub: Any) -> None:
    sent = pictures(scan(10))
    with Connection(stub, gateway.key, start(policy=ALL, with_pictures=True), *sent, end()) as connection:
        responses = connection.rest()
        request_id = dict(connection.call.initial_metadata())["x-request-id"]
    found = answers(responses)
    assert list(found) == list(range(1, 11))
    assert all(row.pictures["evidence.png"].startswith(b"\x89PNG") for row in found.values())
    assert all(row.provenance.model.name == "lung_ultrasound" for row in found.values())
    analysis = responses[-1].ended.analysis
    assert analysis.clip_classification.frames.analysed == 10
    assert (analysis.media.width, analysis.media.height, analysis.media.codec) == (320, 240, "pictures")
    time.sleep(0.2)
    (line,) = [line for line in gateway.logs() if line["event"] == "request" and line["request_id"] == request_id]
    assert (line["operation"], line["status"], line["analysis_id"]) == ("Stream", "OK", analysis.id)


def test_raw_grey_frames_get_the_same_answers_as_files_of_them(gateway: GatewayProcess, stub: Any) -> None:
    frames = scan(3)
    with Connection(stub, gateway.key, start(policy=ALL), *pictures(frames), end()) as connection:
        of_files = answers(connection.rest())
    raw = [
        pb.StreamRequest(frame=pb.StreamFrame(
            number=number, time_s=number / 10, content=frame[..., 0].tobytes(), width=320, height=240
        ))
        for number, frame in enumerate(frames, 1)
    ]
    with Connection(stub, gateway.key, start(policy=ALL, codec=pb.STREAM_CODEC_GREY8), *raw, end()) as connection:
        of_bytes = answers(connection.rest())
    assert [row.classification for row in of_bytes.values()] == [row.classification for row in of_files.values()]


@pytest.mark.parametrize(
    ("codec", "encode"),
    [
        (pb.STREAM_CODEC_H264, clips.h264),
        (pb.STREAM_CODEC_HEVC, clips.hevc),
        (pb.STREAM_CODEC_MPEG2, clips.mpeg2),
        (pb.STREAM_CODEC_MPEG_TS, clips.mpegts),
        (pb.STREAM_CODEC_MP4, clips.fragmented_mp4),
    ],
    ids=["h264", "hevc", "mpeg2", "mpegts", "mp4"],
)
def test_an_encoded_stream_cut_anywhere_is_answered_frame_by_frame(
    gateway: GatewayProcess, stub: Any, codec: int, encode: Callable[[list[Frame]], bytes]
) -> None:
    content = encode(scan(12))
    seen = []
    for size in (777, 100_000):
        with Connection(stub, gateway.key, start(codec=codec, policy=ALL), *chunks(content, size), end()) as connection:
            responses = connection.rest()
        assert responses[-1].ended.reason == "finished"
        seen.append({number: row.classification for number, row in answers(responses).items()})
    assert list(seen[0]) == list(range(1, 13))
    assert seen[0] == seen[1]


def test_a_stream_of_garbage_is_told_so_and_leaves_the_one_beside_it_alone(gateway: GatewayProcess, stub: Any) -> None:
    sent = pictures(scan(6))
    noise = np.random.default_rng(1).bytes(400_000)
    with (
        Connection(stub, gateway.key, start(policy=ALL), *sent[:3]) as neighbour,
        Connection(stub, gateway.key, start(codec=pb.STREAM_CODEC_H264), *chunks(noise, 50_000), end()) as garbage,
    ):
        responses, error = garbage.error()
        neighbour.send(*sent[3:], end())
        assert neighbour.rest()[-1].ended.analysed == 6
    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert responses[-1].ended.reason == "failed"
    assert not responses[-1].ended.HasField("analysis")


def test_a_caller_whose_program_was_killed_takes_its_stream_up_again(gateway: GatewayProcess, stub: Any) -> None:
    killed = subprocess.run(
        [sys.executable, "-c", LATER_KILLED, gateway.grpc_address, gateway.key, SAMPLES / "lung_scan.png"],
        cwd=ROOT, capture_output=True, text=True, timeout=60, check=False,
    )
    assert killed.returncode == -9, killed.stderr
    token, received = killed.stdout.split()
    still = (SAMPLES / "lung_scan.png").read_bytes()
    more = [pb.StreamRequest(frame=pb.StreamFrame(number=number, time_s=number / 25, content=still)) for number in (6, 7)]
    with Connection(stub, gateway.key, resume(token, int(received)), *more, end()) as connection:
        responses = connection.rest()
    assert responses[0].started.next_frame == 6
    assert responses[-1].ended.received == 7
    assert responses[-1].ended.analysis.clip_classification.frames.analysed == 7
    assert "unforeseen" not in gateway.log_text, "a lost connection is no fault of ours"


def test_a_clip_gives_progress_a_verdict_and_pictures_of_its_key_frames(gateway: GatewayProcess, stub: Any) -> None:
    clip = clips.mp4(scan(15))
    opened = pb.UploadStart(domain="pathology", size_bytes=len(clip))
    opened.parameters.update({"exam": "lung_ultrasound"})
    requests = [pb.AnalyzeWithProgressRequest(start=opened), pb.AnalyzeWithProgressRequest(chunk=clip)]
    *progress, last = stub.AnalyzeWithProgress(iter(requests), metadata=gateway.metadata(), timeout=PATIENCE_S)
    assert progress[-1].progress.frames_done == progress[-1].progress.frames_total == 15
    analysis = last.analysis
    assert analysis.clip_classification.frames.analysed == 15
    for rank, _ in enumerate(analysis.clip_classification.key_frames, 1):
        wanted = pb.GetArtifactRequest(id=analysis.id, artifact=pb.ARTIFACT_KEY_FRAME, key_frame=rank)
        drawn = stub.GetArtifact(wanted, metadata=gateway.metadata()).png
        assert Image.open(io.BytesIO(drawn)).width == 320
    beyond = pb.GetArtifactRequest(id=analysis.id, artifact=pb.ARTIFACT_KEY_FRAME, key_frame=99)
    with pytest.raises(grpc.RpcError) as caught:
        stub.GetArtifact(beyond, metadata=gateway.metadata())
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND


def test_a_robots_video_counts_each_plant_once(gateway: GatewayProcess, stub: Any) -> None:
    field = sample("field.jpg", 480, 360)
    content = clips.h264([np.roll(field, 4 * number, axis=0) for number in range(6)])
    opened = pb.StreamRequest(start=pb.StreamStart(domain="crop_weed", codec=pb.STREAM_CODEC_H264, policy=ALL))
    with Connection(stub, gateway.key, opened, *chunks(content, 10_000), end()) as connection:
        responses = connection.rest()
    in_frames = [len(row.segmentation.instances) for row in answers(responses).values()]
    assert len(in_frames) == 6
    verdicts = [row.verdict for row in responses if kind(row) == "verdict"]
    assert {row.WhichOneof("verdict") for row in verdicts} == {"tracking"}
    tracking = responses[-1].ended.analysis.clip_tracking
    assert tracking.frames.analysed == 6
    assert 0 < sum(row.count for row in tracking.classes) < sum(in_frames)


def test_buf_curl_streams_by_reflection(gateway: GatewayProcess) -> None:
    messages = re.search(r"```\n(\{\"start\".*?)```", (ROOT / "docs" / "streams.md").read_text(), re.DOTALL)
    assert messages
    picture = subprocess.run(["base64", "-w0", SAMPLES / "lung_scan.png"], capture_output=True, text=True, check=True).stdout
    done = subprocess.run(
        [BUF, "curl", "--http2-prior-knowledge", "--protocol", "grpc", "-H", f"Authorization: Bearer {gateway.key}",
         "-d", "@-", f"http://{gateway.grpc_address}/hedgerow.v1.AnalysisService/Stream"],
        input=messages[1].replace("BASE64", picture), capture_output=True, text=True, timeout=60, check=False,
    )
    assert done.returncode == 0, done.stderr
    decoder, rest, events = json.JSONDecoder(), done.stdout.strip(), []
    while rest:
        event, used = decoder.raw_decode(rest)
        events.append(event)
        rest = rest[used:].lstrip()
    assert "token" in events[0]["started"]
    assert events[-1]["ended"]["analysis"]["media"]["format"] == "stream"


def test_the_example_in_the_docs_runs_as_it_stands(gateway: GatewayProcess, tmp_path: Path) -> None:
    example = re.search(r"```python\n(.*?)```", (ROOT / "docs" / "streams.md").read_text(), re.DOTALL)
    assert example
    text = example[1].replace("127.0.0.1:8081", gateway.grpc_address).replace("hgr_...", gateway.key)
    (tmp_path / "example.py").write_text(text)
    done = subprocess.run(
        [sys.executable, tmp_path / "example.py"], cwd=ROOT, env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True,
        timeout=60, check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "finished" in done.stdout
