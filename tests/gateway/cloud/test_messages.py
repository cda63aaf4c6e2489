"""What gateways and workers say to each other is checked, and another version is refused by its number."""

from typing import Any

import msgspec
import pytest

from gateway.cloud.messages import (
    VERSION,
    AnswerMessage,
    PictureMessage,
    Refused,
    answer_of,
    answer_to_bytes,
    error_answer,
    is_id,
    read_answer,
    read_task,
    task_to_builtins,
)
from gateway.service.cloud.ports import CloudError
from tests.gateway.cloud.samples import LUNG, task_of

RUN = "0f" * 16


def test_a_task_comes_back_as_it_was_sent_and_holds_nothing_else() -> None:
    task = task_of()
    told = task_to_builtins(task)
    assert set(told) == {"version", "id", "domain", "parameters", "sha256", "size_bytes", "timeout_s"}
    read = read_task(msgspec.json.decode(msgspec.json.encode(told)))
    assert (read.version, read.id, read.domain, read.parameters) == (VERSION, task.id, "pathology", LUNG)
    assert (read.sha256, read.size_bytes, read.timeout_s) == (task.sha256, task.size_bytes, task.timeout_s)


@pytest.mark.parametrize(("change", "why"), [
    ({"version": 2}, "version 2, this program knows version 1"),
    ({"version": "1"}, "says no version"),
    ({"tenant": "clinic"}, "tenant"),
    ({"size_bytes": "many"}, "size_bytes"),
    ({"id": "../../etc"}, "no id"),
])
def test_another_message_is_refused_with_the_reason(change: dict[str, Any], why: str) -> None:
    with pytest.raises(Refused, match=why):
        read_task(task_to_builtins(task_of()) | change)


@pytest.mark.parametrize("given", [None, [], "version", {}])
def test_what_is_no_message_is_refused(given: object) -> None:
    with pytest.raises(Refused, match="says no version"):
        read_task(given)


def test_an_answer_comes_back_with_its_pictures() -> None:
    picture = PictureMessage(3, "00" * 32)
    message = AnswerMessage(VERSION, task_of().id, RUN, {"label": "normal"}, {"width": 3}, LUNG, {"node": "n"}, {"mask.png": picture})
    read = read_answer(answer_to_bytes(message))
    assert read == message
    answer = answer_of(read, {"mask.png": b"png"})
    assert (answer.id, answer.result, answer.pictures, answer.error) == (message.id, {"label": "normal"}, {"mask.png": b"png"}, None)
    assert read.settles


@pytest.mark.parametrize("final", [True, False])
def test_only_an_error_that_is_final_settles_a_task(final: bool) -> None:
    error = CloudError("CORRUPT_MEDIA", "the file is cut short", "", final)
    read = read_answer(answer_to_bytes(error_answer(task_of().id, error)))
    assert (read.settles, answer_of(read, {}).error) == (final, error)


@pytest.mark.parametrize(("content", "why"), [
    (b"", "no JSON"),
    (b"\x80\x04\x95", "no JSON"),
    (b'{"version": 7, "id": "x"}', "version 7"),
    (b'{"version": 1}', "id"),
])
def test_an_answer_that_is_none_is_refused(content: bytes, why: str) -> None:
    with pytest.raises(Refused, match=why):
        read_answer(content)


@pytest.mark.parametrize(("run", "name"), [("", "mask.png"), ("../other", "mask.png"), (RUN, "../mask.png"), (RUN, "a/b.png")])
def test_a_picture_can_lie_only_beside_its_answer(run: str, name: str) -> None:
    message = AnswerMessage(VERSION, task_of().id, run, pictures={name: PictureMessage(1, "00")})
    with pytest.raises(Refused, match="names"):
        read_answer(answer_to_bytes(message))


@pytest.mark.parametrize("text", ["", "..", "a/b", "0194-", "0194CCCC-0000-7000-8000-000000000000"])
def test_what_is_no_id_becomes_no_path(text: str) -> None:
    assert not is_id(text)
    assert is_id(task_of().id)
