"""Check a message against the template that it names.

Violations are what WeChat documents as refused, or what every report agrees on; the rest are warnings:

* a value outside a keyword's enumeration (documented);
* a keyword of a subscription that is missing (47003 ``data.… is empty``);
* a template of the other family (43101, 40037 or -1).

A template of template messages shows a keyword that is missing as nothing, with errcode 0. WeChat's answer
to a key too many is not known: it is a violation only beside a missing one, whose misspelling it may be.
"""

from __future__ import annotations

from typing import NamedTuple

from wechat_notify.core.messages.field_types import NOT_A_FIELD
from wechat_notify.core.messages.keywords import MAX_PATH
from wechat_notify.core.messages.kinds import Message, MiniProgramTemplate, OneTimeSubscription
from wechat_notify.core.messages.validation import MAX_VIOLATIONS, nearest
from wechat_notify.core.templates.template import FAMILY_OF_KIND, AccountTemplates, Family, Template
from wechat_notify.core.texts import Bilingual
from wechat_notify.core.violations import Violation

_MAX_TOLD = 30
"""Values of an enumeration that a violation lists."""


class Checked(NamedTuple):
    """The rules that a message breaks for certain, and those that it may break."""

    violations: list[Violation]
    warnings: list[Violation]


def check_template(message: Message, known: AccountTemplates) -> Checked:
    """Check a message against its account's templates; one that they do not have passes."""
    named = known.named(message.template_id)
    family = FAMILY_OF_KIND.get(message.kind)
    fitting = [template for template in named if template.family is family]
    if fitting:
        return _check_data(message, fitting[0])
    if named:
        return _check_family(message, named[0])
    return Checked([], _unknown(known, family))


def _check_family(message: Message, template: Template) -> Checked:
    if isinstance(message, MiniProgramTemplate):  # retired, and its template ids are listed nowhere
        return Checked([], [])
    is_subscription = template.family is Family.SUBSCRIPTION
    found = Violation(
        "template_id", "template_family", _OF_SUBSCRIPTIONS if is_subscription else _OF_TEMPLATES
    )
    # Not documented: the one template of one-time messages may be among the private templates.
    if isinstance(message, OneTimeSubscription) and not is_subscription:
        return Checked([], [found])
    return Checked([found], [])


def _unknown(known: AccountTemplates, family: Family | None) -> list[Violation]:
    """Warn of a subscription template that is not listed. Templates by category are not listed at all."""
    if family is Family.SUBSCRIPTION and known.subscription_at is not None:
        return [Violation("template_id", "unknown_template", _NOT_LISTED)]
    return []


def _check_data(message: Message, template: Template) -> Checked:
    keys = template.keys
    data = getattr(message, "data", None) or {}
    if not keys:  # nothing to compare with: a form of placeholder that is not known
        return Checked([], [])
    missing = [key for key in keys if key not in data]
    unknown = [key for key in data if key not in keys]
    found = [Violation(_path(key), "missing", _MISSING) for key in missing]
    found += [_unknown_key(key, missing) for key in unknown]
    enumerated = [
        _not_among(key, data[key]["value"], values)
        for key in keys
        if key in data and (values := template.values_of(key)) and data[key]["value"].strip() not in values
    ]
    if template.family is Family.SUBSCRIPTION and missing:
        return Checked([*found, *enumerated][:MAX_VIOLATIONS], [])
    return Checked(enumerated[:MAX_VIOLATIONS], found[:MAX_VIOLATIONS])


def _unknown_key(key: str, missing: list[str]) -> Violation:
    meant = nearest(key, missing)
    text = _NOT_A_KEY
    if meant:
        text = Bilingual(f"{text.en}: did you mean {meant}?", f"{text.zh}，是否应为 {meant}？")
    return Violation(_path(key), NOT_A_FIELD.rule, text, meant=meant)


def _not_among(key: str, value: str, values: tuple[str, ...]) -> Violation:
    told = ", ".join(values[:_MAX_TOLD]) + (", …" if len(values) > _MAX_TOLD else "")
    text = Bilingual(f"must be one of {told}", f"必须是以下之一：{told}")
    return Violation(_path(f"{key}.value"), "enumeration", text, told, len(value))


def _path(key: str) -> str:
    return f"data.{key}"[:MAX_PATH]


_MISSING = Bilingual("is a keyword of the template and must be given", "是模板中的关键词，不能缺少")
_NOT_A_KEY = Bilingual("is not a keyword of the template", "不是该模板的关键词")
_OF_SUBSCRIPTIONS = Bilingual(
    "is a template of subscription messages: send it as subscription or mini_program_subscription",
    "是订阅消息的模板，请改用订阅消息类型发送",
)
_OF_TEMPLATES = Bilingual(
    "is a template of template messages: send it as template", "是模板消息的模板，请改用模板消息类型发送"
)
_NOT_LISTED = Bilingual(
    "was not among the account's templates when they were last read; WeChat may answer 40037",
    "最近一次同步时不在该账号的模板列表中，微信可能返回 40037",
)
