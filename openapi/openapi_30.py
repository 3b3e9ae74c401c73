"""Schemas of OpenAPI 3.1, which are JSON Schema 2020-12, in the words of OpenAPI 3.0."""

from __future__ import annotations

from typing import Any

from openapi.schemas import NULL

_UNKNOWN = frozenset({"patternProperties", "propertyNames"})
_LITERAL = frozenset({"default", "enum", "example", "mapping", "required"})


def openapi_30(schema: Any) -> Any:
    """Return the schema with what OpenAPI 3.0 knows.

    It has no patterns and no rules of property names: what they forbid is allowed.
    """
    if isinstance(schema, list):
        return [openapi_30(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    if schema == NULL:
        return {"enum": [None], "nullable": True}
    found = {name: _converted(name, value) for name, value in schema.items() if name not in _UNKNOWN}
    if "$ref" in found and len(found) > 1:  # what stands beside a reference does not count
        found["allOf"] = [{"$ref": found.pop("$ref")}]
    if "const" in found:
        found["enum"] = [found.pop("const")]
    if isinstance(found.get("type"), list):
        (found["type"],) = [kind for kind in found["type"] if kind != "null"]
        found["nullable"] = True
    if None in found.get("enum", ()):
        found["nullable"] = True
    return found


def _converted(name: str, value: Any) -> Any:
    if name in _LITERAL:
        return value
    if name == "properties":
        return {field: openapi_30(each) for field, each in value.items()}
    return openapi_30(value)
