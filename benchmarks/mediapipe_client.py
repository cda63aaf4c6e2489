"""Opens a package's float32 file in MediaPipe Tasks, by the TFLite Metadata in it alone, and compares with the interpreter.

    pip install mediapipe ai-edge-litert
    python benchmarks/mediapipe_client.py MODEL.tflite PICTURE

Nothing of Hedgerow is needed. MediaPipe gets the file and the picture; labels, normalisation and, for segmentation, the
softmax come from the metadata. Both run on the picture scaled to the model's input, so that they see the same pixels; a
second line gives MediaPipe's answer to the picture as it is, which it scales in its own way.
"""

import argparse
import importlib
import json
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

MEAN_STD = 127.0, 128.0
HEAD = "logits"


def main() -> int:
    """0 where both name the same class (of a picture, or of at least 99 % of the pixels), otherwise 1."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("picture", type=Path)
    parser.add_argument("--mean", type=float, default=MEAN_STD[0], help="what the interpreter's pixels are normalised with")
    parser.add_argument("--std", type=float, default=MEAN_STD[1])
    given = parser.parse_args()
    read = cv2.imread(str(given.picture), cv2.IMREAD_COLOR)
    if read is None:
        parser.error(f"{given.picture} is no picture")
    picture = np.asarray(cv2.cvtColor(read, cv2.COLOR_BGR2RGB), np.uint8)
    runner = importlib.import_module("ai_edge_litert.interpreter").Interpreter(model_path=str(given.model)).get_signature_runner()
    ((name, details),) = runner.get_input_details().items()
    _, height, width, channels = (int(side) for side in details["shape"])
    if details["dtype"] != np.float32 or channels != 3:
        parser.error(f"{given.model.name} takes {np.dtype(details['dtype']).name} pixels of {channels} channels: MediaPipe Tasks "
                     "opens neither int8 nor grey pictures, whatever the metadata say; compare the float32 file of a colour model")
    scaled = np.asarray(cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA), np.uint8)
    ours = runner(**{name: ((scaled.astype(np.float32) - given.mean) / given.std)[None]})[HEAD][0]
    compare = classify if ours.ndim == 1 else segment
    found = compare(str(given.model), ours, scaled, picture)
    print(json.dumps(found, indent=2))
    return 0 if found["same"] else 1


def classify(model: str, ours: NDArray[np.float32], scaled: NDArray[np.uint8], picture: NDArray[np.uint8]) -> dict[str, Any]:
    """Scores by label of both; MediaPipe shows a file's outputs as heads, ours is called `logits`."""
    vision, options = _vision(model, "ImageClassifierOptions")
    with vision.ImageClassifier.create_from_options(options) as classifier:
        heads = [{head.head_name: head.categories for head in classifier.classify(_image(pixels)).classifications}
                 for pixels in (scaled, picture)]
    named = [{category.category_name: category.score for category in found[HEAD]} for found in heads]
    theirs = {category.index: category for category in heads[0][HEAD]}
    labels = [theirs[index].category_name for index in range(len(ours))]
    scores = np.array([theirs[index].score for index in range(len(ours))])
    return {
        "same": int(scores.argmax()) == int(ours.argmax()),
        "mediapipe": _rounded(dict(zip(labels, scores.tolist(), strict=True))),
        "interpreter": _rounded(dict(zip(labels, ours.tolist(), strict=True))),
        "largest_difference": round(float(np.abs(scores - ours).max()), 6),
        "mediapipe_on_the_picture_as_it_is": _rounded(named[1]),
    }


def segment(model: str, ours: NDArray[np.float32], scaled: NDArray[np.uint8], picture: NDArray[np.uint8]) -> dict[str, Any]:
    """Shares of each class over the picture, and of pixels that both call the same."""
    vision, options = _vision(model, "ImageSegmenterOptions", output_confidence_masks=True)
    with vision.ImageSegmenter.create_from_options(options) as segmenter:
        labels = list(segmenter.labels)
        masks = [_masks(segmenter, pixels) for pixels in (scaled, picture)]
    odds = np.exp(ours - ours.max(axis=-1, keepdims=True))
    size = (scaled.shape[1], scaled.shape[0])
    own = np.asarray(cv2.resize(odds / odds.sum(axis=-1, keepdims=True), size, interpolation=cv2.INTER_LINEAR))
    same = float((own.argmax(axis=-1) == masks[0].argmax(axis=-1)).mean())
    shares = [{label: float((found.argmax(axis=-1) == index).mean()) for index, label in enumerate(labels)}
              for found in (masks[0], own, masks[1])]
    return {
        "same": same >= 0.99,
        "pixels_of_the_same_class": round(same, 4),
        "mediapipe": _rounded(shares[0]),
        "interpreter": _rounded(shares[1]),
        "mean_difference_of_confidence": round(float(np.abs(own - masks[0]).mean()), 6),
        "mediapipe_on_the_picture_as_it_is": _rounded(shares[2]),
    }


def _vision(model: str, options: str, **more: Any) -> tuple[Any, Any]:
    python = importlib.import_module("mediapipe.tasks.python")
    vision = importlib.import_module("mediapipe.tasks.python.vision")
    return vision, getattr(vision, options)(base_options=python.BaseOptions(model_asset_path=model), **more)


def _image(pixels: NDArray[np.uint8]) -> Any:
    mediapipe = importlib.import_module("mediapipe")
    return mediapipe.Image(image_format=mediapipe.ImageFormat.SRGB, data=np.ascontiguousarray(pixels))


def _masks(segmenter: Any, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    return np.concatenate([np.atleast_3d(mask.numpy_view()) for mask in segmenter.segment(_image(pixels)).confidence_masks], axis=-1)


def _rounded(values: dict[str, float]) -> dict[str, float]:
    return {name: round(value, 4) for name, value in values.items()}


if __name__ == "__main__":
    sys.exit(main())
