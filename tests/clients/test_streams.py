"""A live stream from Python: what arrives, in which order, and what happens when the connection doesn't last."""

import asyncio

import pytest

from gateway.service.errors import ErrorCode, ServiceError
from hedgerow_client import (
    AsyncClient,
    Busy,
    Client,
    Dropped,
    Ended,
    Event,
    Flow,
    FrameResult,
    HedgerowError,
    InputRefused,
    Interrupted,
    Limits,
    NotFound,
    RunningClassification,
    Started,
    StreamOptions,
    Unreachable,
    Verdict,
)
from tests.clients.scripted_gateway import REQUEST_ID, RESULT, VERDICT, Script, ScriptedGateway

TRANSPORTS = ("websocket", "grpc")
LONGEST_S = 20.0
WITHOUT_SIZE = {name: value for name, value in RESULT.items() if name != "evidence"}
"""gRPC says whether there is evidence, and not of which size."""

LUNG = {"exam": "lung_ultrasound"}
pytestmark = pytest.mark.anyio


async def play(client: AsyncClient, frames: int, *, policy: str = "all") -> list[Event]:
    """All events of a stream of that many frames, which are read while they are sent."""
    async with asyncio.timeout(LONGEST_S), client.stream("pathology", LUNG, policy=policy) as stream:

        async def send() -> None:
            for number in range(1, frames + 1):
                await stream.send_frame(b"frame %d" % number, number / 25)
                await asyncio.sleep(0.002)
            await stream.end()

        sending = asyncio.create_task(send())
        found = [event async for event in stream]
        await sending
    return found


def numbers(events: list[Event]) -> list[int]:
    return [event.number for event in events if isinstance(event, FrameResult)]


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_every_event_arrives_with_all_that_it_says(transport: str) -> None:
    script = Script(pictures={"evidence.png": b"\x89PNG"})
    with ScriptedGateway(script) as gateway:
        async with AsyncClient(gateway.url(transport), "hgr_key") as client:
            events = await play(client, 3)
    assert script.keys == ["Bearer hgr_key"]
    assert [content for _, _, content in script.frames] == [b"frame 1", b"frame 2", b"frame 3"]
    assert isinstance(events[0], Started)
    assert not events[0].resumed
    assert "secret-token" not in repr(events[0])
    frame = next(event for event in events if isinstance(event, FrameResult))
    assert (frame.number, frame.time_s, frame.unusable, frame.age_ms) == (1, 0.04, "", 12.5)
    assert frame.pictures == {"evidence.png": b"\x89PNG"}
    assert frame.provenance.timings_ms.infer == 4.0
    verdict = next(event for event in events if isinstance(event, Verdict)).verdict
    assert isinstance(verdict, RunningClassification)
    assert verdict.abstained
    assert verdict.interval is not None
    assert verdict.interval.high == 0.9
    assert verdict.frames.unusable == {"blurred": 1}
    assert any(isinstance(event, Flow) and event.answered_fps == 29.5 for event in events)
    assert [(one.first, one.last, one.reason) for one in events if isinstance(one, Dropped)] == [(1, 2, "superseded")]
    assert isinstance(events[-1], Ended)
    assert events[-1].reason == "finished"


