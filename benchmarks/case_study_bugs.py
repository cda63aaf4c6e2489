"""What the two mistakes of the published script would have cost on these digits: made on purpose, beside what is right."""

from pathlib import Path
from typing import Any

import numpy as np
from ai_edge_litert.interpreter import Interpreter
from numpy.typing import NDArray

from domains.house_numbers.training import RECIPES
from edge_runtime.toolchain.interpret import Runner, dequantise

SURE = 0.5
"""A caller's threshold of the kind that scripts have: below it a digit is not stood by."""


def costs(int8: Path, digits: Path) -> dict[str, Any]:
    """Of the int8 file on the held-out digits: accuracy, mean sum of the ten probabilities, their least value, and the share of
    digits of at least SURE, dequantised with the output's own scale and with the input's.
    """
    runner = Runner(int8, spec=RECIPES[0].identity.input)
    with np.load(digits, allow_pickle=False) as arrays:
        images, truth = arrays["test_images"], arrays["test_labels"]
    raw = np.concatenate([runner.invoke_raw(runner.encode(image[None]))[0] for image in images])
    return {"right": _measured(dequantise(raw, runner.outputs[0]), truth),
            "input_scale": _measured(dequantise(raw, runner.input), truth),
            "resize": resized(int8, len(images))}


def resized(path: Path, pictures: int) -> str:
    """What comes of `resize_tensor_input` on the output's index, asked for so many rows: a sentence."""
    interpreter = Interpreter(model_path=str(path))
    end = interpreter.get_output_details()[0]
    try:
        interpreter.resize_tensor_input(end["index"], [pictures, *end["shape"][1:].tolist()])
        interpreter.allocate_tensors()
        given = interpreter.get_input_details()[0]
        interpreter.set_tensor(given["index"], np.zeros(given["shape"], given["dtype"]))
        interpreter.invoke()
    except (ValueError, RuntimeError) as error:
        return f"refused: {str(error).strip().partition(chr(10))[0]}"
    shape = interpreter.get_tensor(end["index"]).shape
    return f"no error: asked for {pictures} rows, the output has {shape[0]}"


def _measured(probabilities: NDArray[np.float32], truth: NDArray[np.int64]) -> dict[str, float]:
    leading = probabilities.max(axis=1)
    return {
        "accuracy": round(float((probabilities.argmax(axis=1) == truth).mean()), 4),
        "sum": round(float(probabilities.sum(axis=1).mean()), 3),
        "least": round(float(probabilities.min()), 3),
        "sure": round(float((leading >= SURE).mean()), 4),
    }
