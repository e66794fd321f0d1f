"""The vocabulary in which an operation is described: inputs, parameters, outputs.

Axes, in every name and docstring: `...` any number of leading batch axes (none for a single sample), `K` classes
(always last), `D` features of the layer in front. `N` is the product of the batch axes, `n` one row of a block of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import TYPE_CHECKING, Any

from service.operations.arguments import DEFAULTS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from service.arrays import Array, Shape
    from service.operations.batch import Rows

Axes = tuple[str, ...]
"""Names of the axes in order; `("...", "K")` is written `(..., K)` in prose."""

ShapeSignature = tuple[tuple[str, "Shape"], ...]
"""Description of a request without its values: the name and the shape of each input, in the order of fields, and the name
of each parameter that is not its default, with (). A parameter that sets the length of an axis has that length."""

MAX_RANK = 32
"""Largest number of axes of a tensor: NumPy has 64 at most, and an output may have two more than an input."""

SHAPE_CACHE_SIZE = 1024
"""Signatures whose validation results are cached."""


TARGET = "targets or teacher_logits"
"""Requirement of a field or an output that any target meets."""

TARGET_CLASSES = "targets that are class indices"
TARGET_PROBABILITIES = "targets that are class probabilities"
"""Requirements that the rank of the targets decides. The target of a teacher is probabilities."""


class Domain(StrEnum):
    """Values that a tensor may hold."""

    LOGITS = "finite numbers, or -inf for an excluded class"
    FINITE = "finite numbers"
    ROWS = "finite numbers in every row that is counted"
    NON_NEGATIVE = "finite numbers that are not negative"
    TARGETS = "class indices, or class probabilities that are not negative"
    MASK = "1 or true to keep a class, 0 or false to exclude it"


@dataclass(frozen=True, slots=True)
class Input:
    """A named input tensor of a request.

    axes: the shapes it may have. If there are several, the rank decides on the meaning.
    needs: fields that it requires, "a or b" for one of two.
    outputs: the outputs that it changes; empty where it changes most of them.
    """

    name: str
    axes: tuple[Axes, ...]
    domain: Domain
    doc: str
    needs: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()

    @property
    def has_rows(self) -> bool:
        """Return whether the input has a part for each row."""
        return any("..." in axes for axes in self.axes)


@dataclass(frozen=True, slots=True)
class Parameter:
    """A named scalar with its default and its range.

    choices: the accepted words of a str. minimum, maximum: inclusive bounds. above, below: exclusive bounds.
    needs, outputs: as for an input.
    axis: the axis of outputs whose length it sets.
    """

    name: str
    type: type[float | int | str]
    doc: str
    choices: tuple[str, ...] = ()
    minimum: float | None = None
    maximum: float | None = None
    above: float | None = None
    below: float | None = None
    needs: tuple[str, ...] = ()
    axis: str | None = None
    outputs: tuple[str, ...] = ()

    @property
    def default(self) -> float | str | None:
        """Value of a parameter that is left out, as in `Arguments`."""
        default: float | str | None = getattr(DEFAULTS, self.name)
        return default


@dataclass(frozen=True, slots=True, eq=False)
class Output:
    """A named output tensor and its computation.

    axes: its shapes. If there are several, a parameter decides.
    rows: function that computes it for a block of rows, or None.
    reduce: function of the batch and of `depends_on`, which names other outputs or quantities of the rows.
    integer: it has integers. finite: it never has an infinity or a NaN.
    needs: as for an input. unless: fields that it excludes.
    """

    name: str
    axes: tuple[Axes, ...]
    doc: str
    rows: Callable[[Rows], Array] | None = None
    depends_on: tuple[str, ...] = ()
    reduce: Callable[..., Any] | None = None
    integer: bool = False
    finite: bool = False
    needs: tuple[str, ...] = ()
    unless: tuple[str, ...] = ()

    @property
    def has_rows(self) -> bool:
        """Return whether the output has a part for each row."""
        return any("..." in axes for axes in self.axes)


@dataclass(frozen=True, slots=True)
class Example:
    """A whole request, for documentation and tests."""

    name: str
    summary: str
    request: Mapping[str, Any]


@dataclass(frozen=True, eq=False)
class Operation:
    """Complete description of an operation, from which all its endpoints and models follow.

    alternatives: groups of inputs, of which a request must have exactly one each.
    default_outputs: the outputs of a request without `outputs`, as far as it can have them.
    examples: valid requests. invalid_examples: requests that get status 422.
    """

    name: str
    summary: str
    doc: str
    inputs: tuple[Input, ...]
    alternatives: tuple[tuple[str, ...], ...]
    parameters: tuple[Parameter, ...]
    outputs: tuple[Output, ...]
    default_outputs: tuple[str, ...]
    examples: tuple[Example, ...]
    invalid_examples: tuple[Example, ...]

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Every name that a request may use."""
        return (*self.input_names, *self.defaults, "outputs")

    @cached_property
    def known_names(self) -> frozenset[str]:
        """The names that a request may use, for a quick test."""
        return frozenset(self.names)

    @cached_property
    def input_names(self) -> tuple[str, ...]:
        """The names of the inputs."""
        return tuple(each.name for each in self.inputs)

    @cached_property
    def domains(self) -> Mapping[str, Domain]:
        """The domain of each input."""
        return {each.name: each.domain for each in self.inputs}

    @cached_property
    def described(self) -> tuple[Input | Parameter, ...]:
        """The inputs and parameters."""
        return (*self.inputs, *self.parameters)

    @cached_property
    def needs(self) -> Mapping[str, tuple[str, ...]]:
        """The fields that each input and parameter needs, where it needs any."""
        return {each.name: each.needs for each in self.described if each.needs}

    @cached_property
    def defaults(self) -> Mapping[str, float | str | None]:
        """The default of each parameter."""
        return {each.name: each.default for each in self.parameters}

    @cached_property
    def sized_axes(self) -> Mapping[str, str]:
        """The axis of outputs whose length a parameter sets, by the name of the parameter."""
        return {parameter.name: parameter.axis for parameter in self.parameters if parameter.axis is not None}

    @cached_property
    def named_outputs(self) -> Mapping[str, Output]:
        """The outputs by name."""
        return {output.name: output for output in self.outputs}
