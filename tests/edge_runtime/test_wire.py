import inspect
import struct

import msgspec
import pytest

from domains import errors as domain_errors
from domains.errors import DomainError, UnknownExam
from edge_runtime import errors as edge_errors
from edge_runtime import wire
from edge_runtime.errors import DeviceFault, EdgeError, FaultKind, Overloaded, TaskFailed
from edge_runtime.wire import ReplyMessage, TaskMessage, Timings

ERRORS = [
    kind
    for module in (domain_errors, edge_errors)
    for _, kind in inspect.getmembers(module, inspect.isclass)
    if issubclass(kind, DomainError | EdgeError) and kind not in {DomainError, EdgeError}
]


def test_a_message_and_the_sizes_of_its_blobs_survive_the_wire() -> None:
    message = TaskMessage(7, "analyse", "pathology", parameters={"exam": "x", "n": 3}, blobs={"input": 12})
    frame = wire.encode(message)
    (length,) = struct.unpack(">I", frame[:4])
    assert wire.decode(frame[4 : 4 + length]) == message
    assert dict(wire.blob_sizes(message)) == {"input": 12}


def test_timings_survive_the_wire() -> None:
    reply = ReplyMessage(1, timings=Timings(decode=0.25, infer=1.5))
    again = wire.decode(wire.encode(reply)[4:])
    assert isinstance(again, ReplyMessage)
    assert again.timings == reply.timings


def test_nonsense_on_the_wire_is_refused() -> None:
    with pytest.raises(msgspec.MsgspecError):
        wire.decode(b"\x81\xa4type\xa5other")


def made(kind: type[DomainError | EdgeError]) -> DomainError | EdgeError:
    """An error of that class; some want more than a message."""
    if issubclass(kind, DeviceFault):
        return kind("what is wrong", kind=FaultKind.HUNG)
    return kind("what is wrong", retry_after_s=2.5) if issubclass(kind, Overloaded) else kind("what is wrong")


@pytest.mark.parametrize("kind", ERRORS)
def test_every_error_of_ours_crosses_the_wire_as_itself(kind: type[DomainError | EdgeError]) -> None:
    again = wire.error_from_wire(wire.error_to_wire(made(kind)))
    assert type(again) is kind
    assert str(again) == "what is wrong"


def test_the_parameter_at_fault_crosses_the_wire() -> None:
    again = wire.error_from_wire(wire.error_to_wire(UnknownExam("choose", parameter="exam")))
    assert isinstance(again, UnknownExam)
    assert again.parameter == "exam"


@pytest.mark.parametrize("fault", FaultKind)
def test_what_is_wrong_with_a_device_crosses_the_wire(fault: FaultKind) -> None:
    again = wire.error_from_wire(wire.error_to_wire(DeviceFault("it failed", kind=fault)))
    assert isinstance(again, DeviceFault)
    assert again.kind is fault


def test_when_to_come_back_crosses_the_wire() -> None:
    again = wire.error_from_wire(wire.error_to_wire(Overloaded("full", retry_after_s=2.5)))
    assert isinstance(again, Overloaded)
    assert again.retry_after_s == 2.5


def test_the_text_of_an_unknown_error_stays_in_the_worker() -> None:
    again = wire.error_from_wire(wire.error_to_wire(RuntimeError("DOE^JANE 1970-01-01")))
    assert isinstance(again, TaskFailed)
    assert "DOE" not in str(again)
    assert "RuntimeError" in str(again)
