"""Scores the prediction of `hedgerow model check` against a folder of real models and what Google's compiler made of them.

    python benchmarks/edgetpu_hit_rate.py FOLDER [--json FILE]

FOLDER holds X.tflite and X_edgetpu.tflite. An operator counts as right where as many of its kind stay on the CPU as really did.
"""

import argparse
import json
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path

from edge_runtime.toolchain.edgetpu.compiled import read_compiled
from edge_runtime.toolchain.edgetpu.predict import predict
from edge_runtime.toolchain.tflite import read_model

_SUFFIX = "_edgetpu.tflite"


@dataclass(frozen=True, slots=True)
class Score:
    """One model: operators mapped and bytes on the chip, as predicted and as the compiler did it."""

    model: str
    ops: int
    mapped: int
    really_mapped: int
    same_kinds: bool
    cached_bytes: int
    really_cached_bytes: int
    streamed_bytes: int
    really_streamed_bytes: int

    @property
    def off(self) -> float:
        """How far the bytes are off, as a share of the real ones."""
        return self.cached_bytes / self.really_cached_bytes - 1 if self.really_cached_bytes else float(bool(self.cached_bytes))


def score(source: Path, compiled_path: Path) -> Score:
    """Predicts one model and reads what became of it. Raises ValueError where a file can't be read."""
    model, compiled = read_model(source), read_compiled(compiled_path)
    found = predict(model)
    left = Counter(op.name for op in found.ops if not op.mapped)
    return Score(
        source.stem, found.ops_total, found.ops_mapped, found.ops_total - len(compiled.ops_on_cpu), left == Counter(compiled.ops_on_cpu),
        found.parameter_bytes, compiled.cached_bytes, found.streamed_bytes, compiled.streamed_bytes,
    )


def main() -> None:
    """Prints a line for each pair and the hit rate; writes them as JSON where asked to."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--json", type=Path, dest="document")
    options = parser.parse_args()
    scores = []
    for compiled in sorted(options.folder.glob(f"*{_SUFFIX}")):
        source = compiled.with_name(f"{compiled.name.removesuffix(_SUFFIX)}.tflite")
        if source.is_file():
            scores.append(score(source, compiled))
    if not scores:
        parser.error(f"{options.folder} holds no pair X.tflite, X{_SUFFIX}")
    for one in scores:
        ops = "same" if one.same_kinds else "OTHER"
        print(f"{one.model:52} ops {one.mapped:3}/{one.ops:3} really {one.really_mapped:3} {ops:5}"
              f"  bytes {one.cached_bytes:9,} really {one.really_cached_bytes:9,} {one.off:+8.2%}")
    right, near = sum(one.same_kinds for one in scores), sum(abs(one.off) <= 0.15 for one in scores)
    print(f"operators right: {right} of {len(scores)}; bytes within 15 %: {near} of {len(scores)}")
    if options.document:
        document = {"right": right, "within_15_percent": near, "pairs": [{**asdict(one), "off": one.off} for one in scores]}
        options.document.write_text(json.dumps(document, indent=2) + "\n")


if __name__ == "__main__":
    main()
