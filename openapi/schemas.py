"""JSON Schemas from pydantic's models, with what their own validators check besides."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any

from pydantic import BaseModel, TypeAdapter
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from openapi.operation import Json
from wechat_notify.core.messages.keywords import Keywords

PREFIX = "#/components/schemas/"
_REF = "x-schema"


def ref(name: str) -> Json:
    """A reference to a schema that is made elsewhere; pydantic would look for ``$ref`` among its own."""
    return {_REF: name}


CONTROL = r"\u0000-\u001f\u007f-\u009f\ufffd"
BLANK = r" \u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"
TEXT: Json = {"pattern": f"^[^{CONTROL}]*$"}
LINES: Json = {"pattern": rf"^(?:[^{CONTROL}]|[\t\n\r])*$"}
_TRIMMED: Json = {"pattern": f"^[^{CONTROL}{BLANK}](?:[^{CONTROL}]*[^{CONTROL}{BLANK}])?$"}
TIME: Json = {"pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ]", "format": "date-time"}
_SCENE: Json = {
    "anyOf": [
        {"type": "string", "pattern": "^(?:[0-9]{1,4}|0[0-9]{4}|10000)$"},
        {"type": "integer", "minimum": 0, "maximum": 10_000},
    ]
}
ZONE: Json = {"type": "string", "maxLength": 64, "pattern": "^[A-Za-z][A-Za-z0-9_+-]*(?:/[A-Za-z0-9_+-]+)*$"}

Rule = Callable[[Json, Mapping[str, Any]], Json]
"""A validator's part of a schema: from the schema of what it gets, and the variables that it closes over."""


def _adds(more: Json) -> Rule:
    return lambda schema, _variables: {**schema, **more}


def _is(schema: Json) -> Rule:
    return lambda _schema, _variables: dict(schema)


def _says_no_more(schema: Json, _variables: Mapping[str, Any]) -> Json:
    return schema


def _at_most(schema: Json, variables: Mapping[str, Any]) -> Json:
    return {**schema, "maxLength": variables["limit"]}


def _whole_number(_schema: Json, variables: Mapping[str, Any]) -> Json:
    return {"type": "integer", "minimum": variables["least"], "maximum": variables["most"]}


def _statuses(_schema: Json, variables: Mapping[str, Any]) -> Json:
    names = [status.value for status in variables["_LISTED"]]
    return {"type": "array", "minItems": 1, "items": {"type": "string", "enum": names}}


def _rate(_schema: Json, variables: Mapping[str, Any]) -> Json:
    return {"type": "number", "minimum": variables["MIN_RATE"], "maximum": variables["MAX_RATE"]}


def _window(_schema: Json, variables: Mapping[str, Any]) -> Json:
    return {"type": "string", "pattern": f"^{variables['_WINDOW']}$"}


def _address(schema: Json, variables: Mapping[str, Any]) -> Json:
    return {**schema, "pattern": f"^{variables['_ADDRESS']}$"}


def _appid(schema: Json, variables: Mapping[str, Any]) -> Json:
    return {**schema, "pattern": f"^{variables['APP_ID']}$"}


def _letters(schema: Json, variables: Mapping[str, Any]) -> Json:
    return {**schema, "pattern": f"^[A-Za-z0-9_-]{{1,{variables['most']}}}$"}


