"""WeChat's two lists of templates: where they are, and what an answer holds.

``gettemplate`` answers ``{"errcode": 0, "data": [{"priTmplId", "title", "content", "example", "type",
"keywordEnumValueList"?}]}``, ``get_all_private_template`` without an errcode ``{"template_list":
[{"template_id", "title", "content", "example", …}]}``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from wechat_notify.core.templates.template import Enumeration, Family, Template
from wechat_notify.wechat.answers import UnreadableAnswerError, parse_json, readable_text, redact

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


def read(family: Family, body: bytes, token: str) -> list[Template] | None:
    """The templates in an answer, None where it holds no list. What cannot be a template is left out.

    ``token`` is the secret of the question, which no text may repeat.
    """
    try:
        fields = parse_json(body)
    except UnreadableAnswerError:
        return None
    list_name, id_name = _NAMES[family]
    listed = fields.get(list_name)
    if fields.get("errcode", 0) not in (0, "0") or not isinstance(listed, list):
        return None

    def text(value: object) -> str:
        return redact(readable_text(value), (token,))

    return [
        Template(
            id=template_id,
            family=family,
            title=text(each.get("title")),
            content=text(each.get("content")),
            example=text(each.get("example")),
            long_term=_long_term(each.get("type")),
            enumerations=tuple(_enumerations(each.get("keywordEnumValueList"), text)),
        )
        for each in listed
        if isinstance(each, dict) and (template_id := text(each.get(id_name)))
    ]


def _long_term(value: object) -> bool | None:
    return _LONG_TERM.get(value) if isinstance(value, int) else None


def _enumerations(listed: object, text: Callable[[object], str]) -> Iterator[Enumeration]:
    for each in listed if isinstance(listed, list) else ():
        values = each.get("enumValueList") if isinstance(each, dict) else None
        if isinstance(values, list):
            key = text(each.get("keywordCode")).removesuffix(".DATA")
            texts = tuple(filter(None, map(text, values)))
            if key and texts:
                yield Enumeration(key, texts)
