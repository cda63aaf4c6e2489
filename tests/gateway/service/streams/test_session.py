"""A stream session without I/O: what is analysed, what is told and when it ends, whatever comes in whichever order."""

import itertools
from collections.abc import Sequence

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from gateway.service.errors import ErrorCode, ServiceError
from gateway.service.streams.events import Dropped, Ended, FrameResult, Numbered, Policy, StreamStart, Verdict
from gateway.service.streams.outbox import CONGESTED
from gateway.service.streams.queue import AHEAD, Frame
from gateway.service.streams.session import FLOW_WINDOW_S, StreamLimits, StreamSession
from tests.frame_node import answer_to, counting_verdicts

LIMITS = StreamLimits(idle_s=30, total_s=600, resume_s=60)


def session(policy: Policy = "latest", *, sample_fps: float = 0.0, with_pictures: bool = False) -> StreamSession:
    start = StreamStart("pathology", policy=policy, sample_fps=sample_fps, with_pictures=with_pictures)
    made = StreamSession(start, counting_verdicts(), LIMITS, token="t", now=0.0)
    made.attach(0, 0.0, resumed=False)
    return made


def told(of: StreamSession) -> list[Numbered]:
    """All that is there to be told."""
    return list(iter(of.outbox.take, None))


def feed(of: StreamSession, numbers: Sequence[int], now: float = 0.0, fps: float = 30.0) -> None:
    for number in numbers:
        of.receive(number, number / fps, bytes([number % 100]), now)


def answer(of: StreamSession, frame: Frame, now: float = 0.0) -> None:
    assert frame.content is not None
    of.answered(frame, answer_to(frame.content), frame.content, now)


def answer_next(of: StreamSession, now: float = 0.0) -> None:
    (frame,) = started(of)
    answer(of, frame, now)


def started(of: StreamSession) -> list[Frame]:
    return list(iter(of.start, None))


def test_with_latest_one_frame_runs_one_waits_and_the_caller_is_told_of_the_rest() -> None:
    live = session()
    feed(live, [1])
    (first,) = started(live)
    feed(live, [2, 3, 4, 5])
    assert started(live) == []
    answer(live, first)
    (second,) = started(live)
    assert (first.number, second.number) == (1, 5)
    events = [item.event for item in told(live)]
    assert Dropped(2, 4, 3, "superseded") in events


def test_a_frame_that_waited_at_the_device_gives_way_to_the_newest_when_it_is_taken() -> None:
    live = session()
    feed(live, [1])
    (first,) = started(live)
    assert live.renew(first) is first
    feed(live, [2, 3])
    newest = live.renew(first)
    assert newest.number == 3
    answer(live, newest)
    events = [item.event for item in told(live)]
    assert Dropped(1, 2, 2, "superseded") in events
    assert [event.number for event in events if isinstance(event, FrameResult)] == [3]
    assert started(live) == []


def test_with_all_a_frame_never_gives_way() -> None:
    live = session("all")
    feed(live, [1])
    (first,) = started(live)
    feed(live, [2])
    assert live.renew(first) is first


def test_with_all_nothing_is_dropped_and_the_sender_has_to_wait() -> None:
    live = session("all")
    numbers = itertools.count(1)
    while live.room:
        feed(live, [next(numbers)])
    assert live.next_number - 1 == AHEAD
    running = started(live)
    assert live.room
    for frame in reversed(running):
        answer(live, frame)
    live.end("finished")
    results = [item.event.number for item in told(live) if isinstance(item.event, FrameResult)]
    assert results == [1, 2, 3, 4], "answers count in the order of frames, whatever the order in which they come"


@given(st.floats(1, 29), st.integers(30, 200))
def test_sample_takes_so_many_frames_of_a_second_and_no_more(sample_fps: float, count: int) -> None:
    live = session("sample", sample_fps=sample_fps)
    taken, dropped = 0, 0
    for number in range(1, count + 1):
        feed(live, [number])
        for frame in started(live):
            taken += 1
            answer(live, frame)
        dropped += sum(item.event.count for item in told(live) if isinstance(item.event, Dropped))
    assert taken == pytest.approx(1 + (count - 1) / 30 * sample_fps, abs=1.5)
    assert dropped + taken == count


