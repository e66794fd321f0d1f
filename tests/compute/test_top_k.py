"""Test the k largest logits of a row beside a full sort."""

from __future__ import annotations

import numpy as np
import pytest

from service.compute.top_k import LONG_ROW, is_in_top_k, top_k_classes


@pytest.mark.parametrize("spread", [0, 1, 3, 10**6])
@pytest.mark.parametrize("k", [1, 2, 7, 100])
@pytest.mark.parametrize("shape", [(3, 100), (4, LONG_ROW - 1), (2, LONG_ROW), (3, 50_001)])
def test_top_k_is_the_head_of_a_stable_sort(shape: tuple[int, int], k: int, spread: int) -> None:
    generator = np.random.default_rng(k)
    for logits in (generator.integers(-spread, spread + 1, size=shape).astype(np.float32), np.zeros(shape)):
        logits[0, ::3] = -np.inf
        logits[1, k // 2 :] = -np.inf
        expected = np.argsort(-logits, axis=1, kind="stable")[:, :k]
        expected[np.take_along_axis(logits, expected, axis=1) == -np.inf] = -1
        np.testing.assert_array_equal(top_k_classes(logits, k), expected)


@pytest.mark.parametrize("spread", [0, 1, 3, 10**6])
@pytest.mark.parametrize("k", [1, 2, 7, 100])
def test_a_class_is_in_the_top_k_that_has_it(k: int, spread: int) -> None:
    generator = np.random.default_rng(k)
    logits = generator.integers(-spread, spread + 1, size=(300, 100)).astype(float)
    logits[::3, ::2] = -np.inf
    classes = np.where(generator.random(300) < 0.5, logits.argmax(axis=1), generator.integers(100, size=300))
    expected = (top_k_classes(logits, k) == classes[:, None]).any(axis=1)
    np.testing.assert_array_equal(is_in_top_k(logits, logits.argmax(-1), classes, k), expected)


@pytest.mark.parametrize("order", [1, -1])
def test_sorted_logits_have_the_same_top_k(order: int) -> None:
    logits = np.arange(2.0 * LONG_ROW)[None, ::order].copy()
    best = np.arange(5) if order < 0 else logits.size - 1 - np.arange(5)
    np.testing.assert_array_equal(top_k_classes(logits, 5), best[None])
