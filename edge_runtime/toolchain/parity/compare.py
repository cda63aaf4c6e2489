"""`hedgerow model parity`: the same inputs through two sides, decision by decision and tensor by tensor."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from domains import registry
from domains.core import InputSpec, Pixels
from edge_runtime.backends import Backend
from edge_runtime.models import ModelPackage
from edge_runtime.runner import LoadedModel, run_flow
from edge_runtime.toolchain.parity import report
from edge_runtime.toolchain.parity.answers import Decided, decide, decided_by_domain, question_of, question_of_domain
from edge_runtime.toolchain.parity.decisions import Tally
from edge_runtime.toolchain.parity.inputs import LIMIT, Inputs, Npz, Picture, Sample, find_inputs, spaced
from edge_runtime.toolchain.parity.outputs import OutputTally
from edge_runtime.toolchain.parity.sides import (
    Opened,
    Side,
    as_variant,
    labels_of,
    open_backend,
    spec_by_scale,
    spec_of,
)
from edge_runtime.toolchain.parity.tensors import Comparison

Say = Callable[[str], None]
Fed = NDArray[np.generic]
TENSOR_INPUTS = 8
"""On so many inputs the tensors are compared: the one that parts most, and others evenly spaced."""
EVERY_S = 2.0


@dataclass(frozen=True, slots=True)
class Wish:
    """What is to be compared. `normalisation`: mean and std of the pixels where nothing tells them. `limit`: 0 is all inputs."""

    data: Path
    limit: int = LIMIT
    normalisation: tuple[float, float] | None = None


class RecordingModel(LoadedModel):
    """A loaded model that keeps what its domain's flow gave it."""

    def __init__(self, package: ModelPackage, backend: Backend, variant: str) -> None:
        super().__init__(package, backend, variant=variant, threads=2)
        self.calls: list[tuple[Pixels, dict[str, NDArray[np.generic]]]] = []

    def run_raw(self, pixels: Pixels) -> dict[str, NDArray[np.generic]]:
        outputs = dict(super().run_raw(pixels))
        self.calls.append((pixels, outputs))
        return outputs


@dataclass(slots=True)
class _Seen:
    """What is kept of the inputs for the tensors: one run of each."""

    rows: list[report.Apart] = field(default_factory=list)
    fed: list[Fed] = field(default_factory=list)

    def chosen(self) -> list[Fed]:
        worst = max(range(len(self.rows)), key=lambda i: (self.rows[i].agree < 1, self.rows[i].distance))
        others = [index for index in range(len(self.rows)) if index != worst]
        return [self.fed[worst], *(self.fed[others[at]] for at in spaced(len(others), TENSOR_INPUTS - 1))]


def compare(a: Side, b: Side, wish: Wish, say: Say) -> report.Parity:
    """Runs both on the wished inputs. Raises ValueError, PackageError or DeviceFault with a line that says what is wrong."""
    _refuse_strangers(a, b)
    backends = open_backend(a), open_backend(b)
    told = a.told(backends[0]), b.told(backends[1])
    if a.sha256 == b.sha256 and a.device.backend == b.device.backend == "litert":
        note = "A and B are the same file on the same kind of device: there is no difference, and nothing was run."
        return report.Parity(*told, str(wish.data), identical=True, decisions=None, outputs=[], tensors=None, notes=[note])
    notes: list[str] = []
    packages = _packages(a, b, notes)
    specs, guess = _specs(a, b, wish)
    inputs = find_inputs(wish.data, specs[0] or _bare_spec(a), packages[0][0] if packages else None, wish.limit)
    if guess and not (isinstance(inputs.source, Npz) and inputs.source.images.dtype != np.uint8):
        notes.append(guess)
    notes.append(f"{inputs.chosen} of {inputs.found} {inputs.what}" + (", evenly spaced" if inputs.chosen < inputs.found else ""))
    opened = Opened(a, backends[0], specs[0]), Opened(b, backends[1], specs[1])
    seen = _Seen()
    outputs = OutputTally(a.outputs, b.outputs)
    by_domain = packages if packages and not isinstance(inputs.source, Npz) else None
    answers = _by_domain(by_domain, backends, inputs, outputs) if by_domain else _by_model(opened, inputs, outputs)
    tally = _tally(answers, inputs, seen, say)
    tensors = _tensors(opened, seen, notes, say)
    return report.Parity(
        *told, str(wish.data), identical=False, decisions=tally.result(), outputs=outputs.result(), tensors=tensors, notes=notes
    )


@dataclass(frozen=True, slots=True)
class _Answered:
    sample: Sample
    fed: Fed
    a: Decided
    b: Decided
    tally: Tally


def _tally(answers: Iterator[_Answered], inputs: Inputs, seen: _Seen, say: Say) -> Tally:
    last = time.monotonic()
    tally: Tally | None = None
    for number, answered in enumerate(answers, 1):
        tally = answered.tally
        seen.rows.append(tally.add(answered.sample, answered.a, answered.b))
        seen.fed.append(answered.fed)
        if time.monotonic() - last >= EVERY_S:
            last = time.monotonic()
            say(f"decisions: {number} inputs done, {inputs.chosen} {inputs.what} in all")
    if tally is None:
        raise ValueError("there are no inputs to compare")
    return tally


