"""Find breaking changes between two OpenAPI documents.

The new document may accept more requests: it must accept every request of the old document. Responses may be narrower
and have new fields: every field that the old document knows must keep its type.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

Document = dict[str, Any]
Schema = dict[str, Any]

LOWER = {"minimum", "exclusiveMinimum", "minItems", "minLength"}
UPPER = {"maximum", "exclusiveMaximum", "maxItems", "maxLength"}


def losses(old: Document, new: Document) -> list[str]:
    """Return every breaking change with its place."""
    found: list[str] = []
    for path, methods in old["paths"].items():
        for method, before in methods.items():
            where = f"{method.upper()} {path}"
            after = new["paths"].get(path, {}).get(method)
            found += [f"{where} is gone"] if after is None else _of_operation(old, new, before, after, where)
    schemas = new["components"]["schemas"]
    found += [f"the schema {name} is gone" for name in old["components"]["schemas"] if name not in schemas]
    return found


def may_lose(old: str, new: str) -> bool:
    """Return whether a version may break clients of an older one. Below 1.0 the second number decides."""
    before, after = ([int(number) for number in version.split(".")] for version in (old, new))
    return after[: 1 if before[0] else 2] > before[: 1 if before[0] else 2]


def _of_operation(old: Document, new: Document, before: Any, after: Any, where: str) -> Iterator[str]:
    if before["operationId"] != after["operationId"]:
        yield f"{where} is called {after['operationId']} in place of {before['operationId']}"
    yield from _of_parameters(old, new, before, after, where)
    yield from _of_bodies(old, new, before, after, where)
    for status, response in before["responses"].items():
        there = after["responses"].get(status)
        if there is None:
            yield f"{where} has no reply {status}"
            continue
        for header in response.get("headers", {}):
            if header not in there.get("headers", {}):
                yield f"{where} {status} has no header {header}"
        for media_type, content in response.get("content", {}).items():
            if media_type not in there.get("content", {}):
                yield f"{where} {status} is not {media_type}"
            else:
                fresh = there["content"][media_type]["schema"]
                place = f"{where} {status} {media_type}"
                yield from _lost_fields(old, new, content["schema"], fresh, place)
                yield from _excess(new, old, fresh, content["schema"], place, reply=True)


def _of_parameters(old: Document, new: Document, before: Any, after: Any, where: str) -> Iterator[str]:
    known, there = _parameters(old, before), _parameters(new, after)
    for name, parameter in known.items():
        if name not in there:
            yield f"{where} takes no {name}"
        else:
            yield from _excess(old, new, parameter["schema"], there[name]["schema"], f"{where} {name}")
    for name, parameter in there.items():
        if parameter.get("required") and not known.get(name, {}).get("required"):
            yield f"{where} needs {name}"


def _parameters(document: Document, operation: Any) -> dict[str, Any]:
    """Return the parameters of an operation by name."""
    resolved = [_resolve(document, each) for each in operation.get("parameters", [])]
    return {each["name"]: each for each in resolved}


def _of_bodies(old: Document, new: Document, before: Any, after: Any, where: str) -> Iterator[str]:
    known, there = before.get("requestBody", {}), after.get("requestBody", {})
    if there.get("required") and not known.get("required"):
        yield f"{where} needs a body"
    for media_type, content in known.get("content", {}).items():
        if media_type not in there.get("content", {}):
            yield f"{where} takes no {media_type}"
        else:
            fresh = there["content"][media_type]["schema"]
            yield from _excess(old, new, content["schema"], fresh, f"{where} {media_type}")


def _resolve(document: Document, value: Any) -> Any:
    """Return a value with its reference resolved."""
    while "$ref" in value:
        node: Any = document
        for step in value["$ref"].removeprefix("#/").split("/"):
            node = node[step]
        value = node
    return value


def _choices(document: Document, schema: Schema) -> list[Schema]:
    """Return the alternatives of a schema, or the schema itself."""
    schema = _resolve(document, schema)
    if "anyOf" not in schema:
        return [schema]
    return [choice for each in schema["anyOf"] for choice in _choices(document, each)]


def _excess(
    inner: Document, outer: Document, narrow: Schema, wide: Schema, where: str, *, reply: bool = False
) -> list[str]:
    """Return the values that a schema of the document `inner` allows and a schema of `outer` does not.

    reply: new fields are not an excess, since clients read only fields that they know.
    """
    found: list[str] = []
    for choice in _choices(inner, narrow):
        # of equally near alternatives, one of the same type gives the best message
        others = sorted(_choices(outer, wide), key=lambda other: other.get("type") != choice.get("type"))
        attempts = [list(_beyond(inner, outer, choice, other, where, reply=reply)) for other in others]
        nearest: list[str] = min(attempts, key=len)
        found += nearest
    return found


def _beyond(
    inner: Document, outer: Document, narrow: Schema, wide: Schema, where: str, *, reply: bool
) -> Iterator[str]:
    """Return `_excess` for resolved schemas without alternatives."""
    kind = wide.get("type")
    if kind not in (None, narrow.get("type")) and (narrow.get("type"), kind) != ("integer", "number"):
        yield f"{where}: {narrow.get('type', 'anything')} instead of {kind}"
        return
    words = _words(wide)
    if words is not None:
        for word in _words(narrow) or ["any other value"]:
            if word not in words:
                yield f"{where}: {word} is not one of the values"
    for bounds, beyond in ((LOWER, float.__gt__), (UPPER, float.__lt__)):
        for bound in bounds & set(wide):
            if bound not in narrow or beyond(float(wide[bound]), float(narrow[bound])):
                yield f"{where}: {bound} {wide[bound]}"
    if "items" in wide:
        yield from _excess(inner, outer, narrow.get("items", {}), wide["items"], f"{where}[]", reply=reply)
    yield from _beyond_fields(inner, outer, narrow, wide, where, reply=reply)


def _beyond_fields(
    inner: Document, outer: Document, narrow: Schema, wide: Schema, where: str, *, reply: bool
) -> Iterator[str]:
    fields = wide.get("properties", {})
    for name, schema in narrow.get("properties", {}).items():
        if name in fields:
            yield from _excess(inner, outer, schema, fields[name], f"{where}.{name}", reply=reply)
        elif not reply and wide.get("additionalProperties") is False:
            yield f"{where}.{name} is unknown"
    for name in wide.get("required", []):
        if name not in narrow.get("required", []):
            yield f"{where}.{name} may be missing" if reply else f"{where}.{name} is required"


def _lost_fields(old: Document, new: Document, before: Schema, after: Schema, where: str) -> Iterator[str]:
    """Return the fields of a response that the next document does not have."""
    known = _resolve(old, before).get("properties", {})
    there = _resolve(new, after).get("properties", {})
    for name in known:
        if name not in there:
            yield f"{where}.{name} is gone"


def _words(schema: Schema) -> list[Any] | None:
    """Return the values that a schema lists, or None."""
    return [schema["const"]] if "const" in schema else schema.get("enum")
