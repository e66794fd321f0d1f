"""MLServer with a custom runtime, over Open Inference Protocol JSON."""

from __future__ import annotations

import numpy as np
from mlserver import MLModel
from mlserver.codecs import NumpyCodec
from mlserver.types import InferenceRequest, InferenceResponse


class Softmax(MLModel):
    """Softmax of each row."""

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        """Return the probabilities."""
        logits = NumpyCodec.decode_input(payload.inputs[0])
        exponentials = np.exp(logits - logits.max(axis=-1, keepdims=True))
        probabilities = exponentials / exponentials.sum(axis=-1, keepdims=True)
        output = NumpyCodec.encode_output("probabilities", probabilities)
        return InferenceResponse(model_name=self.name, outputs=[output])
