"""What schemathesis can't know by itself: bytes that are a picture, and what is there to be asked for. It loads this file in its
own environment (tests/contracts/schemathesis.toml); HEDGEROW_KNOWN holds, as JSON, values for parameters of paths.
"""

import json
import os
from itertools import count
from pathlib import Path

import schemathesis
from hypothesis import strategies as st
from schemathesis import Case, GenerationMode, HookContext

SAMPLES = Path(__file__).parents[2] / "samples"
KNOWN: dict[str, list[str]] = json.loads(os.environ["HEDGEROW_KNOWN"])
OF_JOBS = {"callback_url", "expires_s", "priority"}
calls = count()


def files(name: str) -> st.SearchStrategy[bytes]:
    """A sample whole, cut short or with other bytes at its beginning; or noise."""
    content = (SAMPLES / name).read_bytes()
    cut = st.integers(0, len(content)).map(lambda size: content[:size])
    spoilt = st.binary(min_size=1, max_size=64).map(lambda noise: noise + content[len(noise) :])
    return st.one_of(st.just(content), cut, spoilt, st.binary(max_size=64))


for media_type, sample in (
    ("image/png", "lung_scan.png"),
    ("image/jpeg", "breast_scan.jpg"),
    ("application/dicom", "breast_scan.dcm"),
    ("video/mp4", "lung_clip.mpeg"),
    ("application/octet-stream", "house_number.png"),
):
    schemathesis.openapi.media_type(media_type, files(sample))
schemathesis.openapi.media_type("application/offset+octet-stream", st.binary(max_size=2048))
schemathesis.openapi.media_type("application/zip", st.binary(max_size=2048))


@schemathesis.hook  # type: ignore[untyped-decorator] # its environment has its types
def before_call(_context: HookContext, case: Case, _kwargs: dict[str, object]) -> None:
    """Has two of three well-formed requests ask for something that is there, with parameters that the domain knows."""
    if case.meta is None or case.meta.generation.mode is not GenerationMode.POSITIVE or next(calls) % 3 == 0:
        return
    for name in set(case.path_parameters) & set(KNOWN):
        values = KNOWN[name]
        if case.method != "DELETE":
            case.path_parameters[name] = values[next(calls) % len(values)]
        elif len(values) > 1:
            case.path_parameters[name] = values.pop()
    if "domain" in case.path_parameters:
        case.query = {name: value for name, value in case.query.items() if name in OF_JOBS}
        if case.path_parameters["domain"] == "pathology":
            case.query["exam"] = "lung_ultrasound"
