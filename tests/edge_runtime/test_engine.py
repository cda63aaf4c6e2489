"""The models on a device, with shipped packages on the CPU and on a simulated Edge TPU."""

import shutil
from pathlib import Path

import msgspec
import numpy as np
import pytest

from domains import registry
from domains.core import InputSpec, UnknownExam
from domains.errors import InvalidParameter
from edge_runtime import known_answer
from edge_runtime.backends import load_backend
from edge_runtime.devices import discover
from edge_runtime.embedded import package_folders
from edge_runtime.engine import ModelEngine, ModelRunner, set_up
from edge_runtime.errors import DeviceFault, FaultKind, PackageError
from edge_runtime.models import load_package, read_manifest, sha256_of
from edge_runtime.simulated_faults import command_fault
from edge_runtime.tensors import decode_output
from edge_runtime.wire import ConfigureMessage, TaskMessage, TensorSpec
from edge_runtime.worker import WorkerConfig

SAMPLES = Path(__file__).parents[2] / "samples"
SHIPPED = [str(folder) for folder in package_folders(())]
LUNG = registry.models_folder("pathology") / "lung_ultrasound"
SHIPPED_VERSION = read_manifest(LUNG).version
NEWER = "1.90.0"
SCAN = TaskMessage(7, "analyse", "pathology", parameters={"exam": "lung_ultrasound"})
BLOBS = {"input": memoryview((SAMPLES / "lung_scan.png").read_bytes())}


def engine(backend: str, packages: list[str], *, faults_file: Path | None = None) -> ModelEngine:
    config = WorkerConfig(0, backend, 2, packages, {})
    address = "usb3" if backend == "simulated" else ""
    return ModelEngine(load_backend(backend, address, faults_file=faults_file), config)


def copy(folder: Path, version: str) -> Path:
    """The lung package under another version."""
    made = Path(shutil.copytree(LUNG, folder / version / LUNG.name))
    manifest = made / "model.toml"
    manifest.write_text(manifest.read_text().replace(f'version = "{SHIPPED_VERSION}"', f'version = "{version}"', 1))
    return made


def replaced(folder: Path, old: str, new: str) -> None:
    """Puts a file's new hash into the manifest."""
    manifest = folder / "model.toml"
    manifest.write_text(manifest.read_text().replace(old, new))


def runner(made: ModelEngine, slot: int = 0) -> ModelRunner:
    found = made.runners[slot]
    assert isinstance(found, ModelRunner)
    return found


@pytest.mark.parametrize("backend", ["litert", "simulated"])
def test_every_shipped_package_is_checked_measured_and_served(backend: str) -> None:
    made = engine(backend, SHIPPED)
    ready = made.ready()
    assert {model.state for model in ready.models} == {"ready"}
    assert set(ready.costs) == {Path(folder).name for folder in SHIPPED}
    assert all(cost.run_s > 0 for cost in ready.costs.values())
    assert ready.simulated == ready.accelerator == (backend == "simulated")
    assert sorted(ready.trusted) == sorted(SHIPPED)
    assert any(cost.load_s > 0 for cost in ready.costs.values()) == ready.accelerator
    reply, _ = runner(made).run(SCAN, BLOBS)
    assert reply.model["name"] == "lung_ultrasound"


def test_the_simulated_device_answers_what_the_cpu_answers() -> None:
    answers = [runner(engine(name, [str(LUNG)])).run(SCAN, BLOBS)[0] for name in ("litert", "simulated")]
    assert answers[0].document == answers[1].document


@pytest.mark.parametrize("backend", ["litert", "simulated"])
def test_a_network_alone_gives_the_known_answer_in_real_numbers(backend: str) -> None:
    made = engine(backend, [str(LUNG)])
    package = load_package(LUNG)
    (told,) = made.ready().models
    pixels = package.known_answer.pixels
    task = TaskMessage(7, "infer", "", model=LUNG.name, tensors=told.inputs)
    reply, contents = runner(made).run(task, {"pixels": memoryview(pixels.tobytes())})
    assert reply.tensors == told.outputs
    for spec in reply.tensors:
        info = package.manifest.variants["int8"].outputs[spec.name]
        expected = decode_output(package.known_answer.of("int8", spec.name), info)
        given = np.frombuffer(contents[spec.name], np.float32).reshape(spec.shape)
        assert np.abs(given - expected).max() <= info.scale * package.manifest.known_answer.tolerance
    assert (reply.model["version"], reply.timings.infer > 0) == (SHIPPED_VERSION, True)


