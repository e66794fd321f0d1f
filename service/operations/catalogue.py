"""softmax, loss and gradient, described once.

The request and reply models, the OpenAPI document and the endpoints all follow from this page; an output added here
is everywhere. Axes: see `service.operations.spec`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from service.compute import linear
from service.compute.evaluation import mean_of_counted
from service.compute.scaled import Scaled
from service.operations.spec import Domain, Example, Input, Operation, Output, Parameter

ROWS = ("...",)
CLASSES = ("...", "K")

LOGITS = (
    Input(
        "logits",
        (CLASSES,),
        Domain.LOGITS,
        'Scores of the classes, shape (..., K), nats. The string "-Infinity" excludes a class.',
    ),
    Input(
        "inputs",
        (("...", "D"),),
        Domain.ROWS,
        "In place of logits: the features in front of the last layer, shape (..., D); logits = inputs @ weights.T + bias.",
        needs=("weights",),
    ),
    Input("weights", (("K", "D"),), Domain.FINITE, "Weights of the last layer, shape (K, D).", needs=("inputs",)),
    Input("bias", (("K",),), Domain.FINITE, "Bias of the last layer, shape (K,); 0 if left out.", needs=("inputs",)),
)

TARGETS = (
    Input(
        "targets",
        (ROWS, CLASSES),
        Domain.TARGETS,
        "Class indices, shape (...), or class probabilities, shape (..., K); the rank tells which. Probabilities need not sum to 1.",
    ),
    Input(
        "class_weights",
        (("K",),),
        Domain.NON_NEGATIVE,
        "How much each class counts, shape (K,); 1 if left out.",
        needs=("targets",),
    ),
    Input(
        "sample_weights",
        (ROWS,),
        Domain.FINITE,
        "Weight of each row, shape (...), 1 if left out; at least 0, unless reduction or denominator replaces the mean over them.",
        needs=("targets",),
    ),
)

VECTOR = Input(
    "probabilities_gradient",
    (CLASSES,),
    Domain.FINITE,
    "In place of targets: the gradient of a loss of your own by the probabilities, shape (..., K).",
)

SCALING = (
    Parameter("temperature", float, "Divides the logits; above 1 flattens, below 1 sharpens.", above=0.0),
    Parameter(
        "softcap",
        float,
        "Bounds the logits smoothly: softcap * tanh(logits / softcap), before the temperature; not done if left out.",
        above=0.0,
    ),
    Parameter("top_k", int, "How many of the most probable classes to name, 1 to K.", minimum=1, axis="k"),
    Parameter(
        "dtype",
        str,
        "Precision of inputs and outputs. Inputs are rounded to it, outputs are correct to a few units in its last place.",
        choices=("float64", "float32"),
    ),
)

REDUCTION = (
    Parameter(
        "reduction",
        str,
        "How row losses become the loss: their weighted mean, their sum, or none (one loss per row).",
        choices=("mean", "sum", "none"),
        needs=("targets",),
    ),
    Parameter(
        "label_smoothing",
        float,
        "Share eps of every target that is spread evenly over the K classes, 0 <= eps < 1.",
        minimum=0.0,
        below=1.0,
        needs=("targets",),
    ),
    Parameter(
        "ignore_index",
        int,
        "Rows with this label are not counted; nothing is ignored if left out.",
        minimum=-(2**63),
        maximum=2**63 - 1,
        needs=("targets",),
    ),
    Parameter(
        "z_loss",
        float,
        "Weight of a penalty on log_normalizer**2, which keeps logits from drifting.",
        minimum=0.0,
        needs=("targets",),
    ),
    Parameter(
        "denominator",
        float,
        "Divides the mean in place of the sum of weights, to add up the parts of a batch sent in several requests.",
        minimum=0.0,
        needs=("targets",),
    ),
)

BINS = Parameter(
    "bins",
    int,
    "Number of equal bins of confidence over (0, 1] for the calibration error.",
    minimum=1,
    maximum=10_000,
    axis="bins",
)

LEARNING_RATE = Parameter(
    "learning_rate",
    float,
    "Asks for one step of gradient descent on the layer: weights - learning_rate * weights_gradient.",
    needs=("weights",),
)

SOFTMAX_OUTPUTS = (
    Output(
        "probabilities",
        (CLASSES,),
        "Softmax of the logits, shape (..., K); rows sum to 1.",
        finite=True,
        rows=lambda rows: rows.rounded.probabilities,
    ),
    Output(
        "log_probabilities",
        (CLASSES,),
        "Their logarithms, shape (..., K), nats; -Infinity for an excluded class.",
        rows=lambda rows: rows.rounded.log_probabilities,
    ),
    Output(
        "predictions",
        (ROWS,),
        "The most probable class, shape (...), the lowest index among equals; -1 if every class is excluded.",
        rows=lambda rows: rows.rounded.predictions,
        integer=True,
        finite=True,
    ),
    Output(
        "log_normalizer",
        (ROWS,),
        "logsumexp of the scaled logits, shape (...), nats.",
        rows=lambda rows: rows.rounded.log_normalizer,
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
        rows=lambda rows: rows.of_top_k(rows.rounded.probabilities, 0.0),
        finite=True,
        needs=("top_k",),
    ),
    Output(
        "top_k_log_probabilities",
        (("...", "k"),),
        "The logarithms of top_k_probabilities, shape (..., top_k), nats; -Infinity where only excluded classes are left.",
        rows=lambda rows: rows.of_top_k(rows.rounded.log_probabilities, -np.inf),
        needs=("top_k",),
    ),
    Output(
        "jacobian",
        (("...", "K", "K"),),
        "Derivative of probability i by logit j, shape (..., K, K): p_i (delta_ij - p_j) / temperature.",
        rows=lambda rows: rows.softmax.jacobian,
    ),
    Output(
        "logits",
        (CLASSES,),
        "The logits as sent, or as the layer gives them, shape (..., K).",
        rows=lambda rows: rows.logits,
    ),
)

LOSS_OUTPUTS = (
    Output(
        "loss",
        ((), ROWS),
        "The reduced loss, a number, nats; with reduction none a loss per row, shape (...).",
        depends_on=("cross_entropies", "log_normalizers"),
        reduce=lambda batch, cross_entropies, log_normalizers: batch.loss(cross_entropies, log_normalizers),
        needs=("targets",),
    ),
    Output(
        "denominator",
        ((),),
        "What the mean divides by, a number: the sum of the weights of the counted rows. Where it is 0, loss and gradients are 0.",
        reduce=lambda batch: batch.targets.denominator,
        needs=("targets",),
    ),
    Output(
        "row_losses",
        (ROWS,),
        "The weighted loss of each row before reduction, shape (...), nats; 0 for a row that is not counted.",
        rows=lambda rows: rows.cross_entropy.row_losses,
        needs=("targets",),
    ),
    Output(
        "accuracy",
        ((),),
        "Share of the counted rows whose prediction is the target, a number, unweighted; 0 with no counted row.",
        finite=True,
        depends_on=("predictions",),
        reduce=lambda batch, predictions: batch.accuracy(predictions),
        needs=("targets",),
    ),
    Output(
        "top_k_accuracy",
        ((),),
        "Share of the counted rows whose target is one of top_k_classes, a number, unweighted; 0 without a counted row.",
        finite=True,
        depends_on=("top_k_classes",),
        reduce=lambda batch, classes: batch.top_k_accuracy(classes),
        needs=("targets", "top_k"),
    ),
    Output(
        "perplexity",
        ((),),
        "exp of the mean cross-entropy, a number, whatever the reduction; 1 without a counted row.",
        depends_on=("cross_entropies",),
        reduce=lambda batch, cross_entropies: np.exp(batch.targets.mean_cross_entropy(cross_entropies)),
        needs=("targets",),
    ),
    Output(
        "brier_score",
        ((),),
        "Mean over the counted rows of the squared distance between probabilities and target, a number, unweighted.",
        depends_on=("brier_scores",),
        reduce=lambda batch, scores: mean_of_counted(scores, batch.targets.counted),
        needs=("targets",),
    ),
    Output(
        "expected_calibration_error",
        ((),),
        "Mean gap between accuracy and confidence over the bins, weighted by their counts, a number; 0 without a counted row.",
        finite=True,
        depends_on=("confidences",),
        reduce=lambda batch, confidences: batch.reliability(confidences).expected_calibration_error,
        needs=("targets",),
    ),
    Output(
        "bin_counts",
        (("bins",),),
        "Number of counted rows in each bin of confidence, shape (bins,).",
        integer=True,
        finite=True,
        depends_on=("confidences",),
        reduce=lambda batch, confidences: batch.reliability(confidences).counts,
        needs=("targets",),
    ),
    Output(
        "bin_confidences",
        (("bins",),),
        "Mean confidence in each bin, shape (bins,); 0 for an empty bin.",
        finite=True,
        depends_on=("confidences",),
        reduce=lambda batch, confidences: batch.reliability(confidences).mean_confidences,
        needs=("targets",),
    ),
    Output(
        "bin_accuracies",
        (("bins",),),
        "Share of right predictions in each bin, shape (bins,); 0 for an empty bin.",
        finite=True,
        depends_on=("confidences",),
        reduce=lambda batch, confidences: batch.reliability(confidences).accuracies,
        needs=("targets",),
    ),
    Output(
        "target_log_probabilities",
        (ROWS,),
        "Logarithm of the probability of each label, shape (...), nats; 0 for a row that is not counted.",
        rows=lambda rows: rows.cross_entropy.target_log_probabilities,
        needs=("targets", "target classes"),
    ),
)

GRADIENT_OUTPUTS = (
    Output(
        "logits_gradient",
        (CLASSES,),
        "Gradient of the loss by the logits, shape (..., K).",
        rows=lambda rows: rows.gradient.logits_gradient,
    ),
    Output(
        "weights_gradient",
        (("K", "D"),),
        "Gradient of the loss by the weights, shape (K, D), summed over rows.",
        depends_on=("logits_gradient",),
        reduce=lambda batch, gradient: batch.weights_gradient(gradient),
        needs=("weights",),
    ),
    Output(
        "bias_gradient",
        (("K",),),
        "Gradient of the loss by the bias, shape (K,), summed over rows.",
        depends_on=("logits_gradient",),
        reduce=lambda batch, gradient: batch.bias_gradient(gradient),
        needs=("bias",),
    ),
    Output(
        "inputs_gradient",
        (("...", "D"),),
        "Gradient of the loss by the inputs, shape (..., D).",
        depends_on=("logits_gradient",),
        reduce=lambda batch, gradient: batch.inputs_gradient(gradient),
        needs=("weights",),
    ),
    Output(
        "temperature_gradient",
        ((),),
        "Derivative of the loss by the temperature, a number, summed over rows; excluded classes have no part in it.",
        depends_on=("temperature_slopes",),
        reduce=lambda _, slopes: Scaled.unpacked(slopes).total().rounded(),
    ),
    Output(
        "targets_gradient",
        (CLASSES,),
        "Gradient of the loss by target probabilities, shape (..., K).",
        rows=lambda rows: rows.cross_entropy.targets_gradient,
        needs=("target probabilities",),
    ),
    Output(
        "hessian",
        (("...", "K", "K"),),
        "Second derivative of each row's loss by its logits, shape (..., K, K), scaled like the loss.",
        rows=lambda rows: rows.cross_entropy.hessian,
        needs=("targets",),
        unless=("softcap",),
    ),
    Output(
        "updated_weights",
        (("K", "D"),),
        "The weights after one step of gradient descent, shape (K, D).",
        depends_on=("weights_gradient",),
        reduce=lambda batch, gradient: linear.step(batch.weights, gradient, batch.arguments.learning_rate),
        needs=("weights", "learning_rate"),
    ),
    Output(
        "updated_bias",
        (("K",),),
        "The bias after one step of gradient descent, shape (K,).",
        depends_on=("bias_gradient",),
        reduce=lambda batch, gradient: linear.step(batch.bias, gradient, batch.arguments.learning_rate),
        needs=("bias", "learning_rate"),
    ),
)

CALIBRATION_OUTPUTS = (
    Output(
        "temperature",
        ((),),
        "The temperature of the least mean loss, a number from 1e-6 to 1e6.",
        finite=True,
        reduce=lambda batch: batch.calibration.minimum.temperature,
    ),
    Output(
        "at_bound",
        ((),),
        "1 if the loss still falls at the end of the range that is returned, or is the same everywhere; else 0.",
        integer=True,
        finite=True,
        reduce=lambda batch: int(batch.calibration.minimum.at_bound),
    ),
    Output(
        "loss",
        ((),),
        "Mean cross-entropy at that temperature, a number, nats.",
        reduce=lambda batch: batch.calibration.after.loss,
    ),
    Output(
        "expected_calibration_error",
        ((),),
        "Expected calibration error at that temperature, a number.",
        finite=True,
        reduce=lambda batch: batch.calibration.after.reliability.expected_calibration_error,
    ),
    Output(
        "bin_counts",
        (("bins",),),
        "Number of counted rows in each bin of confidence at that temperature, shape (bins,).",
        integer=True,
        finite=True,
        reduce=lambda batch: batch.calibration.after.reliability.counts,
    ),
    Output(
        "bin_confidences",
        (("bins",),),
        "Mean confidence in each bin at that temperature, shape (bins,); 0 for an empty bin.",
        finite=True,
        reduce=lambda batch: batch.calibration.after.reliability.mean_confidences,
    ),
    Output(
        "bin_accuracies",
        (("bins",),),
        "Share of right predictions in each bin at that temperature, shape (bins,); 0 for an empty bin.",
        finite=True,
        reduce=lambda batch: batch.calibration.after.reliability.accuracies,
    ),
    Output(
        "loss_before",
        ((),),
        "Mean cross-entropy at temperature 1, a number, nats.",
        reduce=lambda batch: batch.calibration.before.loss,
    ),
    Output(
        "expected_calibration_error_before",
        ((),),
        "Expected calibration error at temperature 1, a number.",
        finite=True,
        reduce=lambda batch: batch.calibration.before.reliability.expected_calibration_error,
    ),
    Output(
        "bin_counts_before",
        (("bins",),),
        "Number of counted rows in each bin of confidence at temperature 1, shape (bins,).",
        integer=True,
        finite=True,
        reduce=lambda batch: batch.calibration.before.reliability.counts,
    ),
    Output(
        "bin_confidences_before",
        (("bins",),),
        "Mean confidence in each bin at temperature 1, shape (bins,); 0 for an empty bin.",
        finite=True,
        reduce=lambda batch: batch.calibration.before.reliability.mean_confidences,
    ),
    Output(
        "bin_accuracies_before",
        (("bins",),),
        "Share of right predictions in each bin at temperature 1, shape (bins,); 0 for an empty bin.",
        finite=True,
        reduce=lambda batch: batch.calibration.before.reliability.accuracies,
    ),
)

CALIBRATION_PARAMETERS = ("softcap", "dtype", "ignore_index", "bins")
"""The parameters of the other operations that `calibrate` has too."""

MASKED: list[float | str] = [2, "-Infinity", 4]
"""Logits of which the middle class is excluded."""

LAYER: dict[str, Any] = {
    "inputs": [[1, 0.5, -1]],
    "weights": [[0.2, -0.4, 0.1], [0.5, 0.3, -0.2], [-0.1, 0.6, 0.4]],
    "bias": [0, 0, 0],
}
"""One sample in front of a last layer of three nodes."""

SINGLE = Example("single", "A single sample whose second class is the right one", {"logits": [2, 3, 4], "targets": 1})
SOFT = Example(
    "soft",
    "Soft targets with label smoothing",
    {"logits": [[2, 3, 4]], "targets": [[0.1, 0.7, 0.2]], "label_smoothing": 0.1},
)

OPERATIONS = (
    Operation(
        name="softmax",
        summary="Probabilities of logits",
        doc="`p_i = exp(z_i / T) / sum_j exp(z_j / T)` for every row of logits `z`, with `T` the temperature.",
        inputs=LOGITS,
        alternatives=(("logits", "inputs"),),
        parameters=SCALING,
        outputs=SOFTMAX_OUTPUTS,
        default_outputs=("probabilities", "predictions", "top_k_classes", "top_k_probabilities"),
        examples=(
            Example("single", "A single sample", {"logits": [2, 3, 4]}),
            Example("batch", "A batch, with the two best classes", {"logits": [[2, 3, 4], [3, 1, -3]], "top_k": 2}),
            Example("masked", "A masked class", {"logits": MASKED, "outputs": ["probabilities", "entropy"]}),
            Example("temperature", "Flattened by a temperature", {"logits": [2, 3, 4], "temperature": 2}),
            Example(
                "layer",
                "A last layer of three nodes",
                {**LAYER, "outputs": ["logits", "probabilities"]},
            ),
            Example(
                "jacobian",
                "The derivative of every probability by every logit",
                {"logits": [2, 3, 4], "outputs": ["jacobian"]},
            ),
        ),
        invalid_examples=(
            Example("ragged", "Rows of different length", {"logits": [[2, 3, 4], [3, 1]]}),
            Example("unknown_field", "A field that there is not", {"scores": [2, 3, 4]}),
            Example("top_k", "More classes asked for than there are", {"logits": [2, 3, 4], "top_k": 4}),
        ),
    ),
    Operation(
        name="loss",
        summary="Cross-entropy of logits against targets",
        doc="`L = -sum_i t_i ln p_i` for every row, with `p` the softmax of its logits and `t` its target, reduced over rows.",
        inputs=LOGITS + TARGETS,
        alternatives=(("logits", "inputs"), ("targets",)),
        parameters=(*SCALING, *REDUCTION, BINS),
        outputs=SOFTMAX_OUTPUTS + LOSS_OUTPUTS,
        default_outputs=("loss", "denominator"),
        examples=(
            SINGLE,
            Example(
                "batch",
                "A batch with a row that is ignored",
                {
                    "logits": [[2, 3, 4], [3, 1, -3], [0, 0, 0]],
                    "targets": [1, 0, -100],
                    "ignore_index": -100,
                    "outputs": ["loss", "denominator", "row_losses", "accuracy"],
                },
            ),
            SOFT,
            Example("masked", "A masked class", {"logits": MASKED, "targets": 2}),
            Example("excluded_target", "A target that is masked: an infinite loss", {"logits": MASKED, "targets": 1}),
            Example(
                "weighted",
                "Classes and samples of different weight",
                {
                    "logits": [[2, 3, 4], [3, 1, -3]],
                    "targets": [1, 0],
                    "class_weights": [1, 3, 1],
                    "sample_weights": [0.5, 2],
                },
            ),
        ),
        invalid_examples=(
            Example("label", "A label that is no class index", {"logits": [[2, 3, 4]], "targets": [3]}),
            Example("shape", "More targets than rows", {"logits": [[2, 3, 4]], "targets": [1, 0]}),
            Example("excluded_row", "No class left in a row", {"logits": [["-Infinity", "-Infinity"]], "targets": [0]}),
        ),
    ),
    Operation(
        name="gradient",
        summary="Gradient of the cross-entropy, down to the weights of the last layer",
        doc=(
            "`dL/dz_i = (p_i - t_i) / T` for every row, `dL/dW = sum_n dL/dz[n] outer inputs[n]` for the layer in front, "
            "and one step down it."
        ),
        inputs=(*LOGITS, *TARGETS, VECTOR),
        alternatives=(("logits", "inputs"), ("targets", "probabilities_gradient")),
        parameters=(*SCALING, *REDUCTION, BINS, LEARNING_RATE),
        outputs=SOFTMAX_OUTPUTS + LOSS_OUTPUTS + GRADIENT_OUTPUTS,
        default_outputs=(
            "loss",
            "logits_gradient",
            "weights_gradient",
            "bias_gradient",
            "inputs_gradient",
            "updated_weights",
            "updated_bias",
        ),
        examples=(
            SINGLE,
            Example("batch", "A batch", {"logits": [[2, 3, 4], [3, 1, -3]], "targets": [1, 0]}),
            Example(
                "layer",
                "One step of gradient descent on a layer of three nodes",
                {**LAYER, "targets": [1], "learning_rate": 0.1},
            ),
            SOFT,
            Example("masked", "A masked class", {"logits": MASKED, "targets": 2}),
            Example(
                "calibration",
                "Which way to move the temperature",
                {
                    "logits": [[2, 3, 4], [3, 1, -3]],
                    "targets": [1, 0],
                    "temperature": 2,
                    "outputs": ["loss", "temperature_gradient"],
                },
            ),
            Example(
                "vector_jacobian",
                "A loss of one's own",
                {"logits": [[2, 3, 4]], "probabilities_gradient": [[0.5, -1, 0]]},
            ),
        ),
        invalid_examples=(
            Example("targets", "Nothing to differ from", {"logits": [2, 3, 4]}),
            Example(
                "outputs",
                "Weights asked for, and no layer sent",
                {"logits": [2, 3, 4], "targets": 1, "outputs": ["weights_gradient"]},
            ),
            Example("number", "Text where a number must stand", {"logits": [2, "3", 4], "targets": 1}),
        ),
    ),
    Operation(
        name="calibrate",
        summary="The temperature that calibrates a classifier",
        doc="`T` that minimises the mean of `-ln p_y` over the rows, with `p = softmax(z / T)`, and the calibration error with it.",
        inputs=(*LOGITS, *(each for each in TARGETS if each.name != "class_weights")),
        alternatives=(("logits", "inputs"), ("targets",)),
        parameters=tuple(each for each in (*SCALING, *REDUCTION, BINS) if each.name in CALIBRATION_PARAMETERS),
        outputs=CALIBRATION_OUTPUTS,
        default_outputs=tuple(output.name for output in CALIBRATION_OUTPUTS if output.axes == ((),)),
        examples=(
            Example(
                "batch",
                "Logits that are more confident than right",
                {
                    "logits": [[6, 0, 1], [5, 1, 0], [0, 4, 1], [3, 2, 8], [7, 1, 2], [1, 5, 0]],
                    "targets": [0, 1, 1, 2, 0, 1],
                    "bins": 5,
                },
            ),
            Example(
                "at_bound",
                "Every row right: the loss falls until the temperature is 0",
                {"logits": [[2, 1], [0, 3]], "targets": [0, 1], "outputs": ["temperature", "at_bound"]},
            ),
        ),
        invalid_examples=(
            Example(
                "temperature", "The temperature is the result", {"logits": [[2, 1]], "targets": [0], "temperature": 2}
            ),
        ),
    ),
)
"""Every operation, in the order in which they build on each other."""
