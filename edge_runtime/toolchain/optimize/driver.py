"""Makes the variants of a model one after the other, and keeps account of them. No TensorFlow here."""

import fcntl
import re
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import msgspec

from edge_runtime.models import InputInfo, sha256_of
from edge_runtime.toolchain.dataset import Dataset, load_dataset
from edge_runtime.toolchain.optimize.job import Look, Looked, Made, Make, NotMade
from edge_runtime.toolchain.optimize.plan import PLAN, Variant, default_epochs, how, steps_of
from edge_runtime.toolchain.optimize.process import WORKER, run_job
from edge_runtime.toolchain.variants import NAMES, VARIANTS_FILE, VariantFile, VariantSet, read_variants, write_variants

LIBRARIES = ("ai-edge-litert", "hedgerow", "keras", "numpy", "tensorflow", "tensorflow-model-optimization", "tf_keras")
_NAME = re.compile(r"[a-z0-9][a-z0-9_.-]*")
_INPUTS = {
    "model_sha256": "the model", "dataset_sha256": "the data", "name": "--name", "seed": "--seed", "epochs": "--epochs",
    "versions": "the versions of the libraries",
}


@dataclass(frozen=True, slots=True)
class Request:
    """What is to be made. `only`: these variants; all where it is empty. `epochs`: of each fine-tuning, 0 for the rule in
    plan.py. `mean`, `std`: `(pixel - mean) / std` is what the network was trained on; None where its first layer does it.
    `name`: the model's, its file's where it is empty.
    """

    model: Path
    data: Path
    out: Path
    only: Sequence[str] = ()
    epochs: int = 0
    seed: int = 7
    mean: float | None = None
    std: float | None = None
    name: str = ""

    def __post_init__(self) -> None:
        if unknown := [name for name in self.only if name not in PLAN]:
            raise ValueError(f"there is no variant {unknown[0]!r}; there are {', '.join(NAMES)}")
        if self.epochs < 0 or self.seed < 0:
            raise ValueError("--epochs and --seed can't be negative")
        if self.std is not None and self.std <= 0:
            raise ValueError("--std must be positive")
        if not _NAME.fullmatch(self.model_name):
            raise ValueError(f"{self.model_name!r} can't name a model: small letters, digits, '_', '-' and '.' can; --name gives another")

    @property
    def model_name(self) -> str:
        """The model's name."""
        return self.name or self.model.stem.lower().replace(" ", "_")


def optimize(request: Request, *, restart: bool = False, say: Callable[[str], None] = print, worker: str = WORKER) -> VariantSet:
    """Makes what isn't there yet and writes `variants.json` after each variant. A variant that can't be made goes into
    `skipped` with the reason.

    Finished variants of the same model, data and options are kept; `restart` throws away whatever the folder holds of an
    earlier call. `worker`: the module that is run for each job. Raises ValueError for a model, data or options that can't be
    used, and for a folder of other ones.
    """
    data = load_dataset(request.data)
    request.out.mkdir(parents=True, exist_ok=True)
    with _alone(request.out):
        if restart:
            _clear(request.out)
        wanted = _set_of(request, data)
        pictures = len(data.train.truth)
        del data  # each process reads its own
        found = _earlier(request, wanted)
        missing = [name for name in request.only or NAMES if found is None or name not in found.variants]
        for name in found.variants if found else ():
            say(f"{name}: was made before, and is kept")
        if found is not None and not missing:
            return found
        return _Work(request, found or wanted, pictures, say, worker).make(missing)


