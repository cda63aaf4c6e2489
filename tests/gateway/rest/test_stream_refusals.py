"""What the WebSocket refuses, and in which words."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from domains.errors import CorruptMedia
from edge_runtime.errors import Overloaded
from gateway.service.streams import conversation
from gateway.service.streams.events import Ended, Numbered
from tests.gateway.rest.scripted_services import MAX_UPLOAD_BYTES, RestThread
from tests.gateway.rest.websocket_caller import binary, close_of, connected, heard, opened, refused, say


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[RestThread]:
    with RestThread(tmp_path) as running:
        yield running


@pytest.mark.parametrize("key", ["", "hgr_aaaaaaaa_" + "x" * 43])
def test_without_a_valid_key_no_stream_is_opened(gateway: RestThread, key: str) -> None:
    connection = connected(gateway)
    assert connection.response is not None
    say(connection, type="start", key=key)
    problem, code = refused(connection)
    assert (problem["code"], problem["status"], code) == ("UNAUTHENTICATED", 401, 4401)
    assert problem["request_id"] == connection.response.headers["X-Request-ID"]
    assert gateway.streams.opened == []


def test_a_key_for_another_domain_is_refused(gateway: RestThread) -> None:
    key = gateway.keys.create(tenant="farm", name="", scopes=("analyze:crop_weed",))[0]
    connection = connected(gateway)
    say(connection, type="start", key=key)
    problem, code = refused(connection)
    assert (problem["code"], code) == ("PERMISSION_DENIED", 4403)


@pytest.mark.parametrize(
    ("first", "parameter"),
    [
        ("DOE^JANE", ""),
        ('"DOE^JANE"', ""),
        ("[" * 9000, ""),
        ('{"type": "DOE^JANE"}', "type"),
        ('{"type": "end"}', "type"),
        ('{"type": "start", "DOE": 1}', ""),
        ('{"type": "start", "codec": "DOE^JANE"}', "codec"),
        ('{"type": "start", "sample_fps": "DOE^JANE"}', "sample_fps"),
        ('{"type": "resume"}', ""),
        (b"DOE^JANE", ""),
    ],
)  # fmt: skip
def test_a_malformed_first_message_is_told_so_without_quoting_it(
    gateway: RestThread, first: str | bytes, parameter: str
) -> None:
    connection = connected(gateway, **{"X-API-Key": gateway.key})
    connection.send(first)
    problem, code = refused(connection)
    assert (problem["code"], code) == ("INVALID_ARGUMENT", 4400)
    assert problem.get("parameter", "") == parameter
    assert "DOE" not in str(problem) + str(gateway.log)


@pytest.mark.parametrize(
    ("messages", "words"),
    [
        (["{"], "the type ack or end"),
        (['{"type": "start"}'], "the type ack or end"),
        ([b"short"], "a header of 24 bytes"),
        ([binary(1, time_s=float("nan"))], "a number of seconds"),
        ([binary(0)], "begin with 1 and rise"),
        ([binary(2), binary(2)], "begin with 1 and rise"),
        (['{"type": "ack", "event": "all"}'], "the type ack or end"),
    ],
)  # fmt: skip
def test_a_malformed_message_ends_the_stream_with_one_clear_error(
    gateway: RestThread, messages: list[str | bytes], words: str
) -> None:
    connection, stream = opened(gateway)
    for message in messages:
        connection.send(message)
    problem, code = refused(connection)
    assert (problem["code"], code) == ("INVALID_ARGUMENT", 4400)
    assert words in problem["detail"]
    assert stream.detached.wait(10)


def test_nothing_but_acks_may_follow_the_end(gateway: RestThread) -> None:
    connection, stream = opened(gateway)
    stream.waits_at_end = True
    say(connection, type="end")
    say(connection, type="ack", event=1)
    connection.send(binary(1))
    problem, code = refused(connection)
    assert (problem["code"], code) == ("INVALID_ARGUMENT", 4400)
    assert stream.given == [("end",), ("ack", 1)]


def test_too_large_a_frame_is_refused_in_words_and_a_far_larger_one_by_the_protocol(gateway: RestThread) -> None:
    largest, _ = opened(gateway)
    largest.send(binary(1, b"x" * MAX_UPLOAD_BYTES))
    say(largest, type="end")
    assert close_of(largest)[0] == 1000
    larger, _ = opened(gateway)
    larger.send(binary(1, b"x" * (MAX_UPLOAD_BYTES + 1)))
    problem, code = refused(larger)
    assert (problem["code"], code) == ("PAYLOAD_TOO_LARGE", 4413)
    assert str(MAX_UPLOAD_BYTES) in problem["detail"]
    far_larger, stream = opened(gateway)
    far_larger.send(binary(1, b"x" * MAX_UPLOAD_BYTES * 9))
    assert close_of(far_larger)[0] == 1009
    assert stream.detached.wait(10)


def test_too_long_a_json_message_is_refused(gateway: RestThread) -> None:
    connection = connected(gateway, **{"X-API-Key": gateway.key})
    say(connection, type="start", parameters={"exam": "x" * 70_000})
    problem, code = refused(connection)
    assert (problem["code"], code) == ("PAYLOAD_TOO_LARGE", 4413)


def test_whoever_says_nothing_is_not_waited_for(gateway: RestThread, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conversation, "FIRST_MESSAGE_S", 0.1)
    problem, code = refused(connected(gateway))
    assert (problem["code"], code) == ("DEADLINE_EXCEEDED", 4504)


def test_a_stream_that_cannot_be_opened_says_why_and_when_to_come_back(gateway: RestThread) -> None:
    gateway.streams.fails = Overloaded("16 streams are open, which is the limit", retry_after_s=5.0)
    connection = connected(gateway, **{"X-API-Key": gateway.key})
    say(connection, type="start")
    problem, code = refused(connection)
    assert (problem["code"], problem["retry_after_s"], code) == ("OVERLOADED", 5.0, 4503)


def test_a_stream_that_fails_tells_its_end_and_then_why(gateway: RestThread) -> None:
    connection, stream = opened(gateway)
    stream.tell(Numbered(1, Ended("failed", 1, 0, 1)), CorruptMedia("frame 1: the JPEG is cut short"))
    assert heard(connection)["analysis"] is None
    problem, code = refused(connection)
    assert (problem["code"], code) == ("CORRUPT_MEDIA", 4422)
    assert (gateway.lines()[0]["status"], gateway.lines()[0]["code"]) == (4422, "CORRUPT_MEDIA")


def test_the_text_of_an_unforeseen_error_reaches_nobody(gateway: RestThread) -> None:
    connection, stream = opened(gateway)
    stream.tell(KeyError("DOE^JANE"))
    problem, code = refused(connection)
    assert (problem["code"], code) == ("INTERNAL", 1011)
    assert gateway.lines("unforeseen error")[0]["request_id"] == problem["request_id"]
    assert "DOE" not in str(problem) + str(gateway.log)


def test_an_unknown_token_is_not_found(gateway: RestThread) -> None:
    connection = connected(gateway, **{"X-API-Key": gateway.key})
    say(connection, type="resume", token="other", received_events=0)
    problem, code = refused(connection)
    assert (problem["code"], code) == ("NOT_FOUND", 4404)


def test_a_path_that_is_none_refuses_the_handshake(gateway: RestThread) -> None:
    with pytest.raises(InvalidStatus, match="403"), connect(f"ws://{gateway.address}/v1/streams", proxy=None):
        pass
    assert gateway.lines()[0]["status"] == 1000
