"""What `hedgerow model parity` finds, as it is written to JSON. Ratios of signal to difference are in dB; None means that
there is no difference at all.
"""

import msgspec

FORMAT = 1
OWN_DB = 20.0
"""An operator parts the two when its own difference, on the same inputs, is a tenth of its signal: 20 dB."""
END_DB = 10.0
"""So does the operator after which what has built up is a third of the signal: 10 dB."""


class Side(msgspec.Struct, frozen=True):
    """One of the two. `text`: as it was asked for. `device`: in the backend's words."""

    text: str
    file: str
    sha256: str
    device: str
    quantised: bool
    """Whether it computes with integers."""
    compiled: bool
    """Whether its operators were made one, for an Edge TPU."""


class Share(msgspec.Struct, frozen=True):
    """A share of 0 to 1 with its 95 % interval."""

    value: float
    low: float
    high: float


class Answer(msgspec.Struct, frozen=True):
    """What one side says of one input. `margin`: the leading label's probability less the next one's; None where the answer
    holds none. `words`: what else the domain's answer says.
    """

    label: str
    margin: float | None
    words: str = ""


class Apart(msgspec.Struct, frozen=True):
    """One input, with what each side says. `distance`: 0 (the same) to 1, see answers.py. `agree`: share of it on which they do."""

    name: str
    a: Answer
    b: Answer
    agree: float
    distance: float


class Truth(msgspec.Struct, frozen=True):
    """How many of the inputs whose truth is known each side has right, and of those where they differ."""

    known: int
    a_right: int
    b_right: int
    a_alone: int
    b_alone: int


class Decisions(msgspec.Struct, frozen=True):
    """`kind`: label, map (a label for each pixel) or value (no decision: only whether values are the same). `confusion`: rows are A's labels, columns B's, counts of inputs or of pixels.

    `differing`: inputs whose label (or a pixel's) differs; `unlike`: those whose answers differ in anything; `differ_in`: in
    what, and how often.
    """

    kind: str
    output: str
    inputs: int
    groups: int
    agreement: Share
    differing: int
    unlike: int
    differ_in: dict[str, int]
    labels: list[str]
    confusion: list[list[int]]
    margin_where_same: float | None
    margin_where_different: float | None
    apart: list[Apart]
    truth: Truth | None


class OutputParity(msgspec.Struct, frozen=True):
    """One output of the two over all runs. `same_steps`: whether both give integers with one scale, so that they can be
    compared bit by bit; `differing` counts values that aren't equal, `largest` is in B's steps, else in real values.
    """

    name: str
    values: int
    differing: int
    same_steps: bool
    largest: float
    sqnr_db: float | None


class OpParity(msgspec.Struct, frozen=True):
    """One operator that both graphs have. `a` and `b`: its number in each. `matched`: by name, inputs or order.

    `inputs_db`: the least of its inputs; `own_db`: of it alone, given B's inputs; `end_db`: of its output. `largest_steps`: the
    largest difference at the end in steps of the coarser side. `saturated`: share of values beyond what that side's type can hold.
    `noise`: its own difference by that of rounding to the nearest step alone.
    """

    a: int
    b: int
    op: str
    layer: str
    tensor: str
    shape: list[int]
    matched: str
    inputs_db: float | None
    own_db: float | None
    end_db: float | None
    largest_steps: float | None
    saturated: float
    noise: float | None
    has_own: bool


class Parting(msgspec.Struct, frozen=True):
    """Where the two first part. `place`: index into the operators; `rule`: which bound was crossed."""

    place: int
    rule: str
    cause: str
    why: str
    advice: str


class Tensors(msgspec.Struct, frozen=True):
    """The graph, operator by operator. `reference`: a or b, the side that the other is measured against."""

    inputs: int
    reference: str
    ops: list[OpParity]
    unmatched_a: list[str]
    unmatched_b: list[str]
    parting: Parting | None
    weakest: list[int]
    """The operators with the least `own_db`, as indices, worst first."""
    own_bound_db: float = OWN_DB
    end_bound_db: float = END_DB


class Parity(msgspec.Struct, frozen=True):
    """All of it. `identical`: the same bytes on the same kind of device, so nothing was run."""

    a: Side
    b: Side
    data: str
    identical: bool
    decisions: Decisions | None
    outputs: list[OutputParity]
    tensors: Tensors | None
    notes: list[str]
    format: int = FORMAT
