"""How much a file may ask for. Checked against what its header claims, so that a decompression bomb costs nothing."""

from dataclasses import dataclass

from domains.core import EmptyMedia, MediaTooLarge, UnsupportedMedia

MEBIBYTE = 2**20
MEGAPIXEL = 10**6


@dataclass(frozen=True, slots=True)
class Limits:
    """The most that one file may ask for.

    `max_bytes`: the file, and a deflated DICOM data set once inflated. The default takes a two-minute ultrasound clip
    (JPEG) or the largest phone photo several times over.
    `max_pixels`: one frame. Today's largest phone sensors give 50 to 200 megapixels, but save 12 to 50 by default.
    `max_frames`: frames of one DICOM object; a clip of a minute at 30 frames a second has 1,800.
    `max_decoded_bytes`: the decoder's own buffers for one frame. It is the decoder's form that counts (a 16-bit RGBA
    PNG takes eight bytes a pixel, a progressive JPEG keeps its coefficients), so `max_pixels` alone doesn't bound it.
    `min_side`: the shorter side in pixels below which a picture has nothing to analyse.
    """

    max_bytes: int = 64 * MEBIBYTE
    max_pixels: int = 100 * MEGAPIXEL
    max_frames: int = 2000
    max_decoded_bytes: int = 512 * MEBIBYTE
    min_side: int = 16

    def __post_init__(self) -> None:
        for name in ("max_bytes", "max_pixels", "max_frames", "max_decoded_bytes", "min_side"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")

    def check_payload(self, size_bytes: int) -> None:
        """Raises EmptyMedia or MediaTooLarge for a file of `size_bytes`."""
        if size_bytes == 0:
            raise EmptyMedia("there are no bytes: a picture was expected")
        if size_bytes > self.max_bytes:
            raise MediaTooLarge(f"the file has {size_bytes} bytes; the limit is {self.max_bytes}")

    def check_picture(self, width: int, height: int, decoded_bytes: int) -> None:
        """Raises MediaTooLarge, or UnsupportedMedia for a tiny picture.

        `decoded_bytes`: what the decoder will allocate for one frame.
        """
        if width * height > self.max_pixels:
            raise MediaTooLarge(f"the picture is {width}x{height} = {_mega(width * height)} megapixels; "
                                f"the limit is {_mega(self.max_pixels)} megapixels")
        if decoded_bytes > self.max_decoded_bytes:
            raise MediaTooLarge(f"decoding the picture takes {_mebi(decoded_bytes)} MiB of memory; "
                                f"the limit is {_mebi(self.max_decoded_bytes)} MiB")
        if min(width, height) < self.min_side:
            raise UnsupportedMedia(f"the picture is {width}x{height} pixels; "
                                   f"at least {self.min_side}x{self.min_side} is needed")

    def check_frames(self, frame_count: int) -> None:
        """Raises MediaTooLarge for more frames than `max_frames`."""
        if frame_count > self.max_frames:
            raise MediaTooLarge(f"the file claims {frame_count} frames; the limit is {self.max_frames}")


def _mega(pixels: int) -> str:
    return f"{pixels / MEGAPIXEL:.10g}"


def _mebi(size_bytes: int) -> str:
    return f"{size_bytes / MEBIBYTE:.1f}".removesuffix(".0")
