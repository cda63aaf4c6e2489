"""The WebSocket, message by message, over a stream that does as a test says."""

import contextlib
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.rest import middleware as gateway_middleware
from gateway.rest import stream as gateway_stream
from gateway.service.streams.events import Dropped, Ended, Flow, FrameResult, Numbered, Verdict
from tests.gateway.rest.scripted_services import CLIP, MAX_UPLOAD_BYTES, TOKEN, RestThread
from tests.gateway.rest.websocket_caller import binary, close_of, connected, deaf, heard, masked, opened, say, until


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[RestThread]:
    with RestThread(tmp_path) as running:
        yield running


def test_what_is_sent_reaches_the_stream_frame_by_frame(gateway: RestThread) -> None:
    connection, stream = opened(
        gateway, parameters={"exam": "lung_ultrasound"}, codec="grey8", policy="sample", sample_fps=5, with_pictures=True
    )
    connection.send(binary(1, b"\x00" * 12, 0.04, 4, 3))
    say(connection, type="ack", event=7)
    say(connection, type="end")
    assert close_of(connection) == (1000, "")
    assert stream.given == [(1, 0.04, b"\x00" * 12, 4, 3), ("ack", 7), ("end",)]
    asked = stream.start
    assert (asked.domain, asked.parameters, asked.codec) == ("pathology", {"exam": "lung_ultrasound"}, "grey8")
    assert (asked.policy, asked.sample_fps, asked.with_pictures) == ("sample", 5, True)


def test_an_encoded_stream_is_taken_in_chunks_by_their_offset(gateway: RestThread) -> None:
    connection, stream = opened(gateway, codec="h264")
    connection.send(binary(0, b"abc"))
    connection.send(binary(3, b"def"))
    say(connection, type="end")
    assert close_of(connection)[0] == 1000
    assert stream.given == [(0, b"abc"), (3, b"def"), ("end",)]


def test_every_event_is_told_with_its_number_and_the_last_holds_the_stored_analysis(gateway: RestThread) -> None:
    connection, stream = opened(gateway)
    result = {"kind": "classification", "label": "normal"}
    stream.tell(
        Numbered(1, FrameResult(1, 0.5, result, "blurred", 12.5, {"device": "cpu"}, {"heatmap.png": b"\x89PNG"})),
        Numbered(2, Dropped(2, 4, 3, "superseded")),
        Numbered(3, Verdict({"kind": "running_classification"})),
        Numbered(0, Flow("slower", 9.5, 30.0)),
        Numbered(4, Ended("finished", 4, 1, 3, CLIP)),
        None,
    )
    assert heard(connection) == {
        "event": 1, "type": "frame", "number": 1, "time_s": 0.5, "result": result, "unusable": "blurred", "age_ms": 12.5,
        "provenance": {"device": "cpu"}, "pictures": {"heatmap.png": "iVBORw=="},
    }
    assert heard(connection) == {"event": 2, "type": "dropped", "first": 2, "last": 4, "count": 3, "reason": "superseded"}
    assert heard(connection) == {"event": 3, "type": "verdict", "document": {"kind": "running_classification"}}
    assert heard(connection) == {"event": 0, "type": "flow", "advice": "slower", "answered_fps": 9.5, "received_fps": 30.0}
    last = heard(connection)
    assert (last["event"], last["type"], last["reason"]) == (4, "ended", "finished")
    path = f"/v1/analyses/{CLIP.id}"
    assert last["analysis"]["links"] == {
        "self": path, "overlay": f"{path}/overlay.png",
        "key_frames": [f"{path}/key_frames/1.png", f"{path}/key_frames/2.png"],
    }
    assert close_of(connection) == (1000, "")


def test_a_connection_has_one_line_in_the_log_with_its_request_id_and_no_key(gateway: RestThread) -> None:
    connection = connected(gateway, **{"X-Request-ID": "visit-7", "Authorization": f"Bearer {gateway.key}"})
    assert connection.response is not None
    assert connection.response.headers["X-Request-ID"] == "visit-7"
    say(connection, type="start")
    heard(connection)
    gateway.streams.opened[0].tell(Numbered(1, Ended("finished", 0, 0, 0, CLIP)), None)
    heard(connection)
    close_of(connection)
    (line,) = gateway.lines()
    assert line["request_id"] == "visit-7"
    assert (line["transport"], line["operation"]) == ("websocket", "STREAM /v1/domains/pathology/stream")
    assert (line["status"], line["tenant"], line["analysis_id"]) == (1000, "clinic", CLIP.id)
    assert gateway.key not in str(gateway.log)


def test_a_page_that_can_set_no_header_sends_its_key_in_the_first_message(gateway: RestThread) -> None:
    connection = connected(gateway)
    say(connection, type="start", key=gateway.key)
    assert heard(connection)["type"] == "started"
    connection.close()


@pytest.mark.parametrize("politely", [True, False])
def test_a_lost_connection_leaves_the_stream_to_be_taken_up_again(gateway: RestThread, politely: bool) -> None:
    connection, stream = opened(gateway)
    if politely:
        connection.close()
    else:
        connection.socket.shutdown(socket.SHUT_RDWR)
    assert stream.detached.wait(10)
    again = connected(gateway, **{"X-API-Key": gateway.key})
    say(again, type="resume", token=TOKEN, received_events=3)
    assert heard(again) == {
        "event": 0, "type": "started", "token": TOKEN, "next_frame": 5, "next_offset": 0, "resume_within_s": 60.0,
        "resumed": True, "lost_events": 0,
    }
    assert gateway.streams.resumed == [3]
    again.send(binary(5))
    until(lambda: stream.given)
    again.close()
    assert {line["code"] for line in gateway.lines(count=2)} == {"CANCELLED"}


def test_a_stream_that_takes_no_more_holds_its_sender_up_and_nobody_else(gateway: RestThread) -> None:
    with deaf(gateway, b'{"type": "start", "policy": "all"}') as sender:
        until(lambda: gateway.streams.opened)
        stream = gateway.streams.opened[0]
        stream.busy = True
        sender.settimeout(0.5)
        sent = 0
        with contextlib.suppress(TimeoutError):
            for number in range(1, 2000):
                sender.sendall(masked(binary(number, b"x" * MAX_UPLOAD_BYTES), opcode=2))
                sent = number
        assert sent < 1000, "the sender was never held up"
        assert len(stream.given) == 1
        other, _ = opened(gateway)
        say(other, type="end")
        assert close_of(other)[0] == 1000
        stream.busy = False


def test_a_caller_who_reads_nothing_is_given_up_and_holds_up_nobody_else(
    gateway: RestThread, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gateway_stream, "SEND_S", 0.5)
    monkeypatch.setattr(gateway_middleware, "TELL_S", 0.1)
    picture = {"mask.png": b"x" * 1024 * 1024}
    with deaf(gateway, b'{"type": "start"}'):
        until(lambda: gateway.streams.opened)
        stream = gateway.streams.opened[0]
        stream.tell(*(Numbered(n, FrameResult(n, 0.0, {}, "", 1.0, {}, picture)) for n in range(1, 40)))
        other, _ = opened(gateway)
        say(other, type="end")
        assert close_of(other)[0] == 1000
        assert stream.detached.wait(10)
        assert gateway.lines(count=2)[1]["code"] == "CANCELLED"