RULES: dict[str, Rule] = {
    "authorizations._appid": _appid,
    "field_types._no_control_characters": _adds(TEXT),
    "field_types._no_outer_blanks": _adds(_TRIMMED),
    "field_types.at_most.<locals>.check": _at_most,
    "field_types.scene_text": _is(_SCENE),
    "field_types._time_text": _adds(TIME),
    "field_types._zone": _is(ZONE),
    "identifiers._account_name": _adds({"pattern": "^[a-z0-9-]{1,64}$"}),
    "kinds.Content._printable": _adds(LINES),
    "kinds.OneTimeSubscription._has_content": _says_no_more,
    "kinds.MiniProgramTemplate._names_a_keyword": _says_no_more,
    "keywords.color_text": _is({"description": "a colour; it stops no message"}),
    "consents.letters.<locals>.check": _letters,
    "consents._absent_if_empty": _is({"type": "string", "pattern": "^[A-Za-z0-9_-]{0,128}$"}),
    "queries._address": _address,
    "queries.whole_number.<locals>.check": _whole_number,
    "messages._statuses": _statuses,
    "messages._with_plus": _says_no_more,
    "spec._object": _is(ref("BroadcastMessage")),
    "spec._recipients": _is(ref("Recipients")),
    "spec._upload": _is({"type": "string", "pattern": "^[A-Za-z0-9_-]{1,64}$"}),
    "spec._rate": _rate,
    "spec._percent": _is({"type": "integer", "minimum": 1, "maximum": 100}),
    "spec._window": _window,
    "spec.BroadcastSpec._is_ahead": _says_no_more,
    "spec.BroadcastSpec._is_near": _says_no_more,
    "schedule._object": _is({"type": "object"}),
    "schedule._boolean": _is({"type": "boolean"}),
}
"""By module and function. A validator without an entry ends the making of the document."""


class _Generator(GenerateJsonSchema):
    """pydantic's schemas, with ``RULES``; without titles, which only repeat the names."""

    def field_title_should_be_set(self, schema: Any) -> bool:  # noqa: ARG002
        return False

    def function_plain_schema(self, schema: core_schema.PlainValidatorFunctionSchema) -> JsonSchemaValue:
        return _ruled({}, schema["function"]["function"])

    def function_before_schema(self, schema: core_schema.BeforeValidatorFunctionSchema) -> JsonSchemaValue:
        return _ruled(super().function_before_schema(schema), schema["function"]["function"])

    def function_after_schema(self, schema: core_schema.AfterValidatorFunctionSchema) -> JsonSchemaValue:
        return _ruled(super().function_after_schema(schema), schema["function"]["function"])


def _ruled(schema: Json, validator: Any) -> Json:
    if isinstance(validator, Keywords):
        of_template = validator._official_account_template  # noqa: SLF001 - the description of this class
        return ref("TemplateData" if of_template else "Data")
    if isinstance(validator, functools.partial):
        return schema  # pydantic's own, such as min_length, which is in the schema already
    module = validator.__module__.rpartition(".")[2]
    return RULES[f"{module}.{validator.__qualname__}"](schema, _variables(validator))


def _variables(validator: Any) -> Mapping[str, Any]:
    found = inspect.getclosurevars(inspect.unwrap(getattr(validator, "__func__", validator)))
    return {**found.globals, **found.nonlocals}


def of(kind: type) -> tuple[Json, dict[str, Json]]:
    """The schema of a model or a TypedDict, and those that it refers to by their names."""
    if issubclass(kind, BaseModel):
        kind.model_rebuild(raise_errors=True)
    schema = TypeAdapter(kind).json_schema(ref_template=PREFIX + "{model}", schema_generator=_Generator)
    schema = _plain(schema)
    return schema, schema.pop("$defs", {})


def _plain(value: Any) -> Any:
    """The schema with its references, without titles, and with the code of its docstrings as in Markdown."""
    if isinstance(value, list):
        return [_plain(each) for each in value]
    if not isinstance(value, dict):
        return value
    if _REF in value:
        return {"$ref": PREFIX + value[_REF]}
    found = {
        name: _plain(each) for name, each in value.items() if not (name == "title" and isinstance(each, str))
    }
    if isinstance(found.get("description"), str):
        found["description"] = found["description"].replace("``", "`")
    if "default" in found and found["default"] is None:
        del found["default"]
    choices = [each for each in found.get("anyOf", []) if each != NULL]
    if len(choices) == 1 and NULL in found["anyOf"]:
        del found["anyOf"]
        found = {**or_null(choices[0]), **found}
    return found


NULL: Json = {"type": "null"}


def or_null(schema: Json) -> Json:
    """The schema of what may be null as well, without a choice of schemas where that can be said."""
    if "enum" in schema:
        return {"enum": [*schema["enum"], None]}
    if isinstance(schema.get("type"), str):
        return {**schema, "type": [schema["type"], "null"]}
    return {"anyOf": [schema, NULL]}
