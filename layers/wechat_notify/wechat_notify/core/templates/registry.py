"""Check requests against their accounts' templates, of which each process keeps a copy for 5 minutes.

A store that does not answer stops no message: it is checked against the copy, or against none.
"""

from __future__ import annotations

from collections.abc import Callable

from wechat_notify.core.errors import InvalidMessageError, StorageError
from wechat_notify.core.messages import intake
from wechat_notify.core.messages.envelope import SendRequest
from wechat_notify.core.messages.intake import CheckedRequest
from wechat_notify.core.templates.check import check_template
from wechat_notify.core.templates.template import AccountTemplates, TemplateStore

MAX_AGE = 300.0
"""Seconds after which a process reads an account's templates again."""
PAUSE_AFTER_FAILURE = 30.0
"""Seconds in which nothing is read after a read that failed: a store that is down must not cost each account
of a batch a timeout."""
_MAX_KNOWN = 10_000
"""Accounts that are remembered: any name can stand in a message of the queue."""


class TemplateRegistry:
    """Checks requests, also against their account's templates where these are known.

    Parameters
    ----------
    store : TemplateStore
        The stored templates.
    now : Callable
        Seconds since the epoch.
    """

    def __init__(self, store: TemplateStore, *, now: Callable[[], float]) -> None:
        self._store = store
        self._now = now
        self._known: dict[str, tuple[float, AccountTemplates | None]] = {}
        self._paused_until = 0.0

    def check(self, request: SendRequest) -> CheckedRequest:
        """Check a request as ``intake.check`` does, and then against its template; raises as that does."""
        checked = intake.check(request)
        known = self.of(request.account)
        if known is None:
            return checked
        violations, warnings = check_template(checked.message, known)
        if violations:
            raise InvalidMessageError(violations)
        return checked._replace(warnings=[*checked.warnings, *warnings]) if warnings else checked

    def is_long_term(self, account: str, template_id: str) -> bool:
        """Return whether a subscription to a template lasts, as far as the account's templates are known."""
        known = self.of(account)
        return known is not None and any(each.long_term for each in known.named(template_id))

    def of(self, account: str) -> AccountTemplates | None:
        """An account's templates as far as they are known, 5 minutes old at most unless the store is down."""
        read_at, known = self._known.get(account, (None, None))
        now = self._now()
        if (read_at is not None and now - read_at < MAX_AGE) or now < self._paused_until:
            return known
        try:
            known = self._store.read_templates(account)
        except StorageError:
            self._paused_until = now + PAUSE_AFTER_FAILURE
            return known
        if len(self._known) >= _MAX_KNOWN:
            self._known.clear()
        self._known[account] = (now, known)
        return known
