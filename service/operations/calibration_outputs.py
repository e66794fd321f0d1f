"""The outputs of calibrate, and those of other operations that compare confidence and accuracy."""

from __future__ import annotations

from typing import TYPE_CHECKING

from service.operations.spec import Output

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from service.compute.calibration import Evaluation
    from service.compute.evaluation import Reliability


def reliability_outputs(
    reliability: Callable[..., Reliability], suffix: str = "", when: str = "", **fields: Any
) -> tuple[Output, ...]:
    """Return the outputs that compare confidence and accuracy.

    reliability: computes them for a batch, and for what they depend on.
    suffix: the end of their names. when: the temperature in words. fields: further fields of each.
    """
    return (
        Output(
            f"expected_calibration_error{suffix}",
            ((),),
            f"Mean gap between accuracy and confidence over the bins{when}, weighted by their counts, a number; "
            "0 without a counted row.",
            finite=True,
            reduce=lambda *given: reliability(*given).expected_calibration_error,
            **fields,
        ),
        Output(
            f"bin_counts{suffix}",
            (("bins",),),
            f"Number of counted rows in each bin of confidence{when}, shape (bins,).",
            integer=True,
            finite=True,
            reduce=lambda *given: reliability(*given).counts,
            **fields,
        ),
        Output(
            f"bin_confidences{suffix}",
            (("bins",),),
            f"Mean confidence in each bin{when}, shape (bins,); 0 for an empty bin.",
            finite=True,
            reduce=lambda *given: reliability(*given).mean_confidences,
            **fields,
        ),
        Output(
            f"bin_accuracies{suffix}",
            (("bins",),),
            f"Share of right predictions in each bin{when}, shape (bins,); 0 for an empty bin.",
            finite=True,
            reduce=lambda *given: reliability(*given).accuracies,
            **fields,
        ),
    )


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
        *reliability_outputs(lambda batch: of(batch).reliability, suffix, f" {when}"),
    )


CALIBRATION_OUTPUTS = (
    Output(
        "temperature",
        ((),),
        "The temperature of the least mean loss, a number from 1e-6 to 1e6.",
        finite=True,
        reduce=lambda batch: batch.best_temperature.temperature,
    ),
    Output(
        "at_bound",
        ((),),
        "1 if the loss still falls at the end of the range that is returned, or is the same everywhere; else 0.",
        integer=True,
        finite=True,
        reduce=lambda batch: int(batch.best_temperature.at_bound),
    ),
    *_evaluation("", "at that temperature", lambda batch: batch.after),
    *_evaluation("_before", "at temperature 1", lambda batch: batch.before),
)
