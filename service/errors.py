"""Errors that a client can cause, in the words of the domain; `service.api.problems` gives each an HTTP status.

* ServiceError
  - MalformedHeader
  - InvalidHost
  - MalformedBody
  - NotAnObject
  - UnknownField
  - DuplicateField
  - MissingField
  - ConflictingFields
  - InvalidParameter
  - InvalidOutputs
  - InvalidTensor
    - RaggedTensor
    - NotANumber
    - NumberOutOfRange
    - InvalidDatatype
    - ShapeMismatch
    - EmptyAxis
    - InvalidValue
      - NonFiniteLogit
    - ExcludedRow
    - InvalidLabel
  - TooLarge
    - BodyTooLarge
    - TensorTooLarge
    - TooMuchWork
  - UnknownPath
  - UnknownModel
  - UnknownMethod
  - UnreadableMediaType
  - UnreadableEncoding
  - UnwritableMediaType
  - Overloaded
  - Draining
  - SlowBody
  - Unauthenticated
  - UntrustedHost
  - RefusedPreflight
"""

from __future__ import annotations

import re
from difflib import get_close_matches
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

Location = tuple[str | int, ...]
"""A field name and indices: ("logits", 3, 17)."""

PLAIN_NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}")
"""Names that an error may repeat."""

MAX_ERRORS = 20
"""Largest number of places that an error names."""


def quoted(name: str) -> str:
    """Return a name from a request in quotes behind a space, or nothing if it is long or has unusual characters."""
    return f' "{name}"' if PLAIN_NAME.fullmatch(name) else ""


def written(location: Location) -> str:
    """Return a location as it is written in code: logits[3, 17]."""
    name, *index = location
    return f"{name}[{', '.join(map(str, index))}]" if index else str(name)


class ServiceError(Exception):
    """An error of a request, with one sentence that says what to change.

    detail: the sentence; it repeats no value of the request except a wrong label. Some errors have only one.
    locations: the places in the request, each a field name followed by indices, with what is wrong there.
    """

    detail = ""

    def __init__(self, detail: str = "", *locations: tuple[Location, str]) -> None:
        self.detail = detail or self.detail
        super().__init__(self.detail)
        self.locations: Sequence[tuple[Location, str]] = locations


class MalformedHeader(ServiceError):
    """The request is not HTTP/1.1, or its head is too long."""


class InvalidHost(ServiceError):
    """The Host header is missing, repeated or invalid."""

    detail = "Send one header Host, with the host name and the port of this service."


class MalformedBody(ServiceError):
    """The body is not in the format that its headers name."""


class NotAnObject(ServiceError):
    """The body is JSON, but not an object."""


class UnknownField(ServiceError):
    """The operation has no field of this name.

    kind: a field, an input, a parameter or an output, for example.
    place: the object that has the field.
    """

    def __init__(self, name: str, hint: str, kind: str = "field", place: Location = ()) -> None:
        where = place or ("query" if kind == "query parameter" else "body",)
        location = (*place, name) if PLAIN_NAME.fullmatch(name) else where
        super().__init__(f"Unknown {kind}{quoted(name)}; {hint}", (location, f"is not a known {kind}"))


class DuplicateField(ServiceError):
    """A field is given twice."""

    def __init__(self, name: str, place: Location = ()) -> None:
        location = (*place, name) if PLAIN_NAME.fullmatch(name) else place or ("body",)
        super().__init__(f"The field{quoted(name)} is given twice; give it once.", (location, "is given twice"))


class MissingField(ServiceError):
    """A field is missing that the request needs."""


class ConflictingFields(ServiceError):
    """Two fields exclude each other."""


class InvalidParameter(ServiceError):
    """A parameter has the wrong type, or is out of range."""


class InvalidOutputs(ServiceError):
    """An output is unknown, repeated, or not available for this request."""


class InvalidTensor(ServiceError):
    """A tensor is invalid."""


class RaggedTensor(InvalidTensor):
    """The rows of a tensor differ in length or depth."""

    def __init__(self, *places: Location) -> None:
        problem = "does not have the shape of the items before it"
        advice = f"{places[0][0]} must be a rectangle: rows of one length, no number beside a row."
        super().__init__(f"{written(places[0])} {problem}; {advice}", *((place, problem) for place in places))


class NotANumber(InvalidTensor):
    """A tensor contains a value that is not a number."""

    def __init__(self, name: str, *locations: tuple[Location, str], hint: str = "") -> None:
        logits = 'numbers only, or "-Infinity" for an excluded class'
        accepted = {"logits": logits, "teacher_logits": logits, "mask": "true, false, 1 or 0"}.get(name, "numbers only")
        locations = locations or (((name,), "is not numeric"),)
        place, kind = locations[0]
        super().__init__(f"{written(place)} {kind}{hint}; {name} must hold {accepted}.", *locations)