def test_a_frame_that_came_before_counts_nowhere() -> None:
    live = session()
    feed(live, [1, 7])
    assert [live.duplicate(number) for number in (1, 5, 7, 8)] == [True, True, True, False]


def test_a_frame_of_another_size_ends_in_a_sentence_with_both_sizes() -> None:
    live = session()
    live.receive(1, 0.0, b"a", 0.0, (640, 480))
    with pytest.raises(ServiceError, match="frame 2 has 320x240 pixels, those before it 640x480") as refused:
        live.receive(2, 0.1, b"b", 0.0, (320, 240))
    assert refused.value.code is ErrorCode.INVALID_ARGUMENT


def test_a_reader_that_stops_reading_stops_the_work_and_not_the_memory() -> None:
    live = session()
    for number in range(1, 500):
        feed(live, [number])
        for frame in started(live):
            answer(live, frame)
    assert live.outbox.congested
    waiting = told(live)
    assert len(waiting) <= CONGESTED + 2
    assert started(live), "it goes on once the reader reads"


def test_pictures_come_only_to_who_asked_for_them() -> None:
    for wanted in (False, True):
        live = session(with_pictures=wanted)
        feed(live, [1])
        answer_next(live)
        (result,) = (item.event for item in told(live) if isinstance(item.event, FrameResult))
        assert bool(result.pictures) == wanted


def test_a_connection_that_comes_back_is_told_what_it_missed_and_nothing_twice() -> None:
    live = session()
    for number in range(1, 11):
        feed(live, [number], now=float(number))
        answer_next(live, float(number))
    first = told(live)
    live.detach(11.0)
    again = live.attach(first[4].number, 12.0, resumed=True)
    assert (again.resumed, again.lost_events, again.next_frame) == (True, 0, 11)
    assert told(live) == first[5:]


def test_a_connection_that_stayed_away_for_too_much_hears_how_much_is_gone() -> None:
    live = session()
    for number in range(1, 400):
        feed(live, [number], now=float(number))
        answer_next(live, float(number))
        told(live)
    again = live.attach(0, 400.0, resumed=True)
    missed = told(live)
    assert again.lost_events == missed[0].number - 1 > 0


def test_acknowledged_events_are_not_kept() -> None:
    live = session()
    feed(live, [1])
    answer_next(live)
    events = told(live)
    live.outbox.acknowledge(events[-1].number)
    live.attach(0, 1.0, resumed=True)
    assert told(live) == []


def test_it_ends_by_itself_when_nothing_comes_and_when_nobody_comes_back() -> None:
    live = session()
    assert live.expiry() == (30.0, "idle")
    feed(live, [1], now=20.0)
    assert live.expiry() == (50.0, "idle")
    live.detach(25.0)
    assert live.expiry() == (85.0, "abandoned")
    live.attach(0, 590.0, resumed=True)
    assert live.expiry() == (600.0, "limit")


def test_a_stream_that_was_ended_by_its_caller_still_expires_when_its_reader_is_stuck() -> None:
    live = session("all")
    feed(live, [1, 2])
    live.end("finished")
    assert not live.complete
    live.end("idle")
    assert live.complete
    assert live.ending == "idle"


def test_the_last_event_accounts_for_every_frame() -> None:
    live = session()
    feed(live, [1, 2, 3, 9])
    answer_next(live)
    live.end("idle")
    live.finish(None)
    last = told(live)[-1].event
    assert last == Ended("idle", received=4, analysed=1, dropped=3)


