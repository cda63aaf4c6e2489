"""What the case study found, as Markdown."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from benchmarks.case_study_tables import PUBLISHED
from edge_runtime.toolchain.report.markdown import explained, table
from edge_runtime.toolchain.report.rows import Report

MB = 1e6
THEIRS = {"parameters": 3_222_250, "float": 0.8298, "int8": 0.8264, "h5": 38.7, "float32": 12.89, "int8_mb": 3.23}
"""Of the published case study; sizes in MB."""


def page(found: Mapping[str, Any], pictures: str) -> str:
    """The whole of it. `pictures`: what the plots' names begin with."""
    report = msgspec.convert(found["report"], Report)
    parts = (_data(found), _sizes(found, report), _ladder(report, pictures), _op_tables(found["tables"]),
             _bugs(found["bugs"]), _package(found["package"]), _effort(found))
    return "\n".join(line for part in parts for line in part)


def _data(found: Mapping[str, Any]) -> Iterator[str]:
    digits, photos = found["data"]["digits"], found["data"]["photos"]
    yield from _rows(("part", "photos", "digits"), [
        (name, str(photos[part]), str(digits[part]))
        for name, part in (("training", "train"), ("calibration", "calibration"), ("held out", "val"))])
    yield (f"Our crops of the photos differ from the ready-made ones of the data set by {found['data']['differ']} grey levels on "
           "average: they were resized in another way.")
    yield ""


def _sizes(found: Mapping[str, Any], report: Report) -> Iterator[str]:
    trained, float32, int8 = found["training"], report.of("float32"), report.of("int8")
    assert float32 is not None
    assert int8 is not None
    yield "## Size, and what the ratio is of"
    yield ""
    yield from _rows(("", "published", "here"), [
        ("parameters", f"{THEIRS['parameters']:,}", f"{trained['parameters']:,}"),
        (".h5 with the optimiser's state", f"{THEIRS['h5']} MB", f"{trained['h5_bytes'] / MB:.2f} MB"),
        ("float32 .tflite", f"{THEIRS['float32']} MB", f"{float32.size_bytes / MB:.2f} MB"),
        ("int8 .tflite", f"{THEIRS['int8_mb']} MB", f"{int8.size_bytes / MB:.2f} MB"),
        ("**float32 to int8: the honest ratio**", f"{THEIRS['float32'] / THEIRS['int8_mb']:.1f}x",
         f"**{float32.size_bytes / int8.size_bytes:.1f}x**"),
        (".h5 to int8: two optimiser slots more than the network", f"{THEIRS['h5'] / THEIRS['int8_mb']:.0f}x",
         f"{trained['h5_bytes'] / int8.size_bytes:.0f}x"),
        ("accuracy, float32", f"{THEIRS['float']}", f"{float32.figures.main.value:.4f}"),
        ("accuracy, int8", f"{THEIRS['int8']}", f"{int8.figures.main.value:.4f}"),
        ("training digits", "73,257", f"{found['data']['digits']['train']}"),
    ])


def _ladder(report: Report, pictures: str) -> Iterator[str]:
    yield "## Every rung"
    yield ""
    yield from table(report)
    yield ""
    yield from (f"- {line}" for line in explained(report))
    yield ""
    for plot in report.plots:
        yield f"![{plot.removesuffix('.png').replace('_', ' ')}]({pictures}{plot})"
        yield ""


def _op_tables(tables: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    yield "## What the Edge TPU compiler will do"
    yield ""
    rows = [("published: LeakyReLU somewhere", "", "", _counts(PUBLISHED["mapped"]), _counts(PUBLISHED["cpu"]), "")]
    for default, many in zip(tables[::2], tables[1::2], strict=True):
        same = default["mapped"] == many["mapped"]
        rows += [
            (row["network"], row["ends"], option, _counts(row["mapped"]), _counts(row["cpu"]), "yes" if row["is_published"] else "no")
            for row, option in (((default, "with or without `-a`"),) if same else ((default, "none"), (many, "`-a`")))
        ]
    yield from _rows(("network", "ends", "the compiler's option", "mapped", "on the CPU", "as published"), rows)


def _bugs(bugs: Mapping[str, Any]) -> Iterator[str]:
    yield "## What the two mistakes would have cost"
    yield ""
    heads = ("the int8 file's output dequantised with", "accuracy", "sum of the ten probabilities", "least of them", "digits of at least 0.5")
    yield from _rows(heads, [
        (name, f"{row['accuracy']:.4f}", f"{row['sum']:.3f}", f"{row['least']:.3f}", f"{row['sure']:.1%}")
        for name, row in (("its own scale and zero point", bugs["right"]), ("the input's", bugs["input_scale"]))])
    yield f"`resize_tensor_input` on the output's index: {bugs['resize']}."
    yield ""


def _package(package: Mapping[str, Any]) -> Iterator[str]:
    yield "## The package"
    yield ""
    for name, reason in package["refused"].items():
        yield f"The release gate refused `{name}`: {reason}"
        yield ""
    yield f"Its int8 file is the variant `{package['variant']}`. Held out, over the gateway's own decoding and flow:"
    yield ""
    figures = package["metrics"]["int8"]
    yield from _rows(("figure", "float32", "int8"), [
        (name, _interval(package["metrics"]["float32"][name]), _interval(figures[name]))
        for name in figures if not name.startswith("recall")])


def _effort(found: Mapping[str, Any]) -> Iterator[str]:
    run, training = found["run"], found["training"]
    yield "## Time and memory"
    yield ""
    variants = found["variants"]["variants"]
    rows = [("training", f"{training['seconds']:.0f}", f"{training['peak_bytes'] / MB:.0f}")]
    rows += [(name, f"{made['seconds']:.0f}", f"{made['peak_bytes'] / MB:.0f}") for name, made in variants.items()]
    if run:
        rows.append(("**all of `make case-study`**", f"**{run['seconds']}**", f"**{run['peak_bytes'] / MB:.0f}**"))
    yield from _rows(("step", "seconds", "peak memory of a process, MB"), rows)
    yield (f"On {training['cores']} cores, the environment already made, seed {training['seed']}, {training['epochs']} epochs. "
           "Times of a run that takes up finished steps don't count.")
    yield ""


def _counts(operators: Mapping[str, int]) -> str:
    listed = ", ".join(f"{name} {count}" for name, count in operators.items())
    return f"**{sum(operators.values())}**: {listed}" if listed else "0"


def _interval(figure: Mapping[str, float]) -> str:
    return f"{figure['value']:.3f} ({figure['low']:.3f} to {figure['high']:.3f})"


def _rows(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(heads)} |"
    yield f"|{'---|' * len(heads)}"
    yield from (f"| {' | '.join(row)} |" for row in rows)
    yield ""
