"""Do the tensors of a request fit together?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from service.errors import EmptyAxis, ShapeMismatch

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from service.description import Axes, Input, Shape


def fit(inputs: Iterable[Input], shapes: Mapping[str, Shape]) -> dict[str, Shape]:
    """The length of every axis, as a tuple: those of the batch under `...`, the others one each.

    shapes: of the inputs that are there. They are read in order; the first that has an axis sets its length.

    Raises EmptyAxis for a tensor without classes or features, ShapeMismatch for one that fits none of its axes.
    """
    lengths: dict[str, Shape] = {}
    named: list[str] = []
    for each in inputs:
        shape = shapes.get(each.name)
        if shape is None:
            continue
        found = next(filter(None, (_match(axes, shape, lengths) for axes in each.axes)), None)
        if found is None:
            raise _mismatch(each, shape, lengths, named)
        for axis in ("K", "D"):
            if found.get(axis) == (0,):
                raise EmptyAxis(
                    f"{each.name} has no {'classes' if axis == 'K' else 'features'}; its shape is {_written(shape)}.",
                    ((each.name,), "is empty"),
                )
        lengths.update(found)
        named.append(f"{each.name} {_written(shape)}")
    return lengths


def _match(axes: Axes, shape: Shape, lengths: Mapping[str, Shape]) -> dict[str, Shape] | None:
    """The axis lengths that shape implies, if it agrees with the lengths known so far."""
    fixed = len(axes) - ("..." in axes)
    split = len(shape) - fixed
    if split < 0 or (split > 0 and "..." not in axes):
        return None
    found: dict[str, Shape] = {}
    rest = iter(shape[split:])
    for axis in axes:
        found[axis] = shape[:split] if axis == "..." else (next(rest),)
        if lengths.get(axis, found[axis]) != found[axis]:
            return None
    return found


def _mismatch(each: Input, shape: Shape, lengths: Mapping[str, Shape], named: Iterable[str]) -> ShapeMismatch:
    expected = " or ".join(_expected(axes, lengths) for axes in each.axes)
    beside = f" beside {', '.join(named)}" if named else ""
    return ShapeMismatch(
        f"{each.name} has shape {_written(shape)}; it must have shape {expected}{beside}.",
        ((each.name,), "has the wrong shape"),
    )


def _expected(axes: Axes, lengths: Mapping[str, Shape]) -> str:
    """The axes with the lengths that are known: (2, K)."""
    written = [str(length) for axis in axes for length in lengths.get(axis, (axis,))]
    return f"({', '.join(written)}{',' if len(written) == 1 else ''})"


def _written(shape: Shape) -> str:
    return str(shape)
