"""A finding: one trouble, by a name that stays the same."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from wxn.doctor.advice import ADVICE, Severity
from wxn.explanations import by_code


@dataclass(frozen=True)
class Finding:
    """One trouble.

    Parameters
    ----------
    name
        The trouble's name, a key of `advice.ADVICE`.
    seen
        The evidence, in the language of this process.
    account
        The WeChat account that has it; None where it is the stack's or this machine's.
    subject
        The part that has it, such as a queue, a kind or an IAM action. Of two findings with the same name,
        account and subject one is told.
    facts
        Values of the placeholders in the advice, beside ``account`` and ``subject``.
    errcode
        The code that WeChat answered; None where there is none.
    """

    name: str
    seen: str
    account: str | None = None
    subject: str | None = None
    facts: Mapping[str, str] = field(default_factory=dict)
    errcode: int | None = None

    @property
    def severity(self) -> Severity:
        """The severity of all findings of this name."""
        return ADVICE[self.name].severity

    @property
    def key(self) -> tuple[str, str | None, str | None]:
        """Name, account and subject: equal for two findings about one trouble."""
        return self.name, self.account, self.subject

    @property
    def next_step(self) -> str:
        """The thing to do, with the names of this case."""
        given = {"account": self.account, "subject": self.subject, **self.facts}
        return ADVICE[self.name].next_step.format_map({k: v for k, v in given.items() if v is not None})

    @property
    def docs(self) -> str:
        """The section that says more: of the code that WeChat answered, otherwise of this finding."""
        known = by_code(self.errcode) if self.errcode is not None else None
        if known is None:
            return ADVICE[self.name].docs
        return known.page

    def as_dict(self) -> dict[str, Any]:
        """The finding as JSON has it; what it does not have is left out."""
        parts = {
            "name": self.name,
            "severity": self.severity.name.lower(),
            "account": self.account,
            "subject": self.subject,
            "errcode": self.errcode,
            "seen": self.seen,
            "next": self.next_step,
            "docs": self.docs,
        }
        return {name: part for name, part in parts.items() if part is not None}
