"""Preview a message as its reader would see it, as far as the template is known."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from wechat_notify.core.messages.keyword_rules import LEGACY_LENGTH, field_type
from wechat_notify.core.messages.kinds import Message, OneTimeSubscription
from wechat_notify.core.templates.template import (
    FAMILY_OF_KIND,
    PLACEHOLDER,
    AccountTemplates,
    Family,
    Template,
)
from wechat_notify.core.texts import without_none

_NOT_SHOWN = frozenset({"first", "remark"})


def preview_of(message: Message, known: AccountTemplates | None) -> dict[str, Any]:
    """The message's title and text, its keywords as they are shown, and what a tap opens.

    Without its template there is no text; a one-time message has a title of its own.
    """
    template = _template_of(message, known)
    values = _shown_values(message)
    title = template.title if template else None
    if isinstance(message, OneTimeSubscription):
        title = message.title
    return {
        "template_known": template is not None,
        **without_none(
            title=title,
            text=_filled(template.content, values) if template else None,
            opens=_opens(message),
        ),
        "keywords": [{"key": key, "shown": value} for key, value in values.items()],
    }


def _template_of(message: Message, known: AccountTemplates | None) -> Template | None:
    family = FAMILY_OF_KIND.get(message.kind)
    named = known.named(message.template_id) if known else []
    return next((template for template in named if template.family is family), None)


def _shown_values(message: Message) -> dict[str, str]:
    if isinstance(message, OneTimeSubscription):
        content = message.data.content
        return {"content": content.value} if content and content.value else {}
    cuts = FAMILY_OF_KIND.get(message.kind) is Family.TEMPLATE
    data: Mapping[str, Mapping[str, str]] = message.data or {}
    return {key: _shown(key, entry["value"]) if cuts else entry["value"] for key, entry in data.items()}


def _shown(key: str, value: str) -> str:
    """The value of a template message: since 2023-05-04 WeChat drops or cuts the older keywords."""
    kind = field_type(key)
    if kind in _NOT_SHOWN:
        return ""
    return value[:LEGACY_LENGTH] if kind == "keyword" else value


def _filled(content: str, values: Mapping[str, str]) -> str:
    return re.sub(PLACEHOLDER, lambda match: values.get(match[1], ""), content)


def _opens(message: Message) -> dict[str, Any] | None:
    """Return the target of a tap: WeChat prefers the mini program to the page and the URL."""
    miniprogram = getattr(message, "miniprogram", None)
    if miniprogram:
        return {"miniprogram": miniprogram.model_dump(exclude_none=True)}
    return without_none(page=getattr(message, "page", None), url=getattr(message, "url", None)) or None
