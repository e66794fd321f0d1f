"""Flask behind gunicorn with threads, which keeps connections open."""

from __future__ import annotations

import numpy as np
from flask import Flask, Response, jsonify, request

app = Flask(__name__)


@app.post("/softmax")
def softmax() -> Response:
    """Return the softmax of each row."""
    logits = np.array(request.get_json()["logits"])
    exponentials = np.exp(logits - logits.max(axis=-1, keepdims=True))
    probabilities = exponentials / exponentials.sum(axis=-1, keepdims=True)
    return jsonify(probabilities=probabilities.tolist())
