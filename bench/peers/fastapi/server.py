"""Plain FastAPI with the tensor as nested lists: once in a thread, once on the event loop."""

from __future__ import annotations

import numpy as np
from fastapi import FastAPI
from pydantic import BaseModel


class Request(BaseModel):
    """Rows of logits."""

    logits: list[list[float]]


class Reply(BaseModel):
    """Rows of probabilities."""

    probabilities: list[list[float]]


app = FastAPI()


@app.post("/softmax")
def softmax(request: Request) -> Reply:
    """Return the softmax of each row, in a thread of FastAPI."""
    logits = np.array(request.logits)
    exponentials = np.exp(logits - logits.max(axis=-1, keepdims=True))
    probabilities = exponentials / exponentials.sum(axis=-1, keepdims=True)
    return Reply(probabilities=probabilities.tolist())


@app.post("/async-softmax")
async def async_softmax(request: Request) -> Reply:
    """Return the softmax of each row, on the event loop."""
    return softmax(request)
