"""Live streams over WebSocket, against the real program and once out of a real browser."""

import contextlib
import http.server
import io
import json
import signal
import socket
import struct
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from tests.browser import browser
from tests.clips import Frame, h264
from tests.e2e.test_clips import moved
from tests.gateway_process import SAMPLES, GatewayProcess

LUNG = {"exam": "lung_ultrasound"}
COUNT = 10


@contextlib.contextmanager
def stream(gateway: GatewayProcess, domain: str = "pathology", **first: Any) -> Iterator[ClientConnection]:
    """A stream, or one taken up again, whose first message was sent."""
    address = gateway.url.replace("http:", "ws:")
    headers = {"Authorization": f"Bearer {gateway.key}"}
    with connect(
        f"{address}/v1/domains/{domain}/stream", additional_headers=headers, proxy=None, compression=None, close_timeout=2
    ) as connection:
        connection.send(json.dumps(first if "token" in first else {"type": "start", "parameters": LUNG} | first))
        yield connection


def jpeg(pixels: Frame) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=90)
    return file.getvalue()


def message(position: int, content: bytes, time_s: float = 0.0, width: int = 0, height: int = 0) -> bytes:
    return struct.pack(">qdII", position, time_s, width, height) + content


def send_pictures(connection: ClientConnection, pictures: Sequence[bytes], first: int = 1) -> None:
    for number, content in enumerate(pictures, first):
        connection.send(message(number, content, number / 10))


def end(connection: ClientConnection) -> None:
    connection.send('{"type": "end"}')


def told(connection: ClientConnection) -> tuple[list[dict[str, Any]], int]:
    """All that is still told, and the code with which the connection is closed."""
    events = []
    with contextlib.suppress(ConnectionClosed):
        while True:
            events.append(json.loads(connection.recv(60)))
    assert connection.close_code is not None
    return events, connection.close_code


def of_type(events: list[dict[str, Any]], name: str) -> list[dict[str, Any]]:
    return [event for event in events if event["type"] == name]


@pytest.fixture(scope="module")
def pictures() -> list[bytes]:
    return [jpeg(frame) for frame in moved("lung_scan.png", COUNT)]


def test_each_frame_gets_its_answer_and_all_of_them_one_stored_verdict(
    gateway: GatewayProcess, pictures: list[bytes]
) -> None:
    with stream(gateway, policy="all", with_pictures=True) as connection:
        send_pictures(connection, pictures)
        end(connection)
        events, code = told(connection)
    assert code == 1000
    assert events[0]["type"] == "started"
    frames = of_type(events, "frame")
    assert [frame["number"] for frame in frames] == list(range(1, COUNT + 1))
    assert all(frame["result"]["kind"] == "classification" for frame in frames)
    assert all(frame["pictures"] for frame in frames)
    numbers = [event["event"] for event in events if event["event"]]
    assert numbers == list(range(1, len(numbers) + 1))
    last = events[-1]
    assert (last["type"], last["reason"], last["received"], last["analysed"], last["dropped"]) == (
        "ended", "finished", COUNT, COUNT, 0,
    )
    analysis = last["analysis"]
    assert analysis["result"]["kind"] == "clip_classification"
    assert analysis["result"]["label"] == "normal"
    assert (analysis["media"]["format"], analysis["media"]["codec"]) == ("stream", "pictures")
    assert analysis["media"]["size_bytes"] == sum(map(len, pictures))
    with gateway.rest() as client:
        assert client.get(analysis["links"]["self"]).json() == analysis
        assert client.get(analysis["links"]["key_frames"][0]).headers["content-type"] == "image/png"


