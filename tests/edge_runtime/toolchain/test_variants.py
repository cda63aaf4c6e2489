"""The folder of variants, and what is told of one that can't be used."""

import json
from pathlib import Path

import msgspec
import pytest

from edge_runtime.models import InputInfo, sha256_of
from edge_runtime.toolchain.variants import NAMES, VARIANTS_FILE, VariantFile, VariantSet, read_variants, write_variants


def made(folder: Path) -> VariantSet:
    files = {}
    for name in ("int8", "float32"):
        path = folder / f"{name}.tflite"
        path.write_bytes(name.encode())
        files[name] = VariantFile(path.name, sha256_of(path), path.stat().st_size, "somehow", 1.5, 2**20, 0)
    found = VariantSet(name="digits", labels=["0", "1"], input=InputInfo(32, 32, 0.0, 255.0, 1), model_sha256="m",
                       dataset_sha256="d", parameters=10, seed=7, epochs=3, versions={"keras": "3"}, variants=files,
                       skipped={"qat_int8": "tfmot can't"})
    write_variants(folder, found)
    return found


def test_what_was_written_is_read_back_in_the_order_in_which_variants_are_shown(tmp_path: Path) -> None:
    found = made(tmp_path)
    assert read_variants(tmp_path) == found
    assert list(read_variants(tmp_path).variants) == ["float32", "int8"]
    assert [path.name for path in tmp_path.glob("*.part")] == []


def test_a_file_that_was_changed_or_is_gone_is_named(tmp_path: Path) -> None:
    made(tmp_path)
    (tmp_path / "int8.tflite").write_bytes(b"other")
    with pytest.raises(ValueError, match=r"int8\.tflite was changed"):
        read_variants(tmp_path)
    (tmp_path / "int8.tflite").unlink()
    with pytest.raises(ValueError, match=r"int8\.tflite is missing"):
        read_variants(tmp_path)


@pytest.mark.parametrize(("change", "told"), [
    ({"format": 2}, "has format 2, this version reads format 1"),
    ({"seed": "seven"}, "can't be read"),
    ({"variants": {"small": {}}}, "can't be read"),
])
def test_a_set_of_another_form_is_refused(tmp_path: Path, change: dict[str, object], told: str) -> None:
    found = made(tmp_path)
    (tmp_path / VARIANTS_FILE).write_text(json.dumps({**msgspec.to_builtins(found), **change}))
    with pytest.raises(ValueError, match=told):
        read_variants(tmp_path)


def test_no_file_outside_of_the_folder_is_looked_at_and_no_unknown_variant_taken(tmp_path: Path) -> None:
    found = made(tmp_path)
    outside = msgspec.structs.replace(found.variants["int8"], file="../int8.tflite")
    write_variants(tmp_path, msgspec.structs.replace(found, variants={"int8": outside}))
    with pytest.raises(ValueError, match="not a plain file name"):
        read_variants(tmp_path)
    write_variants(tmp_path, msgspec.structs.replace(found, variants={"int4": found.variants["int8"]}))
    with pytest.raises(ValueError, match=f"'int4' is no variant; there are {', '.join(NAMES)}"):
        read_variants(tmp_path)


def test_a_folder_without_a_set_says_what_writes_one(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"holds no variants\.json: `hedgerow model optimize` writes it"):
        read_variants(tmp_path)
