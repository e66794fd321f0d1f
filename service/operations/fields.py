"""The inputs and parameters that operations share.

Axes: see `service.operations.spec`.
"""

from __future__ import annotations

from service.operations.spec import Domain, Input, Parameter

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
    Input(
        "mask",
        (CLASSES, ("K",)),
        Domain.MASK,
        'The classes to keep, shape (..., K), or (K,) for every row. An excluded class is one with the logit "-Infinity".',
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
