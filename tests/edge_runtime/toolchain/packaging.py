"""What packages are made of in tests: a breast set of a few pictures, and a folder of variants as `optimize` writes it."""

import csv
import shutil
from collections.abc import Mapping
from pathlib import Path

import cv2
import numpy as np
from ai_edge_litert import schema_py_generated as schema

from domains import registry
from domains.core.training import part_of
from edge_runtime.models import InputInfo, read_manifest, sha256_of
from edge_runtime.toolchain.variants import VariantFile, VariantSet, write_variants

SAMPLE = Path(__file__).parents[3] / "samples" / "breast_scan.jpg"
BREAST = registry.models_folder("pathology") / "breast_ultrasound"
LUNG = registry.models_folder("pathology") / "lung_ultrasound"
PEANUT = registry.models_folder("crop_weed") / "crop_peanut"
SHIPPED = (BREAST, LUNG, PEANUT)
VARIANTS = {"float32": BREAST / "float32.tflite", "int8": BREAST / "int8.tflite"}


def breast_data(folder: Path) -> Path:
    """A data folder whose breast set has a training, a calibration and a held-out scan of each label: the sample, relit."""
    breast = folder / "breast_busi"
    breast.mkdir(parents=True)
    scan = cv2.imread(str(SAMPLE), cv2.IMREAD_GRAYSCALE)
    assert scan is not None
    names = [f"{number}.png" for number in range(100)]
    parts = {part: [name for name in names if part_of("train", name) == part][:3] for part in ("train", "calibration")}
    with (breast / "manifest.csv").open("w", newline="") as stream:
        rows = csv.writer(stream)
        rows.writerow(["file", "label", "split"])
        for split, files in (("train", parts["train"]), ("train", parts["calibration"]), ("val", ["a.png", "b.png", "c.png"])):
            for number, (name, label) in enumerate(zip(files, ("benign", "malignant", "normal"), strict=True)):
                cv2.imwrite(str(breast / name), np.round(scan * (0.6 + 0.1 * number)).astype(np.uint8))
                rows.writerow([name, label, split])
    return folder


def variants_folder(folder: Path, files: Mapping[str, Path] = VARIANTS, skipped: Mapping[str, str] = {}) -> Path:
    """A folder as `hedgerow model optimize` writes it, of copies of these files by variant."""
    folder.mkdir(parents=True)
    manifest = read_manifest(BREAST)
    made = {}
    for name, path in files.items():
        copy = Path(shutil.copyfile(path, folder / f"{name}.tflite"))
        made[name] = VariantFile(copy.name, sha256_of(copy), copy.stat().st_size, f"Made as {name}.", 1.0, 10**8, 0)
    write_variants(folder, VariantSet(
        name="breast", labels=manifest.labels, input=InputInfo(224, 224, 127.0, 128.0), model_sha256="0" * 64,
        dataset_sha256="0" * 64, parameters=1, seed=7, versions={"tensorflow": "2.21.0"}, variants=made, skipped=dict(skipped),
    ))
    return folder


def with_negated_evidence(path: Path, copy: Path) -> Path:
    """The int8 network with the weights of its last layers negated: what spoke for a label speaks against it."""
    content = bytearray(path.read_bytes())
    model = schema.Model.GetRootAs(content, 0)
    graph = model.Subgraphs(0)
    for tensor in map(graph.Tensors, range(graph.TensorsLength())):
        if tensor.ShapeLength() == 4 and tensor.Shape(0) == 3 and model.Buffers(tensor.Buffer()).DataLength():
            weights = model.Buffers(tensor.Buffer()).DataAsNumpy().view(np.int8)
            weights[:] = -np.maximum(weights, -127)
    copy.write_bytes(content)
    return copy
