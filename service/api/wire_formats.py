"""Wire formats: the formats of a request body, and the response that belongs to each."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from service.api.negotiation import content_encoding, content_type, preferred
from service.errors import MalformedBody
from service.formats import json_decode, json_encode, npy, open_inference, open_inference_reply
from service.formats.open_inference import HEADER_LENGTH
from service.formats.query import reject_parameters

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from service.api.context import RequestContext
    from service.api.security import RawHeader
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

COMPRESSED_FACTOR = 8
"""Memory for a compressed body, in units of it: most texts of numbers shrink to a fifth at best.

With the default limits, the bodies that wait then leave room for the longest text. With 4 they did not.
"""

HEADER_LENGTH_NAME = HEADER_LENGTH.lower().encode()

JSON_HEADERS = ((b"content-type", JSON.encode()),)

MAX_LENGTH_DIGITS = 19
"""Digits of the largest integer of 64 bits."""

Fields = dict[str, Any]

Body = bytes | bytearray


class Reply(NamedTuple):
    """The headers and the body of a response, the body in pieces."""

    headers: Sequence[RawHeader]
    content: Sequence[Piece]


Write = Callable[["Mapping[str, Array]"], Reply]
"""Encode outputs, by name, as a response. Raises ServiceError."""

Decode = Callable[["RequestContext", Body, "Operation"], tuple[Fields, Write]]
"""Return the fields in a body, and the function that encodes the outputs. Raises ServiceError."""


class Negotiated(NamedTuple):
    """The formats of one request and of its response, as its headers state them.

    encoding: compression of the body, None for none.
    memory_factor: memory that the request usually takes, in units of its body.
    is_archive: a short body may hold much longer tensors.
    """

    decode: Decode
    encoding: str | None
    memory_factor: int = 1
    is_archive: bool = False


class WireFormat(Protocol):
    """A format of requests and responses.

    invalid_status: the HTTP status of a well-formed request that breaks a rule.
    """

    invalid_status: int

    def negotiate(self, context: RequestContext) -> Negotiated:
        """Return how to decode a request. Raise ServiceError if its headers alone rule it out."""


class PlainFormat:
    """The body is a JSON object, a .npy file of logits, or a .npz archive of inputs.

    The response has the same format unless Accept asks for another: .npy for one output, .npz for several.
    """

    invalid_status = 422

    def __init__(self, settings: Settings) -> None:
        self._decoders: dict[str, Callable[[Body, Operation, str], Fields]] = {
            JSON: partial(json_decode.decode, max_elements=settings.max_elements),
            npy.NPY: npy.decode_npy,
            npy.NPZ: partial(npy.decode_npz, max_bytes=settings.max_body_bytes),
        }

    def negotiate(self, context: RequestContext) -> Negotiated:
        """Return how to decode a request. Raise UnreadableMediaType, UnwritableMediaType or UnreadableEncoding."""
        sent = content_type(context.headers.get(b"content-type"), PLAIN_TYPES)
        accept = context.headers.get(b"accept")
        wanted = preferred(accept, PLAIN_TYPES if sent == JSON else NUMPY_FIRST)
        read = self._decoders[sent]
        write = _write_json if wanted == JSON else partial(_write_preferred, accept)

        def decode(context: RequestContext, body: Body, operation: Operation) -> tuple[Fields, Write]:
            return read(body, operation, context.query), write

        # the tensors of NumPy files are views of the body, and the outputs need memory beside it
        return _negotiated(context, decode, 1 if sent == JSON else 2, is_archive=sent == npy.NPZ)


def _negotiated(context: RequestContext, decode: Decode, factor: int, *, is_archive: bool = False) -> Negotiated:
    encoding = content_encoding(context.headers.get(b"content-encoding"))
    return Negotiated(decode, encoding, factor if encoding is None else COMPRESSED_FACTOR, is_archive)


def _write_json(outputs: Mapping[str, Array]) -> Reply:
    return Reply(JSON_HEADERS, json_encode.encode(outputs))


def _write_preferred(accept: bytes | None, outputs: Mapping[str, Array]) -> Reply:
    """Encode outputs in the format that Accept prefers: .npy for one, .npz or JSON. Raise UnwritableMediaType."""
    media_type = preferred(accept, NUMPY_FIRST if len(outputs) == 1 else NUMPY_FIRST[1:])
    if media_type == JSON:
        return _write_json(outputs)
    if media_type == npy.NPZ:
        return _reply(npy.NPZ, npy.encode_npz(outputs))
    (values,) = outputs.values()
    return _reply(npy.NPY, npy.encode_npy(values))


class OpenInferenceFormat:
    """The body is an infer request: JSON, and behind it the bytes of the tensors without JSON data."""

    invalid_status = 400

    def __init__(self, settings: Settings) -> None:
        self._max_elements = settings.max_elements

    def negotiate(self, context: RequestContext) -> Negotiated:
        """Return how to decode a request. Raise UnreadableMediaType, UnwritableMediaType or UnreadableEncoding.

        All headers may be missing, as common clients do it.
        """
        if b"content-type" in context.headers:
            content_type(context.headers[b"content-type"], INFER_TYPES)
        preferred(context.headers.get(b"accept"), INFER_TYPES)
        # binary tensors are views of the body, as those of a NumPy file
        return _negotiated(context, self._decode, 2 if HEADER_LENGTH_NAME in context.headers else 1)

    def _decode(self, context: RequestContext, body: Body, operation: Operation) -> tuple[Fields, Write]:
        """Return the fields in a body, and the function that encodes the outputs. Raise ServiceError."""
        if context.query:
            reject_parameters(context.query, "send parameters in the body.")
        inference = open_inference.decode(body, _header_length(context), operation, max_elements=self._max_elements)
        # the inputs are freed before the outputs are encoded
        answered = inference._replace(fields={})
        return inference.fields, partial(_write_inference, answered, operation, context.headers.get(b"accept"))


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
