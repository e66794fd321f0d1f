"""Every operation, described once, of the inputs and parameters in `fields` and the outputs in `outputs`.

The request and response models, both OpenAPI documents and the endpoints follow from these descriptions: an operation,
input, parameter or output that is added appears in all of them.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from service.operations.calibration_outputs import CALIBRATION_OUTPUTS
from service.operations.fields import BINS, LEARNING_RATE, LOGITS, PROBABILITIES_GRADIENT, REDUCTION, SCALING, TARGETS
from service.operations.outputs import GRADIENT_OUTPUTS, LOSS_OUTPUTS, SOFTMAX_OUTPUTS
from service.operations.spec import Example, Operation

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
TEACHER = Example(
    "teacher",
    "Distillation: a student beside its teacher",
    {
        "logits": [[2, 3, 4]],
        "teacher_logits": [[1, 3.5, 4]],
        "temperature": 2,
        "outputs": ["kl_divergence", "loss"],
    },
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
            Example("masked", "An excluded class", {"logits": MASKED, "outputs": ["probabilities", "entropy"]}),
            Example(
                "mask",
                "Classes excluded by a mask",
                {"logits": [[2, 3, 4], [3, 1, -3]], "mask": [[True, False, True], [True, True, False]]},
            ),
            Example("temperature", "Flattened by a temperature", {"logits": [2, 3, 4], "temperature": 2}),
            Example(
                "layer",
                "A last layer of three nodes",
                {**LAYER, "outputs": ["logits", "probabilities"]},
            ),
            Example(
                "jacobian",
                "The derivative of each probability with respect to each logit",
                {"logits": [2, 3, 4], "outputs": ["jacobian"]},
            ),
        ),
        invalid_examples=(
            Example("ragged", "Rows of different lengths", {"logits": [[2, 3, 4], [3, 1]]}),
            Example("unknown_field", "An unknown field", {"scores": [2, 3, 4]}),
            Example("top_k", "A top_k above the number of classes", {"logits": [2, 3, 4], "top_k": 4}),
            Example("mask", "A mask with a number other than 0 and 1", {"logits": [2, 3, 4], "mask": [1, 0.5, 0]}),
        ),
    ),
    Operation(
        name="loss",
        summary="Cross-entropy of logits against targets",
        doc="`L = -sum_i t_i ln p_i` for every row, with `p` the softmax of its logits and `t` its target, reduced over rows.",
        inputs=LOGITS + TARGETS,
        alternatives=(("logits", "inputs"), ("targets", "teacher_logits")),
        parameters=(*SCALING, *REDUCTION, BINS),
        outputs=SOFTMAX_OUTPUTS + LOSS_OUTPUTS,
        default_outputs=("loss", "denominator"),
        examples=(
            SINGLE,
            Example(
                "batch",
                "A batch with an ignored row",
                {
                    "logits": [[2, 3, 4], [3, 1, -3], [0, 0, 0]],
                    "targets": [1, 0, -100],
                    "ignore_index": -100,
                    "outputs": ["loss", "denominator", "row_losses", "accuracy"],
                },
            ),
            SOFT,
            TEACHER,
            Example("masked", "An excluded class", {"logits": MASKED, "targets": 2}),
            Example("excluded_target", "An excluded target: the loss is infinite", {"logits": MASKED, "targets": 1}),
            Example(
                "weighted",
                "Weights of classes and of samples",
                {
                    "logits": [[2, 3, 4], [3, 1, -3]],
                    "targets": [1, 0],
                    "class_weights": [1, 3, 1],
                    "sample_weights": [0.5, 2],
                },
            ),
        ),
        invalid_examples=(
            Example("label", "A label that is not a class index", {"logits": [[2, 3, 4]], "targets": [3]}),
            Example("shape", "More targets than rows", {"logits": [[2, 3, 4]], "targets": [1, 0]}),
            Example("excluded_row", "A row without a class", {"logits": [["-Infinity", "-Infinity"]], "targets": [0]}),
        ),
    ),
    Operation(
        name="gradient",
        summary="Gradient of the cross-entropy, down to the weights of the last layer",
        doc=(
            "`dL/dz_i = (p_i - t_i) / T` for every row, `dL/dW = sum_n dL/dz[n] outer inputs[n]` for the layer in front, "
            "and the layer after one step of gradient descent."
        ),
        inputs=(*LOGITS, *TARGETS, PROBABILITIES_GRADIENT),
        alternatives=(("logits", "inputs"), ("targets", "teacher_logits", "probabilities_gradient")),
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
            TEACHER,
            Example("masked", "An excluded class", {"logits": MASKED, "targets": 2}),
            Example(
                "calibration",
                "The derivative of the loss with respect to the temperature",
                {
                    "logits": [[2, 3, 4], [3, 1, -3]],
                    "targets": [1, 0],
                    "temperature": 2,
                    "outputs": ["loss", "temperature_gradient"],
                },
            ),
            Example(
                "vector_jacobian",
                "The gradient of another loss, given by the client",
                {"logits": [[2, 3, 4]], "probabilities_gradient": [[0.5, -1, 0]]},
            ),
        ),
        invalid_examples=(
            Example("targets", "No targets", {"logits": [2, 3, 4]}),
            Example(
                "outputs",
                "A gradient of weights without a layer",
                {"logits": [2, 3, 4], "targets": 1, "outputs": ["weights_gradient"]},
            ),
            Example("number", "A string in place of a number", {"logits": [2, "3", 4], "targets": 1}),
        ),
    ),
    Operation(
        name="calibrate",
        summary="The temperature that calibrates a classifier",
        doc="`T` that minimises the mean of `-ln p_y` over the rows, with `p = softmax(z / T)`, and the calibration error at `T`.",
        # the temperature, and so every output at it, depends on the weights of the rows
        inputs=(
            *LOGITS,
            *(replace(each, outputs=()) for each in TARGETS if each.name in ("targets", "sample_weights")),
        ),
        alternatives=(("logits", "inputs"), ("targets",)),
        parameters=tuple(each for each in (*SCALING, *REDUCTION, BINS) if each.name in CALIBRATION_PARAMETERS),
        outputs=CALIBRATION_OUTPUTS,
        default_outputs=tuple(output.name for output in CALIBRATION_OUTPUTS if output.axes == ((),)),
        examples=(
            Example(
                "batch",
                "An overconfident classifier",
                {
                    "logits": [[6, 0, 1], [5, 1, 0], [0, 4, 1], [3, 2, 8], [7, 1, 2], [1, 5, 0]],
                    "targets": [0, 1, 1, 2, 0, 1],
                    "bins": 5,
                },
            ),
            Example(
                "at_bound",
                "Every prediction is right: the loss falls until the temperature is 0",
                {"logits": [[2, 1], [0, 3]], "targets": [0, 1], "outputs": ["temperature", "at_bound"]},
            ),
        ),
        invalid_examples=(
            Example(
                "temperature",
                "A temperature, which is the result",
                {"logits": [[2, 1]], "targets": [0], "temperature": 2},
            ),
        ),
    ),
)
"""Every operation, in the order in which they build on each other."""
