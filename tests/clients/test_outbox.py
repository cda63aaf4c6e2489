"""What is kept for a stream that may be cut at any moment: nothing is lost that can be kept, nothing goes twice to the gateway."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hedgerow_client import HedgerowError, Limits
from hedgerow_client.outbox import Lost, Outbox
from hedgerow_client.transport import Part


def frame(number: int) -> Part:
    return Part(number, b"x" * 10, number / 25)


def taken(outbox: Outbox) -> list[int]:
    found = []
    while (part := outbox.take()) is not None:
        found.append(part.place)
    return found


def test_of_live_frames_only_the_newest_waits_and_the_others_are_told() -> None:
    outbox = Outbox(live=True, chunks=False)
    for number in range(1, 6):
        outbox.put(frame(number))
    assert taken(outbox) == [5]
    assert outbox.take_lost() == [Lost(1, 4, 4)]
    assert outbox.take_lost() == []


def test_after_a_break_live_frames_that_got_lost_are_told_and_the_newest_goes_again() -> None:
    outbox = Outbox(live=True, chunks=False)
    for number in range(1, 5):
        outbox.put(frame(number))
        taken(outbox)
    outbox.confirm(1)
    outbox.rewind(3)
    assert taken(outbox) == [4]
    assert outbox.take_lost() == [Lost(3, 3, 1)]


def test_after_a_break_a_newer_live_frame_takes_the_place_of_one_that_got_lost() -> None:
    outbox = Outbox(live=True, chunks=False)
    outbox.put(frame(1))
    taken(outbox)
    outbox.put(frame(2))
    outbox.rewind(1)
    assert taken(outbox) == [2]
    assert outbox.take_lost() == [Lost(1, 1, 1)]


def test_when_every_frame_counts_all_that_the_gateway_lacks_go_again_in_order() -> None:
    outbox = Outbox(live=False, chunks=False, limits=Limits(parts=5))
    for number in range(1, 6):
        outbox.put(frame(number))
    assert outbox.full
    outbox.take()
    outbox.take()
    outbox.take()
    outbox.confirm(1)
    assert not outbox.full
    outbox.rewind(3)
    assert taken(outbox) == [3, 4, 5]
    assert outbox.take_lost() == []


@given(cuts=st.lists(st.integers(1, 40), min_size=1, max_size=12), reached=st.data())
def test_bytes_arrive_once_and_in_order_wherever_the_connection_is_cut(cuts: list[int], reached: st.DataObject) -> None:
    sent, outbox, arrived = b"", Outbox(live=False, chunks=True), bytearray()
    for number, size in enumerate(cuts):
        content = bytes((number + at) % 251 for at in range(size))
        outbox.put(Part(len(sent), content))
        sent += content
        while (part := outbox.take()) is not None and reached.draw(st.booleans()):
            assert part.place <= len(arrived)
            arrived += part.content[len(arrived) - part.place :]
        if part is not None:
            arrived += part.content[: reached.draw(st.integers(0, len(part.content)))]
            outbox.rewind(len(arrived))
    while (part := outbox.take()) is not None:
        assert part.place == len(arrived)
        arrived += part.content
    assert bytes(arrived) == sent


def test_bytes_that_are_no_longer_kept_are_not_made_up() -> None:
    outbox = Outbox(live=False, chunks=True, limits=Limits(kept_bytes=100))
    for number in range(20):
        outbox.put(Part(number * 50, bytes(50)))
        outbox.take()
    outbox.rewind(900)
    assert taken(outbox) == [900, 950]
    with pytest.raises(HedgerowError, match="lacks bytes from 300 on"):
        outbox.rewind(300)


def test_unsent_bytes_hold_the_sender_back() -> None:
    outbox = Outbox(live=False, chunks=True, limits=Limits(waiting_bytes=100))
    outbox.put(Part(0, bytes(100)))
    assert outbox.full
    outbox.take()
    assert not outbox.full
