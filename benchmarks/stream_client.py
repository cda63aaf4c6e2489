"""The client process of benchmarks/streams.py: PLAN is a JSON file, one record a stream is written to RECORDS.

    .venv/bin/python benchmarks/stream_client.py PLAN RECORDS

Speaks gRPC with the generated code alone, without the project's own client: what is measured is the gateway.
"""

import asyncio
import sys
import time
from collections import deque
from pathlib import Path
from typing import Any

import grpc
import msgspec

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.stream_call import open_call, start_message
from benchmarks.stream_garbage import send_garbage
from benchmarks.stream_records import Answer, Connection, Drop, Ended, Plan, Record
from protos.hedgerow.v1 import analysis_pb2 as pb

RETRY_S = 0.25
RESUME_WITHIN_S = 60.0
PATIENCE_S = 60.0
"""For the final verdict."""
SENT_AGAIN = 5
"""So many frames are sent again after a resume, whether they had arrived or not: none may count twice."""
READS_EVERY_S = 2.0
CALL_IS_OVER = (grpc.aio.AioRpcError, asyncio.InvalidStateError)
"""What a write raises then; the reader has the cause."""


class Sender:
    """One stream: a camera that never waits, and a connection that may break. `offset`: which frame is the first."""

    def __init__(self, plan: Plan, frames: list[bytes], offset: int = 0) -> None:
        self.record = Record(begin_at=plan.begin_at)
        self._plan, self._frames, self._offset = plan, frames, offset
        self._waiting: int | None = None
        self._camera_done = self._finished = False
        self._changed = asyncio.Event()
        self._captured: dict[int, float] = {}
        self._newest_answered = self._newest_heard = self._received_events = 0
        self._token = ""
        self._kept: deque[int] = deque(maxlen=SENT_AGAIN)

    async def run(self) -> None:
        """From `begin_at` until the final verdict is here, or until it can't be had any more."""
        await asyncio.sleep(self._plan.begin_at - time.monotonic())
        beside = [asyncio.create_task(self._camera()), asyncio.create_task(self._sample())]
        lost_at = 0.0
        try:
            while not self._finished:
                connections = len(self.record.connections)
                try:
                    await self._connect()
                except (TimeoutError, grpc.aio.AioRpcError) as error:
                    if len(self.record.connections) > connections:
                        lost_at = time.monotonic()
                    if not self._may_resume(error, lost_at):
                        self.record.error = self.record.error or _in_words(error)
                        return
                    await asyncio.sleep(RETRY_S)
        finally:
            for task in beside:
                task.cancel()

    def _may_resume(self, error: Exception, lost_at: float) -> bool:
        if not self._plan.silence_s or not self._token or time.monotonic() - lost_at > RESUME_WITHIN_S:
            return False
        return isinstance(error, TimeoutError) or error.code() in {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED}  # type: ignore[attr-defined] # AioRpcError, which has no types

    async def _camera(self) -> None:
        frames = round(self._plan.fps * self._plan.seconds)
        for number in range(1, frames + 1):
            await asyncio.sleep(self._plan.begin_at + (number - 1) / self._plan.fps - time.monotonic())
            if self._waiting is not None:
                self.record.skipped += 1
            self._waiting = number
            self._captured[number] = time.monotonic()
            self._changed.set()
        self._camera_done = True
        self._changed.set()

    async def _sample(self) -> None:
        every = self._plan.samples_per_s
        while every and not self._camera_done:
            await asyncio.sleep(1 / every)
            if self._newest_answered:
                now = time.monotonic()
                self.record.shown.append((now, now - self._captured[self._newest_answered]))

    async def _connect(self) -> None:
        async with open_call(self._plan) as call:
            async with asyncio.timeout(self._plan.silence_s or PATIENCE_S):
                await call.write(self._first_message())
                first = await call.read()
            if first is grpc.aio.EOF or first.WhichOneof("message") != "started":
                self.record.error, self._finished = "the gateway opened no stream", True
                return
            self._opened(first.started)
            writer = asyncio.create_task(self._write(call, resumed=first.started.resumed))
            try:
                await self._read(call)
            finally:
                writer.cancel()
                (problem,) = await asyncio.gather(writer, return_exceptions=True)
            if isinstance(problem, Exception) and not isinstance(problem, CALL_IS_OVER):
                raise problem

    def _first_message(self) -> Any:
        if not self._token:
            return pb.StreamRequest(start=start_message(self._plan))
        return pb.StreamRequest(resume=pb.StreamResume(token=self._token, received_events=self._received_events))

    def _opened(self, started: Any) -> None:
        self.record.connections.append(Connection(time.monotonic(), started.resumed, started.next_frame, started.lost_events))
        self._token = started.token or self._token
        if started.resumed:
            lost = {number for number in self.record.sent if number >= started.next_frame}
            self.record.undelivered = sorted({*self.record.undelivered, *lost})
            self._newest_heard = max(self.record.sent, default=0)

    async def _write(self, call: Any, *, resumed: bool) -> None:
        if resumed:
            again = list(self._kept)
            self.record.sent_again += again
            self.record.undelivered = [number for number in self.record.undelivered if number not in again]
            for sent in again:
                await call.write(self._frame(sent))
        while (number := await self._next()) is not None:
            self.record.sent[number] = self._captured[number]
            self._kept.append(number)
            await call.write(self._frame(number))
        await call.write(pb.StreamRequest(end=pb.StreamEnd()))
        await call.done_writing()

    async def _next(self) -> int | None:
        """The newest frame, as soon as it may be sent; None after the last."""
        while True:
            number, most = self._waiting, self._plan.most_in_flight
            if number is not None and (not most or self._in_flight() < most):
                self._waiting = None
                return number
            if number is None and self._camera_done:
                return None
            self._changed.clear()
            await self._changed.wait()

    def _in_flight(self) -> int:
        return sum(number > self._newest_heard for number in self._kept)

    def _frame(self, number: int) -> Any:
        content = self._frames[(number + self._offset) % len(self._frames)]
        return pb.StreamRequest(frame=pb.StreamFrame(number=number, time_s=(number - 1) / self._plan.fps, content=content))

    async def _read(self, call: Any) -> None:
        slow = self._plan.role == "slow_reader"
        while True:
            patience = PATIENCE_S if self._camera_done else self._plan.silence_s or PATIENCE_S
            async with asyncio.timeout(patience):
                response = await call.read()
            if response is grpc.aio.EOF:
                self._finished = True
                return
            self._take(response, time.monotonic())
            if slow:
                await asyncio.sleep(READS_EVERY_S)
                if self._camera_done:
                    self._finished = True
                    return

    def _take(self, response: Any, now: float) -> None:
        if response.event:
            if response.event <= self._received_events:
                self.record.events_twice += 1
                return
            self._received_events = response.event
        kind = response.WhichOneof("message")
        if kind == "frame":
            self._answered(response.frame, now)
        elif kind == "dropped":
            told = response.dropped
            self.record.drops.append(Drop(told.first, told.last, told.count, now))
            self._newest_heard = max(self._newest_heard, told.last)
        elif kind == "verdict":
            self.record.verdicts += 1
        elif kind == "ended":
            told = response.ended
            self.record.ended = Ended(told.reason, told.received, told.analysed, told.dropped)
            self._finished = True
        self._changed.set()

    def _answered(self, frame: Any, now: float) -> None:
        spent, made = frame.provenance.timings, frame.provenance
        service_ms = spent.decode_ms + spent.preprocess_ms + spent.infer_ms + spent.postprocess_ms
        self.record.answers.append(Answer(
            frame.number, now, service_ms / 1000, spent.infer_ms / 1000, spent.queue_ms / 1000, frame.age_ms / 1000))
        self.record.devices[made.device] = self.record.devices.get(made.device, 0) + 1
        self._newest_answered = max(self._newest_answered, frame.number)
        self._newest_heard = max(self._newest_heard, frame.number)


def _in_words(error: Exception) -> str:
    if isinstance(error, grpc.aio.AioRpcError):
        return f"{error.code().name}: {error.details()}"
    return f"{type(error).__name__}: {error}"


async def carry_out(plan: Plan, frames: list[bytes]) -> list[Record]:
    """All streams of a plan."""
    # Else gRPC ends its poller with each last channel, and blocks the loop until the writes into a dead connection time out.
    grpc.aio.init_grpc_aio()
    if plan.role == "garbage":
        return [await send_garbage(plan, frames)]
    senders = [Sender(plan, frames, offset=17 * number) for number in range(plan.streams)]
    await asyncio.gather(*(sender.run() for sender in senders))
    return [sender.record for sender in senders]


def main() -> None:
    """Reads the plan, carries it out, writes the records."""
    plan = msgspec.json.decode(Path(sys.argv[1]).read_bytes(), type=Plan)
    frames = msgspec.msgpack.decode(Path(plan.frames_file).read_bytes(), type=list[bytes])
    records = asyncio.run(carry_out(plan, frames))
    Path(sys.argv[2]).write_bytes(msgspec.json.encode(records))


if __name__ == "__main__":
    main()
