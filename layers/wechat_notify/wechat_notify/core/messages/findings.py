"""Broken rules, as the checks find them and as pydantic's validators raise them."""

from __future__ import annotations

from typing import NamedTuple

from pydantic_core import PydanticCustomError

from wechat_notify.core.texts import Bilingual


class Finding(NamedTuple):
    """One rule that a value breaks; ``certain`` refuses the message, otherwise it is a warning."""

    rule: str
    text: Bilingual
    limit: int | str | None = None
    certain: bool = True


def pydantic_error(finding: Finding) -> PydanticCustomError:
    """Return a finding as a validator raises it."""
    return PydanticCustomError(finding.rule, "{text}", {"text": finding.text, "limit": finding.limit})


def rule_error(rule: str, en: str, zh: str, *, limit: int | str | None = None) -> PydanticCustomError:
    """Return a rule that is broken, in both languages, as a validator raises it."""
    return pydantic_error(Finding(rule, Bilingual(en, zh), limit))
