"""The parts of a model card that are written from what was measured: tables and the sentences that explain them. Markdown."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

Measured = Mapping[str, Mapping[str, Any]]
"""Variant to what `evaluate` says of the model."""
PLOT = "calibration.png"
FAILURES = "failures.jpg"
_EVIDENCE = {
    "the evidence map": ("evidence_in_lesion", "evidence_hits_lesion"),
    "a blob at the centre of the picture": ("centre_in_lesion", "centre_hits_lesion"),
}
_OF_EVIDENCE = frozenset({"lesion_area", *(name for names in _EVIDENCE.values() for name in names)})
_OF_GATE = frozenset({"own_refused", "foreign_refused", "foreign_auroc"})


def figures_table(measured: Measured) -> Iterator[str]:
    """Every figure that has no section of its own, the variants beside each other."""
    heads = " | ".join(f"{name} (95 % interval)" for name in measured)
    yield from (f"| figure | {heads} |", f"|---|{'---|' * len(measured)}")
    first = next(iter(measured.values()))
    for figure in first["figures"]:
        if figure not in _OF_EVIDENCE | _OF_GATE:
            yield _row(figure, [row["figures"].get(figure) for row in measured.values()])


def calibration(measured: Measured, rule: str, *, plot: bool) -> Iterator[str]:
    """How far probabilities can be trusted; nothing where the answer is no label. `rule`: by which cases are left open."""
    found = {name: row["calibration"] for name, row in measured.items() if "calibration" in row}
    if not found:
        return
    first = next(iter(found.values()))
    yield from ("## Calibration", "")
    if plot:
        yield from (f"![Reliability, and accuracy against the share answered]({PLOT})", "")
    chance = ", ".join(f"{name} {row['ece_by_chance']:.3f}" for name, row in found.items())
    yield (f"Probabilities come from a temperature of {first['temperature']:g}, fitted on the calibration part. `ece` is the expected "
           "calibration error over 15 bins of equal width; so few cases would have had an error even if every probability were "
           f"true: on average {chance}. `aurc` is the mean share of wrong answers over every share that could be answered.")
    promised = first["coverage"]
    kept = [f"{name} {_words(measured[name]['figures']['prediction_set_coverage'])}" for name in found
            if "prediction_set_coverage" in measured[name]["figures"]]
    yield from ("", (f"Prediction sets promise to hold the truth in {100 * promised:g} % of cases like those of the calibration part; held "
                    f"out they do in {', '.join(kept)}."))
    left_open = f"Below a probability of {first['abstain_below']:g} the question is left open."
    told = left_open if first["abstain_below"] else "No question is left open."
    yield from ("", f"{told} {rule}".strip(), "")


def gate(measured: Measured) -> Iterator[str]:
    """What the model does with pictures that it was not made for; nothing where it has no gate."""
    found = {name: row["gate"] for name, row in measured.items() if "gate" in row}
    if not found:
        return
    first = next(iter(found.values()))
    refused = ", ".join(f"{name} {_words(row['own']['refused'])}" for name, row in found.items())
    yield from (
        "## Pictures that it was not made for", "",
        (f"Of {first['own']['pictures']} held-out pictures of its own world (frames of clips counted) it refuses {refused}. Of foreign "
        "pictures, by kind: AUROC, the chance that such a picture is less familiar than one of its own, and the share that is "
        "refused. Nothing of the kinds with a star was seen when the gate was fitted. An interval from 1 to 1 only says that "
        "none of so few was missed."), "",
        f"| kind | pictures | {' | '.join(f'AUROC, {name} | refused, {name}' for name in found)} |",
        f"|---|---:|{'---|---|' * len(found)}",
    )
    for kind, row in first["kinds"].items():
        cells = [_words(gates["kinds"][kind][figure]) for gates in found.values() for figure in ("auroc", "refused")]
        yield f"| {kind}{'' if row['fitted'] else ' *'} | {row['pictures']} | {' | '.join(cells)} |"
    cells = [_words(gates["foreign"][figure]) for gates in found.values() for figure in ("auroc", "refused")]
    yield from (f"| mean of the kinds | | {' | '.join(cells)} |", "")


def evidence(measured: Measured) -> Iterator[str]:
    """Whether the evidence map points at the lesion; nothing where no lesion was outlined."""
    first = next(iter(measured.values()))
    if "evidence_in_lesion" not in first["figures"]:
        return
    area = first["figures"]["lesion_area"]
    names = list(measured)
    yield from (
        "## Evidence", "",
        ("On held-out scans with an outlined lesion, right and wrong answers alike: the share of the map's mass that lies in the "
        "lesion, and how often its highest place does (the pointing game, without a margin). A lesion covers "
        f"{_words(area)} of the picture, which is what a flat map gets."), "",
        f"| map | {' | '.join(f'mass in the lesion, {name} | hits it, {name}' for name in names)} |",
        f"|---|{'---|---|' * len(names)}",
    )
    for told, figures in _EVIDENCE.items():
        yield f"| {told} | {' | '.join(_words(measured[name]['figures'][figure]) for name in names for figure in figures)} |"
    yield ""


def failures(credits_: Sequence[str] | None, *, labels: bool) -> Iterator[str]:
    """What it gets wrong, to look at. `credits_`: of the pictures that are shown; None where none may be. `labels`: whether an
    answer is one label.
    """
    yield from ("## Failures", "")
    if credits_ is None:
        yield ("None of the held-out pictures that would stand here may be passed on. Whoever has the data: "
               "`benchmarks/contact_sheets.py --data DIR --out DIR` draws what the model is wrong about.")
    else:
        told = "cases that it is wrong about, the surest first" if labels else "photos that it does worst on"
        yield from (f"![Held-out {told}]({FAILURES})", "", f"Held-out {told}; only pictures that may be passed on: {'; '.join(credits_)}.")
    yield ""


def _row(name: str, figures: Sequence[Mapping[str, float] | None]) -> str:
    return f"| {name} | {' | '.join('-' if figure is None else _words(figure) for figure in figures)} |"


def _words(figure: Mapping[str, float]) -> str:
    return f"{figure['value']:.3f} ({figure['low']:.3f} to {figure['high']:.3f})"
