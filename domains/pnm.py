"""The header of a grey PNM picture (netpbm's PGM), for who has rows of bytes and no numpy."""


def grey_header(width: int, height: int) -> bytes:
    """What makes `width` * `height` bytes of grey a picture. Raises ValueError for an empty one."""
    if min(width, height) < 1:
        raise ValueError(f"a picture of {width}x{height} pixels")
    return b"P5\n%d %d\n255\n" % (width, height)
