"""The loss, the accuracy and the gradients of all rows together."""

from __future__ import annotations

import io
import json
import math
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np

from deploy.batch.measures import combined

if TYPE_CHECKING:
    from collections.abc import Mapping

    from deploy.batch.job import Job
    from deploy.batch.run import Result
    from service.arrays import Array

SUMMARY = "_summary.json"
GRADIENT = "_gradient.npz"


def remove(job: Job) -> None:
    """Remove the summary of an earlier run: it must not stand beside other files than those it describes."""
    for name in (SUMMARY, GRADIENT):
        job.destination.remove(name)


def write(job: Job, sums: Mapping[str, Array], files: int, result: Result, skipped: Mapping[str, int]) -> None:
    """Write `SUMMARY`, and `GRADIENT` if there is a layer.

    sums: over all finished files. files: how many those are. skipped: counts by reason.
    """
    gradients = {name: mean(sums[name], sums) for name in sums if name.endswith("_gradient")}
    if gradients:
        content = io.BytesIO()
        np.savez(content, allow_pickle=False, **gradients)
        with job.destination.write(GRADIENT) as file:
            file.write(content.getvalue())
    found: dict[str, Any] = {"files": files, "failed": dict(result.failures), "skipped": dict(skipped)}
    found["rows"] = int(sums.get("rows", 0))
    if "loss" in sums:
        hits, counted = int(sums["hits"]), int(sums["counted"])
        found |= {"counted": counted, "accuracy": hits / counted if counted else 0.0}
        found |= {"denominator": float(sums["denominator"]), "loss": spelled(float(mean(sums["loss"], sums)))}
        measured = combined(job.measures, sums)
        found |= {name: spelled(value) if isinstance(value, float) else value for name, value in measured.items()}
    if result.fit is not None:
        found["calibration"] = asdict(result.fit)
    with job.destination.write(SUMMARY) as file:
        file.write((json.dumps(found, indent=2) + "\n").encode())


def mean(total: Array, sums: Mapping[str, Array]) -> Array:
    """Return a sum over all rows divided by their denominator, or 0 where that is 0."""
    denominator = sums["denominator"]
    return total / denominator if denominator else np.zeros_like(total)


def spelled(value: float) -> float | str:
    """Return a number as the service writes it in JSON."""
    return value if math.isfinite(value) else str(value).replace("inf", "Infinity")
