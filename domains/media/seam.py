"""The seam to foreign decoders: whatever they raise leaves here as a MediaError with words of our own."""

from collections.abc import Iterator
from contextlib import contextmanager

from domains.core import CorruptMedia, DomainError, MediaTooLarge


@contextmanager
def foreign_code(message: str) -> Iterator[None]:
    """Maps any exception inside to CorruptMedia(`message`), chained to its cause; DomainErrors pass unchanged.

    The cause's text is left out of the message because decoders quote what they read. MemoryError becomes
    MediaTooLarge: the limits let more through than this machine has.
    """
    try:
        yield
    except DomainError:
        raise
    except MemoryError as error:
        raise MediaTooLarge("there is not enough memory to decode this picture") from error
    except Exception as error:
        raise CorruptMedia(message) from error
