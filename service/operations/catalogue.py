"""Every operation, described once.

The request and response models, the OpenAPI documents and the endpoints follow from this module: an operation, input,
parameter or output that is added here appears in all of them.
"""

from __future__ import annotations

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
            Example("masked", "A masked class", {"logits": MASKED, "outputs": ["probabilities", "entropy"]}),
            Example(
                "mask",
                "Classes that a mask of booleans keeps",
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
                "The derivative of every probability by every logit",
                {"logits": [2, 3, 4], "outputs": ["jacobian"]},
            ),
        ),
        invalid_examples=(
            Example("ragged", "Rows of different length", {"logits": [[2, 3, 4], [3, 1]]}),
            Example("unknown_field", "A field that there is not", {"scores": [2, 3, 4]}),
            Example("top_k", "More classes asked for than there are", {"logits": [2, 3, 4], "top_k": 4}),
            Example("mask", "A mask of weights", {"logits": [2, 3, 4], "mask": [1, 0.5, 0]}),
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
                "A batch with a row that is ignored",
                {
                    "logits": [[2, 3, 4], [3, 1, -3], [0, 0, 0]],
                    "targets": [1, 0, -100],
                    "ignore_index": -100,
                    "outputs": ["loss", "denominator", "row_losses", "accuracy"],
                },
            ),
            SOFT,
            TEACHER,
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
        inputs=(*LOGITS, *(each for each in TARGETS if each.name in ("targets", "sample_weights"))),
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
