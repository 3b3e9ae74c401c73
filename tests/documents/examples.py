"""JSON examples of the documents, each held against the schema that it is an example of.

Its content tells which one that is. No schema allows a field that it does not name, so that a misspelt one is
found.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jsonschema
from cfnlint.api import lint
from jsonschema.exceptions import best_match

from openapi.document import OPERATIONS
from tests.documents.blocks import ROOT
from tests.unit.functions import contract
from wechat_notify.core.errors import InvalidMessageError, InvalidRequestError, MalformedBodyError
from wechat_notify.core.messages.envelope import parse_queue_body
from wechat_notify.core.messages.intake import check
from wechat_notify.core.messages.parser import parse_message
from wechat_notify.core.messages.strict_json import parse_json


def problems(text: str) -> Sequence[str]:
    """What is wrong with an example; empty where nothing is."""
    try:
        value = parse_json(text)
    except MalformedBodyError as malformed:
        return [f"no JSON: {malformed}"]
    for recognised, problems_of in _RECOGNISED.items():
        if recognised(value):
            return problems_of(value)
    errors = [error for error in (_error(schema, value) for schema in _schemas()) if error is not None]
    if len(errors) < len(_schemas()):
        return []
    # The one that it resembles most is valid up to the deepest place.
    nearest = max(errors, key=lambda error: len(error.absolute_path))
    return [f"{nearest.json_path}: {nearest.message[:200]}"]


def _has(*names: str) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, dict) and value.keys() >= set(names)


def _is_message(value: Any) -> bool:
    return _has("kind", "template_id")(value) and "status" not in value and not _placeholders(value)


def _is_row_message(value: Any) -> bool:
    return _has("kind", "template_id")(value) and _placeholders(value)


def _placeholders(value: Any) -> bool:
    return "{{" in json.dumps(value)


def _message(value: Any) -> Sequence[str]:
    try:
        parse_message(value, "an-id")
    except InvalidMessageError as error:
        return [f"{each.path}: {each.rule}" for each in error.violations]
    return []


def _row_message(value: Any) -> Sequence[str]:
    body = {"message": value, "recipients": ["OPENID"]}
    error = _error(contract.request("POST /v1/accounts/{account}/broadcasts") or {}, body)
    return [] if error is None else [f"{error.json_path}: {error.message[:200]}"]


def _queue_body(value: Any) -> Sequence[str]:
    try:
        check(parse_queue_body(json.dumps(value), "an-id"))
    except (InvalidRequestError, InvalidMessageError) as error:
        return [f"{each.path}: {each.rule}" for each in error.violations]
    return []


def _event(value: Any) -> Sequence[str]:
    """Against the schema that is named as its ``detail-type`` is."""
    name = value["detail-type"].lower().replace(".", "_").replace(" ", "_")
    file = ROOT / "events/schemas" / f"{name}.json"
    if not file.exists():
        return [f"there is no schema {file.name}"]
    schema = json.loads(file.read_text("utf-8"))
    return [error.message for error in jsonschema.Draft202012Validator(schema).iter_errors(value)]


def _policy(value: Any) -> Sequence[str]:
    """As a part of a template, which cfn-lint checks."""
    properties = {"PolicyDocument": value}
    policy = {"Type": "AWS::IAM::ManagedPolicy", "Properties": properties}
    template = {"AWSTemplateFormatVersion": "2010-09-09", "Resources": {"Policy": policy}}
    return [found.message for found in lint(json.dumps(template), regions=["us-east-1"])]


@functools.cache
def _schemas() -> Sequence[dict[str, Any]]:
    """The schemas of all bodies and answers of the HTTP API."""
    found = []
    for route in OPERATIONS:
        body = contract.request(route)
        contents = [answer["content"] for answer in contract.responses(route).values()]
        media = [each for content in contents for each in content.values()]
        found += [each["schema"] for each in media if "schema" in each] + ([body] if body else [])
    return found


def _error(schema: dict[str, Any], value: Any) -> jsonschema.ValidationError | None:
    try:
        contract.validate(schema, value)
    except jsonschema.ValidationError as error:
        return best_match([error])
    return None


_RECOGNISED: Mapping[Callable[[Any], bool], Callable[[Any], Sequence[str]]] = {
    _has("Version", "Statement"): _policy,
    _has("detail-type", "detail"): _event,
    _has("account", "message"): _queue_body,
    _is_row_message: _row_message,
    _is_message: _message,
}
"""Examples of what stands in no schema of the HTTP API, or is held against more than that."""
