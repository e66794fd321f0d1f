"""The outputs of calibrate."""

from __future__ import annotations

from service.operations.spec import Output

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
