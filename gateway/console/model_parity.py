"""`hedgerow model parity` for people: what the two decide, and the table along the graph."""

from collections.abc import Iterator
from pathlib import Path

import msgspec
from rich.box import SIMPLE_HEAD
from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Table

from edge_runtime.folders import write_whole
from edge_runtime.toolchain.parity.plot import can_plot, draw
from edge_runtime.toolchain.parity.report import Answer, Decisions, OpParity, OutputParity, Parity, Tensors

_CONFUSION_UP_TO = 12
_UNMATCHED_SHOWN = 8
_MOST_DB = 99.0


def as_text(parity: Parity) -> str:
    """The whole of it as JSON."""
    return msgspec.json.format(msgspec.json.encode(parity), indent=2).decode()


def write(parity: Parity, folder: Path) -> list[Path]:
    """`parity.json`, and `parity.png` where the graphs were compared and matplotlib is there. Raises OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "parity.json"
    write_whole(path, as_text(parity).encode() + b"\n")
    if parity.tensors is None or not can_plot():
        return [path]
    draw(parity, parity.tensors, folder / "parity.png")
    return [path, folder / "parity.png"]


def parity_view(parity: Parity) -> RenderableType:
    """For a terminal."""
    lines: list[RenderableType] = [
        f"[bold]{name}[/bold] {escape(side.text)} on {escape(side.device)}, SHA-256 {side.sha256[:12]}"
        for name, side in (("A", parity.a), ("B", parity.b))
    ]
    lines += [escape(note) for note in parity.notes]
    if parity.decisions is not None:
        lines += ["", *_decisions(parity.decisions)]
    lines += ["", *(_output(output) for output in parity.outputs)] if parity.outputs else []
    if parity.tensors is not None:
        lines += ["", _graph(parity.tensors), *_verdict(parity.tensors)]
    return Group(*lines)


def _decisions(found: Decisions) -> Iterator[RenderableType]:
    share = found.agreement
    what = {"label": "the same label", "map": "the same label for a pixel", "value": "the very same values"}[found.kind]
    yield (
        f"[bold]Decisions[/bold]: {what} in {share.value:.2%} (95 % interval {share.low:.2%} to {share.high:.2%}), "
        f"{found.inputs} inputs in {found.groups} groups; {found.differing} inputs differ"
    )
    if found.differ_in:
        yield "  also different: " + ", ".join(f"{escape(name)} in {count}" for name, count in found.differ_in.items())
    same, different = found.margin_where_same, found.margin_where_different
    if same is not None:
        more = f", {different:.3f} where they differ" if different is not None else ""
        yield f"  margin of the leading label: {same:.3f} where they agree{more}"
    if found.truth is not None:
        truth = found.truth
        yield (
            f"  right: A {truth.a_right} and B {truth.b_right} of {truth.known}; A alone {truth.a_alone}, B alone {truth.b_alone}"
        )
    if found.differing and 1 < len(found.labels) <= _CONFUSION_UP_TO:
        yield _confusion(found)
    if found.apart:
        yield _apart(found)


def _confusion(found: Decisions) -> Table:
    table = Table(title="A's labels in rows, B's in columns" + (", pixels" if found.kind == "map" else ""), title_justify="left")
    table.add_column("A \\ B")
    for label in found.labels:
        table.add_column(escape(label), justify="right")
    for number, (label, row) in enumerate(zip(found.labels, found.confusion, strict=True)):
        cells = (f"{count}" if place == number or not count else f"[yellow]{count}[/yellow]" for place, count in enumerate(row))
        table.add_row(escape(label), *cells)
    return table


def _apart(found: Decisions) -> Table:
    table = Table(title="Inputs that part most", title_justify="left")
    for column in ("input", "A", "B"):
        table.add_column(column, overflow="fold")
    table.add_column("distance", justify="right")
    for row in found.apart:
        style = "yellow" if row.agree < 1 else None
        table.add_row(escape(row.name), _answer(row.a), _answer(row.b), f"{row.distance:.4f}", style=style)
    return table


def _answer(answer: Answer) -> str:
    margin = f" (+{answer.margin:.3f})" if answer.margin is not None else ""
    return escape(answer.label + margin + (f"\n{answer.words}" if answer.words else ""))


def _output(output: OutputParity) -> str:
    name = f"[bold]Output {escape(output.name)}[/bold]"
    if not output.differing:
        return f"{name}: {'bit for bit ' if output.same_steps else ''}the same in all {output.values} values"
    largest = f"{output.largest:.0f} steps" if output.same_steps else f"{output.largest:.3g}"
    return f"{name}: {output.differing} of {output.values} values differ, at most by {largest}; {_db(output.sqnr_db)} dB"


def _graph(found: Tensors) -> Table:
    other = "B" if found.reference == "a" else "A"
    table = Table(
        title=f"Tensor by tensor, {found.inputs} inputs, against {found.reference.upper()}: signal to difference in dB of what an operator "
        f"reads (in), of it alone given {other}'s inputs (own), of what it gives (end); the largest difference in steps",
        title_justify="left", box=SIMPLE_HEAD, padding=(0, 1, 0, 0),
    )
    cuts = any(op.saturated for op in found.ops)
    for column in ("operator", "layer"):
        table.add_column(column, overflow="fold")
    for column in ("in", "own", "end", "steps", *(["cut off"] if cuts else [])):
        table.add_column(column, justify="right", no_wrap=True)
    width = max(len(_number(op)) for op in found.ops)
    for place, op in enumerate(found.ops):
        parts = found.parting is not None and place == found.parting.place
        cells = _cells(op, width) if cuts else _cells(op, width)[:-1]
        table.add_row(*cells, style="bold red" if parts else "yellow" if _is_below(op, found) else None)
    return table


def _cells(op: OpParity, width: int) -> tuple[str, ...]:
    steps = "" if op.largest_steps is None else f"{op.largest_steps:.1f}"
    name = f"{_number(op):>{width}} {op.op}{' ?' if op.matched == 'order' else ''}"
    own = _db(op.own_db) if op.has_own else "-"
    cut = f"{op.saturated:.2%}" if op.saturated else ""
    return name, escape(op.layer), _db(op.inputs_db), own, _db(op.end_db), steps, cut


def _number(op: OpParity) -> str:
    """Its number in both graphs."""
    return f"{op.a}" if op.a == op.b else f"{op.a}/{op.b}"


def _is_below(op: OpParity, found: Tensors) -> bool:
    own, end = op.own_db, op.end_db
    return (own is not None and own < found.own_bound_db) or (end is not None and end < found.end_bound_db)


def _verdict(found: Tensors) -> Iterator[str]:
    for name, unmatched in (("A", found.unmatched_a), ("B", found.unmatched_b)):
        if unmatched:
            shown = ", ".join(unmatched[:_UNMATCHED_SHOWN])
            more = f" and {len(unmatched) - _UNMATCHED_SHOWN} more" if len(unmatched) > _UNMATCHED_SHOWN else ""
            yield f"Only in {name}: {shown}{more}"
    if any(op.matched == "order" for op in found.ops):
        yield "? matched by its place among the others alone"
    weakest = ", ".join(f"{_place(found.ops[i])} {_db(found.ops[i].own_db)} dB" for i in found.weakest)
    if found.parting is None:
        yield (
            f"[green]They don't part[/green]: no operator keeps less than {found.own_bound_db:.0f} dB by itself, nothing ends below "
            f"{found.end_bound_db:.0f} dB."
        )
    else:
        part, op = found.parting, found.ops[found.parting.place]
        yield f"[bold red]They first part at {_place(op)}[/bold red]: {part.rule}; its inputs {_inputs(op)}."
        yield f"  tensor {escape(op.tensor)}"
        yield f"  why: {escape(part.why)}"
        yield f"  what to do: {escape(part.advice)}"
    if weakest:
        yield f"Weakest by themselves: {weakest}"


def _inputs(op: OpParity) -> str:
    return "were the same" if op.inputs_db is None else f"had {_db(op.inputs_db)} dB"


def _place(op: OpParity) -> str:
    layer = f" ({escape(op.layer)})" if op.layer else ""
    return f"{op.op} {op.a}{layer}" if op.a == op.b else f"{op.op} {op.a} in A, {op.b} in B{layer}"


def _db(value: float | None) -> str:
    if value is None:
        return "same"
    return f"{value:.1f}" if value < _MOST_DB else f">{_MOST_DB:.0f}"
