"""What a caller reads when a stream could not be taken up again in time: the reason, whatever the last try came to."""

import asyncio
import time
from collections.abc import Callable, Sequence

import pytest

from hedgerow_client import Busy, HedgerowError, Interrupted, NotFound, Retries, Started, StreamOptions, Unreachable
from hedgerow_client.errors import unreachable
from hedgerow_client.session import Session
from hedgerow_client.transport import Link, LinkOpener, Part, StreamResume, StreamStart, Told

pytestmark = pytest.mark.anyio
ADDRESS = "test://gateway"
STARTING = Busy("UNAVAILABLE", "starting")
GONE = NotFound("NOT_FOUND", "no such stream")
CUT = unreachable(ADDRESS, "cut", maybe_processed=True)
WITHIN_S = 0.5
LONGEST_S = 20.0
STARTED = Told(0, "started", {"token": "t", "next_frame": 1, "next_offset": 0, "resume_within_s": 60.0, "resumed": False})
FAILED = Told(1, "ended", {"reason": "failed", "received": 2, "analysed": 1, "dropped": 0})
Words = tuple[Told | HedgerowError | None, ...]
CONNECTS: Words = (STARTED,)
"""A connection on which nothing more is heard after `started`."""
HANGS = None
"""A try that gets neither a connection nor a refusal."""
Try = HedgerowError | Words | None


class ScriptedLink(Link):
    """A connection on which words are heard, one after the other; then nothing any more."""

    def __init__(self, words: Words) -> None:
        self._words = list(words)
        self.sent: list[str] = []
        self.closed = False

    async def send_frame(self, part: Part) -> None:
        self.sent.append(f"frame {part.place}")

    async def send_chunk(self, part: Part) -> None:
        self.sent.append(f"chunk {part.place}")

    async def send_ack(self, event: int) -> None:
        self.sent.append(f"ack {event}")

    async def send_end(self) -> None:
        self.sent.append("end")

    async def receive(self) -> Told | None:
        if not self._words:
            await asyncio.Event().wait()
        await asyncio.sleep(0)
        found = self._words.pop(0)
        if isinstance(found, HedgerowError):
            raise found
        return found

    async def close(self) -> None:
        self.closed = True


class ScriptedTransport(LinkOpener):
    """Each try to connect is the next of `tries`, and every further one hangs."""

    address = ADDRESS

    def __init__(self, tries: Sequence[Try]) -> None:
        self._tries: list[Try] = list(tries)
        self.links: list[ScriptedLink] = []
        self.asked: list[StreamStart | StreamResume] = []
        self.given_s: list[float] = []

    async def open_link(self, first: StreamStart | StreamResume, timeout_s: float) -> Link:
        self.asked.append(first)
        self.given_s.append(timeout_s)
        found = self._tries.pop(0) if self._tries else HANGS
        if isinstance(found, HedgerowError):
            raise found
        if found is HANGS:
            return await asyncio.Future()
        self.links.append(ScriptedLink(found))
        return self.links[-1]


def over(session: Session) -> bool:
    return session.closed


async def played(
    *tries: Try, until: Callable[[Session], bool] = over, within_s: float = WITHIN_S, ending: bool = False,
) -> tuple[Session, ScriptedTransport]:
    """A stream once `until` holds. `ending`: the caller has sent a frame and the end."""
    transport = ScriptedTransport(tries)
    retries = Retries(attempts=4, first_pause_s=0.01, longest_pause_s=0.02)
    session = Session(lambda: transport, StreamStart("pathology", policy="all"),
                      StreamOptions(resume_within_s=within_s, retries=retries))
    link = await session.open()
    if ending:
        await session.give(Part(0, b"frame"), 1)
        session.end_wanted = True
    running = asyncio.create_task(session.run(link))
    try:
        async with asyncio.timeout(LONGEST_S):
            await session.until(lambda: until(session))
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    return session, transport


