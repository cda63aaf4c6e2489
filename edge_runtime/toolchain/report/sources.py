"""What a report is made of: a folder of variants and its data set, or a model package and its domain's held-out cases."""

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from domains.core import Classification, InputSpec, Result
from domains.core.training import Case
from edge_runtime.backends import load_backend
from edge_runtime.folders import MANIFEST
from edge_runtime.models import load_package, sha256_of
from edge_runtime.runner import LoadedModel
from edge_runtime.toolchain.dataset import load_dataset
from edge_runtime.toolchain.evaluate import answer, pictures_of
from edge_runtime.toolchain.interpret import Runner
from edge_runtime.toolchain.recipes import recipes_of
from edge_runtime.toolchain.variants import VARIANTS_FILE, read_variants

Say = Callable[[str], None]
Decided = NDArray[np.integer]
EVERY = 20
"""Cases between two lines of progress; of small pictures a hundred times as many."""
COMPILED = "_edgetpu"
THREADS = 2
FOREIGN = 255
"""In the place of a label where a picture is refused: such an answer agrees with its like alone."""


@dataclass(frozen=True, slots=True)
class Answered:
    """What a variant made of one case: its score for `Source.figures`, and the labels that it decided on, one for each
    answer or pixel.
    """

    score: object
    decided: Decided


class Source(ABC):
    """A model in several variants, and cases to measure them on."""

    unit: Literal["answers", "pixels"] = "answers"

    def __init__(self, name: str, title: str, spec: InputSpec, files: Mapping[str, Path], *, data_sha256: str,
                 key: str) -> None:
        """`files`: variants that can be run. `key`: changes with whatever else the figures depend on."""
        self.name, self.title, self.spec, self.files = name, title, spec, files
        self.data_sha256, self.key = data_sha256, key
        self.skipped: dict[str, str] = {}
        self.remarks: list[str] = []
        self.main_figure = "accuracy"
        self.class_figures: Mapping[str, str] = {}
        self.groups: Sequence[str] = ()

    @abstractmethod
    def answers(self, variant: str, say: Say) -> Sequence[Answered]:
        """Every case through one variant, in the same order each time. Raises ValueError, naming the file, where it can't
        be run.
        """

    @abstractmethod
    def figures(self, scores: Sequence[object]) -> Mapping[str, float]:
        """Figures over scores, NaN where one can't be computed: `main_figure` and those of `class_figures` among them."""


def open_source(folder: Path, data: Path) -> Source:
    """What lies in `folder`. Raises ValueError or PackageError, naming what is wrong, FileNotFoundError where `data` isn't
    the data set's folder.
    """
    if (folder / MANIFEST).is_file():
        return PackageSource(folder, data)
    if (folder / VARIANTS_FILE).is_file():
        return VariantsSource(folder, data)
    raise ValueError(f"{folder} holds neither {VARIANTS_FILE}, which `hedgerow model optimize` writes, nor {MANIFEST}")


class VariantsSource(Source):
    """Variants of a classifier, on the test part of a data set. A score is the pair of true and found label."""

    def __init__(self, folder: Path, data: Path) -> None:
        found = read_variants(folder)
        dataset = load_dataset(data)
        if len(found.labels) != len(dataset.labels):
            raise ValueError(f"{data.name} has {len(dataset.labels)} labels, the variants have {len(found.labels)}")
        spec = InputSpec(**msgspec.structs.asdict(found.input))
        super().__init__(
            found.name, found.name, spec, {name: folder / file.file for name, file in found.variants.items()},
            data_sha256=dataset.sha256, key=repr((spec, found.labels)),
        )
        self.labels = tuple(found.labels)
        self.skipped = dict(found.skipped)
        if found.dataset_sha256 != dataset.sha256:
            self.remarks.append(
                "The variants were made with another data set than this one: if training saw these pictures, the "
                "figures are worth nothing."
            )
        self.class_figures = {label: f"recall_{label}" for label in self.labels}
        self.groups = dataset.test.groups
        self._test = dataset.test

    def answers(self, variant: str, say: Say) -> Sequence[Answered]:
        path = self.files[variant]
        runner = Runner(path, THREADS, spec=self.spec)
        output = _output_of_labels(runner, len(self.labels))
        found = []
        for number, (picture, truth) in enumerate(zip(self._test.images, self._test.truth, strict=True), 1):
            decided = int(runner.run(picture[None])[output].argmax())
            found.append(Answered((int(truth), decided), np.array([decided])))
            if number % (100 * EVERY) == 0 or number == len(self.groups):
                say(f"{self.name}: {variant}: {number} of {len(self.groups)} pictures")
        return found

    def figures(self, scores: Sequence[object]) -> Mapping[str, float]:
        pairs = np.array(scores)
        right = pairs[:, 0] == pairs[:, 1]
        found = {"accuracy": float(right.mean())}
        for index, name in enumerate(self.class_figures.values()):
            of_class = right[pairs[:, 0] == index]
            found[name] = float(of_class.mean()) if len(of_class) else float("nan")
        return found


