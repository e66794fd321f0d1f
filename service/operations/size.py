"""Size of a request, computed from its shapes."""

from __future__ import annotations

from math import prod
from operator import itemgetter
from typing import TYPE_CHECKING, NamedTuple

from service.compute.blocks import BLOCK_BYTES
from service.errors import TensorTooLarge

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from service.arrays import Shape
    from service.operations.spec import Operation


LONG_ROW = BLOCK_BYTES // 8
"""Classes from which on a row is longer than a block, so that more memory than that of blocks computes it."""

LONG_ROW_ARRAYS = 24
"""Arrays of its length that a long row takes at most, beside its inputs and outputs: those of numbers beyond double range."""

ARRAYS_FOR_EACH = 4
"""Arrays of the memory of a process for each array that a limit counts, see docs/sizing.md."""


class RequestSize(NamedTuple):
    """Size of a request: its rows, the elements of its logits, and those of all its outputs together.

    largest: the name, the elements and the rows of its largest input or output; 1 row if it has no batch axes.
    """

    rows: int
    logits: int
    outputs: int
    largest: tuple[str, int, int]

    @property
    def work(self) -> int:
        """The elements to count for its work: those of its logits or outputs, and the arrays that a long row takes."""
        classes = self.logits // self.rows
        arrays = LONG_ROW_ARRAYS // ARRAYS_FOR_EACH if classes > LONG_ROW else 0
        # a small layer may have many logits, and a single row a large Jacobian
        return max(self.logits, self.outputs) + arrays * classes

    def check(self, max_elements: float) -> None:
        """Raise TensorTooLarge for an input or an output with more elements."""
        name, size, rows = self.largest
        if size > max_elements:
            raise TensorTooLarge(name, size, max_elements, rows)


def request_size(operation: Operation, shapes: Mapping[str, Shape], outputs: Iterable[str]) -> RequestSize:
    """Return the size of a request with these outputs; shapes: the items of its signature, by name."""
    front = shapes["logits"] if "logits" in shapes else shapes["inputs"]
    classes = front[-1] if "logits" in shapes else shapes["weights"][0]
    lengths = {"...": _size(front[:-1]), "K": classes, "D": front[-1]}
    for name, axis in operation.sized_axes.items():
        (lengths[axis],) = shapes.get(name, (int(operation.defaults[name] or 0),))
    asked = {
        name: max(prod([lengths[axis] for axis in axes]) for axes in operation.named_outputs[name].axes)
        for name in outputs
    }
    rows, logits = lengths["..."], lengths["..."] * classes
    # an input without elements may still have too many classes
    inputs = [each for each in operation.inputs if each.name in shapes]
    tensors = [
        *((each.name, _size(shapes[each.name]), rows if each.has_rows else 1) for each in inputs),
        *((name, size, rows if operation.named_outputs[name].has_rows else 1) for name, size in asked.items()),
        ("logits", logits, rows),
    ]
    largest = max(tensors, key=itemgetter(1))
    return RequestSize(rows, logits, sum(asked.values()), largest)


def _size(shape: Shape) -> int:
    """Return the elements of a shape, counting an empty axis as 1: a batch without rows may have too many classes."""
    return prod([max(1, length) for length in shape])
