"""The request and the reply of an operation as Pydantic models, made from its description."""

from __future__ import annotations

from collections.abc import Callable, Mapping  # noqa: TC003  Pydantic evaluates the annotations
from dataclasses import dataclass
from functools import cache, lru_cache, partial
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

import numpy as np
from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError, create_model
from typing_extensions import TypeAliasType

from service.errors import (
    InvalidOutputs,
    InvalidParameter,
    ServiceError,
    UnknownField,
)
from service.operations.arguments import Arguments
from service.operations.spec import SHAPE_CACHE_SIZE, Domain, Operation, ShapeSignature
from service.operations.validation import check_outputs, check_presence, fit, unavailable_reason
from service.schemas.tensors import Logit, TensorField, Weight, nested, optional

if TYPE_CHECKING:
    from service.arrays import Shape
    from service.operations.spec import Input, Parameter

MOST = 20
"""Places that a refusal names."""


@dataclass(slots=True)
class ValidatedRequest:
    """A request that is understood.

    output_names: the outputs to return, in the order asked for.
    """

    arguments: Arguments
    signature: ShapeSignature
    output_names: tuple[str, ...]


class Request(BaseModel):
    """A request as it is sent. What its fields are on their own is said here; `read` sees to how they go together."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)

    read: ClassVar[Callable[[Mapping[str, Any]], ValidatedRequest]]
    """The message in named tensors and parameters: no unknown field, inputs that fit, outputs that can be had.

    Raises ServiceError.
    """


def _read(operation: Operation, validate: Callable[..., Request], sent: Mapping[str, Any]) -> ValidatedRequest:
    try:
        fields = validate(sent).__dict__
    except ValidationError as error:
        raise refusal(error, operation) from None
    items: list[tuple[str, Shape]] = []
    defaults = operation.defaults
    for name in sent:
        value = fields[name]
        if name in operation.domains:
            items.append((name, value.shape))
        elif name in defaults and value != defaults[name]:
            items.append((name, (value,) if name in operation.axes else ()))
    signature, outputs = tuple(items), fields["outputs"]
    names = _wanted(operation, signature, None if outputs is None else tuple(outputs))
    return ValidatedRequest(Arguments(**{name: fields[name] for name in sent if name != "outputs"}), signature, names)


@lru_cache(maxsize=SHAPE_CACHE_SIZE)
def _wanted(operation: Operation, signature: ShapeSignature, outputs: tuple[str, ...] | None) -> tuple[str, ...]:
    """The names of the outputs to return. Raises ServiceError where the items of a signature do not go together."""
    given = dict(signature)
    check_presence(operation, given)
    (classes,) = fit(operation.inputs, given)["K"]
    if given.get("top_k", (0,))[0] > classes:
        raise InvalidParameter(f"top_k must be at most the {classes} classes.", (("top_k",), "is above K"))
    if outputs is not None:
        check_outputs(operation, outputs, given)
        return outputs
    return tuple(
        name for name in operation.default_outputs if unavailable_reason(operation.named_outputs[name], given) is None
    )


def refusal(error: ValidationError, operation: Operation) -> ServiceError:
    """What Pydantic found, as a refusal that repeats nothing of the input."""
    found = error.errors(include_url=False, include_context=False, include_input=False)[:MOST]
    for each in found:
        if each["type"] == "extra_forbidden":
            return UnknownField(str(each["loc"][0]), operation.names)
    field = str(found[0]["loc"][0])
    if field == "outputs":
        names = ", ".join(operation.named_outputs)
        return InvalidOutputs(
            f"outputs must be a list of one or more of {names}.", *((each["loc"], "is not an output") for each in found)
        )
    locations = [(each["loc"], each["msg"].replace("Input should be", "must be")) for each in found]
    return InvalidParameter(f"{field} {locations[0][1]}.", *locations)


@cache
def request_model(operation: Operation) -> type[Request]:
    """The model of the operation's requests: SoftmaxRequest, say."""
    fields = {each.name: _input(each) for each in operation.inputs}
    fields |= {each.name: _parameter(each) for each in operation.parameters}
    fields["outputs"] = _outputs(operation)
    model = create_model(f"{operation.name.title()}Request", __base__=Request, __doc__=operation.doc, **fields)
    # which is all that model_validate does, but for options that are not used here; to look it up takes as long as three calls
    model.read = partial(_read, operation, model.__pydantic_validator__.validate_python)
    return model


def _input(each: Input) -> Any:
    scalar = {Domain.LOGITS: Logit, Domain.NON_NEGATIVE: Weight}.get(each.domain, float)
    return optional(Annotated[np.ndarray, TensorField(each.domain, nested(scalar, each.axes))], each.doc)


def _parameter(each: Parameter) -> Any:
    bounds = {"ge": each.minimum, "le": each.maximum, "gt": each.above, "lt": each.below}
    kind: Any = _choice(each.name.title(), each.choices) if each.choices else each.type
    if kind is int:
        kind = Annotated[int, BeforeValidator(_integral)]
    limits = {name: bound for name, bound in bounds.items() if bound is not None}
    return optional(kind, each.doc, default=each.default, **limits)


def _integral(value: Any) -> Any:
    """JSON has one kind of number: 5.0 is the integer 5."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _outputs(operation: Operation) -> Any:
    name: Any = _choice(f"{operation.name.title()}Output", tuple(operation.named_outputs))
    doc = (
        f"The outputs to return; by default those of {', '.join(operation.default_outputs)} that the request can have."
    )
    return optional(list[name], doc, min_length=1)


@cache
def _choice(name: str, words: tuple[str, ...]) -> Any:
    """One of some words, a type with a name of its own in the JSON schema."""
    return TypeAliasType(name, Literal[words])
