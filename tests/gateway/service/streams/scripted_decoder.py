"""A decoder whose frames are its bytes: each byte is a frame. It does as a test says."""

import asyncio

from edge_runtime.decoder import DecodedFrame, Decoder
from edge_runtime.errors import DecoderFailed


class ScriptedDecoder(Decoder):
    """Every byte fed is a frame of 64x48. `breaks_after`: its process ends after so many frames; `window` as the real one."""

    def __init__(self, *, breaks_after: int = 1_000_000, window: int = 4) -> None:
        self.taken: list[int] = []
        self.dropped: list[int] = []
        self.closed = False
        self.most_held = 0
        self._bytes = bytearray()
        self._announced = 0
        self._finished = False
        self._breaks_after = breaks_after
        self._window = window
        self._changed = asyncio.Event()

    @property
    def _held(self) -> int:
        return self._announced - len(self.taken) - len(self.dropped)

    async def feed(self, chunk: bytes) -> None:
        while len(self._bytes) - self._announced > self._window:
            await asyncio.sleep(0.001)
        self._bytes += chunk
        self._changed.set()

    async def finish(self) -> None:
        self._finished = True
        self._changed.set()

    async def next_frame(self) -> DecodedFrame | None:
        while self._announced >= len(self._bytes) or self._held >= self._window:
            if self._finished and self._announced >= len(self._bytes):
                return None
            self._changed.clear()
            await self._changed.wait()
        if self._announced >= self._breaks_after:
            raise DecoderFailed("the decoder broke")
        self._announced += 1
        self.most_held = max(self.most_held, self._held)
        return DecodedFrame(self._announced, self._announced / 30, 64, 48)

    async def take(self, number: int) -> bytes:
        self.taken.append(number)
        self._changed.set()
        return bytes(self._bytes[number - 1 : number])

    def drop(self, number: int) -> None:
        self.dropped.append(number)
        self._changed.set()

    async def close(self) -> None:
        self.closed = True
