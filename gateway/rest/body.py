"""An upload's bytes and parameters out of a request: the raw body, or the parts `file` and `parameters` of a multipart.

A body over the limit is refused from its Content-Length before a byte of it is read, or as soon as a chunked one grows
past the limit.
"""

from collections.abc import AsyncGenerator
from typing import Any

import msgspec
from starlette.datastructures import FormData, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request

from gateway.http import read_body
from gateway.service.analyses import Policy
from gateway.service.errors import ErrorCode, ServiceError
from gateway.service.parameters import from_query

JOB_FIELDS = ("callback_url", "expires_s", "priority")
"""What may stand among the parameters and is said to the gateway, not to the domain: what is to become of a job."""
_MULTIPART_OVERHEAD = 64 * 1024
_PARAMETERS_LIMIT = 64 * 1024


class _InMemoryParser(MultiPartParser):
    """Private pictures must not be spilled into a temporary folder; the body is in memory already."""

    spool_max_size = 2**62


async def read_upload(request: Request, policy: Policy) -> tuple[bytes, dict[str, Any]]:
    """The file's bytes and the parameters, JOB_FIELDS among them. Raises ServiceError for a body that is too large, cut or
    malformed.
    """
    parameters = from_query(request.query_params.multi_items())
    if not request.headers.get("content-type", "").lower().startswith("multipart/"):
        return await read_body(request, policy.check_size), parameters
    body = await read_body(request, lambda size: policy.check_size(size - _MULTIPART_OVERHEAD))
    form = await _parse(request, body)
    try:
        files = form.getlist("file")
        if len(files) != 1 or not isinstance(files[0], UploadFile):
            raise _malformed("send exactly one part named 'file', with a file name")
        content = await files[0].read()
        policy.check_size(len(content))
        return content, parameters | _form_parameters(form)
    finally:
        await form.close()


async def _parse(request: Request, body: bytes) -> FormData:
    async def stream() -> AsyncGenerator[bytes, None]:
        yield body

    try:
        return await _InMemoryParser(
            request.headers, stream(), max_files=1, max_fields=8, max_part_size=_PARAMETERS_LIMIT
        ).parse()
    except (MultiPartException, KeyError, ValueError, UnicodeError) as error:
        raise _malformed("its parts can't be told apart") from error


def parameters_from_json(text: str) -> dict[str, Any]:
    """The part `parameters`. Raises INVALID_ARGUMENT."""
    try:
        return msgspec.json.decode(text, type=dict[str, Any])
    except msgspec.MsgspecError as error:
        raise ServiceError(
            ErrorCode.INVALID_ARGUMENT, "the part 'parameters' is no JSON object", parameter="parameters"
        ) from error


def _form_parameters(form: FormData) -> dict[str, Any]:
    unknown = sorted(set(form) - {"file", "parameters", *JOB_FIELDS})
    if unknown:
        raise _malformed(f"only the parts 'file', 'parameters', {', '.join(map(repr, JOB_FIELDS))} are taken")
    fields = [(name, text) for name, text in form.multi_items() if isinstance(text, str)]
    parameters = [text for name, text in fields if name == "parameters"]
    said = from_query((name, text) for name, text in fields if name in JOB_FIELDS)
    return parameters_from_json(parameters[-1] if parameters else "{}") | said


def _malformed(why: str) -> ServiceError:
    return ServiceError(ErrorCode.INVALID_ARGUMENT, f"the multipart body is malformed: {why}")
