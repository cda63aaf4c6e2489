"""One suite over every backend: whatever runs a model, callers notice no difference but the time.

An Edge TPU is tested where one is attached and HEDGEROW_TEST_MODELS names a folder of packages with an int8_edgetpu
variant; elsewhere that row is skipped, and a library without a chip stands in for libedgetpu.
"""

import os
import shutil
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from domains import registry
from edge_runtime.backends import VARIANTS, Backend, load_backend, tflite
from edge_runtime.devices import discover
from edge_runtime.errors import PackageError
from edge_runtime.folders import find_packages
from edge_runtime.models import VariantInfo, read_manifest
from tests.edge_runtime.backends.compiled_model import compiled_model
from tests.edge_runtime.backends.fake_edgetpu import attach_usb, backend_with, fake_library

ROWS = [
    "ai-edge-litert int8", "ai-edge-litert float32", "tflite-runtime int8", "tflite-runtime float32",
    "simulated:usb2 int8", "simulated:usb3 int8", "simulated:pcie int8", "edgetpu without a chip", "edgetpu int8_edgetpu",
]

Tensor = NDArray[np.generic]


@dataclass(frozen=True)
class File:
    """A model file and its tensors: shape and dtype of the input, and of the outputs in the file's order."""

    path: Path
    input: tuple[tuple[int, ...], str]
    outputs: list[tuple[tuple[int, ...], str]]
    int8_twin: Path | None = None

    def pixels(self, seed: int = 0) -> Tensor:
        """An input: noise over the dtype's range, for floats over that of normalised pixels."""
        shape, dtype = self.input
        noise = np.random.default_rng(seed)
        return noise.uniform(-1, 1, shape).astype(dtype) if dtype == "float32" else noise.integers(-128, 128, shape).astype(dtype)


@dataclass(frozen=True)
class Row:
    """A backend with files that it is meant to run."""

    load: Callable[[], Backend]
    files: list[File]


@pytest.fixture(params=ROWS)
def row(request: pytest.FixtureRequest, tmp_path: Path) -> Row:
    words: str = request.param
    device, _, variant = words.partition(" ")
    if words == "edgetpu without a chip":
        attach_usb(tmp_path)
        file = tmp_path / "tiny" / "int8_edgetpu.tflite"
        file.parent.mkdir()
        file.write_bytes(compiled_model())
        return Row(backend_with(fake_library(), tmp_path), [File(file, ((1, 4, 4, 3), "int8"), [((1, 3), "int8")])])
    if device == "edgetpu":
        found, files = discover(), packaged(variant)
        if not found:
            pytest.skip("no Edge TPU is attached")
        if not files:
            pytest.skip("HEDGEROW_TEST_MODELS names no package with an int8_edgetpu variant")
        return Row(lambda: load_backend("edgetpu", found[0].address), files)
    kind, _, address = device.partition(":")
    if kind == "simulated":
        return Row(lambda: load_backend("simulated", address), packaged(variant))
    if device != tflite.RUNTIME:
        pytest.skip(f"{device} isn't what runs models in this environment: {tflite.runtime()} is")
    return Row(lambda: load_backend("litert"), packaged(variant))


def packaged(variant: str) -> list[File]:
    extra = os.environ.get("HEDGEROW_TEST_MODELS")
    folders = [*map(registry.models_folder, registry.names()), *([Path(extra)] if extra else [])]
    manifests = [(folder, read_manifest(folder)) for folder in find_packages(folders)]
    return [
        _file(folder, manifest.variants[variant], manifest.variants.get("int8"))
        for folder, manifest in manifests if variant in manifest.variants
    ]


def _file(folder: Path, info: VariantInfo, twin: VariantInfo | None) -> File:
    outputs = sorted(info.outputs.values(), key=lambda output: output.position)
    return File(
        folder / info.file, (info.input.shape, info.input.dtype), [(output.shape, output.dtype) for output in outputs],
        folder / twin.file if twin and info.input.dtype != "float32" else None,
    )


def test_every_backend_has_a_row() -> None:
    tested = {words.partition(" ")[0].partition(":")[0] for words in ROWS}
    assert tested == {"ai-edge-litert", "tflite-runtime", *VARIANTS} - {"litert"}


def test_answers_have_the_shapes_and_types_that_the_package_promises(row: Row) -> None:
    backend = row.load()
    for file in row.files:
        outputs = backend.open(file.path).invoke(file.pixels())
        assert [(output.shape, str(output.dtype)) for output in outputs] == file.outputs


