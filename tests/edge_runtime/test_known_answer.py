"""A device that computes wrongly is found by the packages' known answers; one that rounds otherwise is not."""

import hashlib
import random
import re
import zipfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.lib import format as npy
from numpy.typing import NDArray

from domains import registry
from edge_runtime import known_answer
from edge_runtime.backends import Backend, Session, load_backend
from edge_runtime.backends.litert import LiteRTBackend
from edge_runtime.backends.tflite import RUNTIME, Interpreter, TFLiteSession
from edge_runtime.errors import DeviceFault, FaultKind, PackageError
from edge_runtime.folders import find_packages
from edge_runtime.models import ModelPackage, TensorInfo, load_package
from edge_runtime.runner import LoadedModel
from tests.edge_runtime.tiny_package import tiny_package, write_tiny_package

Tensor = NDArray[np.generic]
SHIPPED = list(find_packages(map(registry.models_folder, registry.names())))
LOGITS = TensorInfo("int8", (1, 2), 0.5, 3)
SCORES = TensorInfo("float32", (1, 2))
KNOWN = {"int8.logits": np.array([[100, -100]], np.int8)}


@pytest.fixture(params=SHIPPED, ids=lambda folder: folder.name)
def package(request: pytest.FixtureRequest) -> ModelPackage:
    return load_package(request.param)


@pytest.fixture(params=["int8", "float32"])
def variant(request: pytest.FixtureRequest, package: ModelPackage) -> str:
    name: str = request.param
    if name not in package.manifest.variants:
        pytest.skip(f"{package.spec.name} ships without {name}")
    return name


class FixedBackend(Backend):
    """Gives the same tensors for any picture."""

    name = "fixed"
    variants = ("int8_edgetpu", "int8", "float32")

    def __init__(self, *tensors: Tensor) -> None:
        super().__init__()
        self.tensors = tensors

    def describe(self) -> str:
        return "fixed"

    def open(self, path: Path, *, threads: int = 1) -> Session:  # noqa: ARG002  # the port's
        return FixedSession(self.tensors)


class FixedSession(Session):
    def __init__(self, tensors: Sequence[Tensor]) -> None:
        self.tensors = tensors

    def invoke(self, tensor: Tensor) -> Sequence[Tensor]:  # noqa: ARG002  # the port's
        return self.tensors


class OtherKernels(LiteRTBackend):
    """The interpreter with one of its other sets of kernels, which round in another way."""

    def __init__(self, resolver: str) -> None:
        super().__init__()
        self.resolver = resolver

    def open(self, path: Path, *, threads: int = 1) -> Session:
        kind = getattr(pytest.importorskip(Interpreter.__module__).OpResolverType, self.resolver)
        interpreter = Interpreter(model_path=str(path), num_threads=threads, experimental_op_resolver_type=kind)
        interpreter.allocate_tensors()
        return TFLiteSession(interpreter)


class DamagedParameters(LiteRTBackend):
    """Runs a copy of the file with other parameters: what a device does whose memory isn't what was sent to it."""

    def __init__(self, damage: Callable[[bytearray, random.Random], None], folder: Path) -> None:
        super().__init__()
        self.damage = damage
        self.copy = folder / "damaged.tflite"

    def open(self, path: Path, *, threads: int = 1) -> Session:
        content = bytearray(path.read_bytes())
        self.damage(content, random.Random(5))
        self.copy.write_bytes(content)
        return super().open(self.copy, threads=threads)


class AlteredOutputs(LiteRTBackend):
    """Runs the file and hands over something else."""

    def __init__(self, alter: Callable[[Session, Tensor], Sequence[Tensor]]) -> None:
        super().__init__()
        self.alter = alter

    def open(self, path: Path, *, threads: int = 1) -> Session:
        return AlteredSession(super().open(path, threads=threads), self.alter)


class AlteredSession(Session):
    def __init__(self, inner: Session, alter: Callable[[Session, Tensor], Sequence[Tensor]]) -> None:
        self.inner = inner
        self.alter = alter

    def invoke(self, tensor: Tensor) -> Sequence[Tensor]:
        return self.alter(self.inner, tensor)


def filters(content: bytes) -> Iterator[tuple[int, Tensor]]:
    """Where in the file each convolution's int8 filters lie, and what they are."""
    interpreter: Any = Interpreter(model_content=content)
    for detail in interpreter.get_tensor_details():
        if detail["dtype"] is np.int8 and len(detail["shape"]) == 4:
            try:
                values = interpreter.get_tensor(detail["index"])
            except ValueError:  # no constant: it has no memory yet
                continue
            at = content.find(values.tobytes())
            if at > 0 and values.size > 64:
                yield at, values