class NumberOutOfRange(InvalidTensor):
    """A number is beyond the range of its datatype."""

    def __init__(self, dtype: str, *places: Location) -> None:
        problem = f"is beyond the range of {dtype}"
        mend = {"float64": "scale it down", "float32": "set dtype to float64"}.get(dtype, "use a type that holds it")
        super().__init__(f"{written(places[0])} {problem}; {mend}.", *((place, problem) for place in places))


class InvalidDatatype(InvalidTensor):
    """The tensor cannot have this datatype."""


class ShapeMismatch(InvalidTensor):
    """The shape of a tensor does not fit the other tensors."""


class EmptyAxis(InvalidTensor):
    """A tensor has no classes or no features."""


class InvalidValue(InvalidTensor):
    """A value is negative or not finite where its tensor does not allow it."""


class NonFiniteLogit(InvalidValue):
    """A logit is NaN or +Infinity."""


class ExcludedRow(InvalidTensor):
    """Every class of a row with a loss is excluded."""


class InvalidLabel(InvalidTensor):
    """A label is not a class index."""


class TooLarge(ServiceError):
    """The request exceeds a limit."""


class BodyTooLarge(TooLarge):
    """The body is longer than the limit."""

    def __init__(self, max_bytes: int, length: int | None = None) -> None:
        hint = "send fewer rows." if length is None else f"about {100 * max_bytes // length} % of its rows would fit."
        super().__init__(f"The body is longer than {max_bytes} bytes; {hint}")


class TensorTooLarge(TooLarge):
    """An input or an output has more elements than the limit."""

    def __init__(self, name: str, size: int, max_elements: float, rows: int = 1) -> None:
        rows = int(max_elements * rows // size)
        hint = f"send at most {rows} row{'s' * (rows > 1)}" if rows else "send fewer classes or features"
        super().__init__(f"{name} has more than {max_elements} elements; {hint}.", ((name,), "has too many elements"))


class TooMuchWork(TooLarge):
    """The body and the outputs together take more memory than the limit."""

    def __init__(self, max_bytes: int) -> None:
        super().__init__(f"The body and outputs take more than {max_bytes} bytes; send fewer rows, classes or outputs.")


class UnknownPath(ServiceError):
    """The path does not exist."""

    def __init__(self, path: str, known: Iterable[str], index: str = "/") -> None:
        name = f": {path}" if PLAIN_NAME.fullmatch(path.replace("/", "_")) else ""
        close = get_close_matches(path, known, n=1) if name else []
        hint = f"; did you mean {close[0]}?" if close else "."
        super().__init__(f"No such path{name}{hint} GET {index} lists the paths.")


class UnknownModel(ServiceError):
    """The Open Inference model or its version does not exist."""

    def __init__(self, name: str, version: str, known: Collection[str]) -> None:
        unknown = f"version{quoted(version)} of model{quoted(name)}" if name in known else f"model{quoted(name)}"
        super().__init__(f"Unknown {unknown}; the models are {', '.join(known)}, each in version 1.")


class UnknownMethod(ServiceError):
    """The path does not accept this method."""


class UnreadableMediaType(ServiceError):
    """The format of the body is not supported."""

    def __init__(self, accepted: Sequence[str]) -> None:
        super().__init__(f"Set the header Content-Type to {' or '.join(accepted)}.")
        self.accepted = accepted


class UnreadableEncoding(ServiceError):
    """The compression of the body is not supported."""


class UnwritableMediaType(ServiceError):
    """The response is not available in an accepted format."""


class Overloaded(ServiceError):
    """The service had no room for the request within `max_wait_seconds`."""

    detail = "The service is busy; retry after the seconds in Retry-After."


class Draining(ServiceError):
    """The process is shutting down."""

    detail = "This process is shutting down; retry after the seconds in Retry-After."


class SlowBody(ServiceError):
    """The body did not arrive within `body_timeout_seconds`."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"The body did not arrive within {seconds:g} seconds; send it faster, or in smaller requests.")


class Unauthenticated(ServiceError):
    """The API key is missing or unknown."""


class UntrustedHost(ServiceError):
    """The Host header names a host that is not served here."""

    detail = "The header Host names a host that is not served here; send a name of this service."


class RefusedPreflight(ServiceError):
    """A page of this origin may not send such a request."""
