"""BentoML with array types."""

from __future__ import annotations

import bentoml
import numpy as np
import numpy.typing as npt


class Reply(bentoml.IODescriptor):
    """Rows of probabilities."""

    probabilities: npt.NDArray[np.float64]


@bentoml.service(workers=1, logging={"access": {"enabled": False}})
class Softmax:
    """Softmax of each row."""

    @bentoml.api
    def softmax(self, logits: npt.NDArray[np.float64]) -> Reply:
        """Return the probabilities."""
        exponentials = np.exp(logits - logits.max(axis=-1, keepdims=True))
        return Reply(probabilities=exponentials / exponentials.sum(axis=-1, keepdims=True))
