"""Models of the Open Inference Protocol, and what Triton's extensions say of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, Field

from service.operations.spec import Domain
from service.schemas.service import NAME

if TYPE_CHECKING:
    from service.operations.spec import Input, Operation, Output


class ServerMetadata(BaseModel):
    """The name and the version of the service."""

    name: str = Field(description="The name of the service.")
    version: str = Field(description="The version of the service.")
    extensions: list[str] = Field(description="Supported extensions of the protocol.")


class ModelNames(BaseModel):
    """The models of the service."""

    models: list[str] = Field(description="The names of the operations.")


class TensorParameters(BaseModel):
    """Properties of a tensor."""

    optional: bool = Field(description="Whether a request may leave the tensor out.")


class TensorMetadata(BaseModel):
    """An input or an output of a model."""

    name: str = Field(description="The name of the tensor.")
    datatype: str = Field(
        description="FP64 for numbers, INT64 for integers, BOOL for a mask. An input may have other datatypes."
    )
    shape: list[int] = Field(description="The size of each axis, -1 for any. More batch axes may stand in front.")


class InputMetadata(TensorMetadata):
    """An input of a model."""

    parameters: TensorParameters = Field(description="Properties of the input.")


class ModelMetadata(BaseModel):
    """An operation as a model."""

    name: str = Field(description="The name of the operation.")
    versions: list[str] = Field(description="The versions of the operation.")
    platform: str = Field(description="The name of the service.")
    inputs: list[InputMetadata] = Field(description="Tensors that a request may have.")
    outputs: list[TensorMetadata] = Field(description="Tensors that a response may have.")

    @classmethod
    def of(cls, operation: Operation, version: str) -> ModelMetadata:
        """Return the metadata of an operation."""
        return cls(
            name=operation.name,
            versions=[version],
            platform=NAME,
            inputs=[
                InputMetadata(**_metadata(tensor), parameters={"optional": _is_optional(operation, tensor)})
                for tensor in operation.inputs
            ],
            outputs=[TensorMetadata(**_metadata(tensor)) for tensor in operation.outputs],
        )


class ConfigTensor(BaseModel):
    """An input or an output in a model configuration."""

    name: str = Field(description="The name of the tensor.")
    data_type: str = Field(description="TYPE_FP64, TYPE_INT64 or TYPE_BOOL.")
    dims: list[int] = Field(description="The size of each axis, -1 for any.")


class ConfigInput(ConfigTensor):
    """An input in a model configuration."""

    optional: bool = Field(description="Whether a request may leave the tensor out.")


class ModelConfig(BaseModel):
    """The configuration of a model, as Triton's model configuration extension has it."""

    name: str = Field(description="The name of the operation.")
    platform: str = Field(description="The name of the service.")
    backend: str = Field(description="The library that computes.")
    max_batch_size: int = Field(description="0: the batch axes are part of the shapes.")
    input: list[ConfigInput] = Field(description="Tensors that a request may have.")
    output: list[ConfigTensor] = Field(description="Tensors that a response may have.")

    @classmethod
    def of(cls, operation: Operation) -> ModelConfig:
        """Return the configuration of an operation."""
        return cls(
            name=operation.name,
            platform=NAME,
            backend="numpy",
            max_batch_size=0,
            input=[
                ConfigInput(**_configuration(tensor), optional=_is_optional(operation, tensor))
                for tensor in operation.inputs
            ],
            output=[ConfigTensor(**_configuration(tensor)) for tensor in operation.outputs],
        )


class Duration(BaseModel):
    """A number of requests, and their time together."""

    count: int = Field(description="Number of requests.")
    ns: int = Field(description="Their time in nanoseconds.")


class InferenceStatistics(BaseModel):
    """The time of requests, by stage."""

    success: Duration = Field(description="Requests answered with 200, from head to end of response.")
    fail: Duration = Field(description="Requests answered with an error.")
    queue: Duration = Field(description="Not measured; 0 ns.")
    compute_input: Duration = Field(description="Decoding.")
    compute_infer: Duration = Field(description="Computing.")
    compute_output: Duration = Field(description="Encoding.")


class ModelStatistics(BaseModel):
    """The statistics of a model, over its plain endpoint too."""

    name: str = Field(description="The name of the operation.")
    version: str = Field(description="The version of the operation.")
    last_inference: int = Field(description="Time of the last success in this process, in ms since 1970; 0 for none.")
    inference_count: int = Field(description="Number of successful requests.")
    execution_count: int = Field(description="Number of successful requests.")
    inference_stats: InferenceStatistics = Field(description="The time of requests.")
    batch_stats: list[None] = Field(description="Empty: requests are not joined to batches.")


class Statistics(BaseModel):
    """The statistics of models, as Triton's statistics extension has them."""

    model_stats: list[ModelStatistics] = Field(description="The statistics of each model.")


class RepositoryModel(BaseModel):
    """A model in the repository index."""

    name: str = Field(description="The name of the operation.")
    version: str = Field(description="The version of the operation.")
    state: str = Field(description="READY or UNAVAILABLE.")
    reason: str = Field(description="Why the model is unavailable; empty otherwise.")


class ReadyModel(BaseModel):
    """Readiness of a model."""

    name: str = Field(description="The name of the operation.")
    ready: bool = Field(description="True until the process shuts down.")


def _is_optional(operation: Operation, tensor: Input) -> bool:
    """Return whether a request may leave an input out."""
    return (tensor.name,) not in operation.alternatives


def _datatype(tensor: Input | Output) -> str:
    if hasattr(tensor, "domain"):
        return {Domain.TARGETS: "INT64", Domain.MASK: "BOOL"}.get(tensor.domain, "FP64")
    return "INT64" if tensor.integer else "FP64"


def _metadata(tensor: Input | Output) -> dict[str, Any]:
    """Return the fields of a TensorMetadata."""
    return {"name": tensor.name, "datatype": _datatype(tensor), "shape": [-1] * len(tensor.axes[0])}


def _configuration(tensor: Input | Output) -> dict[str, Any]:
    """Return the fields of a ConfigTensor."""
    return {"name": tensor.name, "data_type": f"TYPE_{_datatype(tensor)}", "dims": [-1] * len(tensor.axes[0])}