def test_a_live_viewer_sees_the_verdict_move_and_hears_of_every_frame_that_was_left_out(
    gateway: GatewayProcess, pictures: list[bytes]
) -> None:
    with stream(gateway) as connection:
        send_pictures(connection, [*pictures, *pictures, *pictures])
        end(connection)
        events, _ = told(connection)
    answered = {frame["number"] for frame in of_type(events, "frame")}
    dropped = of_type(events, "dropped")
    assert {event["reason"] for event in dropped} <= {"superseded"}
    last = events[-1]
    assert last["received"] == 3 * COUNT
    assert last["analysed"] == len(answered)
    assert last["dropped"] == sum(event["count"] for event in dropped) == 3 * COUNT - len(answered)
    assert of_type(events, "verdict")[-1]["document"]["kind"] == "running_classification"


def test_grey_rows_are_taken_as_they_come_off_a_probe(gateway: GatewayProcess) -> None:
    with stream(gateway, codec="grey8", policy="all") as connection:
        for number, frame in enumerate(moved("lung_scan.png", 4), 1):
            connection.send(message(number, frame[..., 0].tobytes(), number / 10, 480, 360))
        end(connection)
        events, code = told(connection)
    assert code == 1000
    assert len(of_type(events, "frame")) == 4
    media = events[-1]["analysis"]["media"]
    assert (media["width"], media["height"], media["codec"]) == (480, 360, "grey8")


def test_an_encoded_stream_is_decoded_wherever_its_chunks_are_cut(gateway: GatewayProcess) -> None:
    encoded = h264(moved("lung_scan.png", COUNT))
    with stream(gateway, codec="h264", policy="all") as connection:
        for offset in range(0, len(encoded), 1009):
            connection.send(message(offset, encoded[offset : offset + 1009]))
        end(connection)
        events, code = told(connection)
    assert code == 1000
    assert [frame["number"] for frame in of_type(events, "frame")] == list(range(1, COUNT + 1))
    assert events[-1]["analysis"]["media"]["codec"] == "h264"


def test_a_stream_goes_on_after_its_connection_was_cut_and_counts_nothing_twice(
    gateway: GatewayProcess, pictures: list[bytes]
) -> None:
    with stream(gateway, policy="all") as connection:
        started = json.loads(connection.recv(10))
        send_pictures(connection, pictures[:6])
        heard = [json.loads(connection.recv(30)) for _ in range(3)]
        connection.socket.shutdown(socket.SHUT_RDWR)
    token, last_heard = started["token"], max(event["event"] for event in heard)
    with stream(gateway, type="resume", token=token, received_events=last_heard) as connection:
        again = json.loads(connection.recv(10))
        assert (again["type"], again["resumed"], again["lost_events"]) == ("started", True, 0)
        send_pictures(connection, pictures[again["next_frame"] - 1 :], again["next_frame"])
        end(connection)
        events, code = told(connection)
    assert code == 1000
    numbers = [event["event"] for event in heard + events if event["event"]]
    assert numbers == list(range(1, len(numbers) + 1))
    frames = [frame["number"] for frame in of_type(heard + events, "frame")]
    assert frames == list(range(1, COUNT + 1))
    assert (events[-1]["received"], events[-1]["analysed"]) == (COUNT, COUNT)


def test_a_stream_can_be_in_one_place_only(gateway: GatewayProcess) -> None:
    with stream(gateway) as first:
        token = json.loads(first.recv(10))["token"]
        with stream(gateway, type="resume", token=token) as second:
            assert json.loads(second.recv(10))["resumed"]
            events, code = told(first)
            assert code == 4499
            assert "another connection" in events[-1]["problem"]["detail"]
            end(second)
            assert told(second)[1] == 1000


