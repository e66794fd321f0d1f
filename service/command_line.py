"""Flags of `python -m service`, their help, and one line for a wrong setting."""

from __future__ import annotations

import os
import sys
from argparse import ArgumentParser
from difflib import get_close_matches
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Literal, NoReturn, get_args, get_origin

from pydantic import ValidationError
from pydantic_settings import CliSettingsSource

from service import __version__
from service.schemas.service import NAME
from service.settings import Settings

if TYPE_CHECKING:
    from argparse import Action, Namespace
    from collections.abc import Sequence

    from pydantic.fields import FieldInfo
    from pydantic_core import ErrorDetails

KINDS = {
    "root_path": "a path such as /softmax, without a slash at the end",
    "trusted_hosts": "host names without scheme and port, separated by commas",
    "cors_origins": "origins such as https://app.example.org, separated by commas",
    "trusted_proxies": "IP addresses or networks, separated by commas",
    "api_keys": "keys, separated by commas",
}
"""Kinds of value that do not follow from the type of a setting."""

VALUE_NAMES: dict[object, str] = {int: "INTEGER", int | None: "INTEGER", float: "NUMBER", str: "TEXT"}
"""Names of single values in the help; any other is a file."""


class _Parser(ArgumentParser):
    """Parser whose errors are one line, without the list of all flags."""

    def error(self, message: str) -> NoReturn:
        sys.exit(f"{self.prog}: {message}; --help lists the flags")


def read_settings(arguments: Sequence[str]) -> Settings:
    """Return the settings of flags and variables. End the process with one line if one of them is wrong."""
    parser = _Parser(prog=NAME, description="Serve softmax, its loss and its gradient over HTTP.", allow_abbrev=False)
    parser.add_argument("--version", action="version", version=f"{NAME} {__version__}")
    source: CliSettingsSource[ArgumentParser] = CliSettingsSource(
        Settings,
        cli_hide_none_type=True,
        root_parser=parser,
        add_argument_method=_add_flag,
        parse_args_method=_parse,
    )
    try:
        return Settings(_cli_settings_source=source(args=list(arguments)))
    except ValidationError as error:
        sys.exit(f"{NAME}: {_mistake(error.errors()[0], arguments)}")


def flag(name: str) -> str:
    """Return the flag of a setting."""
    return f"--{name.replace('_', '-')}"


def variable(name: str) -> str:
    """Return the environment variable of a setting."""
    return f"SOFTMAX_{name.upper()}"


def _parse(parser: ArgumentParser, arguments: Sequence[str]) -> Namespace:
    """Return the values of the flags. End the process with one line for any other argument. Values may be secret."""
    switches = {flag(name) for name, field in Settings.model_fields.items() if field.annotation is bool}
    for argument, following in pairwise([*arguments, "--"]):
        name, equals, _ = argument.partition("=")
        if name in switches and (equals or not following.startswith("-")):
            sys.exit(f"{NAME}: {name} has no value; write {name} or --no-{name.removeprefix('--')}")
    values, unknown = parser.parse_known_args(arguments)
    if unknown:
        name = unknown[0].partition("=")[0]
        if not name.startswith("-"):
            sys.exit(f"{NAME}: a value has no flag before it; write --NAME VALUE, and separate a list with commas")
        near = get_close_matches(f"--{name.lstrip('-')}", [*map(flag, Settings.model_fields)], 1)
        sys.exit(f"{NAME}: {name} is not a flag; {f'did you mean {near[0]}?' if near else '--help lists the flags'}")
    return values


def _add_flag(parser: ArgumentParser, long: str, **options: Any) -> Action:
    """Add a flag with the help of its setting, which ends with the variable."""
    name = long.removeprefix("--").replace("-", "_")
    field = Settings.model_fields[name]
    default = ",".join(field.default) if isinstance(field.default, tuple) else field.default
    default = str(default).lower() if isinstance(default, bool) else default
    shown = "" if default in (None, "") else f"Default: {default}. "
    options["help"] = f"{field.description} {shown}{variable(name)}".replace("%", "%%")
    if "metavar" in options:
        options["metavar"] = _value_name(field)
    return parser.add_argument(long, **options)


def _value_name(field: FieldInfo) -> str:
    """Return the name of the value in the help."""
    if get_origin(field.annotation) is Literal:
        return f"{{{','.join(get_args(field.annotation))}}}"
    if get_origin(field.annotation) is tuple:
        return "LIST"
    return VALUE_NAMES.get(field.annotation, "FILE")


def _mistake(error: ErrorDetails, arguments: Sequence[str]) -> str:
    """Return one sentence that names the setting, its kind of value and its source. Values may be secret."""
    message = error["msg"].removeprefix("Value error, ")
    if not error["loc"]:
        return message
    name = str(error["loc"][0])
    if error["type"] != "value_error":
        message = f"must be {_kind(name)}"
    if any(argument.partition("=")[0] == flag(name) for argument in arguments):
        return f"{name}: {flag(name)} {message}"
    if os.environ.get(variable(name), "").startswith("tcp://"):
        message += "; Kubernetes sets it for a Service named softmax: set enableServiceLinks: false in the pod"
    return f"{name}: {variable(name)} {message}"


def _kind(name: str) -> str:
    """Return the kind of value that a setting accepts."""
    field = Settings.model_fields[name]
    if name in KINDS:
        return KINDS[name]
    if get_origin(field.annotation) is Literal:
        return f"one of {', '.join(get_args(field.annotation))}"
    if field.annotation is bool:
        return "true or false"
    value = _value_name(field)
    if value == "FILE":
        return "the path of an existing file"
    number = "an integer" if value == "INTEGER" else "a finite number"
    limits = {key: getattr(each, key) for each in field.metadata for key in ("ge", "gt", "le") if hasattr(each, key)}
    if "le" in limits:
        return f"{number} from {limits['ge']} to {limits['le']}"
    return f"{number} above {limits['gt']}" if "gt" in limits else f"{number} of at least {limits['ge']}"
