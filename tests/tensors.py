"""Requests written with lists, as the models take them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from service.formats.nested import from_nested

if TYPE_CHECKING:
    from collections.abc import Mapping

    from service.operations.spec import Operation


def with_arrays(operation: Operation, request: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of a request, its tensors as arrays."""
    domains = operation.domains
    return {
        name: from_nested(name, value, domains[name], words=name == "logits")
        if name in domains and isinstance(value, list | int | float)
        else value
        for name, value in request.items()
    }
