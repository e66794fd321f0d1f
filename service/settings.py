"""Every limit and switch of the service."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """From `SOFTMAX_*` variables, overruled by the flags of `python -m service`; built once, then frozen."""

    model_config = SettingsConfigDict(
        env_prefix="SOFTMAX_", frozen=True, extra="forbid", use_attribute_docstrings=True, cli_kebab_case=True
    )

    host: str = "127.0.0.1"
    """Address to listen on."""

    port: Annotated[int, Field(ge=0, le=65535)] = 8000
    """Port to listen on; 0 takes a free one."""

    workers: Annotated[int, Field(ge=1)] = 1
    """Processes that answer; the limits hold for each."""

    log_level: Literal["critical", "error", "warning", "info", "debug"] = "info"
    """Least severe messages that are logged."""

    root_path: Annotated[str, Field(pattern=r"^(/[^/\s]+)*$")] = ""
    """Path under which a proxy serves this service, without a slash at its end."""

    max_body_bytes: Annotated[int, Field(ge=1)] = 64 * 2**20
    """Longest request body, in bytes."""

    max_elements: Annotated[int, Field(ge=1, le=2**24 - 1)] = 8 * 2**20
    """Largest input or output tensor, in elements."""

    inline_body_bytes: Annotated[int, Field(ge=0)] = 64 * 2**10
    """Longest body that is answered on the event loop, in bytes; a longer one is handed to a thread."""
