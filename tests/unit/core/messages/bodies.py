"""The example bodies with a change, and what the parser says of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from wechat_notify.core.errors import InvalidMessageError
from wechat_notify.core.messages.kinds import KINDS
from wechat_notify.core.messages.parser import parse_message
from wechat_notify.core.messages.strict_json import parse_json
from wechat_notify.core.violations import Violation

Body = dict[str, Any]
Told = list[tuple[str, str]]

quick = settings(max_examples=100, deadline=None, derandomize=True)

PATHS = sorted((Path(__file__).parents[3] / "bodies").glob("*.json"))
CLOUD_CALL = "mini_program_template_cloud_call"
NAMES = [*KINDS, CLOUD_CALL]
WITH_KEYWORDS = [name for name in NAMES if name != "one_time_subscription"]
HTTPS_SPELLING = {"templateId": "template_id", "formId": "form_id", "emphasisKeyword": "emphasis_keyword"}
_EXAMPLES = {path.stem: path.read_bytes() for path in PATHS}


def example(name: str, **fields: Any) -> Body:
    """An example body, with other fields beside or instead of its own."""
    body: Body = parse_json(_EXAMPLES[name])
    return body | fields


def changed(name: str, path: str, value: object) -> Body:
    """The example body with one field set; ``path`` is dotted."""
    body = example(name)
    place, last = _place(body, path)
    place[last] = value
    return body


def without(name: str, path: str) -> Body:
    """The example body without one field."""
    body = example(name)
    place, last = _place(body, path)
    place.pop(last, None)
    return body


def keyword(value: object, key: str = "thing1") -> Body:
    """A message whose only keyword has this value."""
    return example("subscription", data={key: {"value": value}})


def wire(body: object, message_id: str | None = None) -> Body:
    """The body as WeChat receives it."""
    sent: Body = json.loads(parse_message(body, message_id)[0].wire())
    return sent


def sent_at(body: object, path: str) -> object:
    """What WeChat receives in one place of the body."""
    place, last = _place(wire(body), path)
    return place[last]


def violations(body: object) -> tuple[Violation, ...]:
    """Every violation of a message that is refused."""
    with pytest.raises(InvalidMessageError) as refused:
        parse_message(body)
    return refused.value.violations


def refusals(body: object) -> Told:
    """Path and rule of each violation."""
    return [(violation.path, violation.rule) for violation in violations(body)]


def warnings(body: object) -> Told:
    """Path and rule of each warning of a message that passes."""
    return [(warning.path, warning.rule) for warning in parse_message(body)[1]]


def _place(body: Body, path: str) -> tuple[Any, str]:
    *parents, last = path.split(".")
    place: Any = body
    for parent in parents:
        place = place[parent]
    return place, last
