"""Names of fields."""

from __future__ import annotations

from typing import TYPE_CHECKING

from service.errors import DuplicateField, UnknownField
from service.operations.foreign_names import hint

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from service.operations.spec import Operation


def check_names(names: Iterable[str], operation: Operation) -> None:
    """Raise UnknownField at the first name that is not a field of the operation."""
    known = operation.names
    for name in names:
        if name not in known:
            raise UnknownField(name, known, hint=hint(name, known))


def unique(names: Iterable[str], known: Collection[str], kind: str = "field") -> list[str]:
    """Return the names. Raise UnknownField and DuplicateField at the first that is not known, or not the first of its kind."""
    seen: list[str] = []
    for name in names:
        if name not in known:
            raise UnknownField(name, known, kind, hint(name, known))
        if name in seen:
            raise DuplicateField(name)
        seen.append(name)
    return seen
