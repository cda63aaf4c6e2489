"""What the driver asks of a process and what that tells it: JSON, a line each. No TensorFlow here."""

import msgspec


class Look(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="look"):
    """To open model and data and say what they are. `mean`, `std`: None where the caller didn't tell."""

    model: str
    data: str
    seed: int
    mean: float | None
    std: float | None


class Make(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="make"):
    """To make `variant` into the file `out`. `weights`: the folder in which fine-tuned weights are kept."""

    model: str
    data: str
    seed: int
    mean: float
    std: float
    epochs: int
    variant: str
    out: str
    weights: str


Job = Look | Make


class Said(msgspec.Struct, frozen=True, tag="said"):
    """A line of progress."""

    line: str


class Looked(msgspec.Struct, frozen=True, tag="looked"):
    """What the model is. `no_tfmot`: why it can't be turned into a model of Keras 2; empty where it can."""

    parameters: int
    keras: int
    output: str
    mean: float
    std: float
    no_tfmot: str
    right: int
    tried: int


class Made(msgspec.Struct, frozen=True, tag="made"):
    """The file is there. `proof`: what was counted in it; `peak_bytes`: the process's greatest memory."""

    peak_bytes: int
    proof: str


class NotMade(msgspec.Struct, frozen=True, tag="not_made"):
    """Why not, in a Keras user's words."""

    reason: str


Message = Said | Looked | Made | NotMade
END = (Looked, Made, NotMade)
"""One of these comes last."""