class _Work:
    """The making of the missing variants."""

    def __init__(self, request: Request, found: VariantSet, pictures: int, say: Callable[[str], None], worker: str) -> None:
        self._request, self._found, self._pictures, self._say, self._worker = request, found, pictures, say, worker
        self._failed: dict[str, str] = {}
        self._logs, self._weights = request.out / "logs", request.out / "weights"

    def make(self, missing: Sequence[str]) -> VariantSet:
        self._logs.mkdir(exist_ok=True)
        self._weights.mkdir(exist_ok=True)
        looked = self._look()
        for number, name in enumerate((name for name in NAMES if name in missing), 1):
            self._say(f"{name}: {number} of {len(missing)}, {how(PLAN[name], self._found.epochs)}")
            reason = self._cannot(PLAN[name], looked) or self._make(name, looked)
            if reason:
                self._say(f"{name}: not made, {reason}")
                self._failed[name] = reason
                self._put(skipped={**self._found.skipped, name: reason})
        if not any(self._logs.iterdir()):
            self._logs.rmdir()
        return self._found

    def _look(self) -> Looked:
        self._say(f"opening {self._request.model.name}")
        asked = self._request
        looked = run_job(Look(str(asked.model), str(asked.data), asked.seed, asked.mean, asked.std),
                         self._logs / "model.log", self._say, module=self._worker)
        if not isinstance(looked, Looked):
            raise ValueError(looked.reason if isinstance(looked, NotMade) else "the model can't be opened")  # noqa: TRY004
        self._found = msgspec.structs.replace(
            self._found, parameters=looked.parameters,
            input=msgspec.structs.replace(self._found.input, mean=looked.mean, std=looked.std),
        )
        self._put()  # from here on the folder says what its files are made from
        self._say(f"{self._found.name}: Keras {looked.keras}, {looked.parameters:,} parameters, answers {looked.output}; "
                  f"{looked.right / looked.tried:.1%} of {looked.tried:,} training pictures right")
        guessed = 1 / len(self._found.labels)
        if looked.right / looked.tried < guessed + (1 - guessed) / 10:
            self._say("that is hardly better than guessing: are --mean, --std and the order of the labels those of its training?")
        self._say(f"fine-tuning: {self._found.epochs} epochs of {steps_of(self._pictures)} steps each time")
        return looked

    def _cannot(self, variant: Variant, looked: Looked) -> str:
        """Why the variant can't be made, as far as that is known without trying."""
        if variant.needs_tfmot and looked.no_tfmot:
            return looked.no_tfmot
        base = variant.base
        if base is not None and base.name in self._failed and not (self._weights / f"{base.name}.npz").is_file():
            return f"it is made from {base.name}, which could not be made: {self._failed[base.name]}"
        return ""

    def _make(self, name: str, looked: Looked) -> str:
        """Makes the variant; says why not where that fails."""
        asked, variant, path = self._request, PLAN[name], self._request.out / f"{name}.tflite"
        part = path.with_suffix(".tflite.part")
        job = Make(str(asked.model), str(asked.data), asked.seed, looked.mean, looked.std, self._found.epochs, name,
                   str(part), str(self._weights))
        started = time.monotonic()
        try:
            made = run_job(job, self._logs / f"{name}.log", self._say, module=self._worker)
            if not isinstance(made, Made):
                return made.reason if isinstance(made, NotMade) else "its process gave no answer"
            seconds = time.monotonic() - started
            file = VariantFile(
                path.name, sha256_of(part), part.stat().st_size,
                f"{how(variant, self._found.epochs)}{f' ({made.proof})' if made.proof else ''}",
                round(seconds, 1), made.peak_bytes, self._found.epochs * variant.fine_tunings,
            )
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)
        skipped = {other: why for other, why in self._found.skipped.items() if other != name}
        self._put(variants={**self._found.variants, name: file}, skipped=skipped)
        self._say(f"{name}: {path}, {file.size_bytes:,} bytes, {seconds:.0f} s, {made.peak_bytes / 2**20:.0f} MiB of memory at most")
        return ""

    def _put(self, **changes: object) -> None:
        self._found = write_variants(self._request.out, msgspec.structs.replace(self._found, **changes))


def _set_of(request: Request, data: Dataset) -> VariantSet:
    """An empty set of what was asked for; what the model must tell is not in it yet."""
    if not request.model.is_file():
        raise ValueError(f"{request.model} is no file; it must be the .keras or .h5 file of a trained model")
    height, width, channels = data.picture_shape
    return VariantSet(
        name=request.model_name, labels=list(data.labels),
        input=InputInfo(height, width, 0.0, 1.0, channels),
        model_sha256=sha256_of(request.model), dataset_sha256=data.sha256, parameters=0, seed=request.seed,
        epochs=request.epochs or default_epochs(len(data.train.truth)),
        versions=_versions(), variants={}, skipped={},
    )


def _versions() -> dict[str, str]:
    found = {}
    for library in LIBRARIES:
        with suppress(PackageNotFoundError):
            found[library] = version(library)
    return found


def _earlier(request: Request, wanted: VariantSet) -> VariantSet | None:
    """The set of an earlier call with the same inputs. Raises ValueError where it was made from others."""
    out = request.out
    if not (out / VARIANTS_FILE).is_file():
        return None
    try:
        found = read_variants(out)
    except ValueError as error:
        raise ValueError(f"{error}. --restart makes all anew, another --out leaves it as it is") from error
    differ = {_INPUTS[field] for field in _INPUTS if getattr(wanted, field) != getattr(found, field)}
    told = {"mean": request.mean, "std": request.std}
    differ |= {f"--{option}" for option, value in told.items() if value is not None and value != getattr(found.input, option)}
    if differ:
        raise ValueError(f"{out} holds variants made from other inputs: {', '.join(sorted(differ))} differ. Give another --out, "
                         "or --restart to make all anew")
    return found


def _clear(out: Path) -> None:
    """Takes away what an earlier call wrote, and nothing else."""
    (out / VARIANTS_FILE).unlink(missing_ok=True)
    for pattern in (*(f"{name}.tflite" for name in NAMES), "weights/*.npz", "logs/*.log"):
        for path in out.glob(pattern):
            path.unlink()


@contextmanager
def _alone(out: Path) -> Iterator[None]:
    """Keeps a second call out of the folder meanwhile."""
    with (out / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise ValueError(f"another `hedgerow model optimize` is at work in {out}") from error
        yield
