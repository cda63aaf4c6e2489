"""Bodies of the protocol: JSON, or JSON with tensors behind it (Triton, extension_binary_data); compressed where the caller
wants that.
"""

import asyncio
import zlib
from collections.abc import Callable
from typing import TypeVar

from fastapi import Request
from starlette.responses import Response

from gateway.http import read_body
from gateway.service.analyses import Policy
from gateway.service.errors import ErrorCode, ServiceError
from gateway.service.inference.arrays import invalid

HEADER_LENGTH = "Inference-Header-Content-Length"
OVERHEAD_BYTES = 64 * 1024
"""What a body may hold beside an upload."""

_AT_ONCE_BYTES = 128 * 1024
"""What is larger is worked on in a thread: others would wait for it."""
_WINDOWS = {"gzip": 31, "deflate": 15}
"""zlib's names of the two encodings."""
_FASTEST = 1
T = TypeVar("T")


async def read(request: Request, policy: Policy) -> bytes:
    """The body, decompressed. Raises ServiceError for one that is too large, broken, or compressed in another way."""
    body = await read_body(request, lambda size: policy.check_size(size - OVERHEAD_BYTES))
    encoding = request.headers.get("content-encoding", "identity").strip().lower()
    if encoding == "identity":
        return body
    if encoding not in _WINDOWS:
        raise ServiceError(ErrorCode.UNSUPPORTED_MEDIA, "a body may be compressed by gzip or deflate", parameter="Content-Encoding")
    return await apart(len(body), lambda: _inflated(body, _WINDOWS[encoding], policy))


def header_length(request: Request) -> int | None:
    """How much of the body is JSON; None: all of it. Raises INVALID_ARGUMENT."""
    text = request.headers.get(HEADER_LENGTH)
    if text is None:
        return None
    if not (text.isascii() and text.isdecimal() and len(text) < 16):
        raise invalid("is no number of bytes", HEADER_LENGTH)
    return int(text)


async def respond(request: Request, body: bytes, json_bytes: int | None) -> Response:
    """An inference's answer. `json_bytes`: how much of it is JSON, where there are tensors behind it."""
    headers = {} if json_bytes is None else {HEADER_LENGTH: str(json_bytes)}
    encoding = _encoding(request.headers.get("accept-encoding", ""))
    if encoding:
        body = await apart(len(body), lambda: _deflated(body, _WINDOWS[encoding]))
        headers |= {"Content-Encoding": encoding, "Vary": "Accept-Encoding"}
    return Response(body, 200, headers, "application/json" if json_bytes is None else "application/octet-stream")


async def apart(size: int, work: Callable[[], T]) -> T:
    """Has something done that takes as long as `size` bytes are many; in a thread where they are."""
    return await asyncio.to_thread(work) if size > _AT_ONCE_BYTES else work()


def _encoding(accepted: str) -> str:
    """The first of the caller's encodings that we have; empty where there is none."""
    for element in accepted.lower().split(","):
        name, _, weight = element.partition(";")
        if name.strip() in _WINDOWS and weight.replace(" ", "") not in {"q=0", "q=0.0", "q=0.00", "q=0.000"}:
            return name.strip()
    return ""


def _inflated(body: bytes, window: int, policy: Policy) -> bytes:
    """A few bytes can stand for very many: no more is made of them than may be sent."""
    inflating = zlib.decompressobj(window)
    try:
        content = inflating.decompress(body, policy.max_upload_bytes + OVERHEAD_BYTES + 1)
    except zlib.error as error:
        raise invalid("the body isn't compressed as it says", "Content-Encoding") from error
    policy.check_size(len(content) - OVERHEAD_BYTES)
    if not inflating.eof:
        raise invalid("the compressed body is cut short", "Content-Encoding")
    return content


def _deflated(body: bytes, window: int) -> bytes:
    deflating = zlib.compressobj(_FASTEST, wbits=window)
    return deflating.compress(body) + deflating.flush()
