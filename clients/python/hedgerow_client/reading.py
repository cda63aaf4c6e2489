"""From documents, as REST sends them, to the objects of results.py, pictures.py, verdicts.py and events.py.

What a document has too much is left out, so that a newer gateway can be talked to; what it lacks takes its default.
"""

import contextlib
import dataclasses
import functools
import types
import typing
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar, cast

from hedgerow_client import events, pictures, results, verdicts
from hedgerow_client.errors import NOT_A_GATEWAY, HedgerowError

T = TypeVar("T")
Reader = Callable[[Any], Any]

_RESULTS: dict[str, type] = {
    "classification": pictures.Classification,
    "segmentation": pictures.Segmentation,
    "clip_classification": verdicts.ClipClassification,
    "clip_tracking": verdicts.ClipTracking,
    "running_classification": verdicts.RunningClassification,
    "running_tracking": verdicts.RunningTracking,
}
_EVENTS: dict[str, type[events.Event]] = {
    "started": events.Started,
    "frame": events.FrameResult,
    "dropped": events.Dropped,
    "verdict": events.Verdict,
    "flow": events.Flow,
    "ended": events.Ended,
}


def read(kind: type[T], document: Mapping[str, Any]) -> T:
    """An object of `kind`. Raises HedgerowError where the document lacks something or has another form."""
    with _known(kind.__name__):
        found: T = _reader(cast("Any", kind))(document)
        return found


def read_analysis(document: Mapping[str, Any]) -> results.Analysis:
    """An analysis with its document."""
    return dataclasses.replace(read(results.Analysis, document), raw=document)


def read_model(document: Mapping[str, Any]) -> results.Model:
    """A model package with its document."""
    return dataclasses.replace(read(results.Model, document), raw=document)


def read_event(name: str, document: Mapping[str, Any], attached: Mapping[str, bytes]) -> events.Event | None:
    """A stream's event; None for one that this client doesn't know."""
    kind = _EVENTS.get(name)
    if kind is None:
        return None
    found = read(kind, {"verdict": document.get("document"), **document} if name == "verdict" else document)
    raw = {"type": name, **document}
    if isinstance(found, events.Started):
        return dataclasses.replace(found, raw=raw | {"token": ""})
    if isinstance(found, events.FrameResult):
        return dataclasses.replace(found, raw=raw, pictures=attached)
    if isinstance(found, events.Ended) and found.analysis is not None:
        return dataclasses.replace(found, raw=raw, analysis=dataclasses.replace(found.analysis, raw=document["analysis"]))
    return dataclasses.replace(found, raw=raw)


def read_progress(document: Mapping[str, Any]) -> results.Progress:
    """How far a clip is."""
    verdict = document.get("verdict")
    with _known("progress"):
        return results.Progress(
            int(document["frames_done"]), int(document["frames_total"]), _result(verdict) if verdict else None
        )


@contextlib.contextmanager
def _known(what: str) -> Iterator[None]:
    try:
        yield
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise HedgerowError(NOT_A_GATEWAY, f"the answer is no {what} that this client knows") from error


def _result(document: Mapping[str, Any]) -> Any:
    kind = _RESULTS[document["kind"]]
    if kind is pictures.Classification and "has_evidence" not in document:
        document = {**document, "has_evidence": document.get("evidence") is not None}
    return _reader(kind)(document)


@functools.cache
def _reader(hint: Any) -> Reader:
    """How a value of that type is read."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if isinstance(hint, types.UnionType):
        chosen = [one for one in arguments if one is not types.NoneType]
        inner = _reader(chosen[0]) if len(chosen) == 1 else _result
        return lambda value: None if value is None else inner(value)
    if origin is tuple:
        one = _reader(arguments[0])
        return lambda value: tuple(map(one, value))
    if dataclasses.is_dataclass(hint):
        return functools.partial(_read_fields, cast("type", hint), _fields(cast("type", hint)))
    if hint is float:
        return float
    return lambda value: value


def _read_fields(kind: Callable[..., Any], fields: Mapping[str, Reader], document: Mapping[str, Any]) -> Any:
    return kind(**{name: reader(document[name]) for name, reader in fields.items() if name in document})


def _fields(kind: type) -> dict[str, Reader]:
    hints = typing.get_type_hints(kind)
    return {one.name: _reader(hints[one.name]) for one in dataclasses.fields(kind) if one.name != "raw"}
