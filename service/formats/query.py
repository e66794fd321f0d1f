"""Parameters in the query string of a request."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

from service.errors import ConflictingFields, MalformedBody, UnknownField
from service.operations.names import check_names

if TYPE_CHECKING:
    from collections.abc import Mapping

    from service.operations.spec import Operation, Parameter

CACHE_SIZE = 64
"""Query strings that are remembered, with their parameters."""

MAX_FIELDS = 64
"""Fields of a query string; no operation has as many parameters and outputs."""

DIGITS = frozenset("0123456789+-.eE")
"""Characters of a number in a query string."""


@lru_cache(maxsize=CACHE_SIZE)
def parameters(operation: Operation, query: str) -> Mapping[str, Any]:
    """Return the parameters in a query string, the outputs as a list: they are separated by commas, or repeated.

    Pass non-numeric values through; validation rejects them.

    Raises MalformedBody, UnknownField and DuplicateField.
    """
    described = {each.name: each for each in operation.parameters}
    try:
        pairs = parse_qsl(query, keep_blank_values=True, max_num_fields=MAX_FIELDS)
    except ValueError:
        problem = f"has more than {MAX_FIELDS} fields"
        raise MalformedBody(f"The query string {problem}.", (("query",), problem)) from None
    outputs = [name for name, _ in pairs if name == "outputs"][:1]
    names = [name for name, _ in pairs if name != "outputs"]
    check_names([*names, *outputs], (*described, "outputs"), "query parameter")
    found = {name: _value(described[name], text) for name, text in pairs if name != "outputs"}
    if outputs:
        found["outputs"] = [
            output.strip() for name, text in pairs if name == "outputs" for output in text.split(",", MAX_FIELDS)
        ]
    return found


def _value(parameter: Parameter, text: str) -> Any:
    """Return the number that a text is, or the text if the parameter is a word or the text is not a number."""
    # in a query string a plus stands for a blank
    number = text.replace(" ", "+")
    if parameter.type is str or not DIGITS.issuperset(number):
        return text
    for kind in (int, float):
        try:
            return kind(number)
        except ValueError:
            continue
    return text


def merge(fields: dict[str, Any], asked: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of a body and of its query string. Raises ConflictingFields for one that is in both."""
    both = [name for name in asked if name in fields]
    if both:
        raise ConflictingFields(
            f"{both[0]} is in the body and in the query string; give it once.",
            *(((name,), "is given twice") for name in both),
        )
    return {**fields, **asked}


def reject_parameters(query: str, hint: str) -> None:
    """Raise UnknownField for a query string that names anything, where no parameter may stand in it."""
    # the first field says enough; a long query has 30,000
    for name, _ in parse_qsl(query.lstrip("&").partition("&")[0], keep_blank_values=True):
        raise UnknownField(name, hint, "query parameter")
