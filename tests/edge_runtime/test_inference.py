"""Tensors on their way, without numpy."""

import pytest

from edge_runtime.inference import Tensor, from_reply, from_task, to_task
from edge_runtime.wire import ReplyMessage, TensorSpec


def test_a_task_holds_its_tensors_and_gives_them_back() -> None:
    inputs = [Tensor(TensorSpec("a", "uint8", (2,)), b"\1\2"), Tensor(TensorSpec("b", "float32", (1, 1)), bytes(4))]
    task, blobs = to_task("scans", inputs)
    assert (task.model, from_task(task, {name: bytes(blob) for name, blob in blobs.items()})) == ("scans", inputs)


@pytest.mark.parametrize(("datatype", "shape", "size"), [
    ("uint8", (2, 2), 3), ("float32", (2,), 2), ("int8", (1,), 1), ("uint8", (-1,), 1), ("uint8", (), 0),
])
def test_bytes_that_arent_what_they_are_said_to_be_are_no_tensor(datatype: str, shape: tuple[int, ...], size: int) -> None:
    with pytest.raises(ValueError, match="x "):
        Tensor(TensorSpec("x", datatype, shape), bytes(size))


def test_a_reply_without_what_it_speaks_of_is_refused() -> None:
    with pytest.raises(ValueError, match="logits holds 0 bytes"):
        from_reply(ReplyMessage(1, tensors=[TensorSpec("logits", "float32", (3,))]), {})
