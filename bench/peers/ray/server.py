"""Ray Serve with FastAPI ingress: one proxy, one replica."""

import sys

import numpy as np
import ray
from fastapi import FastAPI
from pydantic import BaseModel
from ray import serve
from ray.serve.schema import LoggingConfig

app = FastAPI()


class Request(BaseModel):
    """Rows of logits."""

    logits: list[list[float]]


class Reply(BaseModel):
    """Rows of probabilities."""

    probabilities: list[list[float]]


@serve.deployment(num_replicas=1, max_ongoing_requests=100)
@serve.ingress(app)
class Softmax:
    """Softmax of each row."""

    @app.post("/softmax")
    async def softmax(self, request: Request) -> Reply:
        """Return the probabilities."""
        logits = np.array(request.logits)
        exponentials = np.exp(logits - logits.max(axis=-1, keepdims=True))
        probabilities = exponentials / exponentials.sum(axis=-1, keepdims=True)
        return Reply(probabilities=probabilities.tolist())


if __name__ == "__main__":
    logging = LoggingConfig(enable_access_log=False, log_level="WARNING")
    ray.init(address="local", num_cpus=1, include_dashboard=False, log_to_driver=False)
    serve.start(
        proxy_location="HeadOnly", http_options={"host": "127.0.0.1", "port": int(sys.argv[1])}, logging_config=logging
    )
    serve.run(Softmax.bind(), blocking=True, logging_config=logging)