def test_the_same_picture_gets_the_same_answer_and_another_one_another(row: Row) -> None:
    backend = row.load()
    for file in row.files:
        session = backend.open(file.path)
        first, other, again = (session.invoke(file.pixels(seed)) for seed in (1, 2, 1))
        assert same(first, again)
        assert not same(first, other)


def test_an_answer_stays_what_it_was_when_the_next_picture_runs(row: Row) -> None:
    backend = row.load()
    for file in row.files:
        session = backend.open(file.path)
        answer = session.invoke(file.pixels(1))
        kept = [output.copy() for output in answer]
        session.invoke(file.pixels(2))
        assert same(answer, kept)


def test_a_caller_who_writes_into_an_answer_changes_no_later_one(row: Row) -> None:
    backend = row.load()
    for file in row.files:
        session = backend.open(file.path)
        answer = session.invoke(file.pixels())
        kept = [output.copy() for output in answer]
        for output in answer:
            output[...] = 0
        assert same(session.invoke(file.pixels()), kept)


def test_models_that_take_turns_keep_their_answers(row: Row) -> None:
    backend = row.load()
    sessions = [(backend.open(file.path), file) for file in row.files * 2]
    alone = [session.invoke(file.pixels()) for session, file in sessions]
    for _ in range(2):
        assert all(
            same(session.invoke(file.pixels()), before) for (session, file), before in zip(sessions, alone, strict=True)
        )


def test_answers_are_those_of_the_int8_model_on_the_cpu_within_one_step(row: Row) -> None:
    backend, cpu = row.load(), load_backend("litert")
    for file in row.files:
        if file.int8_twin is None:
            continue
        pixels = file.pixels()
        answers = backend.open(file.path).invoke(pixels)
        expected = cpu.open(file.int8_twin).invoke(pixels)
        for answer, twin in zip(answers, expected, strict=True):
            assert np.abs(answer.astype(int) - twin.astype(int)).max() <= 1


def test_a_broken_file_is_refused_by_name(row: Row, tmp_path: Path) -> None:
    backend = row.load()
    folder = tmp_path / "broken"
    folder.mkdir()
    text = folder / "text.tflite"
    text.write_text("no model")
    half = folder / "half.tflite"
    half.write_bytes(row.files[0].path.read_bytes()[:300])
    for file in (text, half):
        with pytest.raises(PackageError, match=rf"model package broken: {file.name}"):
            backend.open(file)
    assert backend.open(row.files[0].path).invoke(row.files[0].pixels())


def test_a_picture_of_another_size_is_no_fault_of_the_device(row: Row) -> None:
    file = row.files[0]
    session = row.load().open(file.path)
    with pytest.raises(ValueError, match=r"[Dd]imension mismatch"):
        session.invoke(file.pixels()[:, 1:])
    assert session.invoke(file.pixels())


def test_threads_get_their_own_answers_from_a_session_that_they_share(row: Row) -> None:
    backend, file = row.load(), row.files[0]
    if not backend.accelerator:
        pytest.skip("the CPU's sessions belong to one thread each")
    session = backend.open(file.path)
    expected = [session.invoke(file.pixels(seed)) for seed in range(4)]
    wrong: list[int] = []

    def ask(seed: int) -> None:
        for _ in range(4):
            wrong.extend([seed] * (not same(session.invoke(file.pixels(seed)), expected[seed])))

    threads = [threading.Thread(target=ask, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_it_says_what_it_is(row: Row) -> None:
    backend = row.load()
    assert backend.describe()
    assert backend.variants == VARIANTS[backend.name]
    assert backend.simulated == ("simulated" in backend.describe())


def test_its_temperature_is_one_or_unknown(row: Row) -> None:
    celsius = row.load().temperature_c()
    assert celsius is None or -40 <= celsius <= 125


def test_a_package_may_be_gone_while_its_model_runs(row: Row, tmp_path: Path) -> None:
    file = row.files[0]
    moved = Path(shutil.copy(file.path, tmp_path / "gone.tflite"))
    session = row.load().open(moved)
    moved.unlink()
    assert session.invoke(file.pixels())


def same(one: Sequence[Tensor], other: Sequence[Tensor]) -> bool:
    return all(np.array_equal(left, right) for left, right in zip(one, other, strict=True))
