"""A custom runtime for MLServer, as its documentation has them: a base64 picture in, labels and probabilities out."""

import numpy as np
from mlserver import MLModel
from mlserver.codecs import NumpyCodec, StringCodec
from mlserver.types import InferenceRequest, InferenceResponse
from serving_task import Classifier


class ClassifierRuntime(MLModel):  # type: ignore[misc] # not installed where types are checked
    """The classifier in each of MLServer's worker processes."""

    async def load(self) -> bool:
        """Makes the interpreter."""
        self._classifier = Classifier()
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        """The five best labels of the first input's picture."""
        (jpeg,) = self.decode(payload.inputs[0])
        best = self._classifier.classify(jpeg)
        return InferenceResponse(model_name=self.name, outputs=[
            StringCodec.encode_output("labels", [label for label, _ in best]),
            NumpyCodec.encode_output("probabilities", np.array([share for _, share in best], np.float32)),
        ])
