"""Problem details (RFC 9457), for the OpenAPI documents."""

from __future__ import annotations

from pydantic import BaseModel, Field

from service.errors import MAX_ERRORS


class ProblemError(BaseModel):
    """One place in the request, and what is wrong there."""

    loc: list[str | int] = Field(
        description="A field name and the indices in it; line, column and byte of a JSON text; `body`, `query`, `path`, "
        "`method`, `head`, or the name of a header.",
        examples=[["logits", 3, 17]],
    )
    msg: str = Field(description="What is wrong there.")


class Problem(BaseModel):
    """An error, as RFC 9457 problem details. It repeats no value of the request except a wrong label."""

    type: str = Field(
        description="The problem type; stable. GET of this path describes it.", examples=["/problems/ragged-tensor"]
    )
    title: str = Field(description="The problem type in words.")
    status: int = Field(description="The HTTP status.")
    detail: str = Field(description="One sentence that says what to change.")
    instance: str = Field(description="The request id, as in X-Request-ID.")
    errors: list[ProblemError] = Field(description="At most 20 places in the request.", max_length=MAX_ERRORS)
    error: str = Field(description="The same as detail; clients of inference servers read this field.")
