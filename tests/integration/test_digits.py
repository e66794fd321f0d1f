"""Learn handwritten digits by calls to the service alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pytest
from sklearn.datasets import load_digits

if TYPE_CHECKING:
    import httpx

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

RATE = 2.0
STEPS = 80
COMPARED = 50
CLASSES = 10


@dataclass(frozen=True)
class Digits:
    """Images as rows of 64 features from 0 to 1, and their labels."""

    images: Floats
    labels: Integers


@dataclass(frozen=True)
class Training:
    """The loss before each step, the weights and the bias after each."""

    losses: list[float]
    weights: list[Any]
    biases: list[Any]


@pytest.fixture(scope="module")
def split() -> tuple[Digits, Digits]:
    """Return three quarters for training, and a quarter held out."""
    images, labels = load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(images))
    learned, held_out = np.split(order, [3 * len(order) // 4])
    return Digits(images[learned] / 16, labels[learned]), Digits(images[held_out] / 16, labels[held_out])


@pytest.fixture(scope="module")
def training(http: httpx.Client, split: tuple[Digits, Digits]) -> Training:
    """Run gradient descent in which the service takes every step."""
    learned, _ = split
    request = {
        "inputs": learned.images.tolist(),
        "targets": learned.labels.tolist(),
        "weights": np.zeros((CLASSES, 64)).tolist(),
        "bias": [0.0] * CLASSES,
        "learning_rate": RATE,
        "outputs": ["loss", "updated_weights", "updated_bias"],
    }
    training = Training([], [], [])
    for _ in range(STEPS):
        answer = http.post("/gradient", json=request).raise_for_status().json()
        request["weights"], request["bias"] = answer["updated_weights"], answer["updated_bias"]
        training.losses.append(answer["loss"])
        training.weights.append(answer["updated_weights"])
        training.biases.append(answer["updated_bias"])
    return training


def descend(digits: Digits, steps: int) -> tuple[Floats, Floats]:
    """Run the same descent in plain NumPy, and return weights and bias."""
    weights, bias = np.zeros((CLASSES, 64)), np.zeros(CLASSES)
    one_hot = np.eye(CLASSES)[digits.labels]
    for _ in range(steps):
        exponentials = np.exp(digits.images @ weights.T + bias)
        gradient = (exponentials / exponentials.sum(axis=1, keepdims=True) - one_hot) / len(one_hot)
        weights -= RATE * gradient.T @ digits.images
        bias -= RATE * gradient.sum(axis=0)
    return weights, bias


def test_before_the_first_step_all_digits_are_as_likely(training: Training) -> None:
    assert training.losses[0] == pytest.approx(np.log(CLASSES), rel=1e-14)


def test_the_loss_falls_at_each_of_the_first_20_steps(training: Training) -> None:
    assert all(np.diff(training.losses[:21]) < 0)


def test_the_weights_are_those_of_the_same_loop_in_numpy(training: Training, split: tuple[Digits, Digits]) -> None:
    weights, bias = descend(split[0], COMPARED)
    np.testing.assert_allclose(training.weights[COMPARED - 1], weights, rtol=0, atol=1e-10)
    np.testing.assert_allclose(training.biases[COMPARED - 1], bias, rtol=0, atol=1e-10)


def test_digits_never_seen_before_are_recognised(
    http: httpx.Client, training: Training, split: tuple[Digits, Digits]
) -> None:
    _, held_out = split
    request = {
        "inputs": held_out.images.tolist(),
        "targets": held_out.labels.tolist(),
        "weights": training.weights[-1],
        "bias": training.biases[-1],
        "outputs": ["accuracy", "predictions"],
    }
    answer = http.post("/loss", json=request).raise_for_status().json()
    assert answer["accuracy"] >= 0.95
    assert answer["accuracy"] == np.mean(held_out.labels == answer["predictions"])