async def broken(*tries: Try, until: Callable[[Session], bool] = over, within_s: float = WITHIN_S) -> tuple[Session, ScriptedTransport]:
    """A stream whose first connection was cut right after it began."""
    return await played((STARTED, CUT), *tries, until=until, within_s=within_s)


async def test_the_gateways_reason_is_told_though_the_last_try_was_cut_by_the_end_of_the_time() -> None:
    session, transport = await broken(STARTING, HANGS)
    assert session.error is STARTING
    assert len(transport.asked) == 3


async def test_where_no_try_was_answered_it_is_told_what_broke_the_stream() -> None:
    session, _ = await broken(HANGS)
    assert session.error is CUT


async def test_the_latest_of_several_reasons_is_told() -> None:
    refused = unreachable(ADDRESS, "connection refused", maybe_processed=False)
    session, _ = await broken(STARTING, refused, HANGS)
    assert session.error is refused


async def test_a_pause_that_would_outlast_the_time_is_not_waited_for() -> None:
    """The gateway asked for a minute: the caller is told at once, and no try is made in vain."""
    began = time.monotonic()
    wish = Busy("OVERLOADED", "later", retry_after_s=60.0)
    session, transport = await broken(wish, within_s=30.0)
    assert session.error is wish
    assert len(transport.asked) == 2
    assert time.monotonic() - began < LONGEST_S


async def test_no_try_is_given_more_time_than_is_left() -> None:
    _, transport = await broken(STARTING, STARTING, HANGS)
    assert all(given_s <= WITHIN_S for given_s in transport.given_s[1:])
    assert transport.given_s[1:] == sorted(transport.given_s[1:], reverse=True)


async def test_what_cannot_be_mended_by_waiting_ends_the_stream_at_once() -> None:
    session, transport = await broken(STARTING, GONE, CONNECTS, within_s=60.0)
    assert session.error is GONE
    assert len(transport.asked) == 3


async def test_a_stream_that_is_taken_up_again_goes_on_and_tells_of_the_break() -> None:
    def resumed(session: Session) -> bool:
        return session.linked and sum(isinstance(event, Started) for event in session.events) == 2

    session, transport = await broken(STARTING, CONNECTS, until=resumed, within_s=60.0)
    assert session.error is None
    assert [type(event) for event in session.events] == [Started, Interrupted, Started]
    assert transport.asked[1:] == [StreamResume("pathology", "t", 0)] * 2
    assert transport.links[0].closed


async def test_the_reason_of_an_unreachable_gateway_names_its_address() -> None:
    session, _ = await broken(HANGS)
    assert isinstance(session.error, Unreachable)
    assert ADDRESS in session.error.message


async def test_why_a_stream_failed_is_asked_on_a_new_connection_without_a_word_that_could_hide_the_answer() -> None:
    """With gRPC a message that meets the end of a call replaces the gateway's own reason, again and again."""
    reason = HedgerowError("CORRUPT_MEDIA", "frame 2 is no picture")
    session, transport = await played((STARTED, FAILED, CUT), (STARTED, reason), within_s=60.0, ending=True)
    assert session.error is reason
    assert transport.links[1].sent == []


@pytest.mark.parametrize("last", [CUT, None])
async def test_a_failed_stream_whose_reason_never_arrives_is_an_error_all_the_same(last: HedgerowError | None) -> None:
    session, transport = await played((STARTED, FAILED, last), (STARTED, last), within_s=60.0)
    assert session.error is not None
    assert session.error.code == "STREAM_ENDED"
    assert "the stream failed" in session.error.message
    assert len(transport.asked) == 2


async def test_a_stream_that_is_finished_needs_no_last_word() -> None:
    ended = Told(1, "ended", {**FAILED.document, "reason": "finished"})
    session, transport = await played((STARTED, ended, CUT), within_s=60.0)
    assert session.error is None
    assert len(transport.asked) == 1
