"""Scenario of benchmarks/durability.py: what lies in the object store, and waits in the broker, of files that tell whose they are."""

import json
import time
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx
import msgspec
from sqlalchemy import create_engine, text

from benchmarks.durability_books import counted, in_database, over_rest
from benchmarks.durability_cloud_books import CloudKept, cloud_in_database, cloud_tally, cloud_verdicts
from benchmarks.durability_gateway import Bench, Gateway
from benchmarks.durability_patients import (
    BANNER_PX,
    WORDS,
    Change,
    Upload,
    found_in,
    frame_of,
    header_changes,
    messages_in,
    patient_object,
    photo_with_place,
    scan_with_banner,
    scan_without_regions,
    words_on,
)
from benchmarks.durability_tier import CONSENT, Broker, Worker, check_cloud, cloud_settings, objects_in, redis
from benchmarks.stream_runs import Outcome, Verdict

PATHOLOGY, FIELDS = "/v1/domains/pathology/analyses", "/v1/domains/crop_weed/analyses"
SCAN, PHOTO, HELD = "scan", "photo", "held"
ROUTES: list[dict[str, Any]] = [{"tenant": "default", "to_cloud": True, "audit_share": 1.0}]
QUEUE = "hedgerow"
PATIENCE_S = 180.0


class Told(msgspec.Struct):
    """What a caller was answered. `job`: of the second opinion, empty where there is none."""

    status: int
    analysis: str
    job: str


class AtRest(msgspec.Struct):
    """While no worker takes anything. `objects` and `messages`: what lies there, by name; `gateway`: the jobs' states and codes."""

    objects: dict[str, bytes]
    messages: dict[str, bytes]
    states: dict[str, tuple[str, str]]


def private(bench: Bench) -> Outcome:
    """A DICOM object and a photo leave, a picture with text is held, and two go without leave; first with no worker, then with one."""
    check_cloud()
    uploads = {
        SCAN: Upload(SCAN, PATHOLOGY, "application/dicom", patient_object()),
        PHOTO: Upload(PHOTO, FIELDS, "image/jpeg", photo_with_place()),
        HELD: Upload(HELD, f"{PATHOLOGY}?exam=breast_ultrasound", "image/png", scan_without_regions()),
    }
    with TemporaryDirectory(dir=bench.folder, ignore_cleanup_errors=True) as place:
        folder = Path(place)
        objects = folder / "cloud" / "objects"
        with ExitStack() as stack:
            broker = stack.enter_context(redis())
            broker.start()
            settings = cloud_settings(folder / "cloud", broker, ROUTES)
            gateway = stack.enter_context(Gateway(folder / "gateway", more=settings))
            client = stack.enter_context(gateway.rest())
            told = {name: _sent(client, upload, CONSENT) for name, upload in uploads.items()}
            told["no consent"] = _sent(client, uploads[SCAN], {})
            stranger = gateway.command("keys", "create", "--tenant", "other").stdout.strip()
            with gateway.rest(stranger) as other:
                told["another tenant"] = _sent(other, uploads[SCAN], CONSENT)
            at_rest = _at_rest(client, told, objects, broker)
            held_stands = client.get(f"/v1/analyses/{told[HELD].analysis}").status_code == 200
            worker = Worker(folder / "worker", settings)
            stack.callback(worker.stop)
            worker.start()
            worker.wait_ready()
            back_at = time.monotonic()
            done = {name: _wait_for(client, told[name].job) for name in (SCAN, PHOTO)}
            last_s = round(time.monotonic() - back_at, 1)
            time.sleep(2)  # objects go after the job has ended
            left_over = sorted(objects_in(objects))
            rest, audit = over_rest(client), json.loads(gateway.command("audit", "verify", "--json").stdout or "{}")
            with gateway.rest(stranger) as other:
                rest.files |= over_rest(other).files
            errors = gateway.errors()
        kept, cloud = in_database(gateway.database_url), cloud_in_database(gateway.database_url)
        entries = _entries(gateway.database_url)
    cleaned = {name: _input_of(told[name], at_rest) for name in (SCAN, PHOTO)}
    changes = header_changes(uploads[SCAN].payload, cleaned[SCAN]) if cleaned[SCAN] else []
    tally = cloud_tally(kept, cloud)
    figures: dict[str, Any] = {
        "books": msgspec.to_builtins(tally), "told": msgspec.to_builtins(told), "jobs_at_rest": at_rest.states,
        "objects_at_rest": {name: len(content) for name, content in at_rest.objects.items()},
        "messages_at_rest": {name: len(content) for name, content in at_rest.messages.items()},
        "states_afterwards": done, "last_after_s": last_s, "audit": entries,
        "header": [msgspec.to_builtins(change) for change in changes], "errors": errors,
    }
    return Outcome(figures, [
        *_answered(told, at_rest, held_stands=held_stands),
        *_nothing_told(uploads, at_rest, cleaned, changes),
        *_stayed(told, at_rest, cloud),
        Verdict("once a worker runs the opinions on the other two come", f"{done}", set(done.values()) == {"done"}),
        Verdict("and their objects go", f"{len(left_over)} left", not left_over),
        *[one for one in cloud_verdicts(tally, rest, kept, cloud, audit) if not one.claim.startswith("each job")],
    ])


