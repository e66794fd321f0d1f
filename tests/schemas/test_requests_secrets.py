"""Test that errors never repeat values of the client, which would reach logs."""

from __future__ import annotations

from math import inf, nan
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from service.errors import ServiceError
from service.operations import OPERATIONS, execute
from tests.schemas.requests import named, read

if TYPE_CHECKING:
    from service.operations.spec import Operation

SOFTMAX, LOSS, GRADIENT, _ = OPERATIONS

MARKER = 271828.1828
WORD = "swordfish"

LEAKS: list[tuple[Operation, dict[str, Any]]] = [
    (SOFTMAX, {"logits": [MARKER], f"{WORD}?": 1}),
    (SOFTMAX, {"logits": [MARKER], f"{WORD} {MARKER}": MARKER, f"{WORD}!": WORD}),
    (SOFTMAX, {"logits": [MARKER, WORD]}),
    (SOFTMAX, {"logits": WORD}),
    (SOFTMAX, {"logits": {WORD: MARKER}}),
    (SOFTMAX, {"logits": [[MARKER], [MARKER, MARKER]]}),
    (SOFTMAX, {"logits": [MARKER], "temperature": -MARKER}),
    (SOFTMAX, {"logits": [MARKER], "temperature": WORD}),
    (SOFTMAX, {"logits": [MARKER], "temperature": [MARKER, WORD]}),
    (SOFTMAX, {"logits": [MARKER], "top_k": 271828}),
    (SOFTMAX, {"logits": [MARKER], "top_k": MARKER}),
    (SOFTMAX, {"logits": [MARKER], "dtype": WORD}),
    (SOFTMAX, {"logits": [MARKER], "outputs": [WORD]}),
    (SOFTMAX, {"logits": [MARKER], "outputs": [MARKER]}),
    (SOFTMAX, {"logits": [MARKER], "outputs": {WORD: WORD}}),
    (SOFTMAX, {"logits": [MARKER], "outputs": WORD}),
    (SOFTMAX, {"logits": [MARKER], "weights": [[MARKER]]}),
    (SOFTMAX, {"logits": [MARKER], "inputs": [MARKER]}),
    (SOFTMAX, {"logits": MARKER}),
    (SOFTMAX, {"logits": np.array([MARKER, nan])}),
    (SOFTMAX, {"inputs": [MARKER, "NaN"], "weights": [[1, 1]]}),
    (SOFTMAX, {"inputs": np.array([MARKER, nan]), "weights": [[1, 1]]}),
    (SOFTMAX, {"inputs": [MARKER], "weights": np.array([[MARKER], [inf]])}),
    (SOFTMAX, {"inputs": [MARKER * 1e300], "weights": [[MARKER * 1e300]]}),
    (SOFTMAX, {"logits": [MARKER * 1e300], "dtype": "float32"}),
    (LOSS, {"logits": [MARKER, 1], "targets": [MARKER, -MARKER]}),
    (LOSS, {"logits": [MARKER, 1], "targets": [MARKER, MARKER, MARKER]}),
    (LOSS, {"logits": [MARKER, 1], "targets": [MARKER, WORD]}),
    (LOSS, {"logits": [[MARKER, 1]], "targets": [0], "sample_weights": [-MARKER]}),
    (LOSS, {"logits": [[MARKER, 1]], "targets": [0], "class_weights": [MARKER, -MARKER]}),
    (LOSS, {"logits": [[MARKER, 1]], "targets": [0], "label_smoothing": MARKER}),
    (LOSS, {"logits": [[MARKER, 1]], "targets": [0], "ignore_index": MARKER}),
    (LOSS, {"logits": [[MARKER, 1]], "targets": [0], "denominator": -MARKER}),
    (LOSS, {"logits": [["-Infinity", "-Infinity"]], "targets": [0], "z_loss": MARKER}),
    (GRADIENT, {"logits": [MARKER, 1], "probabilities_gradient": [MARKER]}),
    (GRADIENT, {"logits": [MARKER, 1], "targets": 0, "learning_rate": MARKER}),
]


def answer(operation: Operation, fields: dict[str, Any]) -> None:
    """Compute the outputs of a request."""
    message = read(operation, fields)
    execute(operation, message.arguments, message.output_names)


@pytest.mark.parametrize(("operation", "fields"), LEAKS, ids=named)
def test_no_refusal_repeats_what_was_sent(operation: Operation, fields: dict[str, Any]) -> None:
    with pytest.raises(ServiceError) as caught:
        answer(operation, fields)
    said = f"{caught.value.detail} {list(caught.value.locations)}"
    assert "27182" not in said
    assert WORD not in said
    assert len(said) < 1000