async def test_both_transports_give_equal_objects() -> None:
    found = []
    for transport in TRANSPORTS:
        with ScriptedGateway(Script()) as gateway:
            async with AsyncClient(gateway.url(transport)) as client:
                found.append([event for event in await play(client, 4) if not isinstance(event, Flow)])
    assert found[0] == found[1]
    for events in found:
        assert [event.raw["document"] for event in events if isinstance(event, Verdict)] == [VERDICT] * 4
        for event in events:
            if isinstance(event, FrameResult):
                assert {name: event.raw["result"][name] for name in WITHOUT_SIZE} == WITHOUT_SIZE


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_a_stream_that_is_cut_goes_on_and_nothing_comes_twice_or_is_missing(transport: str) -> None:
    script = Script(cut_after_frames={5, 20}, lose_frames={11}, replay=3)
    with ScriptedGateway(script) as gateway:
        async with AsyncClient(gateway.url(transport)) as client:
            events = await play(client, 40)
    assert [number for number, _, _ in script.frames] == list(range(1, 41))
    assert numbers(events) == list(range(1, 41))
    assert sum(isinstance(event, Interrupted) for event in events) == 3
    assert [event.resumed for event in events if isinstance(event, Started)] == [False, True, True, True]
    assert isinstance(events[-1], Ended)


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_chunks_that_got_lost_are_sent_again_from_the_byte_that_is_missing(transport: str) -> None:
    sent = bytes(range(256)) * 40
    script = Script(cut_after_bytes=[1000, 5003])
    with ScriptedGateway(script) as gateway:
        async with AsyncClient(gateway.url(transport)) as client, client.stream("pathology", codec="h264") as stream:
            for at in range(0, len(sent), 700):
                await stream.send_chunk(sent[at : at + 700])
            async with asyncio.timeout(LONGEST_S):
                ended = await stream.finish()
    assert ended.reason == "finished"
    assert bytes(script.received) == sent
    assert len(script.first) == 3


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_live_frames_do_not_pile_up_while_the_link_is_down_and_the_caller_is_told_which_were_left_out(transport: str) -> None:
    away = [ServiceError(ErrorCode.UNAVAILABLE, "starting")] * 3
    script = Script(cut_after_frames={2})
    with ScriptedGateway(script) as gateway:
        async with AsyncClient(gateway.url(transport)) as client, client.stream("pathology", policy="latest") as stream:
            await stream.send_frame(b"1")
            await stream.send_frame(b"2")
            script.refuse = away
            while not isinstance(await stream.next_event(), Interrupted):
                pass
            for number in range(3, 30):
                await stream.send_frame(b"%d" % number)
            await stream.end()
            events = [event async for event in stream]
    assert [number for number, _, _ in script.frames] == [1, 2, 29]
    assert [(one.first, one.last, one.count) for one in events if isinstance(one, Dropped)] == [(3, 28, 26)]
    assert numbers(events)[-1] == 29


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_a_picture_that_is_none_ends_the_stream_with_the_gateways_words(transport: str) -> None:
    with ScriptedGateway(Script(fail_at=2)) as gateway:
        async with AsyncClient(gateway.url(transport)) as client:
            with pytest.raises(InputRefused, match="frame 2 is no picture") as raised:
                await play(client, 2)
    assert raised.value.code == "CORRUPT_MEDIA"
    assert raised.value.request_id == REQUEST_ID


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_a_gateway_that_is_full_is_asked_again_and_one_that_refuses_is_not(transport: str) -> None:
    script = Script(refuse=[ServiceError(ErrorCode.OVERLOADED, "no place for another stream")] * 2)
    with ScriptedGateway(script) as gateway:
        async with AsyncClient(gateway.url(transport)) as client:
            await play(client, 1)
            assert len(script.first) == 3
            script.refuse = [ServiceError(ErrorCode.UNKNOWN_EXAM, "there is no such exam", parameter="exam")]
            with pytest.raises(HedgerowError, match="no such exam") as raised:
                await play(client, 1)
            assert raised.value.parameter == "exam"
            script.refuse = [ServiceError(ErrorCode.OVERLOADED, "no place for another stream")] * 9
            with pytest.raises(Busy):
                await play(client, 1)


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_a_stream_that_cannot_be_taken_up_again_says_so(transport: str) -> None:
    script = Script(cut_after_frames={1})
    with ScriptedGateway(script) as gateway:
        async with AsyncClient(gateway.url(transport)) as client, client.stream("pathology", policy="all") as stream:
            script.refuse = [ServiceError(ErrorCode.NOT_FOUND, "there is no such stream any more")]
            await stream.send_frame(b"1")
            with pytest.raises(NotFound, match="no such stream any more"):
                await stream.finish()
            with pytest.raises(NotFound):
                await stream.send_frame(b"2")


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_a_gateway_that_stays_away_ends_the_stream_in_time(transport: str) -> None:
    options = StreamOptions(resume_within_s=2)
    with ScriptedGateway(Script(cut_after_frames={1})) as gateway:
        client = AsyncClient(gateway.url(transport))
        async with client, client.stream("pathology", policy="all", options=options) as stream:
            gateway.script.refuse = [ServiceError(ErrorCode.UNAVAILABLE, "starting")] * 99
            await stream.send_frame(b"1")
            async with asyncio.timeout(20):
                with pytest.raises(Busy):
                    await stream.finish()


@pytest.mark.parametrize("scheme", ["http", "grpc"])
async def test_nobody_there_is_said_at_once(scheme: str) -> None:
    async with AsyncClient(f"{scheme}://127.0.0.1:9") as client:
        with pytest.raises(Unreachable, match=rf"no answer from {scheme}://127.0.0.1:9"):
            async with client.stream("pathology"):
                pass


async def test_with_policy_all_a_sender_is_held_back_when_nothing_is_answered() -> None:
    options = StreamOptions(limits=Limits(parts=5))
    with ScriptedGateway(Script(deaf=True)) as gateway:
        client = AsyncClient(gateway.websocket_url)
        async with client, client.stream("pathology", policy="all", options=options) as stream:
            for _ in range(5):
                await stream.send_frame(b"frame")
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.3):
                    await stream.send_frame(b"one too many")


async def test_the_gateway_is_told_which_events_arrived() -> None:
    script = Script()
    with ScriptedGateway(script) as gateway:
        async with AsyncClient(gateway.websocket_url) as client:
            await play(client, 30)
    assert script.acks
    assert script.acks == sorted(script.acks)


async def test_leaving_the_block_early_ends_the_stream_at_the_gateway_too() -> None:
    script = Script()
    with ScriptedGateway(script) as gateway:
        async with AsyncClient(gateway.websocket_url) as client, client.stream("pathology", policy="all") as stream:
            await stream.send_frame(b"1")
    assert script.ended


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_a_program_without_an_event_loop_streams_as_well(transport: str) -> None:
    script = Script(cut_after_frames={7})
    with (
        ScriptedGateway(script) as gateway, Client(gateway.url(transport)) as client,
        client.stream("pathology", LUNG, policy="all") as stream,
    ):
        for number in range(1, 21):
            assert stream.send_frame(b"frame", number / 25) == number
        stream.end()
        events = list(stream)
    assert numbers(events) == list(range(1, 21))
    assert isinstance(events[-1], Ended)


async def test_what_does_not_fit_together_is_refused_before_anything_is_sent() -> None:
    client = AsyncClient("http://127.0.0.1:9")
    for wrong in ({"codec": "vp8"}, {"policy": "some"}, {"policy": "sample"}, {"sample_fps": 2.0}):
        with pytest.raises(ValueError, match=r"codec|policy"):
            client.stream("pathology", **wrong)


