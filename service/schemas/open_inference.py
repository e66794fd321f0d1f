"""The messages of the Open Inference Protocol (KServe V2), for people and programs that read the OpenAPI document."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, Field

from service.description import Domain

if TYPE_CHECKING:
    from service.description import Axes, Operation


class Live(BaseModel):
    """The process answers."""

    live: bool = Field(description="Always true.")


class Ready(BaseModel):
    """The process takes work."""

    ready: bool = Field(description="Whether requests are taken.")


class Server(BaseModel):
    """What runs here."""

    name: str = Field(description="The name of the service.")
    version: str = Field(description="Its version.")
    extensions: list[str] = Field(description="What it speaks beyond the protocol.")


class ModelName(BaseModel):
    """An operation by name."""

    name: str = Field(description="The operation.")


class TensorMetadata(BaseModel):
    """A tensor that a model takes or gives."""

    name: str = Field(description="The name.")
    datatype: str = Field(
        description="FP64 for floats, which may come as FP32, FP16 and BF16 too; INT64 for integers of any size."
    )
    shape: list[int] = Field(description="The sizes, -1 where any will do; a leading one stands for any batch axes.")


class ModelMetadata(BaseModel):
    """An operation as a model."""

    name: str = Field(description="The operation.")
    versions: list[str] = Field(description="Its versions.")
    platform: str = Field(description="What computes it.")
    inputs: list[TensorMetadata] = Field(description="What a request may carry.")
    outputs: list[TensorMetadata] = Field(description="What a response may carry.")

    @classmethod
    def of(cls, operation: Operation, version: str) -> ModelMetadata:
        """What there is to know of an operation."""
        return cls(
            name=operation.name,
            versions=[version],
            platform="softmax-service",
            inputs=[
                _tensor(each.name, each.axes[0], integer=each.domain is Domain.TARGETS) for each in operation.inputs
            ],
            outputs=[_tensor(each.name, each.axes[0], integer=each.integer) for each in operation.outputs],
        )


def _tensor(name: str, axes: Axes, *, integer: bool) -> TensorMetadata:
    return TensorMetadata(name=name, datatype="INT64" if integer else "FP64", shape=[-1] * len(axes))


class InferInput(BaseModel):
    """A tensor of a request."""

    name: str = Field(description="An input of the operation.")
    shape: list[int] = Field(description="Its sizes; empty for a single number.")
    datatype: str = Field(description="FP64, FP32, FP16 or BF16; for targets also INT64 and all smaller integers.")
    parameters: dict[str, Any] | None = Field(
        default=None, description="binary_data_size: the bytes that hold the tensor behind the JSON, in place of data."
    )
    data: list[Any] | None = Field(default=None, description="The numbers, row by row, flat or nested.")


class InferOutput(BaseModel):
    """An output that is asked for."""

    name: str = Field(description="An output of the operation.")
    parameters: dict[str, Any] | None = Field(default=None, description="binary_data: whether it comes as raw bytes.")


class InferRequest(BaseModel):
    """Named tensors and parameters of an operation."""

    id: str | None = Field(default=None, description="Comes back with the response.")
    parameters: dict[str, Any] | None = Field(
        default=None,
        description="The operation's parameters by name; binary_data_output: whether outputs come as raw bytes.",
    )
    inputs: list[InferInput] = Field(description="The tensors.")
    outputs: list[InferOutput] | None = Field(
        default=None, description="The outputs to return; the usual ones if left out."
    )


class InferTensor(BaseModel):
    """A tensor of a response."""

    name: str = Field(description="An output of the operation.")
    shape: list[int] = Field(description="Its sizes; empty for a single number.")
    datatype: str = Field(description="That of the logits or inputs for floats, INT64 for integers.")
    parameters: dict[str, Any] | None = Field(
        default=None, description="binary_data_size: the bytes that hold the tensor behind the JSON, in place of data."
    )
    data: list[Any] | None = Field(default=None, description="The numbers, row by row, flat.")


class InferResponse(BaseModel):
    """Named tensors that an operation answers."""

    model_name: str = Field(description="The operation.")
    model_version: str = Field(description="Its version.")
    id: str | None = Field(default=None, description="That of the request, if it had one.")
    outputs: list[InferTensor] = Field(description="The tensors.")
