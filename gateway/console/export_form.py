"""What every form of an export of hard cases has in common: what goes into it, and how files are written."""

import json
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge_runtime.folders import UNFINISHED, write_whole
from gateway.service.learning.ports import HardCase
from gateway.service.records import Analysis
from gateway.service.rollout import Side


class ExportRefused(Exception):
    """The export can't be made; str() says why, in a sentence."""


@dataclass(frozen=True, slots=True)
class CleanCase:
    """A case whose picture may leave. `name`: a pseudonym of its analysis, the same in every export; `rules`: what was done
    to the picture, as the audit log names it; `labels`: all that the model can say, in its own order.
    """

    name: str
    case: HardCase
    analysis: Analysis
    payload: bytes
    format: str
    rules: tuple[str, ...]
    labels: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Leaving:
    """A file as it leaves. `size`: (width, height) in pixels."""

    file_name: str
    payload: bytes
    format: str
    rules: tuple[str, ...]
    size: tuple[int, int]


class Target(ABC):
    """A folder in one of the forms. Methods block; OSError escapes, and DomainError where a picture can't be read."""

    @abstractmethod
    def holds(self, name: str) -> bool:
        """Whether an earlier export, or this one, has put the case of that name here."""

    @abstractmethod
    def form(self, clean: CleanCase) -> Leaving:
        """The picture in the form's own format. Nothing is written."""

    @abstractmethod
    def keep(self, clean: CleanCase, leaving: Leaving) -> None:
        """Writes the picture. The case counts as held once `save` was called."""

    @abstractmethod
    def save(self) -> None:
        """Writes what says which cases are here."""


def answers_of(case: HardCase) -> list[dict[str, Any]]:
    """What the models said, the first answer first. No time and no id of ours is in it."""
    return [_side(side) for side in (case.answer, case.other_answer) if side is not None]


def open_folder(folder: Path, index: str, others: tuple[str, ...]) -> dict[str, Any] | None:
    """The index of an earlier export in the folder, which is made where it is missing; None for a new one.

    `others`: indexes of other forms. Raises ExportRefused for a folder that holds anything else.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        present = {path.name for path in folder.iterdir()}
        text = (folder / index).read_text(encoding="utf-8") if index in present else None
    except (FileExistsError, NotADirectoryError):
        raise ExportRefused(f"{folder} is no folder") from None
    except OSError as error:
        raise ExportRefused(f"{folder} can't be used: {error.strerror}") from error
    except UnicodeDecodeError:
        raise ExportRefused(f"{folder / index} was not written by an earlier export") from None
    if text is None:
        if set(others) & present:
            raise ExportRefused(f"{folder} holds an export in another form; name another folder")
        if not all(_is_left_over(name) for name in present):
            raise ExportRefused(f"{folder} holds something else than an earlier export; name an empty folder")
        return None
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise ExportRefused(f"{folder / index} was not written by an earlier export")
    return found


def write_json(path: Path, document: Mapping[str, Any]) -> None:
    """The file as a whole or not at all."""
    write_whole(path, json.dumps(document, indent=1, allow_nan=False).encode() + b"\n")


def _is_left_over(name: str) -> bool:
    """Of an export that was interrupted before its index was written."""
    return name == "images" or name.endswith((UNFINISHED, ".dcm"))


def _side(side: Side) -> dict[str, Any]:
    return {"label": side.label, "abstained": side.abstained, "values": dict(side.values)}
