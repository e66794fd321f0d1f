"""python -m tests.contract.document: write both documents of openapi/ as the application has them."""

from __future__ import annotations

import json
from math import isclose
from pathlib import Path
from typing import Any

from service.api.app import create_app
from service.api.openapi.typed import typed_document
from service.settings import Settings

COMMITTED = Path(__file__).parents[2] / "openapi" / "openapi.json"

TYPED = COMMITTED.with_name("typed.json")


def written(document: dict[str, Any]) -> str:
    """Return a document as text."""
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def current() -> str:
    """Return the OpenAPI document of this code, as text."""
    return written(create_app(Settings()).openapi())


def current_typed() -> str:
    """Return the document for code generators, as text."""
    return written(typed_document(Settings()))


def same(left: Any, right: Any) -> bool:
    """Return whether two JSON values are equal, except for last digits: machines differ in exp."""
    if isinstance(left, float) and isinstance(right, float):
        return isclose(left, right, rel_tol=1e-14)
    if isinstance(left, dict) and isinstance(right, dict):
        return list(left) == list(right) and all(same(left[name], right[name]) for name in left)
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(same, left, right))
    return bool(left == right)


if __name__ == "__main__":
    COMMITTED.write_text(current(), encoding="utf-8")
    TYPED.write_text(current_typed(), encoding="utf-8")
