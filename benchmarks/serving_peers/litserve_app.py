"""A LitServe server as its documentation has them: `python litserve_app.py PORT WORKERS`."""

import base64
import sys
from typing import Any

import litserve as ls
from serving_task import Classifier


class ClassifierAPI(ls.LitAPI):  # type: ignore[misc] # not installed where types are checked
    """The classifier in each of LitServe's worker processes."""

    def setup(self, device: str) -> None:
        """Makes the interpreter."""
        del device
        self._classifier = Classifier()

    def decode_request(self, request: dict[str, str]) -> bytes:
        """The picture of a JSON body, from base64."""
        return base64.b64decode(request["picture"])

    def predict(self, jpeg: bytes) -> list[tuple[str, float]]:
        """The five best labels."""
        best: list[tuple[str, float]] = self._classifier.classify(jpeg)
        return best

    def encode_response(self, best: list[tuple[str, float]]) -> dict[str, Any]:
        """As JSON."""
        return {"best": best}


if __name__ == "__main__":
    ls.LitServer(ClassifierAPI(), accelerator="cpu", workers_per_device=int(sys.argv[2])).run(
        host="127.0.0.1", port=int(sys.argv[1]), generate_client_file=False, log_level="warning",
    )
