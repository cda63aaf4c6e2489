"""The documents of gateway/rest/models.py as types, for OpenAPI and whoever generates a client from it."""

from typing import Literal

from pydantic import Field

from gateway.rest.result_schemas import Document
from gateway.rest.schemas import EXAMPLE_ID

_MODEL = Field(examples=["lung_ultrasound"])
_VERSION = Field(examples=["1.1.0"])


class Package(Document):
    """An installed model package."""

    model: str = _MODEL
    version: str = _VERSION
    domain: str = Field(examples=["pathology"])


class Activation(Document):
    """What to do with a version."""

    version: str = _VERSION
    mode: Literal["full", "shadow", "canary"] = "full"
    """`full`: it answers all from now on. `shadow`: callers get the version in service, and the same input runs on this one
    afterwards. `canary`: it answers a share of the callers.
    """
    share: float | None = None
    """Canary: which share of the callers it answers, above 0 and up to 1; 0.05 unless given."""
    allowed_disagreement: float | None = None
    """Shadow and canary: it is taken out when it surely disagrees in more than this share; 0.1 unless given."""


class Version(Document):
    """A version that could be in service."""

    version: str = _VERSION
    origin: Literal["program", "installed"]
    """Whether it came with the program or was installed since."""
    state: Literal["in_service", "on_trial", "idle"]


class Interval(Document):
    """A share with its 95 % interval (Wilson), each 0 to 1."""

    share: float
    low: float
    high: float


class Medians(Document):
    """Median milliseconds of a model's own stages, over the pairs that ran on one device."""

    in_service: float
    candidate: float


class Trial(Document):
    """A version on trial, and what it has shown so far."""

    version: str = _VERSION
    mode: Literal["shadow", "canary"]
    share: float
    """Canary: which share of the callers it answers."""
    allowed_disagreement: float
    started_at: str = Field(examples=["2026-01-31T08:30:00.000Z"])
    runs: int
    failed: int
    """Runs that gave no answer where the version in service gave one."""
    compared: int
    disagreed: int
    skipped: int
    """Comparisons that were left out because callers needed the devices."""
    disagreement: Interval | None
    """Null before the first comparison."""
    median_ms: Medians | None
    """Null where no pair ran on one device."""


class Rollback(Document):
    """The last time that a version was taken out."""

    version: str = _VERSION
    instead: str
    """The version that answers since; empty where there is none."""
    at: str = Field(examples=["2026-01-31T08:30:00.000Z"])
    cause: str = Field(examples=["by hand"])
    automatic: bool


class ModelStatus(Document):
    """A model's versions and what becomes of them."""

    model: str = _MODEL
    in_service: str
    """Empty where no version is."""
    rolls_back_to: str | None
    """What a rollback would put into service; empty where none was, null where there is nothing to roll back."""
    versions: list[Version]
    trial: Trial | None
    last_rollback: Rollback | None
    fault: str
    """Why the version that was in service before the last start isn't now; empty where it is."""


class Side(Document):
    """One version's answer, short."""

    version: str = _VERSION
    label: str
    """The leading label of a classification, `segmentation` otherwise; empty where the picture is foreign."""
    abstained: bool
    values: dict[str, float] = Field(examples=[{"normal": 0.93, "abnormal": 0.07}])
    """Probabilities by label, or the shares of the picture that the classes cover."""


class Disagreement(Document):
    """An input that two versions answer differently."""

    analysis_id: str = Field(examples=[EXAMPLE_ID])
    found_at: str = Field(examples=["2026-01-31T08:30:00.000Z"])
    mode: Literal["shadow", "canary"]
    difference: Literal["label", "abstention", "area"]
    in_service: Side
    candidate: Side
    links: dict[str, str]
    """Path of the analysis."""


class DisagreementPage(Document):
    """Disagreements, newest analysis first."""

    disagreements: list[Disagreement]
    next_cursor: str | None
    """`cursor` of the next page; null on the last."""
