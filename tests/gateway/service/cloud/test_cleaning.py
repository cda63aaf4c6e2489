"""Pictures are cleaned in processes of their own: whatever becomes of such a process, a picture leaves clean or not at all."""

import asyncio
import io
import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import pydicom
import pytest
from PIL import Image
from structlog.testing import capture_logs

from domains.errors import DomainError, InvalidParameter, UnknownDomain, UnknownExam, UnsupportedMedia
from edge_runtime.embedded import package_folders
from gateway.service.cloud.ports import Cleaned, Held
from gateway.service.leaving.clean_process import NO_TESSERACT, TOO_LARGE, UNFORESEEN
from gateway.service.leaving.cleaning import CRASHED, UNREADABLE, UNWRITABLE, CleaningPolicy, ProcessCleaner
from gateway.service.leaving.consent import tenant_key
from tests.domains.deidentify.test_dicom import WORDS, scan
from tests.domains.deidentify.test_photos import GPS, SECRET, telling_jpeg
from tests.domains.media.pictures import jpeg, opened, scene

ROOT = Path(__file__).parents[4]
KEY = b"k" * 32
EXAM = {"exam": "lung_ultrasound"}


def cleaner(**policy: float) -> ProcessCleaner:
    """The real one."""
    return ProcessCleaner(KEY, lambda: package_folders([]), {}, CleaningPolicy(**policy))  # type: ignore[arg-type] # whole numbers


def clean(
    payload: bytes, domain: str = "pathology", parameters: Mapping[str, object] | None = None, *, tenant: str = "clinic",
    keep_gps: bool = False, by: ProcessCleaner | None = None,
) -> Cleaned | Held:
    """What becomes of one picture."""
    return asyncio.run((by or cleaner()).clean(payload, domain, parameters or {}, tenant=tenant, keep_gps=keep_gps))


