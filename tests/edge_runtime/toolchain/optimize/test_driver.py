"""Which variants are made, kept, skipped and said. The processes are small programs that know no TensorFlow."""

import tempfile
import time
from pathlib import Path

import pytest

from edge_runtime.toolchain.optimize.driver import Request, optimize
from edge_runtime.toolchain.variants import NAMES, VariantSet, read_variants
from tests.edge_runtime.toolchain.optimize.small_data import write_data

WORKER = """
import os, signal, sys, tempfile, time
import msgspec
from edge_runtime.toolchain.optimize.job import Job, Look, Looked, Made, NotMade, Said

def tell(message):
    sys.stdout.buffer.write(msgspec.json.encode(message) + b"\\n")
    sys.stdout.flush()

job = msgspec.json.decode(sys.argv[1], type=Job)
faults = dict(line.split(" ", 1) for line in open(os.environ["FAULTS"]).read().splitlines())
what = "look" if isinstance(job, Look) else job.variant
fault = faults.get(what, "")
if fault == "die":
    os.kill(os.getpid(), signal.SIGKILL)
if fault == "crash":
    os.abort()
if fault == "raise":
    raise RuntimeError("the roof is leaking")
if fault == "hang":
    tempfile.mkdtemp()
    tell(Said(f"{job.variant}: hanging"))
    time.sleep(60)
if fault:
    tell(NotMade(fault))
elif isinstance(job, Look):
    mean, std = (127.0 if job.mean is None else job.mean), (128.0 if job.std is None else job.std)
    tell(Looked(1234, 3, "logits", mean, std, faults.get("tfmot", ""), int(faults.get("right", 90)), 100))
else:
    open(job.out, "wb").write(f"{job.variant} {job.seed}".encode())
    tell(Said(f"{job.variant}: written"))
    tell(Made(5 * 2**20, "counted"))
"""


@pytest.fixture
def asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Request:
    (tmp_path / "told_worker.py").write_text(WORKER)
    (tmp_path / "faults").write_text("")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setenv("FAULTS", str(tmp_path / "faults"))
    (tmp_path / "digits.keras").write_bytes(b"a model")
    return Request(tmp_path / "digits.keras", write_data(tmp_path / "data.npz"), tmp_path / "out", epochs=2)


def change(asked: Request, **options: object) -> Request:
    fields = {field: getattr(asked, field) for field in Request.__slots__}
    return Request(**{**fields, **options})


def make(asked: Request, said: list[str] | None = None, *, restart: bool = False, faults: str = "") -> VariantSet:
    (asked.data.parent / "faults").write_text(faults)
    return optimize(asked, restart=restart, say=(said if said is not None else []).append, worker="told_worker")


def test_every_variant_is_made_and_accounted_for(asked: Request) -> None:
    found = make(asked)
    assert found == read_variants(asked.out)
    assert list(found.variants) == list(NAMES)
    assert (found.name, found.parameters, found.epochs, found.skipped) == ("digits", 1234, 2, {})
    assert (found.input.height, found.input.width, found.input.channels, found.input.mean) == (12, 12, 1, 127.0)
    made = found.variants["pruned_80_qat_int8"]
    assert (made.epochs, made.peak_bytes, made.size_bytes) == (4, 5 * 2**20, len("pruned_80_qat_int8 7"))
    assert "80% smallest weights" in made.how
    assert "(counted)" in made.how
    assert found.variants["int8"].epochs == 0
    assert {path.name for path in asked.out.iterdir()} == {
        *(f"{name}.tflite" for name in NAMES), "variants.json", "weights", ".lock"}


def test_a_second_call_keeps_what_is_there_and_makes_the_rest(asked: Request) -> None:
    make(change(asked, only=("float32", "int8")))
    said: list[str] = []
    found = make(change(asked, only=("int8", "qat_int8")), said, faults="int8 must not be made again")
    assert set(found.variants) == {"float32", "int8", "qat_int8"}
    assert "int8: was made before, and is kept" in said
    said.clear()
    make(change(asked, only=("int8",)), said, faults="look die")
    assert all(line.endswith("is kept") for line in said)


def test_what_failed_is_skipped_with_the_reason_and_tried_again(asked: Request) -> None:
    found = make(asked, faults="qat_int8 tfmot can't quantise the layer 'x' (PReLU)\npruned_80 die\nfloat16 crash\nint8 raise")
    assert found.skipped["qat_int8"] == "tfmot can't quantise the layer 'x' (PReLU)"
    assert found.skipped["pruned_80"].startswith("its process was killed (SIGKILL)")
    assert found.skipped["pruned_80_int8"].startswith("it is made from pruned_80, which could not be made: its process was killed")
    assert found.skipped["float16"].startswith("its process crashed (SIGABRT)")
    assert found.skipped["int8"].startswith("its process failed: RuntimeError: the roof is leaking")
    assert "the roof is leaking" in (asked.out / "logs" / "int8.log").read_text()
    assert set(found.variants) == set(NAMES) - set(found.skipped)
    assert list(asked.out.glob("*.part")) == []
    again = make(asked)
    assert (list(again.variants), again.skipped) == (list(NAMES), {})


