"""Tensor fields: arrays in Python, nested arrays of numbers in the JSON schema."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from types import GenericAlias
from typing import TYPE_CHECKING, Annotated, Any, Literal, Union

import numpy as np
from pydantic import Field, GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema
from typing_extensions import TypeAliasType

from service.errors import NotANumber, ShapeMismatch
from service.operations.spec import MAX_RANK, Domain
from service.operations.values import invalid

if TYPE_CHECKING:
    from collections.abc import Iterable

    from service.arrays import Array
    from service.operations.spec import Axes

NonFinite = TypeAliasType(
    "NonFinite",
    Annotated[
        Literal["Infinity", "-Infinity", "NaN"],
        Field(
            description="A result that JSON has no number for.",
            # code generators turn values into names, and "-Infinity" is not a name
            json_schema_extra={"x-enum-varnames": ["INFINITY", "NEGATIVE_INFINITY", "NAN"]},
        ),
    ],
)
BOUNDED = (Domain.FINITE, Domain.NON_NEGATIVE, Domain.MASK)
"""Domains that do not depend on the other fields of a request."""

Logit = float | Literal["-Infinity"]
Kept = bool | Literal[0, 1]
Weight = Annotated[float, Field(ge=0)]
Result = float | NonFinite


def nested(scalar: Any, shapes: Iterable[Axes]) -> Any:
    """Return the type of a tensor in JSON: nested arrays of scalars, one level for each axis of one of its shapes.

    No batch axes and one are written out. More are arrays of anything: code generators cannot read a recursive type.
    """
    ranks: set[int] = set()
    deepest = 0
    for axes in shapes:
        if "..." in axes:
            ranks |= {len(axes) - 1, len(axes)}
            deepest = max(deepest, len(axes) + 1)
        else:
            ranks.add(len(axes))
    kinds = [_arrays(scalar, rank) for rank in sorted(ranks)]
    if deepest:
        kinds.append(_arrays(Any, deepest))
    return Union[tuple(kinds)]  # noqa: UP007 - it has as many members as there are ranks


def _arrays(scalar: Any, depth: int) -> Any:
    for _ in range(depth):
        scalar = GenericAlias(list, (scalar,))
    return scalar


@dataclass(frozen=True, slots=True)
class TensorField:
    """Array field of a Pydantic model: `Annotated[np.ndarray, TensorField(domain, shown)]`.

    domain: the values that are accepted.
    shown: the type that stands for the field in the JSON schema.
    """

    domain: Domain
    shown: Any

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(
            partial(self.validate, str(handler.field_name)),
            json_schema_input_schema=handler.generate_schema(self.shown),
        )

    def validate(self, name: str, array: Any) -> Array:
        """Return the array. Raise NotANumber, ShapeMismatch and InvalidValue if it is not one of numbers in the domain."""
        if not isinstance(array, np.ndarray) or array.dtype.kind not in "iuf":
            raise NotANumber(name)
        if array.ndim > MAX_RANK:
            raise ShapeMismatch(f"{name} has more than {MAX_RANK} axes; merge some.", ((name,), "has too many axes"))
        if self.domain in BOUNDED:
            check_domain(name, array, self.domain)
        return array


def check_domain(name: str, array: Array, domain: Domain) -> None:
    """Raise InvalidValue with the first places where a value is outside the domain, one of BOUNDED."""
    if domain is Domain.MASK:
        wrong = (array != 0) & (array != 1)
        message = "is neither 0 nor 1"
    else:
        wrong = ~np.isfinite(array)
        message = "is not finite"
    if domain is Domain.NON_NEGATIVE and not wrong.any():
        wrong = array < 0
        message = "is negative"
    if wrong.any():
        raise invalid(name, wrong, message, f"{name} must hold {domain}.")


def optional(kind: Any, doc: str, *, default: Any = None, **constraints: Any) -> Any:
    """Return a field that may be left out. Decoders leave out a field that is null."""
    extra = (lambda schema: schema.pop("default", None)) if default is None else None
    return kind, Field(default=default, description=doc, json_schema_extra=extra, **constraints)
