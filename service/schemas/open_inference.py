"""Messages of the Open Inference Protocol (KServe V2), for the OpenAPI documents."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field
from typing_extensions import TypeAliasType

from service.schemas.tensors import Result

Shape = Annotated[
    list[Annotated[int, Field(ge=0)]], Field(description="Length of each axis; empty for a single number.")
]
Datatype = TypeAliasType(
    "Datatype",
    Annotated[
        Literal[
            "FP64", "FP32", "FP16", "BF16",
            "INT64", "INT32", "INT16", "INT8", "UINT64", "UINT32", "UINT16", "UINT8", "BOOL",
        ],
        Field(
            description="Integers are for logits, targets and mask, BOOL for mask. Floats of the response have the "
            "datatype of logits or inputs (FP64 for integers, FP32 for FP16 and BF16 in numbers of the whole batch) "
            "unless `dtype` is given; integers are INT64."
        ),
    ],
)  # fmt: skip
ResultDatatype = TypeAliasType(
    "ResultDatatype",
    Annotated[
        Literal[
            "FP64", "FP32", "FP16", "BF16", "INT64", "BYTES",
        ],
        Field(description="A float, or INT64; BYTES for an output with the parameter classification."),
    ],
)  # fmt: skip
InferParameters = TypeAliasType(
    "InferParameters", Annotated[dict[str, Any], Field(description="Numbers, strings and booleans by name.")]
)


Results = list[Result] | list[str]


def left_out(doc: str) -> Any:
    """Return a field that may be left out."""
    return Field(default=None, description=doc, json_schema_extra=_without_default)


def _without_default(schema: dict[str, Any]) -> None:
    del schema["default"]


class InferInput(BaseModel):
    """A tensor of a request."""

    name: str = Field(description="An input of the operation.")
    shape: Shape
    datatype: Datatype
    parameters: InferParameters = left_out(
        "binary_data_size: number of bytes of the tensor behind the JSON, in place of data."
    )
    data: list[Any] = left_out("The numbers, row by row, flat or nested.")


class InferOutput(BaseModel):
    """A requested output."""

    name: str = Field(description="An output of the operation.")
    parameters: InferParameters = left_out(
        "binary_data: whether to return raw bytes. classification: number of classes to return as strings."
    )


class InferRequest(BaseModel):
    """Named tensors and parameters of an operation."""

    id: str = left_out("Id that the response repeats.")
    parameters: InferParameters = left_out(
        "The operation's parameters by name. binary_data_output: whether to return outputs as raw bytes."
    )
    inputs: list[InferInput] = Field(description="The tensors.")
    outputs: list[InferOutput] = left_out("The outputs to return, by default those of the plain endpoint.")


class InferTensor(BaseModel):
    """A tensor of a response."""

    name: str = Field(description="An output of the operation.")
    shape: Shape
    datatype: ResultDatatype
    parameters: InferParameters = left_out(
        "binary_data_size: number of bytes of the tensor behind the JSON, in place of data."
    )
    data: Results = left_out("The numbers, or the strings of a classification, row by row, flat.")


class InferResponse(BaseModel):
    """Named output tensors of an operation."""

    model_name: str = Field(description="The operation.")
    model_version: str = Field(description="Its version.")
    id: str = left_out("The id of the request.")
    outputs: list[InferTensor] = Field(description="The tensors.")
