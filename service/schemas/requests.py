"""Request models of the operations, built from the catalogue."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping  # noqa: TC003  Pydantic evaluates the annotations
from dataclasses import dataclass
from functools import cache, lru_cache, partial
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

import numpy as np
from pydantic import BaseModel, BeforeValidator, ConfigDict, TypeAdapter, ValidationError, create_model, with_config
from typing_extensions import TypeAliasType, TypedDict

from service.errors import (
    MAX_ERRORS,
    InvalidOutputs,
    InvalidParameter,
    ServiceError,
    UnknownField,
    written,
)
from service.operations.arguments import Arguments
from service.operations.names import hint, output_hint
from service.operations.size import RequestSize, request_size
from service.operations.spec import SHAPE_CACHE_SIZE, Domain, Operation, ShapeSignature
from service.operations.validation import (
    axis_lengths,
    check_effects,
    check_outputs,
    check_presence,
    unavailable_reason,
)
from service.schemas.tensors import Kept, Logit, TensorField, Weight, nested, optional

if TYPE_CHECKING:
    from service.arrays import Shape
    from service.errors import Location
    from service.operations.spec import Input, Parameter


@dataclass(slots=True)
class ValidatedRequest:
    """Request that passed validation.

    output_names: the outputs to return, in the order asked for.
    """

    arguments: Arguments
    output_names: tuple[str, ...]
    size: RequestSize


class Request(BaseModel):
    """Request as it is sent: the types and ranges of its fields. `read` checks that the fields agree."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)

    read: ClassVar[Callable[[Mapping[str, Any]], ValidatedRequest]]
    """Return the validated request for named tensors and parameters. Raise ServiceError."""


def _read(
    operation: Operation,
    tensors: Mapping[str, TensorField],
    validate: Callable[..., dict[str, Any]],
    sent: Mapping[str, Any],
) -> ValidatedRequest:
    fields: dict[str, Any] = {}
    others: dict[str, Any] = {}
    items: list[tuple[str, Shape]] = []
    for name, value in sent.items():
        if name in tensors:
            fields[name] = tensors[name].validate(name, value)
            items.append((name, value.shape))
        else:
            others[name] = value
    outputs = None
    if others:
        try:
            parameters = validate(others)
        except ValidationError as error:
            raise refusal(error, operation, sent) from None
        outputs = parameters.pop("outputs", None)
        for name, value in parameters.items():
            if value != operation.defaults[name]:
                fields[name] = value
                items.append((name, (value,) if name in operation.sized_axes else ()))
    names, size = _agreed(operation, tuple(items), None if outputs is None else tuple(outputs))
    return ValidatedRequest(Arguments(**fields), names, size)


@lru_cache(maxsize=SHAPE_CACHE_SIZE)
def _agreed(
    operation: Operation, signature: ShapeSignature, outputs: tuple[str, ...] | None
) -> tuple[tuple[str, ...], RequestSize]:
    """Return the outputs to return, and the size of the request. Raise ServiceError where the items do not agree."""
    given = dict(signature)
    check_presence(operation, given)
    (classes,) = axis_lengths(operation.inputs, given)["K"]
    if given.get("top_k", (0,))[0] > classes:
        raise InvalidParameter(f"top_k must be at most the {classes} classes.", (("top_k",), "is above K"))
    if outputs is None:
        reasons = {name: unavailable_reason(operation.named_outputs[name], given) for name in operation.default_outputs}
        outputs = tuple(name for name, reason in reasons.items() if reason is None)
    else:
        check_outputs(operation, outputs, given)
    check_effects(operation, outputs, given)
    return outputs, request_size(operation, given, outputs)


