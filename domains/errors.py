"""What can be wrong with an input, in words that are safe to send back to whoever sent it.

    DomainError
    |- InvalidParameter      a parameter is missing, unknown or out of range
    |  `- UnknownExam        no model answers this exam; the choices are listed
    |- UnknownDomain         no domain of that name; the choices are listed
    `- MediaError            the bytes are no picture that can be analysed
       |- EmptyMedia         there are no bytes
       |- UnsupportedMedia   a format, transfer syntax or colour space that is not read here
       |- CorruptMedia       the format is known, the content is broken or cut short
       `- MediaTooLarge      more bytes, pixels or frames than the limits allow, seen before decoding

Every message is written here or by a decoder's wrapper: it never quotes file content, file names or DICOM values,
which can identify a patient. None of these classes knows a transport; see gateway/service/errors.py.
"""


class DomainError(Exception):
    """Base of everything that a domain or a media reader refuses. `str(error)` may be shown to the caller."""


class InvalidParameter(DomainError):
    """A parameter of the request is missing, unknown or out of range."""

    def __init__(self, message: str, *, parameter: str = "") -> None:
        super().__init__(message)
        self.parameter = parameter


class UnknownExam(InvalidParameter):
    """The exam was not named or not recognised; the message lists the choices."""


class UnknownDomain(DomainError):
    """There is no domain of that name; the message lists the choices."""


class MediaError(DomainError):
    """The bytes can't be analysed as a picture."""


class EmptyMedia(MediaError):
    """The body has no bytes."""


class UnsupportedMedia(MediaError):
    """The format, transfer syntax or colour space isn't read here."""


class CorruptMedia(MediaError):
    """The format is known but the content is broken or cut short."""


class MediaTooLarge(MediaError):
    """More pixels, frames or bytes than the limits allow; found from the header, before any pixel was decoded."""
