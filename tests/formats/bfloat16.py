"""The type bfloat16 of ml-dtypes, None where that package has no wheel."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from tests.wheels import missing

BFLOAT16: Any = None if missing("ml-dtypes") else import_module("ml_dtypes").bfloat16
