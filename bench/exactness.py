"""Measure the errors of the service and of the direct ways, on rows on which implementations differ."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import special

from bench.direct import Data
from tests.operations.families import FAMILIES, confident, normal
from tests.operations.reference import DIGITS, Reference

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bench.cases import Case
    from service.arrays import Array

HARD = ("offset 1e6", "gap 20", "gap 300")
"""Families of `tests.operations.families` besides those of `rows`."""

LAYER_SCALES = (1.0, 30.0)
"""Factors of the inputs of a layer; the larger one makes confident rows."""

AS_EXACT = 2.0
"""The direct way is as exact as the service if its largest error is at most this many times as large."""


def rows(dtype: str) -> Iterator[tuple[Data, int]]:
    """Yield short rows of each kind and long ones, with the digits that a reference takes.

    The last ones are rows whose targets are nearly certain, and rows that nearly agree with their target probabilities.
    """
    generator = np.random.default_rng(1)
    for family in (lambda *shape: 3.0 * normal(*shape), *(FAMILIES[name] for name in HARD), confident(3.0)):
        yield Data(12, 10, dtype, family(generator, 12, 10)), DIGITS
    yield Data(2, 1_000, dtype, normal(generator, 2, 1_000)), 60
    certain = Data(12, 10, dtype, FAMILIES["gap 38"](generator, 12, 10))
    certain.y = certain.ignored = certain.z.argmax(axis=-1)
    certain.t = (np.arange(10) == certain.y[:, None]).astype(dtype)
    yield certain, DIGITS
    agreeing = Data(12, 10, dtype)
    agreeing.t = special.softmax(agreeing.z * (1.0 + 2.0**-12), axis=-1).astype(dtype)
    yield agreeing, DIGITS


def batches(dtype: str) -> Iterator[tuple[Data, int]]:
    """Yield rows of which some have a wrong label, so that one temperature is the best."""
    generator = np.random.default_rng(1)
    for family in (lambda *shape: 3.0 * normal(*shape), FAMILIES["offset 1e6"], confident(3.0)):
        yield Data(12, 10, dtype, family(generator, 12, 10)), DIGITS


def layers(dtype: str) -> Iterator[tuple[Data, int]]:
    """Yield layers whose rows are spread, and layers whose rows are confident."""
    for scale in LAYER_SCALES:
        data = Data(12, 10, dtype)
        data.x = (scale * data.x).astype(dtype)
        data.y = data.layer().argmax(axis=-1)
        yield data, DIGITS


def errors(case: Case, dtype: str, service: Callable[[Case, Data], Callable[[], Any]]) -> tuple[float, float]:
    """Return the largest errors of the direct way and of the service, in units of u.

    u: half of the distance from 1 to the next number of the dtype. Each error is relative to its own element.
    service: returns a function that computes the outputs of a case.
    """
    worst = np.zeros(2)
    kinds = batches if case.operation == "calibrate" else layers if "layer" in case.name else rows
    for data, digits in kinds(dtype):
        fields = case.request(data)
        (name,) = fields.pop("outputs")
        if name in ("jacobian", "hessian") and digits != DIGITS:
            continue
        with np.errstate(all="ignore"):
            values = case.direct(data), service(case, data)()[name]
        truth = best_temperature(fields, float(values[1])) if name == "temperature" else exact(name, fields, digits)
        worst = np.maximum(worst, [error(each, truth, dtype) for each in values])
    return worst[0], worst[1]


def exact(name: str, fields: dict[str, Any], digits: int) -> Array:
    """Return an output of a request in many digits."""
    top_k = fields.pop("top_k", 1)
    reference = Reference(**fields, digits=digits)
    order = np.argsort(-reference.logits, axis=-1, kind="stable")[:, :top_k]
    if name == "predictions":
        return order[:, 0]
    if name == "top_k_classes":
        return order
    if name == "top_k_accuracy":
        return (order == fields["targets"][:, None]).any(axis=1).mean()
    values = getattr(reference, name.removeprefix("top_k_"))
    return np.take_along_axis(values, order, axis=-1) if name.startswith("top_k_") else values


def best_temperature(fields: dict[str, Any], near: float) -> Any:
    """Return the temperature of the least loss in many digits, near a given one."""

    def slope(temperature: Any) -> Any:
        return Reference(**fields, temperature=temperature).temperature_gradient

    return Reference(**fields).mp.findroot(slope, (near, near * (1.0 + 1e-3)))


def error(actual: Any, truth: Any, dtype: str) -> float:
    """Return the largest relative error in units of u, over results that are normal numbers; infinite for a NaN."""
    actual, truth, limits = np.atleast_1d(np.float64(actual)), np.atleast_1d(truth), np.finfo(dtype)
    sizes = np.abs(truth)
    countable = np.asarray((sizes >= float(limits.smallest_normal)) & (sizes <= float(limits.max)), bool)
    if not countable.any():
        return 0.0
    if not np.isfinite(actual[countable]).all():
        return np.inf
    return float((np.abs(truth - actual)[countable] / sizes[countable]).max()) / (float(limits.eps) / 2.0)
