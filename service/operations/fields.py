"""The inputs and parameters that operations share.

Axes: see `service.operations.spec`.
"""

from __future__ import annotations

from service.operations.spec import TARGET, TARGET_CLASSES, Domain, Input, Parameter

ROWS = ("...",)
CLASSES = ("...", "K")

GRADIENTS = (
    *("logits_gradient", "weights_gradient", "bias_gradient", "inputs_gradient", "temperature_gradient", "hessian"),
    *("updated_weights", "updated_bias"),
)
"""The derivatives of the loss that every weight and reduction changes."""

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
    Input(
        "mask",
        (CLASSES, ("K",)),
        Domain.MASK,
        'The classes to keep, shape (..., K), or (K,) for every row. An excluded class has the same effect as a logit of "-Infinity".',
    ),
)

TARGETS = (
    Input(
        "targets",
        (ROWS, CLASSES),
        Domain.TARGETS,
        "Class indices, shape (...), or class probabilities, shape (..., K); the rank tells which. Probabilities need not sum to 1.",
    ),
    Input(
        "teacher_logits",
        (CLASSES,),
        Domain.LOGITS,
        "In place of targets: logits of a teacher, shape (..., K), nats; the target is softmax(teacher_logits / temperature).",
    ),
    Input(
        "class_weights",
        (("K",),),
        Domain.NON_NEGATIVE,
        "Weight of each class, shape (K,); 1 if left out.",
        needs=(TARGET,),
        outputs=("loss", "denominator", "row_losses", "perplexity", "targets_gradient", *GRADIENTS),
    ),
    Input(
        "sample_weights",
        (ROWS,),
        Domain.FINITE,
        "Weight of each row, shape (...), 1 if left out. Negative weights need a denominator, or reduction sum or none.",
        needs=(TARGET,),
        outputs=("loss", "denominator", "row_losses", "perplexity", "kl_divergence", "targets_gradient", *GRADIENTS),
    ),
)

PROBABILITIES_GRADIENT = Input(
    "probabilities_gradient",
    (CLASSES,),
    Domain.FINITE,
    "In place of targets: the gradient of your own loss with respect to the probabilities, shape (..., K).",
)

SCALING = (
    Parameter("temperature", float, "Divides the logits; above 1 flattens, below 1 sharpens.", above=0.0),
    Parameter(
        "softcap",
        float,
        "Bounds the logits smoothly, before the temperature: softcap * tanh(logits / softcap). No bound if left out.",
        above=0.0,
    ),
    Parameter(
        "top_k",
        int,
        "Number of most probable classes to return, 1 to K.",
        minimum=1,
        axis="k",
        outputs=("top_k_classes", "top_k_probabilities", "top_k_log_probabilities", "top_k_accuracy"),
    ),
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
        "Reduction of the row losses: their weighted mean, their sum, or none (one loss for each row).",
        choices=("mean", "sum", "none"),
        needs=(TARGET,),
        outputs=("loss", "kl_divergence", "targets_gradient", *GRADIENTS),
    ),
    Parameter(
        "label_smoothing",
        float,
        "Share of every target that is spread evenly over the classes, at least 0 and below 1.",
        minimum=0.0,
        below=1.0,
        needs=(TARGET,),
        outputs=("loss", "row_losses", "perplexity", "targets_gradient", *GRADIENTS),
    ),
    Parameter(
        "ignore_index",
        int,
        "Rows with this label are not counted. If left out, all rows are counted.",
        minimum=-(2**63),
        maximum=2**63 - 1,
        needs=(TARGET_CLASSES,),
    ),
    Parameter(
        "z_loss",
        float,
        "Weight of the penalty log_normalizer**2, which keeps logits from drifting.",
        minimum=0.0,
        needs=(TARGET,),
        outputs=("loss", "row_losses", *GRADIENTS),
    ),
    Parameter(
        "denominator",
        float,
        "Divisor of the mean in place of the sum of weights, for batches that are sent in several requests.",
        minimum=0.0,
        needs=(TARGET,),
        outputs=("loss", "denominator", "perplexity", "kl_divergence", "targets_gradient", *GRADIENTS),
    ),
)

BINS = Parameter(
    "bins",
    int,
    "Number of equal bins of confidence over (0, 1] for the calibration error.",
    minimum=1,
    maximum=10_000,
    needs=(TARGET,),
    axis="bins",
    outputs=(
        *("expected_calibration_error", "bin_counts", "bin_confidences", "bin_accuracies"),
        *("expected_calibration_error_before", "bin_counts_before", "bin_confidences_before", "bin_accuracies_before"),
    ),
)

LEARNING_RATE = Parameter(
    "learning_rate",
    float,
    "Step of gradient descent for updated_weights and updated_bias: weights - learning_rate * weights_gradient.",
    needs=("weights",),
    outputs=("updated_weights", "updated_bias"),
)
