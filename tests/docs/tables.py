"""Write the tables of the documentation from the code that they describe.

A page marks the place of a table with `<!-- generated: name -->` and `<!-- end of name -->`.
"""

from __future__ import annotations

import inspect
import json
import re
import tomllib
from typing import TYPE_CHECKING, Any, Literal, get_args, get_origin

from deploy import platforms as platforms_module
from service.api.app import create_app
from service.api.observability.metrics import Metrics
from service.api.problems import INTERNAL, PROBLEM_TYPES
from service.operations import OPERATIONS
from service.settings import Settings
from tests.docs.pages import ROOT
from tests.wheels import GAPS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from service.operations.spec import Axes, Operation, Parameter

MARKED = re.compile(
    r"(?P<start><!-- generated: (?P<name>[a-z-]+) -->\n).*?(?P<end><!-- end of (?P=name) -->)", re.DOTALL
)


def filled(text: str) -> str:
    """Return the text of a page with every marked table written anew."""
    return MARKED.sub(lambda found: f"{found['start']}\n{TABLES[found['name']]()}\n{found['end']}", text)


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(cell.replace('|', '&#124;') for cell in line)} |\n" for line in lines)


def code(value: object) -> str:
    """Return a value as code, "" for an empty one."""
    return f"`{value}`" if value not in ("", None) else ""


def settings() -> str:
    """Return the table of settings."""
    rows = []
    for name, field in Settings.model_fields.items():
        default = ",".join(field.default) if isinstance(field.default, tuple) else field.default
        if isinstance(default, bool):
            default = str(default).lower()
        choices = get_args(field.annotation) if get_origin(field.annotation) is Literal else ()
        meaning = " ".join((field.description or "").split())
        if choices:
            meaning += f" One of {', '.join(map(code, choices))}."
        flag = "--" + name.replace("_", "-")
        rows.append([code(name), code(flag), code(f"SOFTMAX_{name.upper()}"), code(default), meaning])
    return table(["setting", "flag", "variable", "default", "meaning"], rows)


def shapes(axes: tuple[Axes, ...]) -> str:
    """Return the shapes that a tensor may have."""
    return " or ".join(f"({', '.join(each)}{',' if len(each) == 1 else ''})" if each else "a number" for each in axes)


def field(need: str) -> str:
    """Return a need with its fields as code: `targets` or `teacher_logits`, `targets` that are class indices."""
    names = {name for operation in OPERATIONS for name in operation.names}
    return " ".join(code(word) if word in names else word for word in need.split(" "))


def conditions(needs: Sequence[str], unless: Sequence[str] = ()) -> str:
    """Return the fields that something needs, and those beside which it cannot be."""
    parts = [f"needs {', '.join(map(field, needs))}"] if needs else []
    parts += [f"not with {', '.join(map(code, unless))}"] if unless else []
    return "; ".join(parts)


def operations() -> str:
    """Return the table of operations."""
    rows = [
        [
            code(f"POST /{each.name}"),
            each.summary,
            "; ".join(" or ".join(map(code, group)) for group in each.alternatives),
            ", ".join(map(code, each.default_outputs)),
        ]
        for each in OPERATIONS
    ]
    return table(["request", "computes", "inputs that it needs", "outputs by default"], rows)


def names(operations: Iterable[Any]) -> str:
    """Return the names of operations, "all" for all of them."""
    listed = [each.name for each in operations]
    return "all" if len(listed) == len(OPERATIONS) else ", ".join(listed)


def described(kind: str) -> list[tuple[Any, str]]:
    """Return every description of an input, parameter or output once, with the names of its operations."""
    found: dict[tuple[str, str], tuple[Any, list[Operation]]] = {}
    for operation in OPERATIONS:
        for each in getattr(operation, kind):
            found.setdefault((each.name, each.doc), (each, []))[1].append(operation)
    return [(each, names(operations)) for each, operations in found.values()]


def inputs() -> str:
    """Return the table of inputs."""
    rows = [
        [code(each.name), shapes(each.axes), where, each.domain.value, conditions(each.needs), each.doc]
        for each, where in described("inputs")
    ]
    return table(["input", "shape", "operations", "values", "condition", "meaning"], rows)