@pytest.mark.parametrize(
    ("codec", "broken", "code"),
    [
        ("pictures", b"", 4400),
        ("pictures", b"no picture" * 9, 4415),
        ("pictures", b"\xff\xd8\xff\xe0 cut short", 4422),
        ("grey8", b"\x00" * 99, 4422),
        ("h264", bytes(range(256)) * 400, 4422),
    ],
    ids=["no bytes", "no picture", "a cut JPEG", "grey of another size", "an encoded stream of garbage"],
)
def test_garbage_ends_its_own_stream_with_one_clear_error_and_touches_no_other(
    gateway: GatewayProcess, pictures: list[bytes], codec: str, broken: bytes, code: int
) -> None:
    with stream(gateway, policy="all") as healthy:
        send_pictures(healthy, pictures[:2])
        with stream(gateway, policy="all", codec=codec) as connection:
            connection.send(message(0 if codec == "h264" else 1, broken, 0.0, 10, 10))
            end(connection)
            events, closed = told(connection)
        assert closed == code
        assert [event["type"] for event in events][-2:] == ["ended", "error"]
        assert events[-1]["problem"]["status"] == code - 4000
        send_pictures(healthy, pictures[2:4], 3)
        end(healthy)
        events, closed = told(healthy)
    assert closed == 1000
    assert len(of_type(events, "frame")) == 4


def test_a_size_that_changes_half_way_is_told_and_what_was_answered_is_kept(
    gateway: GatewayProcess, pictures: list[bytes]
) -> None:
    with stream(gateway, policy="all") as connection:
        send_pictures(connection, pictures[:3])
        while json.loads(connection.recv(30)).get("number") != 3:
            pass
        send_pictures(connection, [jpeg(moved("lung_scan.png", 1, width=320)[0])], 4)
        events, code = told(connection)
    ended, error = events[-2:]
    assert (ended["reason"], ended["analysis"]["result"]["frames"]["analysed"]) == ("failed", 3)
    assert (error["problem"]["code"], code) == ("INVALID_ARGUMENT", 4400)


def test_the_log_has_one_line_a_connection_that_finds_its_analysis(gateway: GatewayProcess, pictures: list[bytes]) -> None:
    with stream(gateway, policy="all") as connection:
        assert connection.response is not None
        request_id = connection.response.headers["X-Request-ID"]
        send_pictures(connection, pictures[:2])
        end(connection)
        events, _ = told(connection)
    lines: list[dict[str, Any]] = []
    for _ in range(100):
        lines = [line for line in gateway.logs() if line["event"] == "request" and line.get("request_id") == request_id]
        if lines:
            break
        time.sleep(0.05)
    (line,) = lines
    assert (line["transport"], line["status"], line["code"]) == ("websocket", 1000, None)
    assert line["analysis_id"] == events[-1]["analysis"]["id"]
    assert gateway.key not in gateway.log_text


class _Page(http.server.SimpleHTTPRequestHandler):
    """The page and a scan, from another origin than the gateway's."""

    def do_GET(self) -> None:
        scan = self.path == "/scan.png"
        content = (SAMPLES / "lung_scan.png" if scan else Path(__file__).with_name("stream_page.html")).read_bytes()
        self.send_response(200)
        self.send_header("Content-Type", "image/png" if scan else "text/html")
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def page() -> Iterator[str]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Page) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


def test_a_page_in_a_browser_sends_what_is_on_its_canvas_and_shows_the_verdict(gateway: GatewayProcess, page: str) -> None:
    address = f"{page}/?gateway={gateway.url.replace('http:', 'ws:')}"
    with browser() as window:
        window.open(address)
        window.type("#key", gateway.key)
        window.wait_for("closed 1000", timeout_s=60)
        assert "final normal 10" in window.text
        window.open(address)
        window.type("#key", "no-key")
        window.wait_for("closed 4401")
        assert "API key" in window.text
        assert [line for line in window.console() if "favicon" not in line] == []


def test_a_gateway_that_stops_tells_its_streams_their_verdict_before_it_goes(tmp_path: Path, pictures: list[bytes]) -> None:
    with GatewayProcess(tmp_path) as stopping, stream(stopping) as connection:
        send_pictures(connection, pictures[:1])
        while json.loads(connection.recv(60))["type"] != "frame":
            pass
        stopping.process.send_signal(signal.SIGTERM)
        events, code = told(connection)
        assert stopping.stop() == 0
    assert (events[-1]["type"], events[-1]["reason"], events[-1]["analysed"]) == ("ended", "stopping", 1)
    assert events[-1]["analysis"]["result"]["kind"] == "clip_classification"
    assert code == 1000
