"""What the files of a job come to together."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

import numpy as np

from deploy.ray.exact import ExactSum
from deploy.ray.job import committed

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from deploy.ray.job import Job
    from service.arrays import Array

SUMMARY = "_summary.json"
GRADIENT = "_gradient.npz"


def write_whole(job: Job, finished: Collection[str], failures: Mapping[str, str]) -> None:
    """Writes `SUMMARY`, and `GRADIENT` if there is a layer: those of the finished files as one batch."""
    sums = add_up(job, finished)
    gradients = {name: mean(sums[name], sums) for name in sums if name.endswith("_gradient")}
    if gradients:
        with committed(job.destination / GRADIENT) as path, path.open("wb") as file:
            np.savez(file, allow_pickle=False, **gradients)
    summary: dict[str, Any] = {"files": len(finished), "failed": dict(failures), "rows": int(sums.get("rows", 0))}
    if "loss" in sums:
        hits, counted = int(sums["hits"]), int(sums["counted"])
        summary |= {"counted": counted, "accuracy": hits / counted if counted else 0.0}
        summary |= {"denominator": float(sums["denominator"]), "loss": spelled(float(mean(sums["loss"], sums)))}
    with committed(job.destination / SUMMARY) as path:
        path.write_text(json.dumps(summary, indent=2) + "\n", encoding="utf-8")


def add_up(job: Job, names: Iterable[str]) -> dict[str, Array]:
    """The sums of some files, exact whatever their order."""
    sums: dict[str, ExactSum] = {}
    for name in names:
        with np.load(job.receipt(name)) as receipt:
            for key in set(receipt) - {"fingerprint"}:
                sums.setdefault(key, ExactSum()).add(receipt[key].astype(np.float64))
    return {key: total.total() for key, total in sums.items()}


def mean(total: Array, sums: Mapping[str, Array]) -> Array:
    """A sum over the denominator of the whole; 0 where that is 0."""
    denominator = sums["denominator"]
    return total / denominator if denominator else np.zeros_like(total)


def spelled(value: float) -> float | str:
    """A number as the service writes it in JSON."""
    return value if math.isfinite(value) else str(value).replace("inf", "Infinity")