def _sent(client: httpx.Client, upload: Upload, consent: dict[str, str]) -> Told:
    response = client.post(upload.path, content=upload.payload, headers={"Content-Type": upload.content_type, **consent})
    document = response.json()
    opinion = document.get("provenance", {}).get("second_opinion") or {}
    return Told(response.status_code, document.get("id", ""), opinion.get("job") or "")


def _at_rest(client: httpx.Client, told: Mapping[str, Told], objects: Path, broker: Broker) -> AtRest:
    """When each job has failed or has a message in the broker, or after PATIENCE_S."""
    until = time.monotonic() + PATIENCE_S
    while True:
        states = {name: _state(client, one.job) for name, one in told.items() if one.job}
        messages = messages_in(broker.url, QUEUE)
        failed = sum(state == "failed" for state, _ in states.values())
        if len(messages) + failed >= len(states) or time.monotonic() > until:
            return AtRest(objects_in(objects), messages, states)
        time.sleep(0.5)


def _state(client: httpx.Client, job: str) -> tuple[str, str]:
    """The state, and the error's code."""
    document = client.get(f"/v1/jobs/{job}").json()
    return document["state"], (document["error"] or {}).get("code", "")


def _wait_for(client: httpx.Client, job: str) -> str:
    until = time.monotonic() + PATIENCE_S
    while job and time.monotonic() < until:
        state, _ = _state(client, job)
        if state not in {"queued", "running"}:
            return state
        time.sleep(0.2)
    return "never"


def _input_of(told: Told, at_rest: AtRest) -> bytes:
    """What left of a file; empty where nothing did."""
    return next((content for name, content in at_rest.objects.items() if told.job and name.startswith(told.job)), b"")


def _answered(told: Mapping[str, Told], at_rest: AtRest, *, held_stands: bool) -> list[Verdict]:
    statuses = [one.status for one in told.values()]
    state, code = at_rest.states.get(HELD, ("none", ""))
    return [
        Verdict("each is answered by the edge at once", f"{statuses}", set(statuses) == {201}),
        Verdict("a second opinion is promised for those with leave, and for no other",
                ", ".join(name for name, one in told.items() if one.job), {name for name, one in told.items() if one.job} == {SCAN, PHOTO, HELD}),
        Verdict("of the picture with text and no region the job fails, and the edge's answer stands",
                f"{state} {code}, {'stands' if held_stands else 'gone'}", (state, code, held_stands) == ("failed", "HELD_BACK", True)),
    ]


def _nothing_told(
    uploads: Mapping[str, Upload], at_rest: AtRest, cleaned: Mapping[str, bytes], changes: list[Change]
) -> list[Verdict]:
    """With what the very same search finds in the uploads, so that it can be seen to find."""
    before = found_in({name: uploads[name].payload for name in (SCAN, PHOTO)})
    after = {name: told for name, told in found_in(at_rest.objects | at_rest.messages).items() if told}
    banner, words = words_on(scan_with_banner()), ["no frame"]
    if cleaned[SCAN]:
        frame = frame_of(cleaned[SCAN])
        words = words_on(frame) or (["the banner isn't black"] if frame[:BANNER_PX].any() else [])
    naming = [change for change in changes if any(word.lower() in change.before.lower() for word in WORDS)]
    kept = [change.attribute for change in naming if change.what == "kept"]
    return [
        Verdict("the uploads tell name, birth date, number, place and moment", f"{sum(map(len, before.values()))} of them",
                len(before[SCAN]) == 8 and {"latitude", "longitude", "when it was taken"} <= set(before[PHOTO])),
        Verdict("no object and no message tells any of them", f"{after or 'none'}", bool(at_rest.objects) and not after),
        Verdict("tesseract reads the banner of the upload", " ".join(sorted(set(banner))), "ROSALINDE" in banner),
        Verdict("and nothing in the frame that left, whose banner is black", " ".join(words) or "nothing", not words),
        Verdict("each attribute of the header that names the patient is emptied, removed or replaced",
                f"{len(naming) - len(kept)} of {len(naming)}; {counted(change.what for change in changes)}", bool(naming) and not kept),
    ]


def _stayed(told: Mapping[str, Told], at_rest: AtRest, cloud: CloudKept) -> list[Verdict]:
    """Objects are called by their jobs, entries by their analyses."""
    may = {told[SCAN].job, told[PHOTO].job}
    jobs = {name.partition("/")[0] for name in at_rest.objects}
    entered = {name for name, one in told.items() if cloud.left.get(one.analysis)}
    return [
        Verdict("nothing else left: two objects and two messages", f"{len(at_rest.objects)} and {len(at_rest.messages)}",
                jobs == may and len(at_rest.objects) == len(at_rest.messages) == 2),
        Verdict("the audit log has these two and no other", ", ".join(sorted(entered)), entered == {SCAN, PHOTO}),
    ]


def _entries(url: str) -> list[dict[str, Any]]:
    """What the audit log says of what left, in plain SQL."""
    engine = create_engine(url)
    with engine.connect() as connection:
        rows = connection.execute(text("SELECT why, format, size_bytes, form FROM audit_log ORDER BY seq")).all()
    engine.dispose()
    return [dict(row._mapping) for row in rows]  # noqa: SLF001 - SQLAlchemy's public way to a mapping
