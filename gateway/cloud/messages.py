"""What gateways and workers say to each other, version 1: JSON, checked field by field, never pickle.

    task      gateway -> worker, in the broker's message: which object to analyse, and as what
    answer    worker -> gateway, an object in the store: the result with the names of its pictures, or an error
    outcome   worker -> result backend: only whether there is an answer

A message of another version is refused: so a gateway and a worker of different ages say so instead of guessing.
"""

import re
from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec

from gateway.service.cloud.ports import CloudAnswer, CloudError, CloudTask

VERSION = 1
TASK = "hedgerow.analyse"
"""The task's name in the broker's messages."""

_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_RUN = re.compile(r"[0-9a-f]{32}")
_NAME = re.compile(r"[a-z0-9_]{1,64}(\.[a-z0-9]{1,8})?")
Message = TypeVar("Message", "TaskMessage", "AnswerMessage")


class Refused(Exception):
    """A message of another version, or none at all. The text quotes its version and names of fields, no more."""


class TaskMessage(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """As CloudTask."""

    version: int
    id: str
    domain: str
    parameters: dict[str, Any]
    sha256: str
    size_bytes: int
    timeout_s: float


class PictureMessage(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A picture of an answer."""

    size_bytes: int
    sha256: str


class ErrorMessage(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """As CloudError."""

    code: str
    message: str
    parameter: str
    final: bool


class AnswerMessage(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """As CloudAnswer, with its pictures by reference. `run`: a folder's name, so that two workers that answer the same task
    don't mix their pictures.
    """

    version: int
    id: str
    run: str = ""
    result: dict[str, Any] = {}
    media: dict[str, Any] = {}
    parameters: dict[str, Any] = {}
    provenance: dict[str, Any] = {}
    pictures: dict[str, PictureMessage] = {}
    error: ErrorMessage | None = None

    @property
    def settles(self) -> bool:
        """Whether another try would change nothing: a result, or an error that is final."""
        return self.error is None or self.error.final


class Outcome(msgspec.Struct, frozen=True):
    """What the result backend is told. `note`: why there is no answer, for whoever looks there."""

    answered: bool
    note: str = ""


class _Versioned(msgspec.Struct, frozen=True):
    version: int


def is_id(text: str) -> bool:
    """Whether it can be a job's id: it becomes part of an object's name."""
    return _ID.fullmatch(text) is not None


def task_to_builtins(task: CloudTask) -> dict[str, Any]:
    """The task as plain JSON values."""
    message = TaskMessage(
        VERSION, task.id, task.domain, dict(task.parameters), task.sha256, task.size_bytes, task.timeout_s
    )
    found: dict[str, Any] = msgspec.to_builtins(message)
    return found


def read_task(given: object) -> TaskMessage:
    """The task that a message holds. Raises Refused."""
    message = _checked(TaskMessage, "task", given)
    if not is_id(message.id):
        raise Refused("the task has no id that could be one")
    return message


def answer_to_bytes(message: AnswerMessage) -> bytes:
    """The answer's object."""
    return msgspec.json.encode(message)


def read_answer(content: bytes) -> AnswerMessage:
    """The answer that an object holds. Raises Refused."""
    try:
        given = msgspec.json.decode(content)
    except msgspec.MsgspecError:
        raise Refused("the answer is no JSON") from None
    message = _checked(AnswerMessage, "answer", given)
    if message.pictures and not (_RUN.fullmatch(message.run) and all(map(_NAME.fullmatch, message.pictures))):
        raise Refused("the answer's pictures have names that can't be")
    return message


def error_answer(task_id: str, error: CloudError) -> AnswerMessage:
    """An answer that says why there is no result."""
    return AnswerMessage(VERSION, task_id, error=ErrorMessage(error.code, error.message, error.parameter, error.final))


def answer_of(message: AnswerMessage, pictures: Mapping[str, bytes]) -> CloudAnswer:
    """The answer as the gateway's service knows it."""
    told = message.error
    error = None if told is None else CloudError(told.code, told.message, told.parameter, told.final)
    return CloudAnswer(
        message.id, message.result, message.media, message.parameters, message.provenance, dict(pictures), error
    )


def _checked(kind: type[Message], called: str, given: object) -> Message:
    try:
        version = msgspec.convert(given, _Versioned).version
    except msgspec.ValidationError:
        raise Refused(f"the {called} says no version") from None
    if version != VERSION:
        raise Refused(f"the {called} is of version {version}, this program knows version {VERSION}")
    try:
        return msgspec.convert(given, kind)
    except msgspec.ValidationError as error:
        raise Refused(f"the {called} isn't what version {VERSION} is: {error}") from None