def test_a_sender_that_is_too_fast_is_told_to_slow_down_and_when_it_may_go_on() -> None:
    live = session()
    now, advice = 0.0, []
    for number in itertools.count(1):
        now += 0.02
        feed(live, [number], now=now)
        if number % (5 if now < 3 * FLOW_WINDOW_S else 1) == 0:
            for frame in started(live):
                answer(live, frame, now=now)
        advice += [item.event for item in told(live) if item.number == 0]
        if now > 6 * FLOW_WINDOW_S:
            break
    said = [hint.advice for hint in advice if hasattr(hint, "advice")]
    assert said[0] == "slower"
    assert said[-1] == "ok"
    assert said.count("ok") == 1


class AnythingGoes(RuleBasedStateMachine):
    """Frames, answers, readers and connections in any order, against a bookkeeper that knows only what a caller knows."""

    @initialize(policy=st.sampled_from(["latest", "all", "sample"]))
    def begin(self, policy: Policy) -> None:
        self.policy = policy
        self.live = session(policy, sample_fps=10.0 if policy == "sample" else 0.0)
        self.now = 0.0
        self.number = 0
        self.running: list[Frame] = []
        self.heard: list[Numbered] = []
        self.received = 0

    @rule(gap=st.integers(1, 5))
    def frame(self, gap: int) -> None:
        if not self.live.room or self.live.ending:
            return
        self.number += gap
        self.received += 1
        self.live.receive(self.number, self.number / 30, b"x", self.now)

    @rule(seconds=st.floats(0.01, 3))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds

    @rule()
    def start(self) -> None:
        self.running += started(self.live)

    @precondition(lambda self: self.running)
    @rule(data=st.data())
    def the_device_takes_one(self, data: st.DataObject) -> None:
        at = data.draw(st.integers(0, len(self.running) - 1))
        self.running[at] = self.live.renew(self.running[at])

    @precondition(lambda self: self.running)
    @rule(data=st.data(), fails=st.booleans())
    def answer(self, data: st.DataObject, fails: bool) -> None:
        frame = self.running.pop(data.draw(st.integers(0, len(self.running) - 1)))
        if fails:
            self.live.unanswered(frame, self.now)
        else:
            answer(self.live, frame, self.now)

    @rule(count=st.integers(1, 50))
    def read(self, count: int) -> None:
        for _ in range(count):
            event = self.live.outbox.take()
            if event is None:
                return
            if event.number:
                self.heard.append(event)

    @rule(back=st.integers(0, 20))
    def reconnect(self, back: int) -> None:
        received = self.heard[-1].number if self.heard else 0
        received = max(0, received - back)
        self.heard = [event for event in self.heard if event.number <= received]
        self.live.detach(self.now)
        lost = self.live.attach(received, self.now, resumed=True).lost_events
        assert not lost

    @invariant()
    def events_come_in_order_without_gaps(self) -> None:
        if hasattr(self, "heard"):
            assert [event.number for event in self.heard] == list(range(1, len(self.heard) + 1))

    @invariant()
    def the_device_never_gets_more_than_it_should(self) -> None:
        if hasattr(self, "running"):
            assert len(self.running) <= (AHEAD if self.policy == "all" else 1)

    def teardown(self) -> None:
        if not hasattr(self, "live"):
            return
        self.live.end("finished")
        while not self.live.complete:
            self.read(1000)
            self.start()
            for frame in self.running:
                answer(self.live, frame, self.now)
            self.running = []
        self.live.finish(None)
        self.read(1000)
        results = [event.event for event in self.heard if isinstance(event.event, FrameResult)]
        assert [result.number for result in results] == sorted({result.number for result in results})
        dropped = sum(event.event.count for event in self.heard if isinstance(event.event, Dropped))
        last = self.heard[-1].event
        assert last == Ended("finished", self.received, len(results), dropped)
        assert len(results) + dropped == self.received, "every frame is answered or told as dropped, once"
        if results:
            assert isinstance(self.heard[-2].event, Verdict)


TestAnythingGoes = AnythingGoes.TestCase
TestAnythingGoes.settings = settings(max_examples=60, stateful_step_count=40, deadline=None, derandomize=True)
