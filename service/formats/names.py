"""Names of fields."""

from __future__ import annotations

from typing import TYPE_CHECKING

from service.errors import DuplicateField, UnknownField

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable


def unique(names: Iterable[str], known: Collection[str]) -> list[str]:
    """The names, each known and there once. Raises UnknownField and DuplicateField at the first that is not."""
    seen: list[str] = []
    for name in names:
        if name not in known:
            raise UnknownField(name, known)
        if name in seen:
            raise DuplicateField(name)
        seen.append(name)
    return seen
