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
from service.compute.layer_gradients import ONE, inputs_gradient, is_harmless, sum_over_rows
from service.compute.scaled import Numbers, Scaled, is_safe, rounded, total
from service.compute.softmax import Softmax
from service.compute.teacher import Teacher
from service.compute.top_k import is_in_top_k, top_k_classes

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from service.arrays import Array, Block, Floats, Integers, Mask, Shape
    from service.compute.targets import Targets
    from service.operations.arguments import Arguments

KEPT_ELEMENTS = 2**20
"""Most logits of a batch whose dL/dz beyond double range are kept, in 16 bytes for each."""


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

    def rows(self, block: Block, memory: Mapping[str, Array]) -> Rows:
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
            return rounded(loss)
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

    def _extended(self, name: str, places: Integers | None = None) -> Scaled:
        """Return (n,) a quantity of `RowGradient` or `CrossEntropy` with the digits that doubles lose, of the rows at places."""
        count = len(self.logits) if places is None else len(places)

        def packed(block: Rows) -> Array:
            return Scaled.of(getattr(block.gradient.extended, name)).packed()

        def some(block: slice, memory: Mapping[str, Array]) -> Rows:
            return self.rows(block if places is None else places[block], memory)

        return Scaled.unpacked(evaluate(some, self.logits[:count], {"packed": packed})["packed"])

    def accuracy(self, predictions: Integers) -> Floats:
        """Return () the share of counted rows whose prediction is the target, 0 without a counted row."""
        assert self.targets is not None
        return mean_of_counted(predictions == self.targets.expected_classes, self.targets.counted)

    def top_k_accuracy(self, top_k_hits: Mask) -> Floats:
        """Return () the share of counted rows whose target is among the top_k, 0 without a counted row."""
        assert self.targets is not None
        return mean_of_counted(top_k_hits, self.targets.counted)

    def brier_score(self, scores: Floats) -> Floats:
        """Return () the mean of the scores (N,) of the counted rows, 0 without one."""
        assert self.targets is not None
        mean = mean_of_counted(scores, self.targets.counted)
        # only target probabilities overflow, and all of their rows are counted
        return mean if np.isfinite(mean) else rounded(total(self._extended("brier_scores")) / float(len(scores)))

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

    def weights_gradient(self, gradient: Floats, rate: float = 0.0) -> Numbers:
        """Return (K, D) dL/dW, given dL/dz (N, K), with the digits that a step at some learning rate needs."""
        assert self.inputs is not None
        return sum_over_rows(linear.sum_of_outer_products, gradient, self.inputs, rate, self._extended_gradient)

    def bias_gradient(self, gradient: Floats, rate: float = 0.0) -> Numbers:
        """Return (K,) dL/db, given dL/dz (N, K), with the digits that a step at some learning rate needs."""

        def product(values: Floats, _: Floats) -> Floats:
            return linear.pairwise_sum(values)[:, None]

        sums = sum_over_rows(product, gradient, ONE, rate, self._extended_gradient)
        return sums.each(lambda part: part[:, 0]) if isinstance(sums, Scaled) else sums[:, 0]

    def updated_weights(self, gradient: Floats, slopes: Numbers) -> Floats:
        """Return (K, D) the weights after one step, given dL/dz (N, K) and dL/dW (K, D)."""
        assert self.weights is not None
        assert self.inputs is not None
        rate = self.arguments.learning_rate or 0.0
        if not is_harmless(len(gradient), self.inputs, rate):
            slopes = Scaled.of(self.weights_gradient(gradient, rate))
        return linear.step(self.weights, slopes, rate)

    def updated_bias(self, gradient: Floats, slopes: Numbers) -> Floats:
        """Return (K,) the bias after one step, given dL/dz (N, K) and dL/db (K,)."""
        assert self.bias is not None
        rate = self.arguments.learning_rate or 0.0
        if not is_harmless(len(gradient), ONE, rate):
            slopes = Scaled.of(self.bias_gradient(gradient, rate))
        return linear.step(self.bias, slopes, rate)

    def inputs_gradient(self, gradient: Floats) -> Floats:
        """Return (N, D) dL/dx, given dL/dz (N, K)."""
        assert self.weights is not None
        return inputs_gradient(gradient, self.weights, self._extended_gradient)

    @cached_property
    def _kept(self) -> dict[bytes, Scaled]:
        """The (n, K) dL/dz of some rows, by the bytes of their places."""
        return {}

    def _extended_gradient(self, places: Integers) -> Scaled:
        """Return (n, K) dL/dz of the rows at places, kept for the next product if the batch is small."""
        if self.logits.size > KEPT_ELEMENTS:
            return self._extended("by_logits", places)
        key = places.tobytes()
        if key not in self._kept:
            self._kept[key] = self._extended("by_logits", places)
        return self._kept[key]


class Rows:
    """A block of rows of a batch, and all that can be computed of it."""

    def __init__(self, batch: Batch, block: Block, memory: Mapping[str, Array]) -> None:
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
