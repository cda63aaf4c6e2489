"""Whatever bytes come as a call, they are a message or the caller's fault."""

import base64

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.connect.codecs import decode
from gateway.connect.wires import FORMS, wire_of
from gateway.service.errors import ErrorCode, ServiceError
from protos.hedgerow.v1 import analysis_pb2

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["domain", "content", "parameters", "requestId"]), inner),
)
BODIES = st.binary() | st.binary().map(base64.b64encode) | JSON.map(lambda document: str(document).replace("'", '"').encode())


@pytest.mark.parametrize("content_type", FORMS)
@given(body=BODIES, framed=st.booleans())
@settings(max_examples=50, deadline=None)
def test_any_bytes_are_a_message_or_the_callers_fault(content_type: str, body: bytes, framed: bool) -> None:
    wire = wire_of(content_type, streams="connect+" in content_type)
    assert wire is not None
    try:
        message = decode(wire.unpacked(wire.packed(body) if framed else body), analysis_pb2.AnalyzeRequest, wire.codec)
    except ServiceError as error:
        assert error.code is ErrorCode.INVALID_ARGUMENT  # noqa: PT017 - not every body raises
    else:
        assert isinstance(message, analysis_pb2.AnalyzeRequest)
