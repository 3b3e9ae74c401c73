"""Reads the accounts' templates from WeChat and stores them: a failure keeps what was read last."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple, Protocol

from wechat_notify.core.clocks import SecondsLeft
from wechat_notify.core.errors import StorageError, TemplatesUnavailableError, UnknownAccountError
from wechat_notify.core.outcomes import ErrorClass, Outcome, Status
from wechat_notify.core.templates.template import (
    AccountTemplates,
    Family,
    Template,
    TemplateLists,
    TemplateStore,
)
from wechat_notify.core.texts import Bilingual
from wechat_notify.core.tokens.token import TokenReader

MAX_BYTES = 300 * 1024
"""Of the texts of an account's templates: an item of DynamoDB has 400 KB, attribute names included."""
TIME_FOR_AN_ACCOUNT = 50.0
"""Seconds that one account may take at worst: its token, two lists, a read and a write."""
_CONCURRENT_ACCOUNTS = 8


class AccountNames(Protocol):
    """The names of the accounts."""

    def with_token(self) -> Sequence[str]:
        """Those that have a stored token; raises ``StorageError``."""


class Synced(NamedTuple):
    """The result for one account.

    ``templates`` is how many are stored now, ``dropped`` how many there was no room for. ``failures`` are
    those of families that keep their last good state; ``error`` is why nothing was done, by its name.
    """

    account: str
    templates: int = 0
    dropped: int = 0
    failures: tuple[tuple[Family, Outcome], ...] = ()
    error: str | None = None

    @property
    def read_nothing(self) -> bool:
        """No list was read. One of the two always fails where WeChat does not grant it to an account."""
        return self.error is not None or len(self.failures) == len(Family)


class TemplateSync:
    """Copies WeChat's lists into the store, with the stored tokens, which it never changes.

    Parameters
    ----------
    accounts, tokens, wechat, store
        Which accounts there are, their tokens, WeChat's lists, and the copies of these.
    now : Callable
        Seconds since the epoch.
    writer : Callable
        A new name for each write.
    """

    def __init__(
        self,
        accounts: AccountNames,
        tokens: TokenReader,
        wechat: TemplateLists,
        store: TemplateStore,
        *,
        now: Callable[[], float],
        writer: Callable[[], str],
    ) -> None:
        self._accounts = accounts
        self._tokens = tokens
        self._wechat = wechat
        self._store = store
        self._now = now
        self._writer = writer

    def sync_all(self, seconds_left: SecondsLeft) -> list[Synced]:
        """Every account that has a token, in order of name; one account's failure stops no other.

        Raises
        ------
        StorageError
            The accounts could not be listed.
        """

        def sync(account: str) -> Synced:
            if seconds_left() < TIME_FOR_AN_ACCOUNT:
                return Synced(account, error="no_time")
            try:
                return self.sync(account)
            except Exception as error:  # noqa: BLE001 - the other accounts are to be read too
                return Synced(account, error=type(error).__name__)

        accounts = sorted(self._accounts.with_token())
        if not accounts:
            return []
        with ThreadPoolExecutor(min(_CONCURRENT_ACCOUNTS, len(accounts))) as pool:
            return list(pool.map(sync, accounts))

    def sync(self, account: str) -> Synced:
        """One account; what fails leaves the stored templates as they are."""
        try:
            return self._sync(account)
        except UnknownAccountError as error:
            return Synced(account, error=error.reason)
        except StorageError as error:
            return Synced(account, error=error.code)

    def _sync(self, account: str) -> Synced:
        """Read both lists and store them.

        The record is written whatever WeChat answers: that keeps it from expiring while the account lives.
        """
        token = self._tokens.read(account)
        if token is None:
            raise UnknownAccountError(account)
        known = self._store.read_templates(account) or AccountTemplates(account)
        lists = {family: known.of(family) for family in Family}
        times = {family: known.synced_at(family) for family in Family}
        failures: list[tuple[Family, Outcome]] = []
        for family in Family:
            if not token.usable(self._now()):
                failures.append((family, _TOKEN_EXPIRED))
                continue
            try:
                lists[family] = list(self._wechat.fetch_templates(family, token.value))
                times[family] = round(self._now(), 3)
            except TemplatesUnavailableError as error:
                failures.append((family, error.outcome))
        found = [template for family in Family for template in lists[family]]
        kept = _that_fit(found)
        # Where another sync came first, its record is as new as this one.
        self._store.put_templates(
            known._replace(
                version=known.version + 1,
                writer=self._writer(),
                updated_at=round(self._now(), 3),
                subscription_at=times[Family.SUBSCRIPTION],
                template_at=times[Family.TEMPLATE],
                templates=kept,
            )
        )
        return Synced(account, len(kept), len(found) - len(kept), tuple(failures))


def _that_fit(templates: Sequence[Template]) -> tuple[Template, ...]:
    """The templates that an item has room for; one that is left out is not known, and its messages pass."""
    kept: list[Template] = []
    left = MAX_BYTES
    for template in templates:
        size = _size(template)
        if size <= left:
            kept.append(template)
            left -= size
    return tuple(kept)


def _size(template: Template) -> int:
    values = [(each.key, *each.values) for each in template.enumerations]
    texts = [template.id, template.title, template.content, template.example]
    texts += [text for each in values for text in each]
    # DynamoDB counts up to 4 bytes for each element of a list or a map, and the names of attributes.
    return sum(len(text.encode()) + 4 for text in texts) + 20 * len(values) + 100


_TOKEN_EXPIRED = Outcome(
    Status.FAILED,
    ErrorClass.TOKEN,
    Bilingual(
        "The stored token has expired; see why token_refresh does not renew it.",
        "存储的 access_token 已过期，请查看令牌未能刷新的原因。",
    ),
)
