"""The outputs of the operations, and the function that computes each.

Axes: see `service.operations.spec`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from service.compute.curvature import jacobian
from service.compute.scaled import rounded
from service.operations.batch import aligned
from service.operations.calibration_outputs import reliability_outputs
from service.operations.fields import CLASSES, ROWS
from service.operations.spec import TARGET, TARGET_CLASSES, TARGET_PROBABILITIES, Output

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from service.arrays import Array
    from service.operations.batch import Rows

SOFTMAX_OUTPUTS = (
    Output(
        "probabilities",
        (CLASSES,),
        "Softmax of the logits, shape (..., K); rows sum to 1.",
        finite=True,
        rows=lambda rows: rows.softmax_in_dtype.probabilities,
    ),
    Output(
        "log_probabilities",
        (CLASSES,),
        "Their logarithms, shape (..., K), nats; -Infinity for an excluded class.",
        rows=lambda rows: rows.softmax_in_dtype.log_probabilities,
    ),
    Output(
        "predictions",
        (ROWS,),
        "The most probable class, shape (...), the lowest index among equals; -1 if every class is excluded.",
        rows=lambda rows: rows.leading.predictions,
        integer=True,
        finite=True,
    ),
    Output(
        "log_normalizer",
        (ROWS,),
        "logsumexp of the scaled logits, shape (...), nats.",
        rows=lambda rows: rows.softmax_in_dtype.log_normalizer,
    ),
    Output(
        "entropy",
        (ROWS,),
        "Entropy of the probabilities, shape (...), nats.",
        finite=True,
        rows=lambda rows: rows.softmax.entropy,
    ),
    Output(
        "top_k_classes",
        (("...", "k"),),
        "The top_k most probable classes in falling order, shape (..., top_k); -1 where only excluded classes are left.",
        rows=lambda rows: rows.top_k_classes,
        integer=True,
        finite=True,
        needs=("top_k",),
    ),
    Output(
        "top_k_probabilities",
        (("...", "k"),),
        "The probabilities of top_k_classes, shape (..., top_k).",
        rows=lambda rows: rows.of_top_k(rows.softmax_in_dtype.probabilities, 0.0),
        finite=True,
        needs=("top_k",),
    ),
    Output(
        "top_k_log_probabilities",
        (("...", "k"),),
        "The logarithms of top_k_probabilities, shape (..., top_k), nats; -Infinity where only excluded classes are left.",
        rows=lambda rows: rows.of_top_k(rows.softmax_in_dtype.log_probabilities, -np.inf),
        needs=("top_k",),
    ),
    Output(
        "jacobian",
        (("...", "K", "K"),),
        "Derivative of probability i with respect to logit j, shape (..., K, K): p_i (delta_ij - p_j) / temperature.",
        rows=lambda rows: jacobian(rows.softmax),
    ),
    Output(
        "logits",
        (CLASSES,),
        "The logits of the request or of its layer, shape (..., K).",
        reduce=lambda batch: aligned(batch.logits),
    ),
)

LOSS_OUTPUTS = (
    Output(
        "loss",
        ((), ROWS),
        "The reduced loss, a number, nats; with reduction none a loss per row, shape (...).",
        depends_on=("cross_entropies", "normalizers"),
        reduce=lambda batch, cross_entropies, normalizers: batch.loss(cross_entropies, normalizers),
        needs=(TARGET,),
    ),
    Output(
        "denominator",
        ((),),
        "Denominator of the mean, a number: the sum of the weights of the counted rows. If it is 0, loss and gradients are 0.",
        reduce=lambda batch: batch.targets.denominator,
        needs=(TARGET,),
    ),
    Output(
        "row_losses",
        (ROWS,),
        "The weighted loss of each row before reduction, shape (...), nats; 0 for a row that is not counted.",
        rows=lambda rows: rows.cross_entropy.row_losses,
        needs=(TARGET,),
    ),
    Output(
        "accuracy",
        ((),),
        "Share of the counted rows whose prediction is the target, a number, unweighted; 0 without a counted row.",
        finite=True,
        depends_on=("predictions",),
        reduce=lambda batch, predictions: batch.accuracy(predictions),
        needs=(TARGET,),
    ),
    Output(
        "top_k_accuracy",
        ((),),
        "Share of the counted rows whose target is one of top_k_classes, a number, unweighted; 0 without a counted row.",
        finite=True,
        depends_on=("top_k_hits",),
        reduce=lambda batch, hits: batch.top_k_accuracy(hits),
        needs=(TARGET, "top_k"),
    ),
    Output(
        "perplexity",
        ((),),
        "exp of the mean cross-entropy, a number, whatever the reduction; 1 without a counted row.",
        depends_on=("cross_entropies",),
        reduce=lambda batch, cross_entropies: np.exp(batch.mean_cross_entropy(cross_entropies)),
        needs=(TARGET,),
    ),
    Output(
        "brier_score",
        ((),),
        "Mean over the counted rows of the squared distance between probabilities and target, a number, unweighted.",
        depends_on=("brier_scores",),
        reduce=lambda batch, scores: batch.brier_score(scores),
        needs=(TARGET,),
    ),
    *reliability_outputs(
        lambda batch, tails, predictions: batch.reliability(tails, predictions),
        depends_on=("tails", "predictions"),
        needs=(TARGET,),
    ),
    Output(
        "target_log_probabilities",
        (ROWS,),
        "Logarithm of the probability of each label, shape (...), nats; 0 for a row that is not counted.",
        rows=lambda rows: rows.cross_entropy.target_log_probabilities,
        needs=(TARGET_CLASSES,),
    ),
    Output(
        "kl_divergence",
        ((), ROWS),
        "Kullback-Leibler divergence of target probabilities, sent or of the teacher, from the softmax, reduced like the loss: a number, nats, never "
        "negative; with reduction none one per row, shape (...).",
        depends_on=("divergences",),
        reduce=lambda batch, divergences: batch.divergence(divergences),
        needs=(TARGET_PROBABILITIES,),
    ),
    Output(
        "row_kl_divergences",
        (ROWS,),
        "Kullback-Leibler divergence of each row, unweighted, shape (...), nats.",
        rows=lambda rows: rows.cross_entropy.row_divergences,
        needs=(TARGET_PROBABILITIES,),
    ),
)

GRADIENT_OUTPUTS = (
    Output(
        "logits_gradient",
        (CLASSES,),
        "Gradient of the loss with respect to the logits, shape (..., K).",
        rows=lambda rows: rows.gradient.logits_gradient,
    ),
    Output(
        "weights_gradient",
        (("K", "D"),),
        "Gradient of the loss with respect to the weights, shape (K, D), summed over rows.",
        depends_on=("logits_gradient",),
        reduce=lambda batch, gradient: batch.weights_gradient(gradient),
        needs=("weights",),
    ),
    Output(
        "bias_gradient",
        (("K",),),
        "Gradient of the loss with respect to the bias, shape (K,), summed over rows.",
        depends_on=("logits_gradient",),
        reduce=lambda batch, gradient: batch.bias_gradient(gradient),
        needs=("bias",),
    ),
    Output(
        "inputs_gradient",
        (("...", "D"),),
        "Gradient of the loss with respect to the inputs, shape (..., D).",
        depends_on=("logits_gradient",),
        reduce=lambda batch, gradient: batch.inputs_gradient(gradient),
        needs=("weights",),
    ),
    Output(
        "temperature_gradient",
        ((),),
        "Derivative of the loss with respect to the temperature, a number, summed over rows without excluded classes.",
        depends_on=("temperature_slopes",),
        reduce=lambda batch, slopes: batch.temperature_gradient(slopes),
    ),
    Output(
        "targets_gradient",
        (CLASSES,),
        "Gradient of the loss with respect to target probabilities, shape (..., K).",
        rows=lambda rows: rows.cross_entropy.targets_gradient,
        needs=(TARGET_PROBABILITIES,),
        unless=("teacher_logits",),
    ),
    Output(
        "hessian",
        (("...", "K", "K"),),
        "Second derivative of each row's loss with respect to its logits, shape (..., K, K), scaled like the loss.",
        rows=lambda rows: rows.cross_entropy.hessian,
        needs=(TARGET,),
        unless=("softcap",),
    ),
    Output(
        "updated_weights",
        (("K", "D"),),
        "The weights after one step of gradient descent, shape (K, D).",
        depends_on=("logits_gradient", "weights_gradient"),
        reduce=lambda batch, gradient, slopes: batch.updated_weights(gradient, slopes),
        needs=("weights", "learning_rate"),
    ),
    Output(
        "updated_bias",
        (("K",),),
        "The bias after one step of gradient descent, shape (K,).",
        depends_on=("logits_gradient", "bias_gradient"),
        reduce=lambda batch, gradient, slopes: batch.updated_bias(gradient, slopes),
        needs=("bias", "learning_rate"),
    ),
)

ROW_QUANTITIES: Mapping[str, Callable[[Rows], Array]] = {
    "maximum": lambda rows: rows.leading.maximum,
    "normalizers": lambda rows: rounded(rows.cross_entropy.normalizers),
    "cross_entropies": lambda rows: rows.cross_entropy.in_doubles("cross_entropies"),
    "tails": lambda rows: rows.softmax.tail,
    "brier_scores": lambda rows: rounded(rows.cross_entropy.brier_scores),
    "top_k_hits": lambda rows: rows.top_k_hits,
    "divergences": lambda rows: rows.cross_entropy.in_doubles("divergences"),
    "temperature_slopes": lambda rows: rows.gradient.temperature_slopes,
}
"""Quantities that an output may depend on besides other outputs."""
