"""JSON examples of the documents, each held against the schema that it is an example of.

Its content tells which one that is. No schema allows a field that it does not name, so that a misspelt one is
found.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import jsonschema
from cfnlint.api import lint
from jsonschema.exceptions import best_match
from pydantic import ValidationError

from openapi import events
from openapi.document import OPERATIONS
from tests import event_contract
from tests.unit.functions import contract
from wechat_notify.core.canary import CanaryOrder
from wechat_notify.core.errors import InvalidMessageError, InvalidRequestError, MalformedBodyError
from wechat_notify.core.messages.envelope import parse_queue_body
from wechat_notify.core.messages.intake import check as check_message
from wechat_notify.core.messages.parser import parse_message
from wechat_notify.core.messages.strict_json import parse_json


def problems(text: str) -> Sequence[str]:
    """The faults of an example; none where it is valid."""
    try:
        value = parse_json(text)
    except MalformedBodyError as malformed:
        return [f"no JSON: {malformed}"]
    for recognised, problems_of in _RECOGNISED.items():
        if recognised(value):
            return problems_of(value)
    checks = [partial(contract.validate, schema) for schema in _schemas()]
    checks += [partial(event_contract.check_detail, name) for name in events.PUBLISHED]
    errors = [error for error in (_error(check, value) for check in checks) if error is not None]
    if len(errors) < len(checks):
        return []
    # The one that it resembles most is valid up to the deepest place.
    nearest = max(errors, key=lambda error: len(error.absolute_path))
    return [f"{nearest.json_path}: {nearest.message[:200]}"]


def _has(*names: str) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, dict) and value.keys() >= set(names)


def _is_pattern(value: Any) -> bool:
    return _has("detail-type")(value) and isinstance(value["detail-type"], list)


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
    schema = contract.request("POST /v1/accounts/{account}/broadcasts") or {}
    error = _error(partial(contract.validate, schema), {"message": value, "recipients": ["OPENID"]})
    return [] if error is None else [f"{error.json_path}: {error.message[:200]}"]


def _canary_order(value: Any) -> Sequence[str]:
    try:
        order = CanaryOrder.model_validate(value)
    except ValidationError as error:
        return [f"{each['loc']}: {each['type']}" for each in error.errors()]
    return _message({**order.message, "touser": order.openid})


def _queue_body(value: Any) -> Sequence[str]:
    try:
        check_message(parse_queue_body(json.dumps(value), "an-id"))
    except (InvalidRequestError, InvalidMessageError) as error:
        return [f"{each.path}: {each.rule}" for each in error.violations]
    return []


def _event(value: Any) -> Sequence[str]:
    if value["detail-type"] not in {*events.PUBLISHED, events.REQUESTED}:
        return ["there is no such event"]
    error = _error(event_contract.check, value)
    return [] if error is None else [f"{error.json_path}: {error.message[:200]}"]


def _pattern(value: Any) -> Sequence[str]:
    """A rule's pattern: it asks for events and fields that there are."""
    known = {name for each in events.PUBLISHED for name in event_contract.fields(each)}
    unknown_events = set(value["detail-type"]) - set(events.PUBLISHED)
    return sorted(unknown_events | (value.get("detail", {}).keys() - known))


def _policy(value: Any) -> Sequence[str]:
    """As a part of a template, which cfn-lint checks."""
    properties = {"PolicyDocument": value}
    policy = {"Type": "AWS::IAM::ManagedPolicy", "Properties": properties}
    template = {"AWSTemplateFormatVersion": "2010-09-09", "Resources": {"Policy": policy}}
    return [found.message for found in lint(json.dumps(template), regions=["us-east-1"])]


def _is_key_policy(value: Any) -> bool:
    return _has("Version", "Statement")(value) and any("Principal" in each for each in value["Statement"])


def _key_policy(value: Any) -> Sequence[str]:
    """As the policy of a key in a template."""
    key = {"Type": "AWS::KMS::Key", "Properties": {"KeyPolicy": value, "EnableKeyRotation": True}}
    keeps = {"DeletionPolicy": "Retain", "UpdateReplacePolicy": "Retain"}
    template = {"AWSTemplateFormatVersion": "2010-09-09", "Resources": {"Key": key | keeps}}
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


def _error(check: Callable[[Any], None], value: Any) -> jsonschema.ValidationError | None:
    try:
        check(value)
    except jsonschema.ValidationError as error:
        return best_match([error])
    return None


_RECOGNISED: Mapping[Callable[[Any], bool], Callable[[Any], Sequence[str]]] = {
    _is_key_policy: _key_policy,
    _has("Version", "Statement"): _policy,
    _is_pattern: _pattern,
    _has("detail-type", "detail"): _event,
    _has("account", "openid", "message"): _canary_order,
    _has("account", "message"): _queue_body,
    _is_row_message: _row_message,
    _is_message: _message,
}
"""Examples of what stands in no schema of the HTTP API, or is held against more than that."""
