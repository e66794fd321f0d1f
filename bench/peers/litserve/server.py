"""LitServe with one worker and one HTTP process."""

import sys
from typing import Any

import litserve
import numpy as np
import numpy.typing as npt


class Softmax(litserve.LitAPI):
    """Softmax of each row."""

    def setup(self, device: str) -> None:
        """Load nothing."""

    # without a type the parsed body is passed unchanged, the fastest way
    def decode_request(self, request) -> npt.NDArray[np.float64]:  # noqa: ANN001
        """Return an array of the nested lists."""
        return np.array(request["logits"])

    def predict(self, logits: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Return the probabilities."""
        exponentials = np.exp(logits - logits.max(axis=-1, keepdims=True))
        return exponentials / exponentials.sum(axis=-1, keepdims=True)

    def encode_response(self, probabilities: npt.NDArray[np.float64]) -> dict[str, Any]:
        """Return nested lists of the array."""
        return {"probabilities": probabilities.tolist()}


if __name__ == "__main__":
    server = litserve.LitServer(Softmax(api_path="/softmax"), accelerator="cpu", workers_per_device=1, timeout=False)
    server.run(
        host="127.0.0.1",
        port=int(sys.argv[1]),
        num_api_servers=1,
        log_level="warning",
        generate_client_file=False,
        access_log=False,
    )
