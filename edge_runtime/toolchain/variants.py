"""The folder that `hedgerow model optimize` writes: `variants.json`, and one `<variant>.tflite` for each way of making the
trained model smaller.
"""

from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from edge_runtime.folders import write_whole
from edge_runtime.models import InputInfo, Sha256, sha256_of

FORMAT = 1
VARIANTS_FILE = "variants.json"
NAMES = (
    "float32", "float16", "dynamic_range", "int8", "qat_int8", "pruned_50", "pruned_80", "pruned_80_int8",
    "pruned_80_qat_int8", "clustered_32", "clustered_16", "clustered_16_int8",
)
"""Every variant, in the order in which they are made and shown. `pruned_50`, `pruned_80` and `clustered_*` are float32."""


class VariantFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One TFLite file, and what making it took.

    `how`: a sentence on how it was made. `seconds`, `peak_bytes`: time and greatest memory of the process that made it.
    `epochs`: those of fine-tuning; 0 where none was needed.
    """

    file: str
    sha256: Sha256
    size_bytes: int
    how: str
    seconds: float
    peak_bytes: int
    epochs: int


class VariantSet(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The whole of `variants.json`.

    `parameters`: weights of the trained model. `epochs`: of each round of fine-tuning. `versions`: library to version.
    `skipped`: variants that could not be made, each with the reason.
    """

    format: Annotated[int, Meta(ge=1)] = FORMAT
    name: str
    labels: list[str]
    input: InputInfo
    model_sha256: Sha256
    dataset_sha256: Sha256
    parameters: int
    seed: int
    epochs: int = 0
    versions: dict[str, str]
    variants: dict[str, VariantFile]
    skipped: dict[str, str]


def read_variants(folder: Path) -> VariantSet:
    """Reads `variants.json` and checks the SHA-256 of every file that it names. Raises ValueError, naming what is wrong."""
    path = folder / VARIANTS_FILE
    try:
        found = msgspec.json.decode(path.read_bytes(), type=VariantSet)
    except OSError as error:
        raise ValueError(f"{folder} holds no {VARIANTS_FILE}: `hedgerow model optimize` writes it") from error
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} can't be read: {error}") from error
    if found.format != FORMAT:
        raise ValueError(f"{path} has format {found.format}, this version reads format {FORMAT}")
    for name, variant in found.variants.items():
        _check(folder, name, variant)
    return found


def write_variants(folder: Path, found: VariantSet) -> VariantSet:
    """Writes `variants.json`, whole or not at all, and gives what it wrote: the set with its variants in the order of `NAMES`."""
    order = {name: place for place, name in enumerate(NAMES)}
    ordered = msgspec.structs.replace(
        found,
        variants=dict(sorted(found.variants.items(), key=lambda item: order.get(item[0], len(order)))),
        skipped=dict(sorted(found.skipped.items(), key=lambda item: order.get(item[0], len(order)))),
    )
    write_whole(folder / VARIANTS_FILE, msgspec.json.format(msgspec.json.encode(ordered), indent=2) + b"\n")
    return ordered


def _check(folder: Path, name: str, variant: VariantFile) -> None:
    if name not in NAMES:
        raise ValueError(f"{folder / VARIANTS_FILE}: {name!r} is no variant; there are {', '.join(NAMES)}")
    if Path(variant.file).name != variant.file:
        raise ValueError(f"{folder / VARIANTS_FILE}: {variant.file!r} is not a plain file name")
    path = folder / variant.file
    if not path.is_file():
        raise ValueError(f"{path} is missing")
    if sha256_of(path) != variant.sha256:
        raise ValueError(f"{path} was changed since it was made: its SHA-256 isn't that in {VARIANTS_FILE}")
