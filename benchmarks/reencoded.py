"""What `hedgerow model reencode` does to the uint8 models that were published for the Coral: speed, size, and whether answers stay.

    .venv/bin/python benchmarks/reencoded.py --data DIR [--runs 100] [--quick]

DIR holds `edgetpu_pairs` (google-coral/edgetpu, Apache-2.0) and photos in `crop_peanut/images`, none of which the models were made for:
their labels are close calls. One thread; the two files of a model take turns. The table goes into docs/reencode.md, unless --quick.

A label that changes says little unless it is known how easily it does: so the published file is also run by TFLite's own kernels, without
XNNPACK, which round in other places.
"""

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.serving_tables import put
from edge_runtime.toolchain.reencode import Reencoded, reencode
from tests.gateway_process import ROOT

PAGE = ROOT / "docs" / "reencode.md"


class Network:
    """One interpreter with one thread. `own_kernels`: TFLite's own, without XNNPACK."""

    def __init__(self, path: Path, *, own_kernels: bool = False) -> None:
        resolver = OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES if own_kernels else OpResolverType.AUTO
        self._interpreter = Interpreter(model_path=str(path), num_threads=1, experimental_op_resolver_type=resolver)
        self._interpreter.allocate_tensors()
        (self._input,), self._output = self._interpreter.get_input_details(), self._interpreter.get_output_details()[0]["index"]
        self.took_ms: list[float] = []

    def answer(self, picture: NDArray[np.uint8]) -> NDArray[np.generic]:
        """Its first output for a picture of any size, uint8 RGB (height, width, 3)."""
        _, height, width, _ = self._input["shape"]
        self._interpreter.set_tensor(self._input["index"], cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA)[np.newaxis])
        began = time.perf_counter()
        self._interpreter.invoke()
        self.took_ms.append((time.perf_counter() - began) * 1000)
        found: NDArray[np.generic] = self._interpreter.get_tensor(self._output)
        return found


@dataclass(frozen=True, slots=True)
class Compared:
    """One model: `same` and `same_by_kernels` are means over pictures of whether the leading label is that of the published file, or of a
    map which share of it.
    """

    name: str
    made: Reencoded
    published_bytes: int
    ms: float
    ms_in_int8: float
    same: float
    same_by_kernels: float

    def row(self) -> str:
        return (f"| {self.name} | {self.ms:.2f} | {self.ms_in_int8:.2f} | **{self.ms / self.ms_in_int8:.2f}** | {self.made.rounded:,} of "
                f"{self.made.channels:,} | {self.published_bytes / 1e6:.2f} | {len(self.made.content) / 1e6:.2f} | {self.same:.1%} "
                f"| {self.same_by_kernels:.1%} |")


def compare(path: Path, made: Reencoded, folder: Path, pictures: Sequence[Any], runs: int) -> Compared:
    """The published file, the one made of it, and the published one by other kernels, on the same pictures in turns."""
    again = folder / path.name
    again.write_bytes(made.content)
    networks = Network(path), Network(again), Network(path, own_kernels=True)
    same: list[tuple[float, float]] = []
    for number in range(max(runs, len(pictures))):
        answers = [network.answer(pictures[number % len(pictures)]) for network in networks]
        if number < len(pictures):
            same.append((alike(answers[0], answers[1]), alike(answers[0], answers[2])))
    ms, ms_in_int8 = (statistics.median(network.took_ms) for network in networks[:2])
    shares = [sum(column) / len(same) for column in zip(*same, strict=True)]
    return Compared(path.stem, made, path.stat().st_size, ms, ms_in_int8, *shares)


def alike(one: NDArray[np.generic], other: NDArray[np.generic]) -> float:
    """Of scores, (1, labels): whether the same leads, 1 or 0. Of a map of labels: the share of its places that are the same."""
    return float(one.argmax() == other.argmax() if one.ndim == 2 else (one == other).mean())


def models(folder: Path) -> Iterator[tuple[Path, Reencoded]]:
    """Those that take pictures and can be encoded anew, each with what is made of it."""
    for path in sorted(folder.glob("*_quant.tflite")):
        try:
            made = reencode(path)
        except ValueError as error:
            print(error, file=sys.stderr)
        else:
            yield path, made


def main() -> None:
    """Measures, prints the table, and puts it into the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--runs", type=int, default=100)
    parser.add_argument("--quick", action="store_true", help="a few pictures, to see that it works: changes nothing in the page")
    given = parser.parse_args()
    files = sorted((given.data / "crop_peanut" / "images").glob("*.jpg"))[:3 if given.quick else None]
    pictures = [cv2.imread(str(file), cv2.IMREAD_COLOR_RGB) for file in files]
    with tempfile.TemporaryDirectory() as name:
        found = [compare(path, made, Path(name), pictures, 1 if given.quick else given.runs)
                 for path, made in models(given.data / "edgetpu_pairs")]
    text = "\n".join([
        f"One thread, {len(pictures)} photos.", "",
        "| model | uint8, ms | int8, ms | times as fast | channels rounded | uint8, MB | int8, MB | same label | the same, of uint8 by other kernels |",
        "|---|---|---|---|---|---|---|---|---|", *(one.row() for one in found)])
    print(text)
    if not given.quick:
        put(PAGE, "reencoded", text)


if __name__ == "__main__":
    main()
