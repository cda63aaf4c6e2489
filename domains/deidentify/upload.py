"""The one call of this package."""

from collections.abc import Callable

from domains.deidentify.outcome import Deidentified, Held, HeldBack
from domains.deidentify.text import TextReader, TextSearchFailed
from domains.deidentify.uids import pseudonyms
from domains.errors import DomainError
from domains.formats import clip_format
from domains.media import Limits, read_header
from domains.media.seam import foreign_code

BROKEN = "the file is broken or cut short: what is in it can't be told"
NO_SEARCH = "no search for text could be made, so the picture may show some"


def deidentify(
    payload: bytes, media_format: str, *, tenant_key: bytes, keep_gps: bool, find_text: TextReader, limits: Limits | None = None
) -> Deidentified | Held:
    """`payload` without what tells whose it is, or why it can't leave. Nothing that is wrong with a file raises.

    `media_format`: what the file is thought to be (as MediaHeader.format says); it is held where it is something else.
    `tenant_key`: at least 16 secret bytes; UIDs replaced under one key can be joined with each other, and with nothing
    else. `keep_gps`: leaves a photo its place and time. `find_text`: reads text off pixels. Raises ValueError for a short
    key.
    """
    new_uid, limits = pseudonyms(tenant_key), limits or Limits()
    try:
        with foreign_code(BROKEN):
            return _cleaned(payload, media_format, new_uid, keep_gps, find_text, limits)
    except TextSearchFailed:
        return Held(NO_SEARCH)
    except DomainError as error:
        return Held(str(error))


def _cleaned(
    payload: bytes, media_format: str, new_uid: Callable[[str], str], keep_gps: bool, find_text: TextReader, limits: Limits
) -> Deidentified:
    if clip_format(payload):
        raise HeldBack("a video can't be de-identified here: text may be shown in any frame of it")
    header = read_header(payload, limits)
    if header.format != media_format:
        raise HeldBack("the file is of another format than it was taken for")
    if header.format == "dicom":
        from domains.deidentify.dicom import deidentified_object

        return deidentified_object(payload, new_uid, find_text, limits)
    from domains.deidentify.photos import deidentified_photo

    return deidentified_photo(payload, header, keep_gps=keep_gps, find_text=find_text, limits=limits)