class PackageSource(Source):
    """A model package, by its domain's recipe: the same decoding, flow and tensors as the gateway."""

    skip: ClassVar[str] = "compiled for the Edge TPU, which only one can run; `hedgerow model inspect` reads it"

    def __init__(self, folder: Path, data: Path) -> None:
        self._package = load_package(folder.resolve())
        manifest, spec = self._package.manifest, self._package.spec
        (self._recipe,) = recipes_of(spec.domain, spec.name)
        self._cases = self._recipe.cases(data)
        if not self._cases:
            raise ValueError(f"{spec.name}: {data} holds no held-out case")
        super().__init__(
            spec.name, spec.title, spec.input,
            {name: self._package.path_of(name) for name in manifest.variants if not name.endswith(COMPILED)},
            data_sha256=_digest(self._cases), key=self._package.manifest_sha256,
        )
        self.unit = "pixels" if manifest.task == "segmentation" else "answers"
        self.skipped = {name: self.skip for name in manifest.variants if name.endswith(COMPILED)}
        self.main_figure = self._recipe.main_figure
        self.class_figures = self._recipe.class_figures
        self.groups = [case.group for case in self._cases]

    def answers(self, variant: str, say: Say) -> Sequence[Answered]:
        models = {self.name: LoadedModel(self._package, load_backend("litert"), variant=variant, threads=THREADS)}
        found = []
        for number, case in enumerate(self._cases, 1):
            results = [answer(self._recipe, picture, case, models) for picture in pictures_of(case)]
            found.append(Answered(self._recipe.score(case, results), np.concatenate(list(map(_decided, results)))))
            if number % EVERY == 0 or number == len(self._cases):
                say(f"{self.name}: {variant}: {number} of {len(self._cases)} cases")
        return found

    def figures(self, scores: Sequence[object]) -> Mapping[str, float]:
        return self._recipe.figures(scores)


def _decided(result: Result) -> Decided:
    """The leading label of a picture, or those of its pixels; FOREIGN where there is none."""
    if isinstance(result, Classification):
        return np.array([FOREIGN if result.leading is None else result.leading], np.uint8)
    return np.full(result.class_map.size, FOREIGN, np.uint8) if result.foreign else result.class_map.ravel()


def _output_of_labels(runner: Runner, labels: int) -> str:
    """The output that has one number for each label; the one called `logits` where there are several."""
    fitting = [end.name for end in runner.outputs if len(end.shape) == 2 and end.shape[1] == labels]
    if not fitting:
        raise ValueError(f"{runner.name} has no output (1, {labels}), one number for each label")
    return "logits" if "logits" in fitting else fitting[0]


def _digest(cases: Sequence[Case]) -> str:
    """SHA-256 over the files and truths of all cases."""
    digest = hashlib.sha256()
    for case in cases:
        truth = sha256_of(case.truth) if isinstance(case.truth, Path) else repr(case.truth)
        digest.update(repr((sha256_of(case.file), case.group, truth, case.frame_limit)).encode())
    return digest.hexdigest()
