"""Wire formats: the formats of a request body, and the response that belongs to each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any, Protocol

from service.api.negotiation import content_type, preferred
from service.errors import MalformedBody
from service.formats import json_decode, json_encode, npy, open_inference, open_inference_reply
from service.formats.open_inference import HEADER_LENGTH
from service.formats.query import reject_parameters

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from service.api.context import RawHeader, RequestContext
    from service.arrays import Array
    from service.formats import Piece
    from service.formats.open_inference import Inference
    from service.operations.spec import Operation
    from service.settings import Settings

JSON = json_encode.MEDIA_TYPE
BINARY = "application/octet-stream"

PLAIN_TYPES = (JSON, npy.NPY, npy.NPZ)
"""Media types of the plain endpoints, the preferred one first."""

NUMPY_FIRST = (npy.NPY, npy.NPZ, JSON)

INFER_TYPES = (JSON, BINARY)
"""Media types of the Open Inference endpoints."""

HEADER_LENGTH_NAME = HEADER_LENGTH.lower().encode()

MAX_LENGTH_DIGITS = 19
"""Digits of the largest integer of 64 bits."""

Fields = dict[str, Any]

Body = bytes | bytearray


@dataclass(slots=True)
class Reply:
    """The headers and the body of a response, the body in pieces."""

    headers: Sequence[RawHeader]
    content: Sequence[Piece]


Write = Callable[..., Reply]
"""Encode outputs, by name, as a response. Raises ServiceError."""


class WireFormat(Protocol):
    """A format of requests and responses.

    invalid_status: the HTTP status of a well-formed request that breaks a rule.
    """

    invalid_status: int

    def check_headers(self, context: RequestContext) -> None:
        """Raise ServiceError for a request that its headers alone rule out."""

    def memory_factor(self, context: RequestContext) -> int:
        """Return the memory that a request usually takes, in units of its body."""

    def is_archive(self, context: RequestContext) -> bool:
        """Return whether a short body may hold much longer tensors."""

    def decode(self, context: RequestContext, body: Body, operation: Operation) -> tuple[Fields, Write]:
        """Return the fields in a body, and the function that encodes the outputs. Raise ServiceError."""


class PlainFormat:
    """The body is a JSON object, a .npy file of logits, or a .npz archive of inputs.

    The response has the same format unless Accept asks for another: .npy for one output, .npz for several.
    """

    invalid_status = 422

    def __init__(self, settings: Settings) -> None:
        self._max_body_bytes = settings.max_body_bytes
        self._max_elements = settings.max_elements

    def check_headers(self, context: RequestContext) -> None:
        """Raise UnreadableMediaType or UnwritableMediaType."""
        _plain_types(context.headers.get(b"content-type"), context.headers.get(b"accept"))

    def memory_factor(self, context: RequestContext) -> int:
        """Return 2 for NumPy files: their tensors are views of the body, and the outputs need memory beside it."""
        return 1 if content_type(context.headers.get(b"content-type"), PLAIN_TYPES) == JSON else 2

    def is_archive(self, context: RequestContext) -> bool:
        """Return whether the body is a .npz archive, whose members may be compressed."""
        return content_type(context.headers.get(b"content-type"), PLAIN_TYPES) == npy.NPZ

    def decode(self, context: RequestContext, body: Body, operation: Operation) -> tuple[Fields, Write]:
        """Return the fields in a body, and the function that encodes the outputs. Raise ServiceError."""
        accept = context.headers.get(b"accept")
        sent, wanted = _plain_types(context.headers.get(b"content-type"), accept)
        if sent == JSON:
            fields = json_decode.decode(body, operation, context.query, max_elements=self._max_elements)
        elif sent == npy.NPY:
            fields = npy.decode_npy(body, operation, context.query)
        else:
            fields = npy.decode_npz(body, operation, context.query, max_bytes=self._max_body_bytes)
        return fields, _write_json if wanted == JSON else partial(_write_numpy, accept)


@lru_cache(maxsize=64)
def _plain_types(content_type_header: bytes | None, accept: bytes | None) -> tuple[str, str]:
    """Return the media types of a request and of its response. Raise UnreadableMediaType or UnwritableMediaType."""
    sent = content_type(content_type_header, PLAIN_TYPES)
    return sent, preferred(accept, PLAIN_TYPES if sent == JSON else NUMPY_FIRST)


def _write_json(outputs: Mapping[str, Array]) -> Reply:
    return _reply(JSON, json_encode.encode(outputs))


def _write_numpy(accept: bytes | None, outputs: Mapping[str, Array]) -> Reply:
    """Encode one output as .npy, several as .npz. Raise UnwritableMediaType."""
    media_type = preferred(accept, (npy.NPZ,) if len(outputs) > 1 else (npy.NPY, npy.NPZ))
    if media_type == npy.NPZ:
        return _reply(npy.NPZ, npy.encode_npz(outputs))
    (values,) = outputs.values()
    return _reply(npy.NPY, npy.encode_npy(values))


class OpenInferenceFormat:
    """The body is an infer request: JSON, and behind it the bytes of the tensors without JSON data."""

    invalid_status = 400

    def __init__(self, settings: Settings) -> None:
        self._max_elements = settings.max_elements

    def check_headers(self, context: RequestContext) -> None:
        """Raise UnreadableMediaType or UnwritableMediaType. Both headers may be missing, as common clients do it."""
        if b"content-type" in context.headers:
            content_type(context.headers[b"content-type"], INFER_TYPES)
        preferred(context.headers.get(b"accept"), INFER_TYPES)

    def memory_factor(self, context: RequestContext) -> int:
        """Return 2 for a body with binary tensors, as for a NumPy file."""
        return 1 if HEADER_LENGTH_NAME not in context.headers else 2

    def is_archive(self, _: RequestContext) -> bool:
        """Return False: tensors are as long as the body."""
        return False

    def decode(self, context: RequestContext, body: Body, operation: Operation) -> tuple[Fields, Write]:
        """Return the fields in a body, and the function that encodes the outputs. Raise ServiceError."""
        reject_parameters(context.query, "send parameters in the body.")
        inference = open_inference.decode(body, _header_length(context), operation, max_elements=self._max_elements)
        # the inputs are freed before the outputs are encoded
        fields, inference.fields = inference.fields, {}
        return fields, partial(_write_inference, inference, operation, context.headers.get(b"accept"))


def _header_length(context: RequestContext) -> int | None:
    """Return the number of JSON bytes in a body, None for all of it. Raise MalformedBody."""
    value = context.header(HEADER_LENGTH_NAME)
    if value is None:
        return None
    if not (value.isascii() and value.isdigit() and len(value) <= MAX_LENGTH_DIGITS):
        detail = f"The header {HEADER_LENGTH} must be a whole number of bytes."
        raise MalformedBody(detail, ((HEADER_LENGTH,), "is not a whole number"))
    return int(value)


def _write_inference(
    inference: Inference, operation: Operation, accept: bytes | None, outputs: Mapping[str, Array]
) -> Reply:
    """Encode outputs as the request asks for them. Raise UnwritableMediaType if Accept forbids that format."""
    content, header_length = open_inference_reply.encode(inference, outputs, operation)
    media_type = preferred(accept, (JSON if header_length is None else BINARY,))
    length = [] if header_length is None else [(HEADER_LENGTH_NAME, b"%d" % header_length)]
    return _reply(media_type, content, *length)


def _reply(media_type: str, content: Sequence[Piece], *headers: RawHeader) -> Reply:
    return Reply(((b"content-type", media_type.encode()), *headers), content)
