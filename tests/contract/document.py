"""python -m tests.contract.document: writes openapi/openapi.json as the application has it.

With --release, openapi/released.json too: what the next documents are compared with.
"""

from __future__ import annotations

import json
import sys
from math import isclose
from pathlib import Path
from typing import Any

from service.api.app import create_app
from service.settings import Settings

COMMITTED = Path(__file__).parents[2] / "openapi" / "openapi.json"

RELEASED = COMMITTED.with_name("released.json")


def current() -> str:
    """The OpenAPI document of this code, as text."""
    return json.dumps(create_app(Settings()).openapi(), indent=2, ensure_ascii=False) + "\n"


def same(left: Any, right: Any) -> bool:
    """Are two JSON values the same, but for the last digits, in which one machine's exp differs from another's?"""
    if isinstance(left, float) and isinstance(right, float):
        return isclose(left, right, rel_tol=1e-14)
    if isinstance(left, dict) and isinstance(right, dict):
        return list(left) == list(right) and all(same(left[name], right[name]) for name in left)
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(same, left, right))
    return bool(left == right)


if __name__ == "__main__":
    for path in [COMMITTED, RELEASED] if "--release" in sys.argv else [COMMITTED]:
        path.write_text(current(), encoding="utf-8")
