"""The arrays of a request with one batch axis, and the quantities of all rows or of a block of them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from service.compute import linear
from service.compute.blocks import each_block, evaluate
from service.compute.calibration import Distances, Evaluation, Minimum, minimum
from service.compute.cross_entropy import CrossEntropy
from service.compute.evaluation import Reliability, mean_of_counted
from service.compute.float32 import SHORT_ROW, Float32Softmax
from service.compute.gradients import RowGradient, VectorJacobianProduct
from service.compute.scaled import SAFE, Numbers, Scaled, choose, is_safe, norm, pieces, rounded, total
from service.compute.softmax import Softmax
from service.compute.teacher import Teacher
from service.compute.top_k import is_in_top_k, top_k_classes

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from service.arrays import Array, Floats, Integers, Mask, Shape
    from service.compute.targets import Targets
    from service.operations.arguments import Arguments

HARMLESS = 2.0**44
"""Factor of dL/dz up to which the digits that it lost to underflow, below 2**-1071, add less than 1e-309 to a result."""

LEAST_UNIT = -3072
"""Exponent of products of two pieces that no learning rate brings back into double range."""


@dataclass
class Batch:
    """The arrays of a request, float64 except the logits, with one batch axis: (N, K), (N, D), (N,).

    axes: the batch axes as sent.
    """

    arguments: Arguments
    axes: Shape
    logits: Array
    targets: Targets | None = None
    vectors: Floats | None = None
    inputs: Floats | None = None
    weights: Floats | None = None
    bias: Floats | None = None

    def rows(self, block: slice, memory: Mapping[str, Array]) -> Rows:
        """Return a block of rows; memory: see `service.compute.blocks.evaluate`."""
        return Rows(self, block, memory)

    @property
    def suits_float32(self) -> bool:
        """True if the softmax is computed in float32, which is faster and as exact as the answer."""
        arguments = self.arguments
        is_unscaled = arguments.temperature == 1.0 and arguments.softcap is None
        return self.logits.dtype == np.float32 and self.logits.shape[1] > SHORT_ROW and is_unscaled

    def loss(self, cross_entropies: Floats, normalizers: Floats) -> Floats:
        """Return the reduced loss of (N,) CE and l, as `Targets.loss`."""
        assert self.targets is not None
        loss = self.targets.loss(cross_entropies, normalizers)
        if is_safe(loss) or (self.targets.is_plain and self.targets.reduction == "none"):
            return loss
        return rounded(self.targets.loss(self._extended("cross_entropies"), self._extended("normalizers")))

    def mean_cross_entropy(self, cross_entropies: Floats) -> Floats:
        """Return () the mean of the cross-entropies (N,), whatever the reduction."""
        assert self.targets is not None
        scale = self.targets.of_losses
        mean = self.targets.mean(cross_entropies, scale)
        return mean if is_safe(mean) else rounded(self.targets.mean(self._extended("cross_entropies"), scale))

    def divergence(self, divergences: Floats) -> Floats:
        """Return () the divergences of the rows (N,), reduced like the loss; (N,) times s if they are not reduced."""
        assert self.targets is not None
        scale = self.targets.of_penalties
        divergence = self.targets.reduced(divergences, scale)
        return (
            divergence if is_safe(divergence) else rounded(self.targets.reduced(self._extended("divergences"), scale))
        )

    def temperature_gradient(self, slopes: Floats) -> Floats:
        """Return () dL/dT, the sum of the parts (N,) of the rows."""
        gradient = total(slopes)
        return gradient if is_safe(gradient) else rounded(total(self._extended("by_temperature")))

    def _extended(self, name: str) -> Scaled:
        """Return (N,) a quantity of `RowGradient` or `CrossEntropy` with the digits that doubles lose."""

        def packed(rows: Rows) -> Array:
            return Scaled.of(getattr(rows.gradient.extended, name)).packed()

        return Scaled.unpacked(self.evaluate(packed=packed)["packed"])

    def accuracy(self, predictions: Integers) -> Floats:
        """Return () the share of counted rows whose prediction is the target, 0 without a counted row."""
        assert self.targets is not None
        return mean_of_counted(predictions == self.targets.expected_classes, self.targets.counted)

    def top_k_accuracy(self, top_k_hits: Mask) -> Floats:
        """Return () the share of counted rows whose target is among the top_k, 0 without a counted row."""
        assert self.targets is not None
        return mean_of_counted(top_k_hits, self.targets.counted)

    def reliability(self, tails: Floats, predictions: Integers) -> Reliability:
        """Return the counted rows in bins of confidence, given s and the predictions, (N,)."""
        assert self.targets is not None
        hits = predictions == self.targets.expected_classes
        return Reliability.of(tails, hits, self.targets.counted, self.arguments.bins)

    @cached_property
    def best_temperature(self) -> Minimum:
        """The temperature of the least mean loss."""
        return minimum(self.distances)

    @cached_property
    def before(self) -> Evaluation:
        """The evaluation at temperature 1."""
        return self._evaluation(1.0)

    @cached_property
    def after(self) -> Evaluation:
        """The evaluation at the best temperature."""
        return self._evaluation(self.best_temperature.temperature)

    def distances(self, temperature: float) -> Distances:
        """Return the sums of the distances of all rows at another temperature."""
        batch = self._at(temperature)
        return Distances.total(each_block(lambda block: batch.rows(block, {}).cross_entropy.distances, self.logits))

    def _evaluation(self, temperature: float) -> Evaluation:
        batch = self._at(temperature)
        rows = batch.evaluate(
            cross_entropies=lambda rows: rows.cross_entropy.in_doubles("cross_entropies"),
            tails=lambda rows: rows.softmax.tail,
            predictions=lambda rows: rows.softmax.predictions,
        )
        loss = batch.mean_cross_entropy(rows["cross_entropies"])
        return Evaluation(loss, self.reliability(rows["tails"], rows["predictions"]))

    def _at(self, temperature: float) -> Batch:
        """Return the batch at another temperature."""
        return replace(self, arguments=self.arguments._replace(temperature=temperature))

    def evaluate(self, **quantities: Callable[[Rows], Array]) -> dict[str, Array]:
        """Return quantities of all rows."""
        return evaluate(self.rows, self.logits, quantities)

    def weights_gradient(self, gradient: Floats) -> Numbers:
        """Return (K, D) dL/dW, given dL/dz (N, K)."""
        assert self.inputs is not None
        return self._derivative(linear.sum_of_outer_products, gradient, self.inputs, norm(self.inputs))

    def bias_gradient(self, gradient: Floats) -> Numbers:
        """Return (K,) dL/db, given dL/dz (N, K)."""
        return self._derivative(lambda gradient, _: linear.pairwise_sum(gradient), gradient, 1.0, 1.0)

    def inputs_gradient(self, gradient: Floats) -> Numbers:
        """Return (N, D) dL/dx, given dL/dz (N, K)."""
        assert self.weights is not None
        return self._derivative(linear.by_rows, gradient, self.weights, norm(self.weights), axis=1)

    def _derivative(
        self, product: Callable[..., Floats], gradient: Floats, operand: Floats | float, size: float, axis: int = 0
    ) -> Numbers:
        """Return a product of dL/dz and an operand, as `Scaled` where doubles may overflow or lose digits.

        size: bound on the operand; axis: that of dL/dz which the product sums over: its rows or its classes.
        """
        result = product(gradient, operand)
        rate = 1.0 + abs(self.arguments.learning_rate or 0.0)
        is_harmless = gradient.shape[axis] * (1.0 + size) * rate <= HARMLESS
        if is_harmless and norm(result) < np.inf:
            return result
        lost = np.zeros(len(gradient), bool) if is_harmless else _lost_rows(gradient, operand)
        replaced = ~np.isfinite(result) | (lost[:, None] if axis else lost.any())
        if not replaced.any():
            return Scaled.of(result)
        exact: Numbers = Scaled(np.zeros(result.shape), 0)
        for slopes, exponent in pieces(self._extended("by_logits")):
            for factors, other in pieces(operand):
                if exponent + other > LEAST_UNIT:
                    exact = exact + Scaled(product(slopes, factors), exponent + other)
        return choose(replaced, exact, result)


def _lost_rows(gradient: Floats, operand: Floats | float) -> Mask:
    """Return (N,) the rows of dL/dz that may have lost digits to underflow, or whose products with an operand may."""
    sizes = np.abs(operand)
    if ((sizes < SAFE) & (sizes > 0.0)).any():
        return np.ones(len(gradient), bool)
    rows: Mask = np.abs(gradient).min(axis=1) < SAFE
    return rows


class Rows:
    """A block of rows of a batch, and all that can be computed of it."""

    def __init__(self, batch: Batch, block: slice, memory: Mapping[str, Array]) -> None:
        self._batch = batch
        self._block = block
        self._memory = memory
        self.logits: Array = aligned(batch.logits[block])
        """(n, K) Float64 or float32."""
        arguments = batch.arguments
        self.leading: Softmax | Float32Softmax
        """The softmax that has the predictions, made without a conversion."""
        if arguments.dtype == "float64":
            softmax = Softmax(self.logits, arguments.temperature, arguments.softcap, memory)
            self.leading = self.softmax = self.softmax_in_dtype = softmax
        else:
            self.leading = Float32Softmax(self.logits, memory)

    @cached_property
    def softmax(self) -> Softmax:
        """The softmax in float64."""
        arguments, logits = self._batch.arguments, self.logits.astype(np.float64, copy=False)
        return Softmax(logits, arguments.temperature, arguments.softcap, top=self.leading.top)

    @cached_property
    def softmax_in_dtype(self) -> Softmax | Float32Softmax:
        """The softmax in the precision of the answer."""
        return self.leading if self._batch.suits_float32 else self.softmax

    @cached_property
    def top_k_classes(self) -> Integers:
        """(n, k) The top_k most probable classes; -1 for an excluded one."""
        assert self._batch.arguments.top_k is not None
        return top_k_classes(self.logits, self._batch.arguments.top_k)

    @property
    def top_k_hits(self) -> Mask:
        """(n,) Whether the target is one of the top_k most probable classes."""
        targets, k = self._batch.targets, self._batch.arguments.top_k
        assert targets is not None
        assert k is not None
        return is_in_top_k(self.logits, self.leading.top, targets.expected_classes[self._block], k)

    def of_top_k(self, quantity: Array, excluded: float) -> Array:
        """Return (n, k) a quantity (n, K) at `top_k_classes`, and what an excluded class has."""
        chosen = np.take_along_axis(quantity, self.top_k_classes, axis=-1)
        return np.where(self.top_k_classes < 0, quantity.dtype.type(excluded), chosen)

    @cached_property
    def cross_entropy(self) -> CrossEntropy:
        """The cross-entropy against the targets."""
        targets, block = self._batch.targets, self._block
        assert targets is not None
        logits = targets.teacher_logits
        teacher = None if logits is None else Teacher(self.softmax, logits[block])
        return CrossEntropy(self.softmax, targets, block, teacher)

    @cached_property
    def gradient(self) -> RowGradient:
        """The derivatives of the loss, the cross-entropy or the caller's own."""
        if self._batch.vectors is None:
            return self.cross_entropy
        return VectorJacobianProduct(self.softmax, self._batch.vectors[self._block])


def aligned(tensor: Array) -> Array:
    """Return a contiguous tensor in aligned memory: BLAS requires it, and sums elsewhere have other bits."""
    return tensor if tensor.flags.aligned else tensor.copy()
