"""The outputs of calibrate."""

from __future__ import annotations

from typing import TYPE_CHECKING

from service.operations.spec import Output

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from service.compute.calibration import Evaluation


def _evaluation(suffix: str, when: str, of: Callable[[Any], Evaluation]) -> tuple[Output, ...]:
    """Return the outputs that evaluate the rows at one temperature.

    suffix: the end of their names. when: the temperature in words. of: returns the evaluation of a batch.
    """
    return (
        Output(
            f"loss{suffix}",
            ((),),
            f"Mean cross-entropy {when}, a number, nats.",
            reduce=lambda batch: of(batch).loss,
        ),
        Output(
            f"expected_calibration_error{suffix}",
            ((),),
            f"Expected calibration error {when}, a number.",
            finite=True,
            reduce=lambda batch: of(batch).reliability.expected_calibration_error,
        ),
        Output(
            f"bin_counts{suffix}",
            (("bins",),),
            f"Number of counted rows in each bin of confidence {when}, shape (bins,).",
            integer=True,
            finite=True,
            reduce=lambda batch: of(batch).reliability.counts,
        ),
        Output(
            f"bin_confidences{suffix}",
            (("bins",),),
            f"Mean confidence in each bin {when}, shape (bins,); 0 for an empty bin.",
            finite=True,
            reduce=lambda batch: of(batch).reliability.mean_confidences,
        ),
        Output(
            f"bin_accuracies{suffix}",
            (("bins",),),
            f"Share of right predictions in each bin {when}, shape (bins,); 0 for an empty bin.",
            finite=True,
            reduce=lambda batch: of(batch).reliability.accuracies,
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
    *_evaluation("", "at that temperature", lambda batch: batch.calibration.after),
    *_evaluation("_before", "at temperature 1", lambda batch: batch.calibration.before),
)
