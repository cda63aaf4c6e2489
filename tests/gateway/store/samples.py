"""Records to store."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

from gateway.service.records import Analysis, ApiKey, new_id

NOON = datetime(2026, 5, 4, 12, 0, 0, 123456, tzinfo=UTC)


def id_at(moment: datetime, number: int = 0) -> str:
    """The UUIDv7 number `number` of the millisecond of `moment`."""
    stamp = int(moment.timestamp() * 1000)
    return str(UUID(int=stamp << 80 | 0x7 << 76 | 0b10 << 62 | number))


def analysis_at(moment: datetime, number: int = 0, *, tenant: str = "clinic") -> Analysis:
    """An analysis made at that time."""
    return sample(id_at(moment, number), tenant=tenant, created_at=moment)


def sample(
    analysis_id: str | None = None,
    *,
    tenant: str = "clinic",
    domain: str = "pathology",
    model: str = "breast_ultrasound",
    label: str = "benign",
    abstained: bool = False,
    created_at: datetime | None = None,
) -> Analysis:
    """An analysis with everything in it, made now unless told otherwise."""
    return Analysis(
        id=analysis_id or new_id(),
        tenant=tenant,
        domain=domain,
        created_at=created_at or datetime.now(UTC),
        request_id="request-1",
        model=model,
        label=label,
        abstained=abstained,
        parameters={"exam": "breast_ultrasound"},
        media={"format": "jpeg", "width": 640, "height": 480, "spacing_mm": None},
        result={"kind": "classification", "z": 1, "a": [0.1, 1e-9, True, "Brüche \U0001f33f \x00 \ud800"]},
        provenance={"timings_ms": {"infer": 3.25}},
        images=("evidence.png", "input"),
    )


def key(key_id: str = "abcd1234", *, age: timedelta = timedelta(0)) -> ApiKey:
    """An API key."""
    return ApiKey(
        id=key_id,
        secret_sha256="0f" * 32,
        tenant="clinic",
        name="Käthe's cart",
        scopes=frozenset({"read", "analyze:pathology"}),
        created_at=NOON - age,
    )
