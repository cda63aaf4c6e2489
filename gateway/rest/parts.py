"""The parts of a multipart body one after the other, each as soon as it is there: a hundred files are never in memory
together, nor in a temporary folder.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import ClientDisconnect, Request

from gateway.service.analyses import Policy
from gateway.service.errors import ErrorCode, ServiceError

FIELD_LIMIT = 64 * 1024
"""Bytes of a part that is no file."""


@dataclass(slots=True)
class Part:
    """A part and its bytes. `is_file`: it has a file name, which nobody looks at."""

    name: str = ""
    is_file: bool = False
    content: bytearray = field(default_factory=bytearray)


async def read_parts(request: Request, policy: Policy) -> AsyncIterator[Part]:
    """Raises ServiceError for a body that is no multipart, or is cut, and for a part that is too large."""
    reader = _Reader(request.headers.get("content-type", ""), policy)
    try:
        async for chunk in request.stream():
            reader.write(chunk)
            for part in reader.take():
                yield part
    except ClientDisconnect as error:
        raise ServiceError(ErrorCode.CANCELLED, "the caller left before the upload was complete") from error
    reader.finish()


def malformed(why: str) -> ServiceError:
    """What is told of a multipart body that isn't as it should be."""
    return ServiceError(ErrorCode.INVALID_ARGUMENT, f"the multipart body is malformed: {why}")


class _Reader:
    def __init__(self, content_type: str, policy: Policy) -> None:
        kind, options = parse_options_header(content_type)
        if kind != b"multipart/form-data" or not options.get(b"boundary"):
            raise malformed("send multipart/form-data with its boundary")
        self._policy = policy
        self._part = Part()
        self._header = self._value = b""
        self._done: list[Part] = []
        self._ended = False
        try:
            self._parser = MultipartParser(options[b"boundary"], {
                "on_part_begin": self._begin,
                "on_header_field": self._header_name,
                "on_header_value": self._header_value,
                "on_header_end": self._header_end,
                "on_part_data": self._data,
                "on_part_end": self._end,
                "on_end": self._end_of_all,
            })
        except FormParserError as error:
            raise malformed("its boundary is too long") from error

    def write(self, chunk: bytes) -> None:
        try:
            self._parser.write(chunk)
        except FormParserError as error:
            raise malformed("its parts can't be told apart") from error

    def take(self) -> list[Part]:
        """The parts that are complete since the last time."""
        done, self._done = self._done, []
        return done

    def finish(self) -> None:
        if not self._ended:
            raise malformed("its end is missing")

    def _begin(self) -> None:
        self._part = Part()

    def _header_name(self, data: bytes, start: int, end: int) -> None:
        self._header += data[start:end]

    def _header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _header_end(self) -> None:
        if self._header.lower() == b"content-disposition":
            _, options = parse_options_header(self._value)
            self._part.name = options.get(b"name", b"").decode("utf-8", "replace")
            self._part.is_file = b"filename" in options
        self._header = self._value = b""

    def _data(self, data: bytes, start: int, end: int) -> None:
        size = len(self._part.content) + end - start
        if self._part.is_file:
            self._policy.check_size(size)
        elif size > FIELD_LIMIT:
            raise malformed(f"a part that is no file has at most {FIELD_LIMIT} bytes")
        self._part.content += data[start:end]

    def _end(self) -> None:
        self._done.append(self._part)

    def _end_of_all(self) -> None:
        self._ended = True
