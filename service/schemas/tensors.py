"""Tensor fields: arrays in Python, nested arrays of numbers in JSON."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field, GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema
from typing_extensions import TypeAliasType

from service.description import Domain
from service.errors import InvalidValue, NotANumber, ShapeMismatch
from service.nested import MOST_AXES, from_nested

Array = npt.NDArray[Any]

NonFinite = Literal["Infinity", "-Infinity", "NaN"]
Excluded = Annotated[Literal["-Infinity"], Field(description="An excluded class.")]

Numbers = TypeAliasType("Numbers", list[float] | list["Numbers"])  # type: ignore[misc]
Logits = TypeAliasType("Logits", list[float | Excluded] | list["Logits"])  # type: ignore[misc]
Results = TypeAliasType("Results", list[float | NonFinite] | list["Results"])  # type: ignore[misc]
Integers = TypeAliasType("Integers", list[int] | list["Integers"])  # type: ignore[misc]


@dataclass(frozen=True, slots=True)
class TensorField:
    """Makes an ndarray field of a Pydantic model: `Annotated[np.ndarray, TensorField(domain, shown)]`.

    Takes an array, a number or a nested list of numbers; refuses what lies outside the domain.
    shown: the type that stands for it in the JSON schema.
    """

    domain: Domain
    shown: Any

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.with_info_plain_validator_function(
            self.validate, json_schema_input_schema=handler.generate_schema(self.shown)
        )

    def validate(self, value: Any, info: core_schema.ValidationInfo) -> Array:
        """value as an array of int64 or of floats, in the domain."""
        name = str(info.field_name)
        array = value if isinstance(value, np.ndarray) else from_nested(name, value)
        if array.dtype.kind not in "iuf":
            raise NotANumber(name)
        if array.ndim > MOST_AXES:
            raise ShapeMismatch(f"{name} has more than {MOST_AXES} axes; merge some.", ((name,), "has too many axes"))
        check_domain(name, array, self.domain)
        return array


def check_domain(name: str, array: Array, domain: Domain) -> None:
    """Raises InvalidValue where a value lies outside the domain; what depends on other fields is checked later."""
    if domain not in (Domain.FINITE, Domain.NON_NEGATIVE):
        return
    if not np.isfinite(array).all():
        raise InvalidValue(f"{name} must hold finite numbers; it has a NaN or an infinity.", ((name,), "is not finite"))
    if domain is Domain.NON_NEGATIVE and (array < 0).any():
        raise InvalidValue(f"{name} must not hold negative numbers.", ((name,), "is negative"))
