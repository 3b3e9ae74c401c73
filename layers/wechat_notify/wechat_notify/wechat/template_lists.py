"""WeChat's two lists of templates: where they are, and what an answer holds.

``gettemplate`` answers ``{"errcode": 0, "data": [{"priTmplId", "title", "content", "example", "type",
"keywordEnumValueList"?}]}``, ``get_all_private_template`` without an errcode ``{"template_list":
[{"template_id", "title", "content", "example", …}]}``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from wechat_notify.core.templates.template import Enumeration, Family, Template
from wechat_notify.wechat.answers import UnreadableAnswerError, parse_json, readable_text

PATHS: Mapping[Family, str] = {
    Family.SUBSCRIPTION: "/wxaapi/newtmpl/gettemplate",
    Family.TEMPLATE: "/cgi-bin/template/get_all_private_template",
}
NO_SUCH_API = frozenset({40097, 43104, 48001, 61007, 200100})
"""Errcodes that an account gets whose kind, or whose authorisation, does not have the API."""
MAX_ANSWER = 1024 * 1024
"""Bytes of an answer: 25 templates with long enumerations are more than the 64 KiB of a send's answer."""
_NAMES: Mapping[Family, tuple[str, str]] = {
    Family.SUBSCRIPTION: ("data", "priTmplId"),
    Family.TEMPLATE: ("template_list", "template_id"),
}
_LONG_TERM = {2: False, 3: True}


def read(family: Family, body: bytes) -> list[Template] | None:
    """The templates in an answer, None where it holds no list. What cannot be a template is left out."""
    try:
        fields = parse_json(body)
    except UnreadableAnswerError:
        return None
    list_name, id_name = _NAMES[family]
    listed = fields.get(list_name)
    if fields.get("errcode", 0) not in (0, "0") or not isinstance(listed, list):
        return None
    found = (_template(family, each, id_name) for each in listed if isinstance(each, dict))
    return [template for template in found if template.id]


def _template(family: Family, fields: Mapping[str, Any], id_name: str) -> Template:
    return Template(
        id=readable_text(fields.get(id_name)),
        family=family,
        title=readable_text(fields.get("title")),
        content=readable_text(fields.get("content")),
        example=readable_text(fields.get("example")),
        long_term=_long_term(fields.get("type")),
        enumerations=tuple(_enumerations(fields.get("keywordEnumValueList"))),
    )


def _long_term(value: object) -> bool | None:
    return _LONG_TERM.get(value) if isinstance(value, int) else None


def _enumerations(listed: object) -> Iterator[Enumeration]:
    for each in listed if isinstance(listed, list) else ():
        values = each.get("enumValueList") if isinstance(each, dict) else None
        if isinstance(values, list):
            key = readable_text(each.get("keywordCode")).removesuffix(".DATA")
            texts = tuple(text for text in map(readable_text, values) if text)
            if key and texts:
                yield Enumeration(key, texts)
