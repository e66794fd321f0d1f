"""Types of arrays and shapes, defined once."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

Shape = tuple[int, ...]

Block = slice | Integers
"""Some rows of a batch: a range of them, or the place of each."""
