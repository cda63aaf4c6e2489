"""The task of benchmarks/serving.py as any user would write it: one JPEG in, the five best labels out.

Imports nothing of Hedgerow: the bare loop and the other servers run it in environments of their own.
"""

import os
from typing import Any

import cv2
import numpy as np
from ai_edge_litert.interpreter import Interpreter

MODEL_VARIABLE = "SERVING_MODEL"
"""Environment variable with the TFLite file's path, for servers that other programs start."""
BEST = 5


class Classifier:
    """One single-threaded interpreter. Not for several threads at once. `halves`: whether pictures are halved as often as they can be
    before they get their size, as Hedgerow does it.
    """

    def __init__(self, path: str = "", *, halves: bool = False) -> None:
        self._halves = halves
        cv2.setNumThreads(1)
        self._interpreter = Interpreter(model_path=path or os.environ[MODEL_VARIABLE], num_threads=1)
        self._interpreter.allocate_tensors()
        taken, given = self._interpreter.get_input_details()[0], self._interpreter.get_output_details()[0]
        self._input, self._output = taken["index"], given["index"]
        self._size = (int(taken["shape"][2]), int(taken["shape"][1]))
        self._scale, self._zero_point = given["quantization"]

    def decoded(self, jpeg: bytes) -> Any:
        """The model's input of a whole, full-size JPEG: uint8 (1, height, width, 3), RGB. Raises ValueError for anything else."""
        picture = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR_RGB)
        if picture is None:
            raise ValueError("no picture")
        while self._halves and picture.shape[0] >= 3 * self._size[1] and picture.shape[1] >= 3 * self._size[0]:
            picture = cv2.resize(picture, (picture.shape[1] // 2, picture.shape[0] // 2), interpolation=cv2.INTER_AREA)
        return cv2.resize(picture, self._size, interpolation=cv2.INTER_AREA)[np.newaxis]

    def invoked(self, pixels: Any) -> Any:
        """The model's output for its input."""
        self._interpreter.set_tensor(self._input, pixels)
        self._interpreter.invoke()
        return self._interpreter.get_tensor(self._output)

    def classify(self, jpeg: bytes) -> list[tuple[str, float]]:
        """The five best labels with their probabilities, the best first."""
        scores = self.invoked(self.decoded(jpeg))[0]
        best = np.argsort(-scores.astype(np.int16), kind="stable")[:BEST]
        return [(f"class {index}", round((int(scores[index]) - self._zero_point) * self._scale, 6)) for index in best]
