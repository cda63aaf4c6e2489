"""However the network cuts a stream, the same comes of it."""

import itertools
import random

import pytest

from domains.media.limits import Limits
from domains.media.video import STREAM_CODECS
from tests.domains.media.streams import LIVE, REORDERED, played

pytest.importorskip("hypothesis")

import hypothesis.strategies as st
from hypothesis import given, settings

NOISE = random.Random(9).randbytes(400)


def damaged(stream: bytes) -> bytes:
    middle = len(stream) * 2 // 3
    return stream[:middle] + NOISE + stream[middle + len(NOISE) :]


STREAMS = {
    **{f"{codec}, live": (codec, LIVE[codec]) for codec in STREAM_CODECS},
    **{f"{codec}, reordered": (codec, REORDERED[codec]) for codec in STREAM_CODECS},
    **{f"{codec}, damaged": (codec, damaged(LIVE[codec])) for codec in STREAM_CODECS},
    **{f"{codec}, cut short": (codec, LIVE[codec][: len(LIVE[codec]) // 2 + 11]) for codec in STREAM_CODECS},
    "hevc, which lies": ("hevc", LIVE["h264"]),
    "h264, garbage": ("h264", NOISE * 200),
}


@pytest.mark.parametrize("name", STREAMS)
def test_any_cut_into_chunks_gives_the_same_frames_times_and_error(name: str) -> None:
    codec, stream = STREAMS[name]
    whole = played(codec, [stream]).events

    @settings(max_examples=12, deadline=None)
    @given(st.lists(st.integers(0, len(stream)), max_size=40))
    def check(at: list[int]) -> None:
        places = [0, *sorted(at), len(stream)]
        chunks = [stream[start:stop] for start, stop in itertools.pairwise(places)]
        assert played(codec, chunks).events == whole

    check()
    assert played(codec, [bytes([byte]) for byte in stream]).events == whole, "a byte at a time"


def test_a_limit_is_met_at_the_same_frame_however_a_stream_is_cut() -> None:
    both = LIVE["h264"] + LIVE["h264"]
    limits = Limits(max_pixels=7000)
    assert played("h264", [both], limits).events == played("h264", [both[:3000], both[3000:]], limits).events