def test_tensors_that_arent_the_models_are_refused_and_an_unknown_model_is_looked_for_elsewhere() -> None:
    made = runner(engine("litert", [str(LUNG)]))
    small = TensorSpec("pixels", "uint8", (1, 2, 2, 3))
    with pytest.raises(InvalidParameter, match="the version in service takes pixels, uint8 of the shape"):
        made.run(TaskMessage(7, "infer", "", model=LUNG.name, tensors=[small]), {"pixels": memoryview(bytes(12))})
    reply, _ = made.run(TaskMessage(7, "infer", "", model="none", tensors=[small]), {"pixels": memoryview(bytes(12))})
    assert reply.needs_model == "none"


def test_an_answer_brings_what_was_measured_of_the_pixels_that_the_model_saw() -> None:
    reply, _ = runner(engine("litert", [str(LUNG)])).run(SCAN, BLOBS)
    assert {"sharpness", "brightness", "contrast", "thumbnail", "evidence_spread"} <= set(reply.quality)
    assert 0.02 < reply.quality["contrast"] < 1
    assert not reply.clip


def test_a_file_of_several_frames_is_called_a_clip_and_nothing_is_run() -> None:
    clip = {"input": memoryview((SAMPLES / "ultrasound_clip.dcm").read_bytes())}
    reply, pictures = runner(engine("litert", [str(LUNG)])).run(SCAN, clip)
    assert (reply.clip, reply.model, reply.parameters) == (True, {"name": "lung_ultrasound"}, {"exam": "lung_ultrasound"})
    assert (reply.document, reply.quality, pictures, reply.needs_model) == ({}, {}, {}, "")


def test_a_named_frame_of_a_clip_is_answered_as_a_picture() -> None:
    named = msgspec.structs.replace(SCAN, parameters={"exam": "lung_ultrasound", "frame": 2})
    clip = {"input": memoryview((SAMPLES / "ultrasound_clip.dcm").read_bytes())}
    reply, _ = runner(engine("litert", [str(LUNG)])).run(named, clip)
    assert (reply.clip, reply.media["frame"], reply.document["kind"]) == (False, 2, "classification")


def test_a_clip_that_no_exam_fits_is_refused_before_it_is_called_one() -> None:
    clip = {"input": memoryview((SAMPLES / "ultrasound_clip.dcm").read_bytes())}
    unknown = msgspec.structs.replace(SCAN, parameters={"exam": "knee"})
    with pytest.raises(UnknownExam):
        runner(engine("litert", [str(LUNG)])).run(unknown, clip)


def test_a_model_says_what_its_package_holds_about_sequences() -> None:
    (model,) = engine("litert", [str(LUNG)]).ready().models
    assert model.sequence["sharp_from"] > 0
    assert model.sequence["abstain_below"] == read_manifest(LUNG).domain_options["abstain_below"]


def test_a_device_that_computes_wrongly_is_not_taken_into_service(tmp_path: Path) -> None:
    faults = tmp_path / "faults.json"
    command_fault(faults, "wrong")
    with pytest.raises(DeviceFault) as caught:
        engine("simulated", [str(LUNG)], faults_file=faults)
    assert caught.value.kind is FaultKind.WRONG_ANSWER


def test_a_device_that_begins_to_compute_wrongly_is_found_while_it_serves(tmp_path: Path) -> None:
    faults = tmp_path / "faults.json"
    made = engine("simulated", [str(LUNG)], faults_file=faults)
    runner(made).run(SCAN, BLOBS)
    made.check()
    assert made.beat().checks == 1
    command_fault(faults, "wrong")
    with pytest.raises(DeviceFault, match="wrong answer"):
        made.check()


def test_a_device_that_vanishes_while_nobody_uses_it_is_found(tmp_path: Path) -> None:
    faults = tmp_path / "faults.json"
    made = engine("simulated", [str(LUNG)], faults_file=faults)
    command_fault(faults, "unplugged")
    with pytest.raises(DeviceFault) as caught:
        made.check()
    assert caught.value.kind is FaultKind.LOST


@pytest.mark.parametrize(
    ("damage", "said"), [(slice(900_000, 903_000), "wrong answer"), (slice(None, None, 7), "can't be")],
    ids=["a few weights", "all over"],
)
def test_a_package_that_computes_something_else_is_refused_on_the_cpu_and_stops_no_other(
    tmp_path: Path, damage: slice, said: str
) -> None:
    liar = Path(shutil.copytree(LUNG, tmp_path / LUNG.name))
    weights = bytearray((liar / "int8.tflite").read_bytes())
    weights[damage] = bytes(len(weights[damage]))
    before = sha256_of(liar / "int8.tflite")
    (liar / "int8.tflite").write_bytes(weights)
    replaced(liar, before, sha256_of(liar / "int8.tflite"))
    ready = engine("litert", [str(liar), str(LUNG.with_name("breast_ultrasound"))]).ready()
    assert [model.name for model in ready.models if model.state == "ready"] == ["breast_ultrasound"]
    (refused,) = [model for model in ready.models if model.state == "refused"]
    assert refused.name == "lung_ultrasound"
    assert said in refused.reason


