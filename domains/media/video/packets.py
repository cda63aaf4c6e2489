"""Packets to whole frames: what is damaged is left out, up to the next frame that stands by itself.

    waiting   nothing is given out: before the first key frame, and after damage, since what follows refers to it
    whole     each frame is given out

A decoder would fill the gaps with guesses, and half a picture must not be analysed.
"""

import av
import av.error
from av.packet import Packet
from av.video.codeccontext import VideoCodecContext
from av.video.frame import PictureType
from av.video.stream import VideoStream

from domains.core import CorruptMedia
from domains.media.limits import MEGAPIXEL, Limits

MAX_SILENT_PACKETS = 600
"""Without one whole frame: twenty seconds of a live stream, longer than the usual distance of key frames."""

_STARTS_ITSELF = frozenset({"h264"})
"""Its decoder holds back what refers to frames that it never had, and knows more places to start from than key frames."""

_STRICT = {"hevc": {"err_detect": "explode"}}
"""FFmpeg's HEVC decoder marks no frame as damaged: it has to refuse it. Those with concealment do mark what they guessed, and
told to refuse they would leave it unmarked.
"""


def check_size(width: int, height: int, limits: Limits) -> None:
    """Raises MediaTooLarge, or UnsupportedMedia for a tiny picture: FFmpeg's and ours in RGB take some four bytes a pixel."""
    limits.check_picture(width, height, width * height * 4)


def padded_pixels(limits: Limits) -> int:
    """What FFmpeg itself is told to refuse, before it decodes: it counts the padding of its buffers as well."""
    return 4 * limits.max_pixels + MEGAPIXEL


class PacketDecoder:
    """One codec context and its state."""

    def __init__(self, context: VideoCodecContext, limits: Limits, title: str) -> None:
        """`context`: not opened yet. `title`: what the caller calls the codec or format, for errors."""
        context.thread_count = 1
        context.options = {"max_pixels": str(padded_pixels(limits)), **_STRICT.get(context.name, {})}
        self._context = context
        self._limits, self._title = limits, title
        self._waiting = context.name not in _STARTS_ITSELF
        self._silent = 0
        self.given = 0

    def frames(self, packet: "Packet[VideoStream] | None") -> list[av.VideoFrame]:
        """The whole frames that `packet` completes; None gives those that are left at the end.

        Raises CorruptMedia after MAX_SILENT_PACKETS packets without one, MediaTooLarge where they are beyond the limits.
        """
        self._silent += 1
        try:
            decoded = self._context.decode(packet)
        except MemoryError:
            raise
        except av.error.FFmpegError:
            self._waiting, decoded = True, []
            self.check_size()
        whole = [frame for frame in decoded if self._is_whole(frame)]
        for frame in whole:
            check_size(frame.width, frame.height, self._limits)
        if whole:
            self._silent = 0
            self.given += len(whole)
        elif self._silent > MAX_SILENT_PACKETS:
            raise CorruptMedia(f"{self._title}: no picture could be decoded from the last {MAX_SILENT_PACKETS} packets")
        return whole

    def check_size(self) -> None:
        """Raises MediaTooLarge, or UnsupportedMedia for tiny pictures, by the size that the codec or its parser has read."""
        if self._context.width and self._context.height:
            check_size(self._context.width, self._context.height, self._limits)

    def check_some(self) -> None:
        """Raises CorruptMedia where not a single frame was given, at the end of the input."""
        if not self.given:
            raise CorruptMedia(f"{self._title}: no picture could be decoded; it is cut short, broken or something else")

    def _is_whole(self, frame: av.VideoFrame) -> bool:
        if frame.is_corrupt:
            self._waiting = True
            return False
        if self._waiting and not (frame.key_frame or frame.pict_type == PictureType.I):
            return False
        self._waiting = False
        return True
