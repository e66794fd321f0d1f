"""The request and the reply of an operation as Pydantic models, made from its description."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, lru_cache, partial
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

import numpy as np
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, create_model
from typing_extensions import TypeAliasType

from service.description import FORMS, Domain, Form, Operation, Shape
from service.errors import (
    ConflictingFields,
    InvalidOutputs,
    InvalidParameter,
    MissingField,
    ServiceError,
    UnknownField,
)
from service.schemas.shapes import fit
from service.schemas.tensors import Logit, Result, TensorField, Weight, nested

if TYPE_CHECKING:
    from collections.abc import Sequence

    from service.description import Input, Output, Parameter

MOST = 20
"""Places that a refusal names."""

Given = Mapping[str, Shape]
"""The items of a form, by name."""


@dataclass(slots=True)
class Message:
    """A request that is understood.

    fields: inputs and parameters by name, None where left out; wanted: the outputs to return, in the order asked for.
    """

    fields: dict[str, Any]
    form: Form
    wanted: tuple[str, ...]


class Request(BaseModel):
    """A request as it is sent. What its fields are on their own is said here; `read` sees to how they go together."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)

    read: ClassVar[Callable[[Mapping[str, Any]], Message]]
    """The message in named tensors and parameters: no unknown field, inputs that fit, outputs that can be had.

    Raises ServiceError.
    """


def _read(operation: Operation, validate: Callable[..., Request], sent: Mapping[str, Any]) -> Message:
    try:
        fields = validate(sent).__dict__
    except ValidationError as error:
        raise refusal(error, operation) from None
    items: list[tuple[str, Shape]] = []
    neutral = operation.neutral
    for name in sent:
        value = fields[name]
        if name in operation.domains:
            items.append((name, value.shape))
        elif name in neutral and value != neutral[name]:
            items.append((name, (value,) if name == "top_k" else ()))
    form, outputs = tuple(items), fields["outputs"]
    return Message(fields, form, _wanted(operation, form, None if outputs is None else tuple(outputs)))


@lru_cache(maxsize=FORMS)
def _wanted(operation: Operation, form: Form, outputs: tuple[str, ...] | None) -> tuple[str, ...]:
    """The names of the outputs to return. Raises ServiceError where the items of a form do not go together."""
    given = dict(form)
    check_presence(operation, given)
    (classes,) = fit(operation.inputs, given)["K"]
    if given.get("top_k", (0,))[0] > classes:
        raise InvalidParameter(f"top_k must be at most the {classes} classes.", (("top_k",), "is above K"))
    if outputs is not None:
        check_outputs(operation, outputs, given)
        return outputs
    return tuple(name for name in operation.defaults if obstacle(operation.named_outputs[name], given) is None)


def check_presence(operation: Operation, given: Given) -> None:
    """Raises MissingField and ConflictingFields where the inputs and parameters given do not go together."""
    for group in operation.alternatives:
        chosen = [name for name in group if name in given]
        if not chosen:
            raise MissingField(f"Send {' or '.join(group)}.", ((group[0],), "is missing"))
        if len(chosen) > 1:
            raise ConflictingFields(
                f"Send either {' or '.join(chosen)}, not both.", *(((name,), "excludes another") for name in chosen)
            )
    for name in given:
        for needed in operation.needs.get(name, ()):
            if needed not in given:
                raise MissingField(
                    f"{name} means nothing without {needed}; send both or neither.", ((name,), f"needs {needed}")
                )
    if "denominator" in given and "reduction" in given:
        raise ConflictingFields(
            "denominator divides the mean; leave it out, or set reduction to mean.", (("denominator",), "needs a mean")
        )


def check_outputs(operation: Operation, outputs: Sequence[str], given: Given) -> None:
    """Raises InvalidOutputs for an output named twice, and for one that the request cannot have."""
    if len(set(outputs)) < len(outputs):
        raise InvalidOutputs("outputs must name each output once.", (("outputs",), "names an output twice"))
    for index, name in enumerate(outputs):
        reason = obstacle(operation.named_outputs[name], given)
        if reason is not None:
            raise InvalidOutputs(f"outputs cannot have {name} {reason}.", (("outputs", index), reason))


def obstacle(output: Output, given: Given) -> str | None:
    """Why the request cannot have an output; None if it can."""
    for needed in output.needs:
        if needed == "target probabilities":
            rows = given["logits"] if "logits" in given else given["inputs"]
            if len(given.get("targets", ())) < len(rows):
                return "without targets that are class probabilities"
        elif needed not in given:
            return f"without {needed}"
    for excluded in output.unless:
        if excluded in given:
            return f"together with {excluded}"
    return None


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


@cache
def reply_model(operation: Operation) -> type[BaseModel]:
    """The model of the operation's replies: SoftmaxReply, say. It documents; replies are written straight from arrays."""
    fields = {each.name: _output(each) for each in operation.outputs}
    return create_model(
        f"{operation.name.title()}Reply",
        __config__=ConfigDict(extra="forbid"),
        __doc__="The outputs asked for, by name; no other field is there.",
        **fields,
    )


def _input(each: Input) -> Any:
    scalar = {Domain.LOGITS: Logit, Domain.NON_NEGATIVE: Weight}.get(each.domain, float)
    return _optional(Annotated[np.ndarray, TensorField(each.domain, nested(scalar, each.axes))], each.doc)


def _parameter(each: Parameter) -> Any:
    bounds = {"ge": each.minimum, "le": each.maximum, "gt": each.above, "lt": each.below}
    kind: Any = _choice(each.name.title(), each.choices) if each.choices else each.type
    if kind is int:
        kind = Annotated[int, BeforeValidator(_integral)]
    limits = {name: bound for name, bound in bounds.items() if bound is not None}
    return _optional(kind, each.doc, default=each.default, **limits)


def _integral(value: Any) -> Any:
    """JSON has one kind of number: 5.0 is the integer 5."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _outputs(operation: Operation) -> Any:
    name: Any = _choice(f"{operation.name.title()}Output", tuple(operation.named_outputs))
    doc = f"The outputs to return; by default those of {', '.join(operation.defaults)} that the request can have."
    return _optional(list[name], doc, min_length=1)


@cache
def _choice(name: str, words: tuple[str, ...]) -> Any:
    """One of some words, a type with a name of its own in the JSON schema."""
    return TypeAliasType(name, Literal[words])


def _output(each: Output) -> Any:
    scalar = int if each.integer else float if each.finite else Result
    return _optional(nested(scalar, each.axes), each.doc)


def _optional(kind: Any, doc: str, *, default: Any = None, **constraints: Any) -> Any:
    """A field that may be left out but, being there, is never null."""
    extra = (lambda schema: schema.pop("default", None)) if default is None else None
    return kind, Field(default=default, description=doc, json_schema_extra=extra, **constraints)