def test_a_model_that_keras_2_cannot_hold_still_gets_its_post_training_variants(asked: Request) -> None:
    found = make(asked, faults="tfmot the layer 'x' (Attention) is none that can be taken over")
    assert list(found.variants) == ["float32", "float16", "dynamic_range", "int8"]
    assert set(found.skipped.values()) == {"the layer 'x' (Attention) is none that can be taken over"}


@pytest.mark.parametrize(("options", "told"), [
    ({"seed": 8}, "--seed differ"), ({"epochs": 3}, "--epochs differ"), ({"name": "other"}, "--name differ"),
    ({"mean": 0.0, "std": 255.0}, "--mean, --std differ"),
])
def test_a_folder_of_other_inputs_is_left_as_it_is_unless_told_to_restart(
        asked: Request, options: dict[str, object], told: str) -> None:
    make(change(asked, only=("int8",)))
    other = change(asked, only=("float32",), **options)
    with pytest.raises(ValueError, match=f"{told}. Give another --out, or --restart"):
        make(other)
    (asked.out / "mine.txt").write_text("kept")
    assert list(make(other, restart=True).variants) == ["float32"]
    assert not (asked.out / "int8.tflite").exists()
    assert (asked.out / "mine.txt").exists()


def test_another_model_or_other_data_are_noticed(asked: Request) -> None:
    make(change(asked, only=("int8",)))
    asked.model.write_bytes(b"another model")
    write_data(asked.data, train=97)
    with pytest.raises(ValueError, match="the data, the model differ"):
        make(asked)


def test_a_file_that_was_changed_since_is_not_taken_for_the_variant(asked: Request) -> None:
    make(change(asked, only=("int8",)))
    (asked.out / "int8.tflite").write_bytes(b"changed")
    with pytest.raises(ValueError, match=r"int8\.tflite was changed since it was made.*--restart"):
        make(asked)


def stopped(asked: Request, at: str) -> None:
    def stop(line: str) -> None:
        if line == at:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        optimize(asked, say=stop, worker="told_worker")


def test_being_stopped_leaves_whole_files_and_the_next_call_goes_on(asked: Request) -> None:
    both = change(asked, only=("float32", "int8"))
    stopped(both, "int8: written")
    assert {path.name for path in asked.out.glob("*int8*")} == set()
    assert list(read_variants(asked.out).variants) == ["float32"]
    assert list(make(both).variants) == ["float32", "int8"]


def test_being_stopped_ends_the_process_at_work_and_takes_its_temporary_files_away(
        asked: Request, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "scratch").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "scratch"))
    (tmp_path / "faults").write_text("int8 hang")
    started = time.monotonic()
    stopped(change(asked, only=("int8",)), "int8: hanging")
    assert time.monotonic() - started < 30
    assert list((tmp_path / "scratch").iterdir()) == []


def test_what_was_stopped_before_its_first_variant_is_not_gone_on_with_under_another_seed(asked: Request) -> None:
    stopped(change(asked, only=("int8",)), "int8: written")
    with pytest.raises(ValueError, match="--seed differ"):
        make(change(asked, seed=8))


def test_a_model_that_cannot_be_opened_ends_all_with_its_reason(asked: Request) -> None:
    with pytest.raises(ValueError, match=r"digits\.keras is no \.keras or \.h5 file"):
        make(asked, faults="look digits.keras is no .keras or .h5 file of a Keras model")


def test_scores_that_are_hardly_better_than_guessing_are_told(asked: Request) -> None:
    said: list[str] = []
    make(change(asked, only=("int8",)), said)
    assert "digits: Keras 3, 1,234 parameters, answers logits; 90.0% of 100 training pictures right" in said
    assert not any("guessing" in line for line in said)
    make(change(asked, only=("float32",)), said, faults="right 30")
    assert any("hardly better than guessing" in line for line in said)


def test_two_calls_are_not_let_into_one_folder(asked: Request) -> None:
    def again(_: str) -> None:
        with pytest.raises(ValueError, match="another `hedgerow model optimize` is at work"):
            make(asked)

    optimize(change(asked, only=("int8",)), say=again, worker="told_worker")


@pytest.mark.parametrize(("options", "told"), [
    ({"only": ("int4",)}, "there is no variant 'int4'; there are float32"), ({"std": 0.0}, "--std must be positive"),
    ({"epochs": -1}, "can't be negative"), ({"name": "../x"}, "can't name a model"),
])
def test_options_that_make_no_sense_are_refused(asked: Request, options: dict[str, object], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        change(asked, **options)
