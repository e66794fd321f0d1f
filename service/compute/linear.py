"""The layer in front of the softmax, z = x W^T + b: forward, its gradients, one step of gradient descent."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from service.compute.softmax import Floats


def forward(inputs: Floats, weights: Floats, bias: Floats | None = None) -> Floats:
    """(N, K) z = inputs @ weights.T + bias, for inputs (N, D), weights (K, D) and bias (K,)."""
    logits = inputs @ weights.T
    if bias is not None:
        logits += bias
    return logits


def weights_gradient(logits_gradient: Floats, inputs: Floats) -> Floats:
    """(K, D) dL/dW = sum_n g_z[n] outer inputs[n]."""
    return logits_gradient.T @ inputs


def bias_gradient(logits_gradient: Floats) -> Floats:
    """(K,) dL/db = sum_n g_z[n]."""
    return logits_gradient.sum(axis=0)


def inputs_gradient(logits_gradient: Floats, weights: Floats) -> Floats:
    """(N, D) dL/dx = g_z @ weights."""
    return logits_gradient @ weights


def step(values: Floats, gradient: Floats, learning_rate: float) -> Floats:
    """One step of gradient descent: values - learning_rate * gradient."""
    return values - learning_rate * gradient
