"""The schemas of request bodies."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from pydantic import BaseModel

from openapi import keywords, schemas
from openapi.operation import Json
from openapi.schemas import PREFIX
from wechat_notify.core.messages.kinds import MODELS, MiniProgramTemplate
from wechat_notify.core.messages.validation import shape, spellings
from wechat_notify.core.schedules import schedule

_BLANK: Json = {"enum": ["", None]}
_BLANK_OBJECT: Json = {"type": "object", "additionalProperties": _BLANK}
_TEXTS = {
    "kind": "The kind of the message.",
    "touser": "The receiver's openid.",
    "template_id": "WeChat's id of the template.",
    "expires_at": "The message is not sent after this time: a date and a time with its zone.",
    "delivery": "After a lost answer: leave the message as `unknown` (at_most_once, the default), or send it again.",
    "page": "The page that a tap opens.",
    "url": "The URL that a tap opens.",
    "miniprogram": "The mini program that a tap opens; WeChat prefers it to `page` and `url`.",
    "miniprogram_state": "The version of the mini program that a tap opens.",
    "lang": "The language of the mini program's page.",
    "client_msg_id": "WeChat's own protection against doubles. In a `template` the service fills it in.",
    "scene": "The scene of the subscription, 0 to 10000.",
    "title": "The title of the message.",
    "form_id": "The form or prepayment that allows the message.",
    "emphasis_keyword": "The keyword to show enlarged, such as keyword1.DATA; `data` must have it.",
    "message": "The message.",
    "at": "Fire once, at this time in the future: with an offset, or local to `time_zone`.",
    "cron": "Fire by a cron expression of six fields: minutes, hours, day of the month, month, day of the week, "
    "year.",
    "rate": "Fire again and again, such as `5 minutes`.",
    "time_zone": "A time zone of the IANA database, for `cron` and for an `at` without an offset.",
    "enabled": "false keeps the schedule without firing.",
}
"""Descriptions of fields, by their names."""


def schemas_of_bodies() -> dict[str, Json]:
    """The schemas of all request bodies, and those that they refer to."""
    components: dict[str, Json] = {
        "Data": keywords.schema(official_account_template=False),
        "TemplateData": keywords.schema(official_account_template=True),
    }
    kinds: dict[str, str] = {}
    for kind, model in MODELS.items():
        kinds[kind] = f"{PREFIX}{model.__name__}Message"
        components[f"{model.__name__}Message"] = _message(model, components)
    components["Message"] = {
        "description": "A message of one of the kinds. An optional field that is given empty counts as absent.",
        "oneOf": [{"$ref": name} for name in kinds.values()],
        "discriminator": {"propertyName": "kind", "mapping": kinds},
    }
    components["ScheduleRequest"] = _schedule()
    return components


def _message(model: type[BaseModel], components: dict[str, Json]) -> Json:
    schema, nested = schemas.of(model)
    for inner in _inner_models(model):
        _let_be_empty(inner, nested[inner.__name__])
    components |= nested
    _let_be_empty(model, schema)
    _describe(schema)
    if model is MiniProgramTemplate:
        _spell(model, schema)
    return schema


def _inner_models(model: type[BaseModel]) -> Iterator[type[BaseModel]]:
    for inner in set(shape(model)[1].values()):
        yield inner
        yield from _inner_models(inner)


def _let_be_empty(model: type[BaseModel], schema: Json) -> None:
    """What is optional may be given empty: the service takes it for absent, as WeChat does."""
    optional, nested = shape(model)
    for name, field in schema["properties"].items():
        if name not in optional or "anyOf" not in field:  # a colour may be anything
            continue
        choices = [each for each in field["anyOf"] if each != {"type": "null"}]
        field.pop("default", None)
        empty = [{"enum": ["", None, []]}, _BLANK_OBJECT] if name in nested else [_BLANK]
        field["anyOf"] = [*choices, *empty]


def _spell(model: type[BaseModel], schema: Json) -> None:
    """A message may come in the Cloud Call spelling, each field once."""
    for name, field in model.model_fields.items():
        other = next((each for each in spellings(name, field) if each != name), None)
        if other is None:
            continue
        schema["properties"][other] = {
            **schema["properties"][name],
            "description": f"The same as `{name}`, in the Cloud Call spelling.",
        }
        if name in schema["required"]:
            schema["required"].remove(name)
            schema.setdefault("allOf", []).append({"oneOf": [{"required": [name]}, {"required": [other]}]})


def _schedule() -> Json:
    model = schedule.ScheduleSpec
    schema, _ = schemas.of(model)
    forms: Mapping[str, Json] = {
        "at": {"pattern": _AT},
        "cron": {"pattern": r"^\s*\S+(?:\s+\S+){5}\s*$"},
        "rate": {"pattern": "^[1-9][0-9]{0,4} (?:minute|hour|day)s?$"},
    }
    for name, form in forms.items():
        schema["properties"][name] = {"anyOf": [{"type": "string", **form}, {"type": "null"}]}
    for name in ("time_zone", "enabled"):
        field = schema["properties"][name]
        default = field.pop("default")
        schema["properties"][name] = {"anyOf": [field, {"type": "null"}], "default": default}
    schema["oneOf"] = [{"required": [name], "properties": {name: {"type": "string"}}} for name in forms]
    schema["description"] = "When to send which message. Exactly one of `at`, `cron` and `rate`."
    _describe(schema)
    return schema


_AT = "^20[0-9]{2}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}(?::[0-9]{2})?(?:Z|[+-][0-9]{2}:[0-9]{2})?$"


def _describe(schema: Json) -> None:
    for name, field in schema["properties"].items():
        if "description" not in field and name in _TEXTS:
            field["description"] = _TEXTS[name]
