"""Every limit and switch of the service."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, IPvAnyNetwork, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict


def _check_file(path: Path) -> Path:
    # Path.is_file raises PermissionError in a folder that is closed to this user
    if os.path.isfile(path) and os.access(path, os.R_OK):  # noqa: PTH113
        return path
    raise ValueError("must be the path of an existing file that this user may read")


ReadableFile = Annotated[Path, AfterValidator(_check_file)]

Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]

HostPattern = Annotated[str, Field(pattern=r"^(\*|(\*\.)?[^*/:\s\[\]]+|\[[0-9A-Fa-f:.]+\])$")]
"""A host name, an IPv4 address, an IPv6 address in brackets, or a wildcard for subdomains."""

Origin = Annotated[str, Field(pattern=r"^(\*|[a-z][a-z0-9+.-]*://[^/\s]+)$")]
"""An origin as a browser sends it: scheme, host and maybe port, without a slash at the end."""


class Settings(BaseSettings):
    """Settings from `SOFTMAX_*` variables, overridden by the flags of `python -m service`. Frozen."""

    model_config = SettingsConfigDict(
        env_prefix="SOFTMAX_",
        frozen=True,
        extra="forbid",
        hide_input_in_errors=True,  # the input contains keys
        use_attribute_docstrings=True,
        cli_kebab_case=True,
        cli_implicit_flags=True,
    )

    host: str = "127.0.0.1"
    """Address to listen on."""

    port: Annotated[int, Field(ge=0, le=65535)] = 8000
    """Port to listen on; 0 selects a free port."""

    uds: Path | None = None
    """Unix socket to listen on in place of a port. Its owner and its group may connect."""

    metrics_port: Annotated[int | None, Field(ge=0, le=65535)] = None
    """Port for /metrics, /livez and /readyz alone, without TLS and keys. The other port then has no /metrics."""

    workers: Annotated[int, Field(ge=1)] = 1
    """Number of worker processes. Each has all the limits to itself."""

    root_path: Annotated[str, Field(pattern=r"^(/[^/\s]+)*$")] = ""
    """Path prefix under which a proxy serves this service, without a slash at the end."""

    trusted_hosts: Annotated[tuple[HostPattern, ...], NoDecode] = ("*",)
    """Accepted host names of the header Host, separated by commas; `*.example.org` means every subdomain."""

    cors_origins: Annotated[tuple[Origin, ...], NoDecode] = ()
    """Origins whose pages may call the service from a browser, separated by commas; `*` means all."""

    tls_certificate_file: ReadableFile | None = None
    """PEM file with the certificate chain. The service then serves HTTPS, and needs `tls_key_file`."""

    tls_key_file: ReadableFile | None = None
    """PEM file with the private key, without a passphrase."""

    tls_client_ca_file: ReadableFile | None = None
    """PEM file with the authorities of client certificates. Every client must then have one (mTLS)."""

    trusted_proxies: Annotated[tuple[IPvAnyNetwork, ...], NoDecode] = ()
    """Addresses or networks of proxies, separated by commas. The log names the client of their X-Forwarded-For."""

    pages: bool = True
    """Serve the pages /docs and /playground."""

    api_keys: Annotated[tuple[SecretStr, ...], NoDecode] = ()
    """API keys, separated by commas. Operations then require one as `Authorization: Bearer KEY`."""

    api_keys_file: ReadableFile | None = None
    """File with one API key on each line."""

    max_body_bytes: Annotated[int, Field(ge=1)] = 32 * 2**20
    """Longest request body, in bytes, before and after decompression."""

    max_elements: Annotated[int, Field(ge=1, le=2**24 - 1)] = 4 * 2**20
    """Largest input or output tensor, in elements."""

    max_bytes_in_flight: Annotated[int, Field(ge=1)] = 40 * 2**20
    """Memory for request bodies and output tensors, in bytes. A request that does not fit waits unread, in order of arrival."""

    # a thread would add 12 % to the time of such a request
    inline_body_bytes: Annotated[int, Field(ge=0)] = 256 * 2**10
    """Largest body and largest outputs that the event loop works on, in bytes. Threads work on larger ones."""

    max_wait_seconds: Seconds = 10.0
    """Longest time that a request waits for memory, and then for a thread, before the answer is 503."""

    body_timeout_seconds: Seconds = 60.0
    """Longest time in which a body must arrive, before the answer is 408."""

    keep_alive_seconds: Annotated[int, Field(ge=1)] = 75
    """Seconds that an idle connection stays open. A proxy in front must close its connections sooner."""

    drain_seconds: Annotated[float, Field(ge=0)] = 1.0
    """Seconds to keep accepting requests after SIGTERM, while /readyz already returns 503."""

    graceful_shutdown_seconds: Annotated[int, Field(ge=1)] = 30
    """Longest time from SIGTERM to the end of the process, in seconds."""

    log_level: Literal["critical", "error", "warning", "info", "debug"] = "info"
    """Lowest level of the messages in the log; a request is logged at `info`."""

    log_format: Literal["auto", "json", "text"] = "auto"
    """Format of the log lines; `auto` is text on a terminal and JSON elsewhere."""

    tracing: bool = False
    """Export OpenTelemetry traces to `OTEL_EXPORTER_OTLP_ENDPOINT`. Needs the extra `tracing`."""

    otlp_metrics: bool = False
    """Export OpenTelemetry metrics of requests to `OTEL_EXPORTER_OTLP_ENDPOINT`. Needs the extra `tracing`."""

    @field_validator("trusted_hosts", "trusted_proxies", "cors_origins", "api_keys", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        return tuple(part for part in map(str.strip, value.split(",")) if part) if isinstance(value, str) else value

    @field_validator("api_keys", mode="before")
    @classmethod
    def _check_listed_keys(cls, value: object) -> object:
        if isinstance(value, str) and not value.strip(", "):
            raise ValueError("has no key; leave it out to serve everybody")
        return value

    @model_validator(mode="after")
    def _check_combinations(self) -> Self:
        if (self.tls_certificate_file is None) != (self.tls_key_file is None):
            raise ValueError("tls_certificate_file and tls_key_file need each other")
        if self.tls_client_ca_file is not None and self.tls_certificate_file is None:
            raise ValueError("tls_client_ca_file needs tls_certificate_file")
        if self.uds is not None and "port" in self.model_fields_set:
            raise ValueError("uds and port exclude each other; leave one of them out")
        if self.uds is not None and "host" in self.model_fields_set and self.metrics_port is None:
            raise ValueError(
                "uds and host exclude each other; leave one of them out, or set metrics_port, which uses host"
            )
        if self.metrics_port and self.metrics_port == self.port and self.uds is None:
            raise ValueError("metrics_port must not be the same as port")
        if self.max_bytes_in_flight < self.max_body_bytes:
            raise ValueError("max_bytes_in_flight must not be less than max_body_bytes")
        if self.drain_seconds >= self.graceful_shutdown_seconds:
            raise ValueError("drain_seconds must be less than graceful_shutdown_seconds")
        self.read_keys()
        return self

    @property
    def has_telemetry(self) -> bool:
        """Return whether traces or metrics are exported."""
        return self.tracing or self.otlp_metrics

    @property
    def needs_key(self) -> bool:
        """Return whether operations require a key."""
        return bool(self.api_keys) or self.api_keys_file is not None

    def read_keys(self) -> tuple[str, ...]:
        """Return all API keys, from `api_keys` and from `api_keys_file` as it is now. Raise ValueError if it has none."""
        listed = [key.get_secret_value() for key in self.api_keys]
        if self.api_keys_file is not None:
            try:
                from_file = Path(self.api_keys_file).read_text(encoding="utf-8").split()
            except (OSError, UnicodeDecodeError):
                raise ValueError("api_keys_file: the file cannot be read as text") from None
            if not from_file:
                raise ValueError("api_keys_file: the file has no key")
            listed += from_file
        return tuple(listed)
