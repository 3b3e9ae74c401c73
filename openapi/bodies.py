"""The schemas of request bodies."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence

from pydantic import BaseModel

from openapi import keywords, schemas
from openapi.operation import Json
from openapi.schemas import PREFIX
from wechat_notify.core.broadcasts import spec
from wechat_notify.core.messages.envelope import Envelope
from wechat_notify.core.messages.kinds import MODELS, MiniProgramTemplate
from wechat_notify.core.messages.validation import shape, spellings
from wechat_notify.core.schedules import schedule

_BLANK_OBJECT: Json = {"type": "object", "additionalProperties": {"enum": ["", None]}}
_TEXTS = {
    "account": "The account's name.",
    "id": "The message's id; without one, the event's or SQS's own. One that is not 1 to 64 visible ASCII characters is "
    "replaced by a digest.",
    "kind": "The kind of the message.",
    "touser": "The receiver's openid.",
    "template_id": "WeChat's id of the template.",
    "expires_at": "Nothing is sent after this time: a date and a time with its zone.",
    "delivery": "After a lost answer: leave the message as `unknown` (at_most_once, the default), or send it again.",
    "data": "The values of the template's keywords; of a one-time message the `content`.",
    "page": "The page that a tap opens.",
    "url": "The URL that a tap opens.",
    "miniprogram": "The mini program that a tap opens; WeChat prefers it to `page` and `url`.",
    "appid": "The mini program's appid.",
    "pagepath": "The page of the mini program.",
    "miniprogram_state": "The version of the mini program that a tap opens.",
    "lang": "The language of the mini program's page.",
    "client_msg_id": "WeChat's own protection against doubles. In a `template` the service fills it in.",
    "scene": "The scene of the subscription, 0 to 10000.",
    "title": "The title of the message.",
    "content": "The text of the message, with its colour.",
    "value": "The text.",
    "form_id": "The form or prepayment that allows the message.",
    "emphasis_keyword": "The keyword to show enlarged, such as keyword1.DATA; `data` must have it.",
    "message": "The message.",
    "broadcast": "The broadcast, without `starts_at`.",
    "upload": "The id of an upload, in the place of `recipients`.",
    "recipients": "The recipients.",
    "name": "A label.",
    "duplicates": "Send to an openid once, or to each row.",
    "on_invalid": "Leave out rows that cannot be sent, or refuse the broadcast.",
    "messages_per_second": "Its pace; at most its share of the account's.",
    "send_window": "The part of the day in which messages are released, such as 09:00-21:00; it may run over midnight.",
    "starts_at": "Nothing is released before this time.",
    "max_failures_percent": "It pauses by itself when more than this share failed, after 100 results.",
    "at": "Fire once, at this time in the future: with an offset, or local to `time_zone`.",
    "cron": "Fire by a cron expression of six fields: minutes, hours, day of the month, month, day of the week, "
    "year.",
    "rate": "Fire again and again, such as `5 minutes`.",
    "time_zone": "A time zone of the IANA database, for what has no zone of its own.",
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
    components |= {"BroadcastMessage": _BROADCAST_MESSAGE, "Recipients": _RECIPIENTS}
    components["BroadcastRequest"] = _broadcast()
    return components


def queue_body() -> Json:
    """The schema of the body that SQS and the event bus carry; it refers to those of the messages."""
    schema, _ = schemas.of(Envelope)
    schema["properties"]["message"] = {"$ref": f"{PREFIX}Message"}
    _let_be_null(schema)
    schema["description"] = "A message to be sent, and its account."
    _describe(schema)
    return schema


def _message(model: type[BaseModel], components: dict[str, Json]) -> Json:
    schema, nested = schemas.of(model)
    for inner in _inner_models(model):
        _let_be_empty(inner, nested[inner.__name__])
        _describe(nested[inner.__name__])
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
    """Allow optional fields to be given empty: the service takes them for absent, as WeChat does."""
    optional, nested = shape(model)
    for name, field in schema["properties"].items():
        if name not in optional:
            continue
        field.pop("default", None)
        if "enum" in field:
            field["enum"].append("")
        elif name in nested:
            field["anyOf"] += [{"enum": ["", []]}, _BLANK_OBJECT]
        elif "anyOf" in field:
            field["anyOf"].append({"const": ""})
        elif "minLength" in field:
            schema["properties"][name] = {"anyOf": [field, {"const": ""}]}


def _spell(model: type[BaseModel], schema: Json) -> None:
    """A message may come in the Cloud Call spelling, each field once."""
    required = []
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
            required.append((name, other))
    schema |= _exactly_one(*required)


def _schedule() -> Json:
    schema, _ = schemas.of(schedule.ScheduleSpec)
    forms: Mapping[str, Json] = {
        "at": {"pattern": _AT},
        "cron": {"pattern": r"^\s*\S+(?:\s+\S+){5}\s*$"},
        "rate": {"pattern": "^[1-9][0-9]{0,4} (?:minute|hour|day)s?$"},
    }
    for name, form in forms.items():
        schema["properties"][name] = {"type": "string", **form}
    without_start: Json = {"not": {"required": ["starts_at"]}}
    schema["properties"]["message"] = {"$ref": f"{PREFIX}Message"}
    schema["properties"]["broadcast"] = {"allOf": [{"$ref": f"{PREFIX}BroadcastRequest"}, without_start]}
    _let_be_null(schema)
    schema |= _exactly_one(tuple(forms), ("message", "broadcast"))
    schema["description"] = (
        "When to send what: exactly one of `at`, `cron` and `rate`, and one of `message` and `broadcast`."
    )
    _describe(schema)
    return schema


def _broadcast() -> Json:
    schema, _ = schemas.of(spec.BroadcastSpec)
    _let_be_null(schema)
    schema |= _exactly_one(("recipients", "upload"))
    schema["description"] = "A message and who gets it: exactly one of `recipients` and `upload`."
    _describe(schema)
    return schema


def _exactly_one(*choices: Sequence[str]) -> Json:
    """Of each choice exactly one field. Said by ``not``: pages show a ``oneOf`` in the place of the fields."""
    wrong: list[Json] = []
    for names in choices:
        wrong.append({"not": {"anyOf": [_given(name) for name in names]}})
        wrong += [{"allOf": list(map(_given, pair))} for pair in itertools.combinations(names, 2)]
    return {"not": {"anyOf": wrong}}


def _given(name: str) -> Json:
    return {"required": [name], "properties": {name: {"not": {"type": "null"}}}}


def _let_be_null(schema: Json) -> None:
    """Allow optional fields to be null: they count as absent."""
    for name, field in schema["properties"].items():
        may_be_null = None in field.get("enum", ()) or "null" in field.get("type", ())
        if name not in schema.get("required", ()) and not may_be_null:
            default = {"default": field.pop("default")} if "default" in field else {}
            schema["properties"][name] = {**schemas.or_null(field), **default}


_RECIPIENTS: Json = {
    "type": "array",
    "minItems": 1,
    "maxItems": spec.MAX_RECIPIENTS,
    "description": "An object for each recipient, with `openid` and the columns that the message names; or the openid alone.",
    "items": {
        "anyOf": [
            {"type": "string", "pattern": r"\S"},
            {
                "type": "object",
                "minProperties": 1,
                "additionalProperties": {"type": ["string", "number", "null"]},
            },
        ]
    },
}
_BROADCAST_MESSAGE: Json = {
    "type": "object",
    "description": "A message with `{{column}}` in its texts. What each recipient's becomes is checked by the rules "
    "of its kind.",
    "properties": {
        "kind": {"enum": list(MODELS)},
        "touser": {"type": "string", "pattern": r"\{\{", "default": "{{openid}}"},
    },
    "required": ["kind"],
    "additionalProperties": True,
}
_AT = "^20[0-9]{2}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}(?::[0-9]{2})?(?:Z|[+-][0-9]{2}:[0-9]{2})?$"


def _describe(schema: Json) -> None:
    for name, field in schema["properties"].items():
        if "description" not in field and name in _TEXTS:
            field["description"] = _TEXTS[name]
