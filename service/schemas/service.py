"""Responses that describe the service itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import BaseModel, Field

from service import __version__

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from service.operations.spec import Operation
    from service.settings import Settings

NAME = "softmax-service"


class Live(BaseModel):
    """The process answers."""

    live: bool = Field(description="Always true.")


class Ready(BaseModel):
    """Readiness of the process."""

    ready: bool = Field(description="True until the process shuts down.")


class Limits(BaseModel):
    """The limits of a request."""

    max_body_bytes: int = Field(description="Longest request body, in bytes.")
    max_elements: int = Field(description="Largest input or output tensor, in elements.")
    max_bytes_in_flight: int = Field(description="Bytes of bodies and output tensors in memory at once.")


class JSONCodecs(BaseModel):
    """The libraries that read and write JSON."""

    reader: str = Field(description="Library that reads the numbers of JSON requests.")
    writer: str = Field(description="Library that writes the numbers of JSON responses.")


class OperationInfo(BaseModel):
    """The names that an operation knows."""

    name: str = Field(description="The name of the operation; its path is /name.")
    inputs: list[str] = Field(description="Input tensors.")
    parameters: list[str] = Field(description="Parameters.")
    outputs: list[str] = Field(description="Output tensors.")
    defaults: list[str] = Field(description="Outputs that are returned by default, if they are available.")

    @classmethod
    def of(cls, operation: Operation) -> OperationInfo:
        """Return the names of an operation."""
        return cls(
            name=operation.name,
            inputs=list(operation.input_names),
            parameters=[*operation.defaults, "outputs"],
            outputs=list(operation.named_outputs),
            defaults=list(operation.default_outputs),
        )


class Info(BaseModel):
    """Version, operations, limits and JSON codecs of the service."""

    name: str = Field(description="The name of the service.")
    version: str = Field(description="The version of the service.")
    operations: list[OperationInfo] = Field(description="The operations.")
    limits: Limits = Field(description="The limits of each process.")
    json_codecs: JSONCodecs = Field(description="The JSON codecs of this installation; all return the same numbers.")

    @classmethod
    def of(cls, operations: Iterable[Operation], settings: Settings, json_codecs: Mapping[str, str]) -> Info:
        """Return the description of a service with these operations, settings and codecs."""
        limits = Limits(**{name: getattr(settings, name) for name in Limits.model_fields})
        infos = [OperationInfo.of(operation) for operation in operations]
        codecs = JSONCodecs(**json_codecs)
        return cls(name=NAME, version=__version__, operations=infos, limits=limits, json_codecs=codecs)