def values(parameter: Parameter) -> str:
    """Return the range of a parameter."""
    if parameter.choices:
        return " or ".join(code(choice) for choice in parameter.choices)
    bounds = [
        f"{sign} {bound:g}"
        for sign, bound in (
            (">", parameter.above),
            ("at least", parameter.minimum),
            ("<", parameter.below),
            ("at most", parameter.maximum),
        )
        if bound is not None and abs(bound) < 2**62
    ]
    kind = {int: "integer", float: "number", str: "text"}[parameter.type]
    return ", ".join([kind, *bounds])


def parameters() -> str:
    """Return the table of parameters."""
    rows = [
        [
            code(each.name),
            "none" if each.default is None else code(f"{each.default:g}" if each.type is not str else each.default),
            values(each),
            where,
            conditions(each.needs),
            each.doc,
        ]
        for each, where in described("parameters")
    ]
    return table(["parameter", "default", "values", "operations", "condition", "meaning"], rows)


def outputs() -> str:
    """Return the table of outputs."""
    rows = []
    for each, where in described("outputs"):
        condition = conditions(each.needs, each.unless)
        rows.append([code(each.name), shapes(each.axes), where, condition, each.doc])
    return table(["output", "shape", "operations", "condition", "meaning"], rows)


def endpoints() -> str:
    """Return the table of paths."""
    paths = create_app(Settings()).openapi()["paths"]
    rows = [
        [code(f"{method.upper()} {path}"), entry["summary"]]
        for path, methods in paths.items()
        for method, entry in methods.items()
    ]
    return table(["request", "purpose"], rows)


def problems() -> str:
    """Return the table of problem types."""
    kinds = [(kind, inspect.getdoc(error) or "") for error, kind in PROBLEM_TYPES.items()]
    rows = [
        [str(kind.status), f"[`{kind.slug}`](#{kind.slug})", doc.splitlines()[0]]
        for kind, doc in [*kinds, (INTERNAL, INTERNAL.description)]
    ]
    return table(["status", "type", "meaning"], sorted(rows, key=lambda row: row[0]))


def metrics() -> str:
    """Return the table of the service's own metrics."""
    registry = Metrics().registry
    own = [family for family in registry.collect() if family.name.startswith(("http_", "softmax_"))]
    rows = []
    for family in own:
        collector: Any = registry._names_to_collectors[family.name]  # noqa: SLF001 - the only way to the labels
        full = f"{family.name}_total" if family.type == "counter" else family.name
        labels = ", ".join(code(label) for label in collector._labelnames)  # noqa: SLF001 - as above
        rows.append([code(full), family.type, labels, family.documentation])
    return table(["metric", "type", "labels", "meaning"], rows)


def layers() -> str:
    """Return the import rules; in a list of layers, each imports only those behind it."""
    config = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    contracts = config["tool"]["importlinter"]["contracts"]
    return "".join(
        f"- {contract['name']}{': ' if 'layers' in contract else ''}"
        f"{' > '.join(code(layer.replace('service.', '')) for layer in contract.get('layers', []))}\n"
        for contract in contracts
    )


def platforms() -> str:
    """Return the table of platforms, and the accelerators that install on each."""
    found = json.loads(platforms_module.FILE.read_text(encoding="utf-8"))["platforms"]
    rows = []
    for name, pythons in found.items():
        cells = ["not available" if fast is None else ", ".join(fast) or "portable" for fast in pythons.values()]
        rows.append([name, *cells])
    return table(["platform", *(f"Python {version}" for version in platforms_module.PYTHONS)], rows)


def gaps() -> str:
    """Return the table of packages without a wheel for some Python, and the tests that are left out there."""
    rows = [
        (code(name), f"{'.'.join(map(str, gap.first))} and newer", gap.tests, gap.reason) for name, gap in GAPS.items()
    ]
    return table(["package", "Python", "tests of", "reason"], rows)


TABLES: dict[str, Callable[[], str]] = {
    function.__name__: function
    for function in (
        settings,
        operations,
        inputs,
        parameters,
        outputs,
        endpoints,
        problems,
        metrics,
        layers,
        platforms,
        gaps,
    )
}