@pytest.fixture
def faulty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets `said` find its module."""
    monkeypatch.setenv("PYTHONPATH", f"{ROOT / 'tests' / 'fakes'}{os.pathsep}{ROOT}")


def faulty_cleaner(**policy: float) -> ProcessCleaner:
    """One whose process fails on command."""
    rules = CleaningPolicy(**policy)  # type: ignore[arg-type] # whole numbers
    return ProcessCleaner(KEY, list, {}, rules, module="faulty_cleaning")


def said(word: str, folder: Path | str = "", **policy: float) -> str:
    """Why it is held by a process that fails on command."""
    found = clean(f"{word} {folder}".encode(), by=faulty_cleaner(**policy))
    assert isinstance(found, Held)
    return found.reason


def test_a_scan_leaves_without_the_patient_and_with_the_exam_that_its_header_named() -> None:
    first, again, others = (clean(scan(), tenant=tenant) for tenant in ("clinic", "clinic", "other"))
    assert isinstance(first, Cleaned)
    assert isinstance(again, Cleaned)
    assert isinstance(others, Cleaned)
    assert first.parameters == {"exam": "breast_ultrasound"}
    assert (first.format, first.rules[0], first.rules[-1]) == ("dicom", "dicom-basic-profile", "no-text-found")
    for word in WORDS:
        assert word.encode("latin-1") not in first.payload
    uids = [pydicom.dcmread(io.BytesIO(left.payload)).StudyInstanceUID for left in (first, again, others)]
    assert uids[0] == uids[1], "of one tenant they can be joined"
    assert uids[0] != uids[2], "of two they can't"


@pytest.mark.parametrize("keep_gps", [False, True])
def test_a_photo_leaves_with_its_place_only_where_that_is_wanted(keep_gps: bool) -> None:
    photo = telling_jpeg()
    left = clean(photo, "crop_weed", {"ground_resolution_mm": 1}, keep_gps=keep_gps)
    assert isinstance(left, Cleaned)
    assert SECRET.encode() not in left.payload
    assert bool(Image.open(io.BytesIO(left.payload)).getexif().get_ifd(GPS)) == keep_gps
    assert ("gps-kept" in left.rules) == keep_gps
    assert left.parameters == {"ground_resolution_mm": 1.0}
    assert (opened(left.payload).pixels == opened(photo).pixels).all()


def test_a_picture_that_shows_a_name_stays() -> None:
    held = clean((ROOT / "samples" / "ultrasound.dcm").read_bytes(), parameters=EXAM)
    assert held == Held("text was found inside of the ultrasound regions")


@pytest.mark.parametrize(("domain", "parameters", "payload", "refusal"), [
    ("pathology", {"zoom": 2}, jpeg(scene()), InvalidParameter("unknown parameter", parameter="zoom")),
    ("pathology", {"exam": "brain"}, jpeg(scene()), UnknownExam("", parameter="exam")),
    ("geology", {}, jpeg(scene()), UnknownDomain("")),
    ("pathology", EXAM, b"not a picture", UnsupportedMedia("")),
])
def test_what_the_domain_does_not_take_is_refused_as_a_device_would(
    domain: str, parameters: Mapping[str, object], payload: bytes, refusal: DomainError
) -> None:
    with pytest.raises(type(refusal)) as refused:
        clean(payload, domain, parameters)
    assert getattr(refused.value, "parameter", "") == getattr(refusal, "parameter", "")


def test_without_a_search_for_text_nothing_leaves(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert clean(jpeg(scene()), parameters=EXAM) == Held(NO_TESSERACT)


def test_parameters_that_can_not_be_told_keep_a_picture_here() -> None:
    assert clean(jpeg(scene()), parameters={"exam": object()}) == Held(UNWRITABLE)


@pytest.mark.usefixtures("faulty")
@pytest.mark.parametrize(("word", "reason"), [
    ("crash", CRASHED), ("babble", UNREADABLE), ("unforeseen", UNFORESEEN), ("memory", TOO_LARGE),
])
def test_a_picture_that_breaks_the_process_stays_and_its_text_with_it(word: str, reason: str, capfd: pytest.CaptureFixture[str]) -> None:
    with capture_logs() as logs:
        assert said(word) == reason
    printed = capfd.readouterr()
    assert "JANE" not in repr(logs) + printed.out + printed.err
    if word == "unforeseen":
        assert logs[0]["kind"] == "RuntimeError"
    if word == "crash":
        assert logs[0]["exit_status"] == -11


@pytest.mark.usefixtures("faulty")
def test_a_picture_that_hangs_the_process_stays_and_the_search_ends_with_it(tmp_path: Path) -> None:
    assert said("hang", tmp_path, limit_s=10.0) == "cleaning it took longer than 10 s"
    child = int((tmp_path / "child").read_text())
    assert _ends(child)


@pytest.mark.usefixtures("faulty")
def test_a_caller_that_gives_up_ends_the_process(tmp_path: Path) -> None:
    async def main() -> None:
        work = asyncio.create_task(faulty_cleaner().clean(
            f"hang {tmp_path}".encode(), "pathology", {}, tenant="clinic", keep_gps=False
        ))
        async with asyncio.timeout(30):
            while not (tmp_path / "child").exists() or not (tmp_path / "child").read_text():
                await asyncio.sleep(0.02)
        work.cancel()
        with pytest.raises(asyncio.CancelledError):
            await work

    asyncio.run(main())
    assert _ends(int((tmp_path / "child").read_text()))


@pytest.mark.usefixtures("faulty")
def test_a_cleaned_picture_larger_than_may_be_stays() -> None:
    assert said("large", max_bytes=2**20 - 1) == "cleaned it has 1048576 bytes; the limit is 1048575"
    assert isinstance(clean(b"large", by=faulty_cleaner(max_bytes=2**20)), Cleaned)


@pytest.mark.usefixtures("faulty")
def test_no_more_than_two_run_at_once_however_many_come(tmp_path: Path) -> None:
    async def main() -> list[Cleaned | Held]:
        by = faulty_cleaner()
        order = f"count {tmp_path}".encode()
        return await asyncio.gather(*(
            by.clean(order, "pathology", {}, tenant="clinic", keep_gps=False) for _ in range(5)
        ))

    counts = [int(held.reason) for held in asyncio.run(main()) if isinstance(held, Held)]
    assert len(counts) == 5
    assert max(counts) <= 2


@pytest.mark.usefixtures("faulty")
def test_the_process_stands_back_and_neither_its_arguments_nor_its_environment_hold_a_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEDGEROW_DATABASE_URL", "postgresql://user:password@host/db")
    told = json.loads(said("tell"))
    assert told["key"] == tenant_key(KEY, "clinic").hex()
    assert told["key"] not in json.dumps([told["argv"], told["environ"]])
    assert "password" not in json.dumps(told["environ"])
    assert told["nice"] >= 10


def test_a_short_secret_is_refused_at_once() -> None:
    with pytest.raises(ValueError, match="at least 32 bytes"):
        ProcessCleaner(b"short", list, {})


def test_the_gateways_own_process_loads_no_array_library_through_the_cloud_tier() -> None:
    script = (
        "import sys, gateway.service.cloud.runner, gateway.service.leaving.cleaning\n"
        "print([name for name in ('numpy', 'cv2', 'PIL', 'pydicom', 'av', 'celery', 'obstore') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def _ends(pid: int) -> bool:
    """Whether such a process is gone soon, but for an entry of one that ended."""
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        try:
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return True
        except (FileNotFoundError, ProcessLookupError):
            return True
        time.sleep(0.02)
    return False
