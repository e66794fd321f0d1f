"""Tensor fields: arrays in Python, nested arrays of numbers in JSON."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from types import GenericAlias
from typing import TYPE_CHECKING, Annotated, Any, Literal, Union

import numpy as np
from pydantic import Field, GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema
from typing_extensions import TypeAliasType

from service.errors import InvalidValue, NotANumber, ShapeMismatch
from service.formats.nested import MAX_RANK, from_nested
from service.operations.spec import Domain

if TYPE_CHECKING:
    from collections.abc import Iterable

    from service.arrays import Array
    from service.operations.spec import Axes

NonFinite = TypeAliasType(
    "NonFinite",
    Annotated[
        Literal["Infinity", "-Infinity", "NaN"],
        Field(
            description="A result that is no number of JSON.",
            # generators of clients make names of values, and "-Infinity" has none of its own
            json_schema_extra={"x-enum-varnames": ["INFINITY", "NEGATIVE_INFINITY", "NAN"]},
        ),
    ],
)
BOUNDED = (Domain.FINITE, Domain.NON_NEGATIVE)
"""Domains that a value may lie outside of whatever the other fields are; what depends on those is checked later."""

Logit = float | Literal["-Infinity"]
Weight = Annotated[float, Field(ge=0)]
Result = float | NonFinite


def nested(scalar: Any, shapes: Iterable[Axes]) -> Any:
    """The type of a tensor in JSON: arrays of scalars, one deep for each axis of one of its shapes.

    No batch axes and one are written out. More are arrays of anything: a type that holds itself would say it exactly,
    but generators of clients make nothing of it.
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
    """Makes an ndarray field of a Pydantic model: `Annotated[np.ndarray, TensorField(domain, shown)]`.

    Takes an array, a number or a nested list of numbers; refuses what lies outside the domain.
    shown: the type that stands for it in the JSON schema.
    """

    domain: Domain
    shown: Any

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(
            partial(self.validate, str(handler.field_name)),
            json_schema_input_schema=handler.generate_schema(self.shown),
        )

    def validate(self, name: str, value: Any) -> Array:
        """value as an array of int64 or of floats, in the domain."""
        array = value if isinstance(value, np.ndarray) else from_nested(name, value)
        if array.dtype.kind not in "iuf":
            raise NotANumber(name)
        if array.ndim > MAX_RANK:
            raise ShapeMismatch(f"{name} has more than {MAX_RANK} axes; merge some.", ((name,), "has too many axes"))
        if self.domain in BOUNDED:
            check_domain(name, array, self.domain)
        return array


def check_domain(name: str, array: Array, domain: Domain) -> None:
    """Raises InvalidValue where a value lies outside the domain, one of BOUNDED."""
    if not np.isfinite(array).all():
        raise InvalidValue(f"{name} must hold finite numbers; it has a NaN or an infinity.", ((name,), "is not finite"))
    if domain is Domain.NON_NEGATIVE and (array < 0).any():
        raise InvalidValue(f"{name} must not hold negative numbers.", ((name,), "is negative"))


def optional(kind: Any, doc: str, *, default: Any = None, **constraints: Any) -> Any:
    """A field that may be left out but, being there, is never null."""
    extra = (lambda schema: schema.pop("default", None)) if default is None else None
    return kind, Field(default=default, description=doc, json_schema_extra=extra, **constraints)