@pytest.mark.parametrize("backend", ["litert", "simulated"])
def test_another_version_is_served_after_it_was_checked_and_the_old_one_is_let_go(tmp_path: Path, backend: str) -> None:
    made = engine(backend, [str(LUNG)])
    newer = copy(tmp_path, NEWER)
    made.configure(ConfigureMessage(1, [str(newer)]))
    for slot in (0, 1):
        reply, _ = runner(made, slot).run(SCAN, BLOBS)
        assert reply.model["version"] == NEWER
    made.configure(ConfigureMessage(2, [str(LUNG)]))
    assert runner(made).run(SCAN, BLOBS)[0].model["version"] == SHIPPED_VERSION


def test_a_candidate_answers_on_its_own_track_only(tmp_path: Path) -> None:
    made = engine("litert", [*SHIPPED])
    newer = copy(tmp_path, NEWER)
    made.configure(ConfigureMessage(1, SHIPPED, [str(newer)]))
    on_trial = msgspec.structs.replace(SCAN, track="candidate")
    assert runner(made).run(SCAN, BLOBS)[0].model["version"] == SHIPPED_VERSION
    assert runner(made).run(on_trial, BLOBS)[0].model["version"] == NEWER
    field = TaskMessage(8, "analyse", "crop_weed", track="candidate")
    reply, _ = runner(made).run(field, {"input": memoryview((SAMPLES / "field.jpg").read_bytes())})
    assert reply.model["name"] == "crop_peanut", "models that aren't on trial answer on both tracks"


def test_a_new_package_with_a_changed_byte_is_refused_and_nothing_changes(tmp_path: Path) -> None:
    made = engine("litert", SHIPPED)
    newer = copy(tmp_path, NEWER)
    content = bytearray((newer / "int8.tflite").read_bytes())
    content[len(content) // 2] ^= 1
    (newer / "int8.tflite").write_bytes(content)
    before = made.ready()
    others = [folder for folder in SHIPPED if Path(folder).name != LUNG.name]
    with pytest.raises(PackageError, match=r"int8\.tflite was changed"):
        made.configure(ConfigureMessage(1, [*others, str(newer)]))
    assert made.ready() == before
    assert runner(made).run(SCAN, BLOBS)[0].model["version"] == SHIPPED_VERSION


def test_a_model_without_a_variant_for_the_device_is_handed_back_by_name(tmp_path: Path) -> None:
    float_only = Path(shutil.copytree(LUNG, tmp_path / LUNG.name))
    manifest = float_only / "model.toml"
    text = manifest.read_text()
    begin, end = text.index("[variants.int8]"), text.index("[known_answer]")
    manifest.write_text(text[:begin] + text[end:])
    described = read_manifest(float_only)
    size = InputSpec(described.input.height, described.input.width, described.input.mean, described.input.std)
    made_anew = known_answer.make(float_only, size, described.variants)
    replaced(float_only, described.known_answer.sha256, made_anew.sha256)
    made = engine("simulated", [str(float_only), str(LUNG.with_name("breast_ultrasound"))])
    reply, pictures = runner(made).run(SCAN, BLOBS)
    assert (reply.needs_model, pictures, reply.document) == ("lung_ultrasound", {}, {})
    assert set(made.ready().costs) == {"breast_ultrasound"}
    made.configure(ConfigureMessage(1, [str(LUNG)], [str(float_only)]))
    assert runner(made).run(SCAN, BLOBS)[0].needs_model == ""
    on_trial = msgspec.structs.replace(SCAN, track="candidate")
    assert runner(made).run(on_trial, BLOBS)[0].needs_model == "lung_ultrasound", "not the version in service under its name"


def test_an_edge_tpu_that_hung_is_reset_before_it_is_opened_again(caplog: pytest.LogCaptureFixture) -> None:
    if discover():
        pytest.skip("an Edge TPU is attached, and would be reset")
    with pytest.raises(DeviceFault):
        set_up(WorkerConfig(0, "edgetpu", 2, [], {}, address="usb:0", after="hung"))
    assert "edgetpu:usb:0 not reset: it is not attached" in caplog.text
