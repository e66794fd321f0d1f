"""Refusals a caller can cause, in the words of the domain; which HTTP status each becomes is `service.api.problems`.

* ServiceError
  - MalformedHeader           the bytes are not HTTP, or its head is too long
  - MalformedBody             the bytes are not the format they are said to be
  - NotAnObject               the body is JSON, but no object
  - UnknownField              a name that the operation does not have
  - DuplicateField            a name given twice
  - MissingField              an input that the request cannot do without
  - ConflictingFields         inputs or parameters that exclude each other
  - InvalidParameter          a parameter outside its type, its range or its choices
  - InvalidOutputs            outputs that are unknown, repeated, empty, or not to be had from this request
  - InvalidTensor             the payload cannot become a tensor
    - RaggedTensor            rows of different length, or numbers beside rows
    - NotANumber              null, a boolean, a string or an object where a number must stand
    - NumberOutOfRange        a number that the datatype cannot hold
    - InvalidDatatype         a datatype that the tensor cannot have
    - ShapeMismatch           a rank or a size that does not fit the other tensors
    - EmptyAxis               no class, or no feature
    - InvalidValue            a value outside the domain of its tensor: negative, or not finite
      - NonFiniteLogit        a NaN or +inf among the logits
    - ExcludedRow             a row of which every class is excluded, where a loss is asked for
    - InvalidLabel            a label that is no class index
  - TooLarge                  more than the limits allow
    - BodyTooLarge            more bytes
    - TensorTooLarge          more elements, in an input or an output
    - TooMuchWork             more bytes, in body and outputs together
  - UnknownPath               nothing lives there
  - UnknownMethod             something lives there, but does not answer to that verb
  - UnreadableMediaType       the body comes in a format that is not understood
  - UnwritableMediaType       the answer is wanted in a format that is not spoken
  - Unavailable               not now
    - Overloaded              more is being worked on than the limits allow
    - Draining                the process is about to leave
  - SlowBody                  the body takes longer to arrive than the limits allow
  - Unauthenticated           no key, or none of those that are known
  - UntrustedHost             the header Host names someone else
"""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

Location = tuple[str | int, ...]


class ServiceError(Exception):
    """A refusal: one sentence that says what to change, and where.

    detail: the sentence; it never repeats a payload.
    locations: the places it speaks of, each a field name followed by indices, with what is wrong there.
    """

    def __init__(self, detail: str, *locations: tuple[Location, str]) -> None:
        super().__init__(detail)
        self.detail = detail
        self.locations: Sequence[tuple[Location, str]] = locations


class MalformedHeader(ServiceError):
    """The bytes are not HTTP, or its head is too long."""

    def __init__(self, max_bytes: int) -> None:
        super().__init__(f"Send HTTP/1.1, with a first line and headers of at most {max_bytes} bytes.")


class MalformedBody(ServiceError):
    """The bytes are not the format they are said to be."""


class NotAnObject(ServiceError):
    """The body is JSON, but no object."""


class UnknownField(ServiceError):
    """A name that the operation does not have.

    name: as sent; it is compared with the known ones, and not repeated.
    """

    def __init__(self, name: str, known: Iterable[str]) -> None:
        known = list(known)
        close = get_close_matches(name[:64], known, n=1)
        hint = f"did you mean {close[0]}?" if close else f"known are {', '.join(known)}."
        super().__init__(f"A field is not known here; {hint}")


class DuplicateField(ServiceError):
    """A name given twice."""

    def __init__(self, name: str | None = None) -> None:
        locations = [] if name is None else [((name,), "is given twice")]
        super().__init__(f"{name or 'A field'} is given twice; give it once.", *locations)


class MissingField(ServiceError):
    """An input that the request cannot do without."""


class ConflictingFields(ServiceError):
    """Inputs or parameters that exclude each other."""


class InvalidParameter(ServiceError):
    """A parameter outside its type, its range or its choices."""


class InvalidOutputs(ServiceError):
    """Outputs that are unknown, repeated, empty, or not to be had from this request."""


class InvalidTensor(ServiceError):
    """The payload cannot become a tensor."""


class RaggedTensor(InvalidTensor):
    """Rows of different length, or numbers beside rows."""

    def __init__(self, name: str) -> None:
        super().__init__(
            f"{name} must be a rectangle: rows of one length, and no number beside a row.", ((name,), "is ragged")
        )


class NotANumber(InvalidTensor):
    """Null, a boolean, a string or an object where a number must stand."""

    def __init__(self, name: str) -> None:
        exception = ', or "-Infinity" for an excluded class' if name == "logits" else ""
        super().__init__(
            f"{name} must hold numbers only{exception}: no null, boolean, other string or object.",
            ((name,), "is not numeric"),
        )


class NumberOutOfRange(InvalidTensor):
    """A number that the datatype cannot hold."""

    def __init__(self, name: str | None, dtype: str) -> None:
        locations = [] if name is None else [((name,), f"is beyond the range of {dtype}")]
        super().__init__(f"{name or 'The body'} has a number beyond the range of {dtype}; scale it down.", *locations)


class InvalidDatatype(InvalidTensor):
    """A datatype that the tensor cannot have."""


class ShapeMismatch(InvalidTensor):
    """A rank or a size that does not fit the other tensors."""


class EmptyAxis(InvalidTensor):
    """No class, or no feature."""


class InvalidValue(InvalidTensor):
    """A value outside the domain of its tensor: negative, or not finite."""


class NonFiniteLogit(InvalidValue):
    """A NaN or +inf among the logits."""


class ExcludedRow(InvalidTensor):
    """A row of which every class is excluded, where a loss is asked for."""


class InvalidLabel(InvalidTensor):
    """A label that is no class index."""


class TooLarge(ServiceError):
    """More than the limits allow."""


class BodyTooLarge(TooLarge):
    """More bytes than the limit."""

    def __init__(self, max_bytes: int) -> None:
        super().__init__(f"The body is longer than {max_bytes} bytes; send fewer rows.")


class TensorTooLarge(TooLarge):
    """More elements than the limit, in an input or an output."""

    def __init__(self, name: str, size: int, max_elements: float) -> None:
        super().__init__(
            f"{name} has {size} elements; at most {max_elements} are served at once. Send fewer rows.",
            ((name,), "has too many elements"),
        )


class TooMuchWork(TooLarge):
    """More bytes than the limit, in the outputs and what they are made of."""

    def __init__(self, max_bytes: int) -> None:
        super().__init__(
            f"The body and its outputs take more than {max_bytes} bytes; send fewer rows, or ask for fewer outputs."
        )


class UnknownPath(ServiceError):
    """Nothing lives there."""


class UnknownMethod(ServiceError):
    """Something lives there, but does not answer to that verb."""


class UnreadableMediaType(ServiceError):
    """The body comes in a format that is not understood."""


class UnwritableMediaType(ServiceError):
    """The answer is wanted in a format that is not spoken."""


class Unavailable(ServiceError):
    """Not now."""


class Overloaded(Unavailable):
    """More is being worked on than the limits allow."""

    def __init__(self) -> None:
        super().__init__("More is being worked on than the limits allow; ask again after the seconds in Retry-After.")


class Draining(Unavailable):
    """The process is about to leave."""

    def __init__(self) -> None:
        super().__init__("This process is about to leave; ask again after the seconds in Retry-After.")


class SlowBody(ServiceError):
    """The body takes longer to arrive than the limits allow."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"The body did not arrive within {seconds:g} seconds; send it faster, or in smaller requests.")


class Unauthenticated(ServiceError):
    """No key, or none of those that are known."""


class UntrustedHost(ServiceError):
    """The header Host names someone else."""
