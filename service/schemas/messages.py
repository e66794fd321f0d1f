"""The request and the reply of an operation as Pydantic models, made from its description."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self

import numpy as np
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, create_model, model_validator
from typing_extensions import TypeAliasType

from service.description import Domain
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
    from collections.abc import Mapping
    from collections.abc import Set as AbstractSet

    from service.description import Input, Operation, Output, Parameter

MOST = 20
"""Places that a refusal names."""


class Request(BaseModel):
    """A validated request: no unknown field, inputs that fit together, outputs that can be had from them."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)

    operation: ClassVar[Operation]

    @classmethod
    def read(cls, fields: Mapping[str, Any]) -> Self:
        """The message made of named tensors and parameters. Raises ServiceError."""
        try:
            return cls.model_validate(fields)
        except ValidationError as error:
            raise refusal(error, cls.operation) from None

    @property
    def fields(self) -> Mapping[str, Any]:
        """Inputs and parameters by name, None where left out."""
        return self.__dict__

    @model_validator(mode="after")
    def _check(self) -> Self:
        check_presence(self.operation, self.fields, self.model_fields_set)
        lengths = fit([each for each in self.operation.inputs if each.name in self.model_fields_set], self.fields)
        classes = lengths["K"][0]
        if (self.fields["top_k"] or 0) > classes:
            raise InvalidParameter(f"top_k must be at most the {classes} classes.", (("top_k",), "is above K"))
        check_outputs(self.operation, self.fields)
        return self

    @property
    def wanted(self) -> list[str]:
        """The names of the outputs to return, in the order asked for."""
        if self.fields["outputs"] is not None:
            return list(self.fields["outputs"])
        outputs = self.operation.named_outputs
        return [name for name in self.operation.defaults if obstacle(outputs[name], self.fields) is None]


def check_presence(operation: Operation, fields: Mapping[str, Any], given: AbstractSet[str]) -> None:
    """Raises MissingField and ConflictingFields where the inputs and parameters given do not go together."""
    for group in operation.alternatives:
        chosen = [name for name in group if name in given]
        if not chosen:
            raise MissingField(f"Send {' or '.join(group)}.", ((group[0],), "is missing"))
        if len(chosen) > 1:
            raise ConflictingFields(
                f"Send either {' or '.join(chosen)}, not both.", *(((name,), "excludes another") for name in chosen)
            )
    for name, needs in operation.needs.items():
        if name not in given or (name in operation.neutral and fields[name] == operation.neutral[name]):
            continue
        for needed in needs:
            if needed not in given:
                raise MissingField(
                    f"{name} means nothing without {needed}; send both or neither.", ((name,), f"needs {needed}")
                )
    if fields.get("denominator") is not None and fields["reduction"] != "mean":
        raise ConflictingFields(
            "denominator divides the mean; leave it out, or set reduction to mean.", (("denominator",), "needs a mean")
        )


def check_outputs(operation: Operation, fields: Mapping[str, Any]) -> None:
    """Raises InvalidOutputs for an output named twice, and for one that the request cannot have."""
    outputs = fields["outputs"] or ()
    if len(set(outputs)) < len(outputs):
        raise InvalidOutputs("outputs must name each output once.", (("outputs",), "names an output twice"))
    for index, name in enumerate(outputs):
        reason = obstacle(operation.named_outputs[name], fields)
        if reason is not None:
            raise InvalidOutputs(f"outputs cannot have {name} {reason}.", (("outputs", index), reason))


def obstacle(output: Output, fields: Mapping[str, Any]) -> str | None:
    """Why the request cannot have an output; None if it can."""
    for needed in output.needs:
        if needed == "target probabilities":
            targets, rows = fields["targets"], fields["logits"] if fields["logits"] is not None else fields["inputs"]
            if targets is None or targets.ndim < rows.ndim:
                return "without targets that are class probabilities"
        elif fields[needed] is None:
            return f"without {needed}"
    for excluded in output.unless:
        if fields[excluded] is not None:
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
    model.operation = operation
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
