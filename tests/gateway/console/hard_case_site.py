"""A clinic and a farm whose hard cases can be exported: real stores in a folder, real pictures."""

import asyncio
import io
import json
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image as PillowImage
from PIL import ImageDraw

from domains.core.documents import to_document
from domains.core.results import Box, Classification, Instance, Segmentation
from gateway.console.export_cases import Export, chosen_cases, export
from gateway.service.learning.cases import HardCases
from gateway.service.leaving.audit import AuditEntry
from gateway.service.records import Analysis
from gateway.settings import Settings
from gateway.store.analyses import SqlAnalysisStore
from gateway.store.audit import SqlAuditLog
from gateway.store.database import open_database
from gateway.store.hard_cases import SqlHardCaseStore
from gateway.store.payloads import FolderPayloadStore
from tests.gateway.store.samples import sample

SAMPLES = Path(__file__).parents[3] / "samples"
LEARNING = ({"to_learning": True},)
FIELD_BOX = Box(100, 50, 40, 30)


def scan_answer(*, frame: int = 1) -> Analysis:
    """The breast model, unsure."""
    result = Classification(
        ("benign", "malignant", "normal"), (0.5, 0.4, 0.1), Box(0, 0, 10, 10), prediction_set=("benign", "malignant"), coverage=0.9
    )
    return replace(
        sample(label="benign"), result=to_document(result)[0], parameters={"exam": "breast_ultrasound"}, media={"frame": frame}
    )


def field_answer(width: int, height: int) -> Analysis:
    """The peanut model on a photo of that size: one weed, and a reason to abstain."""
    class_map = np.zeros((height, width), np.uint8)
    rows, columns = slice(FIELD_BOX.y, FIELD_BOX.y + FIELD_BOX.height), slice(FIELD_BOX.x, FIELD_BOX.x + FIELD_BOX.width)
    class_map[rows, columns] = 2
    weed = Instance("weed", 0.75, FIELD_BOX, np.ones((FIELD_BOX.height, FIELD_BOX.width), bool), (119.5, 64.5))
    document, _ = to_document(Segmentation(("soil", "crop", "weed"), class_map, (weed,)))
    return replace(
        sample(domain="crop_weed", model="crop_peanut", label="segmentation", abstained=True, tenant="farm"),
        result=document | {"abstained": True}, parameters={"crop": "peanut"}, media={"frame": 1},
    )


def with_banner(text: str) -> bytes:
    """A dark picture with a name in a banner, as PNG."""
    picture = PillowImage.new("RGB", (640, 480), "black")
    ImageDraw.Draw(picture).text((20, 10), text, fill="white", font_size=32)
    stream = io.BytesIO()
    picture.save(stream, "PNG")
    return stream.getvalue()


def with_place(photo: bytes) -> bytes:
    """A photo as a phone writes it: with the place and its maker."""
    with PillowImage.open(io.BytesIO(photo)) as opened:
        exif = opened.getexif()
        exif[0x010F] = "Acme"
        exif.get_ifd(0x8825).update({1: "N", 2: (52.0, 31.0, 12.0), 3: "E", 4: (13.0, 24.0, 18.0)})
        stream = io.BytesIO()
        opened.save(stream, "JPEG", exif=exif, quality="keep")
    return stream.getvalue()


@dataclass(frozen=True, slots=True)
class Site:
    """`data`: the data folder of its gateway."""

    data: Path

    def settings(self, **changed: Any) -> Settings:
        """Those of its gateway: every tenant lets its pictures be used to learn from."""
        secret = self.data / "secret"
        self.data.mkdir(mode=0o700, exist_ok=True)
        secret.write_bytes(b"s" * 32)
        return Settings(**{"data_dir": self.data, "pseudonym_secret_file": secret, "routes": json.dumps(LEARNING), **changed})

    def set_aside(self, *pictures: tuple[Analysis, bytes]) -> None:
        """These are stored and set aside."""
        self.data.mkdir(mode=0o700, exist_ok=True)
        with closing(open_database(self.url)) as database:
            cases = HardCases(SqlHardCaseStore(database), FolderPayloadStore(self.data / "hard_cases"))
            for analysis, payload in pictures:
                SqlAnalysisStore(database).add([analysis])
                asyncio.run(cases.consider(analysis, payload))

    def export(
        self, out: Path, form: str = "coco", *, settings: Settings | None = None, tenant: str = "", domain: str = "",
        reason: str = "", since: str = "",
    ) -> Export:
        """What the command does."""
        chosen = chosen_cases(tenant=tenant, domain=domain, reason=reason, since=since)
        with closing(open_database(self.url)) as database:
            return export(settings or self.settings(), database, out, form, chosen, lambda _: None)

    def audit(self) -> list[AuditEntry]:
        """What left, oldest first."""
        with closing(open_database(self.url)) as database:
            return list(SqlAuditLog(database).entries())

    @property
    def url(self) -> str:
        """Of its database."""
        return f"sqlite:///{self.data / 'hedgerow.db'}"


def files_in(folder: Path) -> dict[str, bytes]:
    """Every file below, by its path."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}