def half_of_a_layers_channels(content: bytearray, seeded: random.Random) -> None:
    at, values = seeded.choice(list(filters(bytes(content))))
    axis = 0 if values.shape[0] > 1 else 3
    silent = values.copy()
    silent[(slice(None),) * axis + (slice(0, values.shape[axis] // 2),)] = 0
    content[at : at + silent.size] = silent.tobytes()


def bits_here_and_there(content: bytearray, seeded: random.Random) -> None:
    found = list(filters(bytes(content)))
    for at, values in seeded.choices(found, weights=[values.size for _, values in found], k=8192):
        content[at + seeded.randrange(values.size)] ^= 1 << seeded.randrange(8)


def a_layer_that_was_not_sent(content: bytearray, seeded: random.Random) -> None:
    at, values = seeded.choice(list(filters(bytes(content))))
    content[at : at + values.size] = bytes(values.size)


def the_answer_for_an_earlier_picture(session: Session, tensor: Tensor) -> Sequence[Tensor]:
    return session.invoke(np.full_like(tensor, tensor.min()))


def the_answer_for_the_picture_shifted_by_a_row(session: Session, tensor: Tensor) -> Sequence[Tensor]:
    return session.invoke(np.roll(tensor, tensor.shape[2] * 3 + 1))


def outputs_in_another_order(session: Session, tensor: Tensor) -> Sequence[Tensor]:
    return session.invoke(tensor)[::-1]


def a_quarter_that_was_not_written(session: Session, tensor: Tensor) -> Sequence[Tensor]:
    outputs = list(session.invoke(tensor))
    for output in outputs:
        output.reshape(-1)[: -(-output.size // 4)] = 0
    return outputs


def test_a_sound_device_gives_the_known_answer(package: ModelPackage, variant: str) -> None:
    known_answer.check(package, LoadedModel(package, load_backend("litert"), variant=variant))
    known_answer.check(package, LoadedModel(package, load_backend("litert"), variant=variant, threads=2))


def test_a_sound_simulated_device_gives_the_known_answer(package: ModelPackage) -> None:
    known_answer.check(package, LoadedModel(package, load_backend("simulated")))


@pytest.mark.parametrize("resolver", ["BUILTIN_REF", "BUILTIN_WITHOUT_DEFAULT_DELEGATES"])
def test_kernels_that_round_otherwise_are_not_taken_for_a_fault(package: ModelPackage, variant: str, resolver: str) -> None:
    known_answer.check(package, LoadedModel(package, OtherKernels(resolver), variant=variant))


@pytest.mark.parametrize("damage", [half_of_a_layers_channels, bits_here_and_there, a_layer_that_was_not_sent])
def test_a_device_with_damaged_parameters_is_found(
    package: ModelPackage, damage: Callable[[bytearray, random.Random], None], tmp_path: Path
) -> None:
    with pytest.raises(DeviceFault, match=rf"of {package.spec.name} \(int8\) is \d+ quantisation steps off, {package.manifest.known_answer.tolerance} are allowed") as told:
        known_answer.check(package, LoadedModel(package, DamagedParameters(damage, tmp_path)))
    assert told.value.kind == FaultKind.WRONG_ANSWER


@pytest.mark.parametrize("alter", [
    the_answer_for_an_earlier_picture, the_answer_for_the_picture_shifted_by_a_row, a_quarter_that_was_not_written,
])
def test_a_device_that_hands_over_something_else_is_found(
    package: ModelPackage, variant: str, alter: Callable[[Session, Tensor], Sequence[Tensor]]
) -> None:
    with pytest.raises(DeviceFault, match="wrong answer") as told:
        known_answer.check(package, LoadedModel(package, AlteredOutputs(alter), variant=variant))
    assert told.value.kind == FaultKind.WRONG_ANSWER


def test_outputs_in_another_order_are_found(package: ModelPackage) -> None:
    if len(package.manifest.variants["int8"].outputs) == 1:
        pytest.skip("it has one output")
    with pytest.raises(DeviceFault, match=r"is int8 \(1, .*\) instead of int8 \(1, "):
        known_answer.check(package, LoadedModel(package, AlteredOutputs(outputs_in_another_order)))


def test_another_models_answer_is_found() -> None:
    mine, other = (load_package(registry.models_folder("pathology") / f"{name}_ultrasound") for name in ("lung", "breast"))
    answer = load_backend("litert").open(other.path_of("int8"))
    with pytest.raises(DeviceFault, match="instead of"):
        known_answer.check(mine, LoadedModel(mine, AlteredOutputs(lambda _, tensor: answer.invoke(tensor))))


@pytest.mark.parametrize(("logits", "off"), [([107, -100], 0), ([100, -107], 0), ([108, -100], 8), ([100, 127], 227)])
def test_the_fault_says_by_how_much_and_what_is_allowed(tmp_path: Path, logits: list[int], off: int) -> None:
    package = tiny_package(tmp_path, {"int8": {"logits": LOGITS}}, KNOWN, tolerance=7)
    model = LoadedModel(package, FixedBackend(np.array([logits], np.int8)))
    if not off:
        known_answer.check(package, model)
        return
    told = f"wrong answer: output 'logits' of tiny (int8) is {off} quantisation steps off, 7 are allowed"
    with pytest.raises(DeviceFault, match=re.escape(told)):
        known_answer.check(package, model)


def test_a_compiled_model_must_answer_as_its_twin(tmp_path: Path) -> None:
    variants = {"int8": {"logits": LOGITS}, "int8_edgetpu": {"logits": TensorInfo("int8", (1, 2), 0.5, 3, position=1)}}
    package = tiny_package(tmp_path, variants, KNOWN, tolerance=2)
    other = np.zeros((1, 2), np.int8)
    known_answer.check(package, LoadedModel(package, FixedBackend(other, np.array([[98, -98]], np.int8))))
    with pytest.raises(DeviceFault, match=r"int8_edgetpu\) is 3 quantisation steps off"):
        known_answer.check(package, LoadedModel(package, FixedBackend(other, np.array([[97, -98]], np.int8))))


@pytest.mark.parametrize(("scores", "good"), [
    ([20.01, -3.0], True), ([20.0, -3.019], True), ([20.03, -3.0], False), ([20.0, float("nan")], False),
    ([20.0, float("inf")], False),
])
def test_real_numbers_are_compared_by_the_largest_of_them(tmp_path: Path, scores: list[float], good: bool) -> None:
    known = {"float32.scores": np.array([[20.0, -3.0]], np.float32)}
    package = tiny_package(tmp_path, {"float32": {"scores": SCORES}}, known)
    model = LoadedModel(package, FixedBackend(np.array([scores], np.float32)))
    if good:
        known_answer.check(package, model)
    else:
        with pytest.raises(DeviceFault, match=r"off, 0\.001 of 20 is allowed"):
            known_answer.check(package, model)


@pytest.mark.parametrize(("known", "said"), [
    ({}, "must hold pixels, int8.logits"),
    ({**KNOWN, "more": np.zeros(1)}, "and nothing else"),
    ({"int8.logits": np.zeros((1, 3), np.int8)}, r"int8\.logits must be int8 \(1, 2\), got int8 \(1, 3\)"),
    ({"int8.logits": np.zeros((1, 2), np.uint8)}, r"int8\.logits must be int8 \(1, 2\), got uint8 \(1, 2\)"),
])
def test_a_known_answer_that_does_not_fit_the_manifest_is_refused(tmp_path: Path, known: dict[str, Any], said: str) -> None:
    with pytest.raises(PackageError, match=rf"tiny: known_answer: known_answer\.npz: .*{said}"):
        tiny_package(tmp_path, {"int8": {"logits": LOGITS}}, known)


def test_a_known_answer_that_lies_about_itself_is_refused_and_none_is_unpickled(tmp_path: Path) -> None:
    folder = write_tiny_package(tmp_path, {"int8": {"logits": LOGITS}}, KNOWN)
    file, manifest = folder / known_answer.FILE, folder / "model.toml"
    sound, text = file.read_bytes(), manifest.read_text()
    digest = hashlib.sha256(sound).hexdigest()
    seeded = random.Random(3)
    reasons = []
    for _ in range(300):
        damaged = bytearray(sound)
        for _ in range(seeded.randrange(1, 4)):
            damaged[seeded.randrange(len(damaged))] = seeded.randrange(256)
        if seeded.random() < 0.2:
            del damaged[seeded.randrange(len(damaged)) :]
        file.write_bytes(damaged)
        manifest.write_text(text.replace(digest, hashlib.sha256(damaged).hexdigest()))
        try:
            load_package(folder)
        except PackageError as error:
            reasons.append(str(error))
    assert len(reasons) > 200
    assert all(reason.startswith("model package tiny: known_answer: known_answer.npz: ") for reason in reasons)
    with zipfile.ZipFile(file, "w") as archive:
        for name, array in {"pixels": np.array([Refusing()]), **KNOWN}.items():
            with archive.open(f"{name}.npy", "w") as stream:
                npy.write_array(stream, array)
    manifest.write_text(text.replace(digest, hashlib.sha256(file.read_bytes()).hexdigest()))
    with pytest.raises(PackageError, match=r"pixels must be uint8"):
        load_package(folder)


class Refusing:
    """Fails the test where it is unpickled."""

    def __reduce__(self) -> tuple[Callable[[str], Any], tuple[str]]:
        return pytest.fail, ("a known answer was unpickled",)


def test_the_shipped_answers_can_be_made_again(package: ModelPackage, tmp_path: Path) -> None:
    if RUNTIME != "ai-edge-litert":
        pytest.skip("made with ai-edge-litert")
    for variant in package.manifest.variants.values():
        (tmp_path / variant.file).write_bytes((package.folder / variant.file).read_bytes())
    known_answer.make(tmp_path, package.spec.input, package.manifest.variants)
    with np.load(tmp_path / known_answer.FILE, allow_pickle=False) as made:
        np.testing.assert_array_equal(made["pixels"], package.known_answer.pixels)
        for name, tensor in package.known_answer.outputs.items():
            np.testing.assert_allclose(made[name], tensor.astype(made[name].dtype), rtol=0, atol=1e-3)


def test_the_picture_makes_the_network_answer_with_much_of_its_range(package: ModelPackage) -> None:
    spans = [float(np.ptp(tensor.astype(float))) for name, tensor in package.known_answer.outputs.items() if name.startswith("int8.")]
    assert max(spans) > 80
    assert min(spans) > 0
    assert (package.folder / known_answer.FILE).stat().st_size < 700_000
