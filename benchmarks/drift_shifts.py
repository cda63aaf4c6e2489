"""What `hedgerow drift` says of the breast model on held-out scans as they are, darkened, and of another organ, and from
which share of them on it says anything.

    .venv/bin/python benchmarks/drift_shifts.py --data DATA [--observed FILE.csv]

Each picture goes the worker's way, and its answer into a database as the gateway stores it. `--observed` also writes the
numbers of each answer, the training split's too: tests/gateway/service/breast_observed.csv is made so.
"""

import argparse
import csv
import random
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from domains import media, registry
from domains.core import Image, MediaHeader
from domains.core.documents import to_document
from domains.core.quality import measure_answer
from domains.pathology.training.data import breast, frames_of, lung
from edge_runtime.backends import load_backend
from edge_runtime.models import load_package
from edge_runtime.runner import LoadedModel, run_flow
from edge_runtime.training_statistics import observe
from gateway.console.drift import drift_view, reports
from gateway.service.learning.drift import compare, worst
from gateway.service.records import Analysis, new_id
from gateway.settings import Settings
from gateway.store.analyses import SqlAnalysisStore
from gateway.store.database import open_database

MODEL = "breast_ultrasound"
DARKER = 0.6
"""What is left of each grey level: a gain knob turned down, or a dimmed screen that is photographed."""
SHIFTS = ("none", "darkened", "lung")
SHARES, REPORT, REPEATED, DRAWS = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5), 50, 300, 300
COLUMNS = ("part", "shift", "brightness", "contrast", "sharpness", "evidence_spread", "unfamiliarity", "probability", "label", "abstained")

Answered = tuple[str, str, dict[str, Any], dict[str, Any]]
"""Part, shift, the result's document, what was measured."""


def answers(data: Path) -> Iterator[Answered]:
    """Of every breast scan, of the held-out ones once more darkened, and of the middle of every lung clip."""
    model = LoadedModel(load_package(registry.models_folder("pathology") / MODEL), load_backend("litert"), threads=2)
    for sample in breast(data):
        payload, limits = sample.file.read_bytes(), media.Limits()
        image = media.decode(payload, media.read_header(payload, limits), limits)
        yield sample.part, "none", *_answer(model, image)
        if sample.part == "val":
            darker = replace(image, pixels=np.round(image.pixels * DARKER).astype(np.uint8))
            yield sample.part, "darkened", *_answer(model, darker)
    for sample in lung(data):
        frames = frames_of(sample.file)
        frame = np.ascontiguousarray(frames[len(frames) // 2])
        yield sample.part, "lung", *_answer(model, Image(frame, frame.shape[1], frame.shape[0]))


def show(answered: Iterable[Answered], title: str) -> None:
    """Stores the answers and prints what the command would."""
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(data_dir=Path(folder))
        with closing(open_database(f"sqlite:///{folder}/hedgerow.db")) as database:
            SqlAnalysisStore(database).add([_record(document, quality) for _, _, document, quality in answered])
            (report,) = reports(settings, database, model=MODEL, tenant="default", last=500)
    console = Console(width=120)
    console.print(f"\n[bold]{title}[/bold]")
    console.print(drift_view(report))


def show_power(answered: Sequence[Answered]) -> None:
    """Prints in how many of DRAWS reports of 50 answers anything shows, by the share of them that is of something else."""
    statistics = load_package(registry.models_folder("pathology") / MODEL).manifest.statistics
    assert statistics is not None  # a test sees to it
    usual = [observe(*one[2:]) for one in answered if one[:2] == ("val", "none")]
    for shift in SHIFTS[1:]:
        others = [observe(*one[2:]) for one in answered if one[1] == shift]
        for share in SHARES:
            count = round(share * REPORT)
            shown = 0
            for seed in range(DRAWS):
                draw = random.Random(seed)
                mixed = draw.sample(others, count) + draw.sample(usual, REPORT - count)
                shown += worst(compare(statistics, mixed)) != "stable"
            print(f"{shift}: {share:.0%} of {REPORT} answers: shows in {shown / DRAWS:.0%} of reports")
    again = [worst(compare(statistics, random.Random(seed).choices(usual, k=REPEATED))) for seed in range(DRAWS)]
    print(f"{REPEATED} answers to the same {len(usual)} scans: {Counter(again)} of {DRAWS} reports")


def _answer(model: LoadedModel, image: Image) -> tuple[dict[str, Any], dict[str, Any]]:
    domain = registry.load("pathology")
    header = MediaHeader("png", image.pixels.shape[1], image.pixels.shape[0])
    plan = domain.plan(header, {"exam": MODEL}, [model.spec])
    result, _ = run_flow(domain.flow(image, plan), {MODEL: model})
    quality = measure_answer(image, result)
    del quality["thumbnail"]
    return to_document(result)[0], quality


def _record(document: dict[str, Any], quality: dict[str, Any]) -> Analysis:
    version = load_package(registry.models_folder("pathology") / MODEL).manifest.version
    return Analysis(
        id=new_id(), tenant="default", domain="pathology", created_at=datetime.now(UTC), request_id="", model=MODEL,
        label=document["label"], abstained=document["abstained"], parameters={"exam": MODEL},
        media={"format": "png", "quality": quality}, result=document,
        provenance={"model": {"name": MODEL, "version": version, "variant": "int8"}},
    )


def _row(answered: Answered) -> list[object]:
    part, shift, document, quality = answered
    numbers = observe(document, quality)
    return [part, shift, *numbers.inputs.values(), numbers.outputs["evidence_spread"], numbers.outputs["unfamiliarity"],
            document["probability"], document["label"], numbers.choices["abstained"]]


def main() -> None:
    """Measures, prints, writes."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--data", type=Path, required=True, help="folder of the data sets; docs/training.md")
    arguments.add_argument("--observed", type=Path, help="CSV file for the numbers of each answer")
    given = arguments.parse_args()
    found = list(answers(given.data))
    if given.observed:
        with given.observed.open("w", newline="", encoding="utf-8") as stream:
            rows = csv.writer(stream, lineterminator="\n")
            rows.writerow(COLUMNS)
            rows.writerows(map(_row, found))
    for shift, title in zip(SHIFTS, ("held-out scans", f"held-out scans, darkened to {DARKER:.0%}", "lung scans"), strict=True):
        show([one for one in found if one[1] == shift and (one[0] == "val" or shift == "lung")], title)
    show_power(found)


if __name__ == "__main__":
    main()
