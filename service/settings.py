"""Every limit and switch of the service."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, FilePath, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]

HostPattern = Annotated[str, Field(pattern=r"^(\*|(\*\.)?[^*/:\s\[\]]+|\[[0-9A-Fa-f:.]+\])$")]
"""A name, an address of IPv4, one of IPv6 in brackets, or names with a wildcard in front."""

Origin = Annotated[str, Field(pattern=r"^(\*|[a-z][a-z0-9+.-]*://[^/\s]+)$")]
"""As a browser says it: scheme, host and maybe port, without a slash at its end."""


class Settings(BaseSettings):
    """From `SOFTMAX_*` variables, overruled by the flags of `python -m service`; built once, then frozen."""

    model_config = SettingsConfigDict(
        env_prefix="SOFTMAX_",
        frozen=True,
        extra="forbid",
        hide_input_in_errors=True,  # keys are among it
        use_attribute_docstrings=True,
        cli_kebab_case=True,
        cli_implicit_flags=True,
    )

    host: str = "127.0.0.1"
    """Address to listen on."""

    port: Annotated[int, Field(ge=0, le=65535)] = 8000
    """Port to listen on; 0 takes a free one."""

    workers: Annotated[int, Field(ge=1)] = 1
    """Processes that answer; the limits hold for each."""

    root_path: Annotated[str, Field(pattern=r"^(/[^/\s]+)*$")] = ""
    """Path under which a proxy serves this service, without a slash at its end."""

    trusted_hosts: Annotated[tuple[HostPattern, ...], NoDecode] = ("*",)
    """Values of the header Host that are answered, separated by commas; `*.example.org` stands for its subdomains."""

    cors_origins: Annotated[tuple[Origin, ...], NoDecode] = ()
    """Origins whose pages may call the service from a browser, separated by commas; `*` for all."""

    tls_certificate_file: FilePath | None = None
    """PEM file of the certificate chain; asks for `tls_key_file`, and turns the service to https."""

    tls_key_file: FilePath | None = None
    """PEM file of the private key, without a passphrase."""

    api_keys: Annotated[tuple[SecretStr, ...], NoDecode] = ()
    """Keys, one of which an operation asks for as `Authorization: Bearer`, separated by commas; none leaves it open."""

    api_keys_file: FilePath | None = None
    """File of such keys, one in a line; read at the start."""

    max_body_bytes: Annotated[int, Field(ge=1)] = 32 * 2**20
    """Longest request body, in bytes, before and after it is decompressed."""

    max_elements: Annotated[int, Field(ge=1, le=2**24 - 1)] = 4 * 2**20
    """Largest input or output tensor, in elements."""

    max_bytes_in_flight: Annotated[int, Field(ge=1)] = 40 * 2**20
    """Bytes of bodies and of output tensors that are worked on at once; a request beyond is answered 503, unless it is short and came at once."""

    # half a millisecond of work, to which a thread would add an eighth
    inline_body_bytes: Annotated[int, Field(ge=0)] = 256 * 2**10
    """Largest body and largest outputs that are worked on in the event loop, in bytes; more is handed to a thread."""

    max_wait_seconds: Seconds = 10.0
    """Longest time that a request waits for a thread; then it is answered 503."""

    body_timeout_seconds: Seconds = 60.0
    """Longest time that a body may take to arrive; then it is answered 408."""

    keep_alive_seconds: Annotated[int, Field(ge=1)] = 75
    """How long a connection without a request is kept open; longer than a proxy in front keeps it."""

    drain_seconds: Annotated[float, Field(ge=0)] = 1.0
    """How long after SIGTERM requests are still taken, for a balancer to read at /readyz that no more should come."""

    graceful_shutdown_seconds: Annotated[int, Field(ge=1)] = 30
    """Longest time from SIGTERM until the process has left."""

    log_level: Literal["critical", "error", "warning", "info", "debug"] = "info"
    """Least severe messages that are logged; a request is one of `info`."""

    log_format: Literal["auto", "json", "text"] = "auto"
    """Lines of JSON or of text; by itself text on a terminal, JSON elsewhere."""

    tracing: bool = False
    """Export OpenTelemetry traces to where the usual `OTEL_EXPORTER_OTLP_ENDPOINT` says; asks for the extra `tracing`."""

    @field_validator("trusted_hosts", "cors_origins", "api_keys", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        return tuple(part for part in map(str.strip, value.split(",")) if part) if isinstance(value, str) else value

    @field_validator("api_keys", mode="before")
    @classmethod
    def _is_no_accident(cls, value: object) -> object:
        if isinstance(value, str) and not value.strip(", "):
            raise ValueError("holds no key; leave it out to serve everybody")
        return value

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if (self.tls_certificate_file is None) != (self.tls_key_file is None):
            raise ValueError("tls_certificate_file and tls_key_file need each other")
        if self.max_bytes_in_flight < self.max_body_bytes:
            raise ValueError("max_bytes_in_flight must not be less than max_body_bytes")
        if self.drain_seconds >= self.graceful_shutdown_seconds:
            raise ValueError("drain_seconds must be less than graceful_shutdown_seconds")
        try:
            if self.api_keys_file is not None and not self.keys:
                raise ValueError("api_keys_file holds no key")
        except (OSError, UnicodeDecodeError):
            raise ValueError("api_keys_file cannot be read as text") from None
        return self

    @property
    def keys(self) -> tuple[str, ...]:
        """All keys, of the variable and of the file."""
        listed = [key.get_secret_value() for key in self.api_keys]
        if self.api_keys_file is not None:
            listed += Path(self.api_keys_file).read_text(encoding="utf-8").split()
        return tuple(listed)
