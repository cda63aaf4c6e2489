"""What comes of de-identifying an upload."""

from dataclasses import dataclass

from domains.errors import DomainError


@dataclass(frozen=True, slots=True)
class Deidentified:
    """An upload that may leave.

    `format`: of `payload`, which needn't be that of the upload. `rules`: what was done, in short names without spaces
    that the audit log keeps; docs/leaving.md says what each stands for.
    """

    payload: bytes
    format: str
    rules: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Held:
    """An upload that must not leave. `reason` is a sentence that quotes nothing of the file."""

    reason: str


class HeldBack(DomainError):
    """Raised inside of this package for what becomes Held; `str(error)` is the reason."""
