"""Strategies of Hypothesis for requests."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

ANY = st.floats(allow_nan=False, allow_infinity=False)
NOT_NEGATIVE = st.floats(0.0, allow_infinity=False)
POSITIVE = st.floats(5e-324, allow_infinity=False)

LARGEST = float(np.finfo(np.float64).max)

Floats = npt.NDArray[np.float64]
Request = dict[str, Any]

ROW_TENSORS = ("logits", "inputs", "targets", "teacher_logits", "sample_weights", "probabilities_gradient")

NUMBERS = st.floats(-100.0, 100.0)
ROUNDING = 1e-9
"""Absolute error after a thousand roundings of terms up to 1e5, which these requests do not exceed."""

WEIGHTS = st.just(0.0) | st.floats(2.0**-10, 10.0)


def floats(shape: tuple[int, ...], elements: st.SearchStrategy[float] = NUMBERS) -> st.SearchStrategy[Floats]:
    """Return arrays of a shape."""
    return arrays(np.float64, shape, elements=elements)


@st.composite
def logits(draw: st.DrawFn, shape: tuple[int, int]) -> Floats:
    """(N, K) Logits, some of them -inf, but not all of a row."""
    values = draw(floats(shape))
    excluded = draw(arrays(np.bool_, shape))
    excluded[:, 0] = False
    return np.where(excluded, -np.inf, values)


@st.composite
def scaled(draw: st.DrawFn) -> Request:
    """Draw logits, with or without temperature and softcap."""
    shape = draw(st.integers(1, 4)), draw(st.integers(1, 6))
    scaling = {"temperature": st.floats(0.1, 10.0), "softcap": st.floats(1.0, 50.0)}
    return {"logits": draw(logits(shape))} | draw(st.fixed_dictionaries({}, optional=scaling))


@st.composite
def labelled(draw: st.DrawFn) -> Request:
    """Draw logits with labels, some of them ignored, with or without weights."""
    request = draw(scaled())
    count, classes = request["logits"].shape
    targets = draw(arrays(np.int64, count, elements=st.integers(-1, classes - 1)))
    return request | {"targets": targets, "ignore_index": -1} | draw(weighting(count, classes))


@st.composite
def soft(draw: st.DrawFn) -> Request:
    """Draw logits with target probabilities, with or without weights."""
    request = draw(scaled())
    count, classes = request["logits"].shape
    return request | {"targets": draw(floats((count, classes), WEIGHTS))} | draw(weighting(count, classes))


@st.composite
def taught(draw: st.DrawFn) -> Request:
    """Draw logits with those of a teacher, often nearly the same, with or without weights."""
    request = draw(scaled())
    shape = request["logits"].shape
    near = np.where(request["logits"] == -np.inf, -1.0, request["logits"]) + draw(floats(shape, st.floats(-1e-6, 1e-6)))
    return request | {"teacher_logits": draw(logits(shape) | st.just(near))} | draw(weighting(*shape))


@st.composite
def with_vector(draw: st.DrawFn) -> Request:
    """Draw logits with the gradient of another loss with respect to the probabilities."""
    request = draw(scaled())
    return request | {"probabilities_gradient": draw(floats(request["logits"].shape))}


@st.composite
def anywhere(draw: st.DrawFn, *, within: bool = False, is_mean: bool = False) -> Request:
    """Draw a request of any kind with numbers of any size.

    within: no target is on an excluded class, whose loss would be infinite; is_mean: the loss is a mean over weights.
    """
    count, classes = draw(st.integers(1, 3)), draw(st.integers(1, 4))
    request: Request = {"temperature": draw(POSITIVE | st.floats(0.1, 10.0))}
    excluded = np.zeros((count, classes), bool)
    if draw(st.booleans()):
        request["softcap"] = draw(POSITIVE | st.floats(0.1, 10.0))
    if draw(st.booleans()):
        small = st.floats(-1e100, 1e100)
        request["inputs"] = draw(floats((count, 2), small))
        request["weights"] = draw(floats((classes, 2), small))
        request["bias"] = draw(floats((classes,), ANY))
        request["learning_rate"] = draw(ANY)
    else:
        excluded = draw(arrays(np.bool_, (count, classes)))
        excluded[:, 0] = False
        request["logits"] = np.where(excluded, -np.inf, draw(anywhere_or_near(request, (count, classes))))
    kind = draw(st.sampled_from(["labels", "soft", "taught"] + ["vector"] * (not is_mean)))
    if kind == "vector":
        return request | {"probabilities_gradient": draw(floats((count, classes), ANY))}
    if kind == "labels":
        targets = draw(arrays(np.int64, count, elements=st.integers(0, classes - 1)))
        request["targets"] = np.where(excluded[np.arange(count), targets] & within, 0, targets)
    elif kind == "soft":
        request["targets"] = np.where(excluded & within, 0.0, draw(floats((count, classes), NOT_NEGATIVE)))
    else:
        teacher = draw(anywhere_or_near(request, (count, classes)))
        request["teacher_logits"] = np.where(excluded & within, -np.inf, teacher)
    reductions: list[Request] = [{}, {"reduction": "sum"}, {"reduction": "none"}]
    if not is_mean:
        request |= draw(st.sampled_from(reductions) | NOT_NEGATIVE.map(lambda value: {"denominator": value}))
    # Weights of both signs have no mean.
    is_signed = "denominator" in request or "reduction" in request
    optional = {
        "class_weights": floats((classes,), NOT_NEGATIVE),
        "sample_weights": floats((count,), ANY if is_signed else NOT_NEGATIVE),
        "label_smoothing": st.floats(0.0, 0.99),
        "z_loss": NOT_NEGATIVE,
    }
    return request | draw(st.fixed_dictionaries({}, optional=optional))


def anywhere_or_near(request: Request, shape: tuple[int, int]) -> st.SearchStrategy[Floats]:
    """Return logits of any size, or some hundred times the temperature or the softcap."""
    scale: float = request["softcap"] if "softcap" in request else request["temperature"]
    limit = min(1500.0, LARGEST / 2 / scale)
    return floats(shape, ANY) | floats(shape, st.floats(-limit, limit)).map(lambda values: values * scale)


def weighting(count: int, classes: int) -> st.SearchStrategy[Request]:
    """Draw any of the fields that weight a loss."""
    optional = {
        "class_weights": floats((classes,), WEIGHTS),
        "sample_weights": floats((count,), WEIGHTS),
        "label_smoothing": st.floats(0.0, 0.9),
        "z_loss": st.floats(0.0, 0.1),
    }
    return st.fixed_dictionaries({}, optional=optional)


def without(request: Request, *names: str) -> Request:
    """Return the request without some of its fields."""
    return {name: value for name, value in request.items() if name not in names}


def by_rows(request: Request, rows: Any) -> Request:
    """Return the request with every tensor that has rows indexed by `rows`."""
    return {name: np.asarray(value[rows]) if name in ROW_TENSORS else value for name, value in request.items()}