def _by_model(opened: tuple[Opened, Opened], inputs: Inputs, outputs: OutputTally) -> Iterator[_Answered]:
    """Each input once through both models; what they say is read off their outputs."""
    labels = inputs.labels or labels_of(opened[0].side) or labels_of(opened[1].side)
    questions = [question_of(side.outputs, labels) for side in opened]
    tally = Tally(questions[0])
    for sample in inputs.samples():
        if isinstance(sample.content, Picture):
            raise TypeError("a picture for a domain's flow came to a model alone")
        given = [side.run(sample.content) for side in opened]
        outputs.add(*given)
        a, b = (decide(question, side.reals(values)) for question, side, values in zip(questions, opened, given, strict=True))
        yield _Answered(sample, sample.content, a, b, tally)


def _by_domain(
    packages: tuple[tuple[ModelPackage, str], tuple[ModelPackage, str]], backends: tuple[Backend, Backend], inputs: Inputs,
    outputs: OutputTally,
) -> Iterator[_Answered]:
    """Each picture through the domain's flow, once with each model."""
    models = [RecordingModel(package, backend, variant) for (package, variant), backend in zip(packages, backends, strict=True)]
    domain = registry.load(models[0].spec.domain)
    tally: Tally | None = None
    for sample in inputs.samples():
        if not isinstance(sample.content, Picture):
            raise TypeError("a model's input came to a domain's flow")
        results = []
        for model in models:
            model.calls.clear()
            plan = domain.plan(sample.content.header, sample.content.parameters, [model.spec])
            results.append(run_flow(domain.flow(sample.content.image, plan), {model.spec.name: model})[0])
        tally = tally or Tally(question_of_domain(results[0]))
        for (_, one), (_, two) in zip(models[0].calls, models[1].calls, strict=False):
            outputs.add_named(one, two)
        pixels = models[0].calls[len(models[0].calls) // 2][0]
        yield _Answered(sample, pixels, decided_by_domain(results[0]), decided_by_domain(results[1]), tally)


def _tensors(opened: tuple[Opened, Opened], seen: _Seen, notes: list[str], say: Say) -> report.Tensors | None:
    """Tensor by tensor, where both can be looked into. The side in real numbers is the reference; A where both are alike."""
    sides = [side.side for side in opened]
    if any(side.compiled for side in sides):
        notes.append("A compiled model is one operator: only what comes out of it can be compared.")
        return None
    if not all(side.on_cpu for side in sides):
        notes.append("On a device nothing between input and output can be seen: only what comes out was compared.")
        return None
    swap = sides[0].quantised and not sides[1].quantised
    try:
        comparison = Comparison(*(opened[::-1] if swap else opened))
        chosen, last = seen.chosen(), time.monotonic()
        for number, fed in enumerate(chosen, 1):
            comparison.add(fed)
            if time.monotonic() - last >= EVERY_S:
                last = time.monotonic()
                say(f"tensors: {number} of {len(chosen)} inputs done")
        return comparison.result("b" if swap else "a")
    except ValueError as error:
        notes.append(f"Not compared tensor by tensor: {error}.")
        return None


def _refuse_strangers(a: Side, b: Side) -> None:
    """Raises ValueError where they aren't variants of one network: other inputs, other outputs."""
    for what, one, two in (
        ("take", [a.input.shape], [b.input.shape]), ("give", [end.shape for end in a.outputs], [end.shape for end in b.outputs])
    ):
        if one != two:
            raise ValueError(f"A and B are no variants of one another: {a.text} and {b.text} {what} {_shapes(one)} and {_shapes(two)}")


def _packages(a: Side, b: Side, notes: list[str]) -> tuple[tuple[ModelPackage, str], tuple[ModelPackage, str]] | None:
    """The packages with whose domain both are answered; a file without one takes the other's, where it fits."""
    known = a.package or b.package
    if known is None:
        return None
    found = []
    for side in (a, b):
        if side.package is not None:
            found.append((side.package, side.variant))
        elif (made := as_variant(side, known)) is not None:
            notes.append(f"{side.path.name} is answered as a variant of {known.spec.name}")
            found.append((made, "file"))
    if len(found) < 2 or found[0][0].spec.domain != found[1][0].spec.domain:
        return None
    return found[0], found[1]


def _specs(a: Side, b: Side, wish: Wish) -> tuple[tuple[InputSpec | None, InputSpec | None], str]:
    """How pixels become real values, for each; and a sentence where it had to be guessed."""
    if wish.normalisation is not None:
        bare = _bare_spec(a)
        given = InputSpec(bare.height, bare.width, *wish.normalisation, bare.channels)
        return (given, given), ""
    told = spec_of(a), spec_of(b)
    either = told[0] or told[1]
    if either is not None:
        return (told[0] or either, told[1] or either), ""
    guessed = spec_by_scale(a) or spec_by_scale(b)
    if guessed is None:
        return (None, None), ""
    return (guessed, guessed), (
        f"Nothing says how pixels become real numbers: (pixel - {guessed.mean:g}) / {guessed.std:.6g} was read off the scale of the integer "
        "input; --mean and --std say otherwise"
    )


def _bare_spec(side: Side) -> InputSpec:
    """The size of the input alone. Raises ValueError where it takes no picture."""
    shape = side.input.shape
    if len(shape) != 4 or shape[3] not in {1, 3}:
        raise ValueError(f"{side.path.name} must take a picture (1, height, width, 1 or 3), it takes {_shapes([shape])}")
    return InputSpec(shape[1], shape[2], 0.0, 1.0, shape[3])


def _shapes(shapes: Sequence[Sequence[int]]) -> str:
    return ", ".join("x".join(map(str, shape)) or "one number" for shape in shapes)