def refusal(error: ValidationError, operation: Operation, sent: Mapping[str, Any]) -> ServiceError:
    """Return the errors of Pydantic as one error that repeats no value of the request."""
    found = error.errors(include_url=False, include_context=False, include_input=False)[:MAX_ERRORS]
    for each in found:
        if each["type"] == "extra_forbidden":
            name = str(each["loc"][0])
            return UnknownField(name, hint(name, operation.names))
    field = str(found[0]["loc"][0])
    if field == "outputs":
        return InvalidOutputs(
            _unknown_output(sent["outputs"], found[0]["loc"], operation),
            *((each["loc"], "is not an output") for each in found),
        )
    value = sent.get(field)
    advice = ADVICE.get((field, found[0]["type"]), "")
    if isinstance(value, list):
        advice = BOXED if len(value) == 1 else SEVERAL
    elif isinstance(value, str) and NUMBER.fullmatch(value):
        advice = QUOTED
    locations = [(each["loc"], each["msg"].replace("Input should be", "must be")) for each in found]
    return InvalidParameter(f"{field} {locations[0][1]}{advice}.", *locations)


def _unknown_output(sent: Any, location: Location, operation: Operation) -> str:
    """Return one sentence about the first item of `outputs` that is not an output of the operation."""
    advice = f"outputs must be a list of one or more of {', '.join(operation.named_outputs)}."
    if len(location) == 1:
        return advice
    name = sent[location[1]]
    remedy = output_hint(name, operation) if isinstance(name, str) else None
    return f"{written(location)} is not an output of {operation.name}; {remedy or advice}"


BOXED = "; write it without brackets (in R, with auto_unbox = TRUE)"
"""The remedy for a parameter that is a list of one value."""

SEVERAL = "; send one value for all rows"
"""The remedy for a parameter that is a list of several values. A long one is empty here."""

QUOTED = "; write it without quotes"
"""The remedy for a parameter that is a number in a string."""

NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?([eE][-+]?[0-9]+)?")

ADVICE = {("temperature", "greater_than"): "; the limit of temperature 0 is the output predictions"}
"""Remedies for a parameter outside its range, by field and type of error."""


@cache
def request_model(operation: Operation) -> type[Request]:
    """Return the request model of an operation, for example SoftmaxRequest."""
    tensors = {each.name: _tensor(each) for each in operation.inputs}
    fields: dict[str, Any] = {
        each.name: optional(Annotated[np.ndarray, tensors[each.name]], each.doc) for each in operation.inputs
    }
    fields |= {each.name: _parameter(each) for each in operation.parameters}
    fields["outputs"] = _outputs(operation)
    model = create_model(f"{operation.name.title()}Request", __base__=Request, __doc__=operation.doc, **fields)
    others = {
        name: Annotated[(field.annotation, *field.metadata)] if field.metadata else field.annotation
        for name, field in model.model_fields.items()
        if name not in tensors
    }
    # a dictionary has no field that was left out; to fill in all of them takes twice as long
    parameters = with_config(model.model_config)(TypedDict("parameters", others, total=False))  # type: ignore[operator]
    model.read = partial(_read, operation, tensors, TypeAdapter(parameters).validator.validate_python)
    return model


def _tensor(each: Input) -> TensorField:
    scalar = {Domain.LOGITS: Logit, Domain.NON_NEGATIVE: Weight, Domain.MASK: Kept}.get(each.domain, float)
    return TensorField(each.domain, nested(scalar, each.axes))


def _parameter(each: Parameter) -> Any:
    bounds = {"ge": each.minimum, "le": each.maximum, "gt": each.above, "lt": each.below}
    kind: Any = _choice(each.name.title(), each.choices) if each.choices else each.type
    if kind is int:
        kind = Annotated[int, BeforeValidator(_integral)]
    limits = {name: bound for name, bound in bounds.items() if bound is not None}
    return optional(kind, each.doc, default=each.default, **limits)


def _integral(value: Any) -> Any:
    """Return an integral float as an integer: JSON has one kind of number."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _outputs(operation: Operation) -> Any:
    name: Any = _choice(f"{operation.name.title()}Output", tuple(operation.named_outputs))
    doc = (
        f"The outputs to return; by default those of {', '.join(operation.default_outputs)} that the request can have."
    )
    # of more names than there are outputs, one of the first is unknown or repeated
    enough = len(operation.outputs) + MAX_ERRORS
    shorten = BeforeValidator(lambda sent: sent[:enough] if isinstance(sent, list) else sent)
    return optional(Annotated[list[name], shorten], doc, min_length=1)


@cache
def _choice(name: str, words: tuple[str, ...]) -> Any:
    """Return a named type of one of some words."""
    return TypeAliasType(name, Literal[words])
