"""The keywords of a template, each with its rule, and messages filled with values that keep the rules."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from wechat_notify.core.messages.keyword_rules import check_keyword, field_type
from wechat_notify.core.templates.keyword_types import ENUMERATION, FREE_TEXT, KEYWORD_TYPES
from wechat_notify.core.templates.template import FAMILY_OF_KIND, PLACEHOLDER, Family, Template
from wechat_notify.core.texts import Bilingual, without_none

_OPENID = "OPENID"
_LINE = rf"(?P<label>[^:：{{}}]*)[:：]\s*{PLACEHOLDER}\s*"


class Keyword(NamedTuple):
    """One keyword of a template: its rule, and a value that keeps it.

    ``type`` is its key without the number, None for a key that is a mere name.
    """

    key: str
    type: str | None
    rule: Bilingual
    max_length: int | None
    values: tuple[str, ...]
    sample: str

    def as_dict(self) -> dict[str, Any]:
        """The keyword as the HTTP API tells it."""
        return {
            "key": self.key,
            "rule": self.rule.as_dict(),
            **without_none(
                type=self.type, max_length=self.max_length, values=list(self.values) if self.values else None
            ),
        }


def keywords_of(template: Template) -> list[Keyword]:
    """The keywords of a template, in the order of its text."""
    given = _given_values(template)
    return [_keyword(key, template, given.get(key)) for key in template.keys]


def filled_messages(template: Template) -> list[dict[str, Any]]:
    """A message of each kind that may use the template, with a placeholder for the openid."""
    data = {keyword.key: {"value": keyword.sample} for keyword in keywords_of(template)}
    return [
        {"kind": kind, "touser": _OPENID, "template_id": template.id, "data": data}
        for kind, family in FAMILY_OF_KIND.items()
        if family is template.family
    ]


def _keyword(key: str, template: Template, given: str | None) -> Keyword:
    kind = field_type(key)
    of_templates = template.family is Family.TEMPLATE
    values = template.values_of(key)
    if values:
        return Keyword(key, kind, ENUMERATION.text, None, values, values[0])
    is_name = of_templates and kind == key
    known = (None if is_name else KEYWORD_TYPES.get(kind)) or FREE_TEXT
    sample = known.sample
    if given and not check_keyword(key, given, official_account_template=of_templates):
        sample = given
    return Keyword(key, None if is_name else kind, known.text, known.max_length, (), sample)


def _given_values(template: Template) -> dict[str, str]:
    """The values in WeChat's own example, where it has the template's lines with the same labels."""
    lines, filled = template.content.splitlines(), template.example.splitlines()
    found: dict[str, str] = {}
    for line, example in zip(lines, filled, strict=False):
        match = re.fullmatch(_LINE, line)
        label, colon, value = re.sub("：", ":", example, count=1).partition(":")
        if match and colon and label.strip() == match["label"].strip():
            found[match[2]] = value.strip()
    return found
