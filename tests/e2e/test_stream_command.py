"""`hedgerow stream`, as a person at a terminal uses it, against the real gateway over both transports."""

import json
import signal
import subprocess
import time
from collections import Counter
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import av
import cv2
import numpy as np
import pytest
from av.video.stream import VideoStream

from tests.e2e.relay import Relay
from tests.gateway_process import HEDGEROW, ROOT, SAMPLES, GatewayProcess

FRAMES = 30
LUNG = ("-d", "pathology", "--exam", "lung_ultrasound")
TRANSPORTS = ("websocket", "grpc")


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A probe that moves over a lung: 30 frames of the sample scan, each a little further."""
    path = tmp_path_factory.mktemp("clips") / "lung.mp4"
    scan = cv2.imread(str(SAMPLES / "lung_scan.png"))
    assert scan is not None
    scan = scan[: scan.shape[0] // 2 * 2, : scan.shape[1] // 2 * 2, ::-1]
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        assert isinstance(stream, VideoStream)
        stream.height, stream.width, stream.pix_fmt = scan.shape[0], scan.shape[1], "yuv420p"
        for number in range(FRAMES):
            moved = np.ascontiguousarray(np.roll(scan, number, axis=1).astype(np.uint8))
            container.mux(stream.encode(av.VideoFrame.from_ndarray(moved, format="rgb24")))
        container.mux(stream.encode(None))
    return path


def reached(gateway: GatewayProcess, transport: str) -> tuple[str, ...]:
    return ("--url", gateway.url) if transport == "websocket" else ("--grpc", gateway.grpc_address)


def started(gateway: GatewayProcess, *arguments: str) -> "subprocess.Popen[str]":
    """The command at work; its output is read while it runs."""
    return subprocess.Popen(
        [HEDGEROW, "stream", *arguments], env=gateway.environment | {"HEDGEROW_KEY": gateway.key}, stdout=subprocess.PIPE,
        text=True, cwd=ROOT,
    )


def events(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("codec", ["pictures", "auto"])
def test_a_file_is_played_and_its_verdict_is_stored(gateway: GatewayProcess, clip: Path, transport: str, codec: str) -> None:
    done = gateway.command(
        "stream", str(clip), *LUNG, *reached(gateway, transport), "--codec", codec, "--policy", "all", "--speed", "0", "--json",
        HEDGEROW_KEY=gateway.key,
    )
    assert done.returncode == 0, done.stderr
    found = events(done.stdout)
    assert [row["number"] for row in found if row["type"] == "frame"] == list(range(1, FRAMES + 1))
    assert [round(row["time_s"], 2) for row in found if row["type"] == "frame"][:3] == [0, 0.04, 0.08]
    ended = found[-1]
    assert (ended["type"], ended["reason"], ended["analysed"]) == ("ended", "finished", FRAMES)
    with gateway.rest() as client:
        stored = client.get(f"/v1/analyses/{ended['analysis']['id']}").json()
    assert stored["result"]["kind"] == "clip_classification"
    assert stored["result"]["label"] == ended["analysis"]["result"]["label"]


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_a_live_stream_accounts_for_every_frame(gateway: GatewayProcess, clip: Path, transport: str) -> None:
    done = gateway.command("stream", str(clip), *LUNG, *reached(gateway, transport), "--json", HEDGEROW_KEY=gateway.key)
    assert done.returncode == 0, done.stderr
    kinds: Counter[str] = Counter()
    for row in events(done.stdout):
        kinds[row["type"]] += row["count"] if row["type"] == "dropped" else 1
    assert kinds["frame"] + kinds["dropped"] == FRAMES
    assert kinds["ended"] == 1


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_a_connection_that_breaks_is_taken_up_again_and_no_frame_counts_twice(
    gateway: GatewayProcess, clip: Path, transport: str
) -> None:
    address = urlsplit(gateway.url).netloc if transport == "websocket" else gateway.grpc_address
    host, port = address.rsplit(":", 1)
    with Relay(host, int(port)) as relay:
        here = f"127.0.0.1:{relay.port}"
        way = ("--url", f"http://{here}") if transport == "websocket" else ("--grpc", here)
        found, cuts = [], 0
        with started(gateway, str(clip), *LUNG, *way, "--policy", "all", "--speed", "0.5", "--json") as running:
            for line in running.stdout or ():
                found.append(json.loads(line))
                if found[-1]["type"] == "frame" and found[-1]["number"] in {8, 18}:
                    cuts += relay.cut()
        assert running.returncode == 0
    assert cuts == 2
    assert [row["number"] for row in found if row["type"] == "frame"] == list(range(1, FRAMES + 1))
    assert sum(row["type"] == "interrupted" for row in found) >= 2
    assert found[-1]["analysis"]["result"]["frames"]["analysed"] == FRAMES


def test_an_annotated_video_has_every_frame_at_its_time(gateway: GatewayProcess, clip: Path, tmp_path: Path) -> None:
    out = tmp_path / "annotated.mp4"
    done = gateway.command(
        "stream", str(clip), *LUNG, "--url", gateway.url, "--policy", "all", "--out", str(out), HEDGEROW_KEY=gateway.key
    )
    assert done.returncode == 0, done.stderr
    assert f"{FRAMES} frames" in done.stdout
    with av.open(str(out)) as container:
        frames = list(container.decode(video=0))
    assert [round(float(frame.time or 0), 2) for frame in frames] == [round(number * 0.04, 2) for number in range(FRAMES)]


def test_without_a_terminal_lines_tell_the_verdict(gateway: GatewayProcess, clip: Path) -> None:
    done = gateway.command("stream", str(clip), *LUNG, "--url", gateway.url, "--policy", "all", HEDGEROW_KEY=gateway.key)
    assert done.returncode == 0, done.stderr
    assert "of 30 frames usable" in done.stdout
    assert "research use only" in done.stdout
    assert "\x1b" not in done.stdout


def test_an_interrupt_ends_the_stream_and_its_verdict_still_comes(gateway: GatewayProcess, clip: Path) -> None:
    found, interrupted_at = [], 0.0
    with started(gateway, str(clip), *LUNG, "--url", gateway.url, "--speed", "0.05", "--json") as running:
        for line in running.stdout or ():
            found.append(json.loads(line))
            if found[-1]["type"] == "frame" and found[-1]["number"] == 3:
                interrupted_at = time.monotonic()
                running.send_signal(signal.SIGINT)
    assert running.returncode == 0
    assert time.monotonic() - interrupted_at < 15  # the file lasts longer at this speed
    assert found[-1]["type"] == "ended"
    assert found[-1]["analysis"]["result"]["frames"]["analysed"] < FRAMES


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_a_refusal_is_told_with_the_gateways_words_and_the_request(gateway: GatewayProcess, clip: Path, transport: str) -> None:
    asked = ("stream", str(clip), "-d", "pathology", *reached(gateway, transport))
    wrong = gateway.command(*asked, "--exam", "no_such_exam", HEDGEROW_KEY=gateway.key)
    assert wrong.returncode == 1
    assert "lung_ultrasound" in wrong.stderr
    assert "UNKNOWN_EXAM, request " in wrong.stderr
    locked = gateway.command(*asked, "--exam", "lung_ultrasound", HEDGEROW_KEY="hgr_aaaaaaaa_wrong")
    assert locked.returncode == 1
    assert "UNAUTHENTICATED" in locked.stderr
    assert "Traceback" not in wrong.stderr + locked.stderr


def test_what_makes_no_sense_is_said_before_anything_is_sent(gateway: GatewayProcess, clip: Path, tmp_path: Path) -> None:
    for more, told in (
        (("--policy", "sample"), "--fps"), (("--fps", "2"), "--policy sample"), (("--out", str(tmp_path / "out.txt")), ".mp4"),
        (("-p", "depth"), "NAME=VALUE"), (("--url", "http://127.0.0.1:9"), "no answer from http://127.0.0.1:9"),
    ):
        done = gateway.command("stream", str(clip), "-d", "pathology", *more, HEDGEROW_URL=gateway.url, HEDGEROW_KEY=gateway.key)
        assert done.returncode == 1
        assert told in done.stderr
        assert "Traceback" not in done.stderr
    nothing = gateway.command("stream", "no such file.mp4", "-d", "pathology")
    assert nothing.returncode == 1
    assert "there is no file" in nothing.stderr
