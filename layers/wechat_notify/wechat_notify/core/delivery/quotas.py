"""Quotas of the sending endpoints: WeChat's own numbers, and beside them what this service sent today."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple, Protocol

from wechat_notify.core.delivery.circuit import Circuit, QuotaReset
from wechat_notify.core.delivery.holds import OpenHolds
from wechat_notify.core.errors import TokenUnavailableError
from wechat_notify.core.messages.kinds import MODELS
from wechat_notify.core.outcomes import Outcome
from wechat_notify.core.tokens.access_tokens import AccessTokens

_DAY = 86400.0
_MAX_TOKEN_WAIT = 5.0
"""Seconds for a token."""
_MAX_COUNTED = 500_000
"""Messages that are counted at most: reading the index takes a second for some 50,000."""


class Quota(NamedTuple):
    """WeChat's numbers of one endpoint; where ``daily_limit`` is 0 it says nothing of a limit.

    ``rate_limit`` calls are allowed in ``rate_seconds``; None where WeChat names no such limit.
    """

    daily_limit: int
    used: int
    remain: int
    rate_limit: int | None = None
    rate_seconds: int | None = None

    def days_for(self, messages: int) -> int | None:
        """Return over how many days so many messages spread; None where WeChat names no daily limit."""
        if not self.daily_limit:
            return None
        return 1 + max(0, -(-(messages - self.remain) // self.daily_limit))


class KindQuota(NamedTuple):
    """The quota of one kind; ``refusal`` is why WeChat did not tell it. ``hold`` is the kind's own.

    ``sent_today`` counts since the last reset; None where sent messages are not listed.
    """

    kind: str
    endpoint: str
    quota: Quota | None
    refusal: Outcome | None
    sent_today: int | None
    hold: Circuit | None


class AccountQuotas(NamedTuple):
    """The quotas of an account's kinds; ``since`` is the last reset, seconds since the epoch.

    ``counted_all`` is false where more was sent than is counted: then the counts are the least.
    """

    kinds: Sequence[KindQuota]
    since: float
    counted_all: bool


class QuotaApi(Protocol):
    """WeChat's answer about quotas."""

    def fetch_quota(self, endpoint: str, token: str) -> Quota | Outcome:
        """Return an endpoint's quota, or why there is none; never raises."""


class SentCounter(Protocol):
    """The index of messages; raises ``StorageError``."""

    def count_sent(self, account: str, since: float, limit: int) -> Mapping[str, int]:
        """Count by kind what was sent of the messages that came since a time; about ``limit`` at most."""


class Quotas:
    """Tells the quotas of accounts; ``lists_sent``: whether sent messages are listed."""

    def __init__(
        self,
        tokens: AccessTokens,
        wechat: QuotaApi,
        index: SentCounter,
        holds: OpenHolds,
        *,
        now: Callable[[], float],
        reset: QuotaReset,
        lists_sent: bool,
    ) -> None:
        self._tokens = tokens
        self._wechat = wechat
        self._index = index
        self._holds = holds
        self._now = now
        self._reset = reset
        self._lists_sent = lists_sent

    def of(self, account: str) -> AccountQuotas:
        """Return an account's quotas; asks WeChat once for each kind.

        Raises
        ------
        UnknownAccountError
            There are no credentials for the account.
        StorageError
            The ledger did not answer.
        """
        fetch = self._fetcher(account)
        since = self._reset.next(self._now()) - _DAY
        sent = self._index.count_sent(account, since, _MAX_COUNTED) if self._lists_sent else None
        holds = {circuit.scope: circuit for circuit in self._holds.of(account)}
        # At once: from a WeChat that is slow each answer takes ten seconds.
        with ThreadPoolExecutor(len(MODELS)) as threads:
            answers = list(threads.map(fetch, [model.endpoint for model in MODELS.values()]))
        kinds = []
        for (kind, model), answer in zip(MODELS.items(), answers, strict=True):
            quota, refusal = (answer, None) if isinstance(answer, Quota) else (None, answer)
            count = None if sent is None else sent.get(kind, 0)
            hold = holds.get("account") or holds.get(f"kind:{kind}")
            kinds.append(KindQuota(kind, model.endpoint, quota, refusal, count, hold))
        return AccountQuotas(kinds, since, sent is None or sum(sent.values()) < _MAX_COUNTED)

    def of_kind(self, account: str, kind: str) -> Quota | None:
        """Return the quota of one kind, None where WeChat does not tell it; raises as ``of`` does."""
        answer = self._fetcher(account)(MODELS[kind].endpoint)
        return answer if isinstance(answer, Quota) else None

    def _fetcher(self, account: str) -> Callable[[str], Quota | Outcome]:
        """Return what asks for an endpoint's quota; without a token it always answers why."""
        try:
            token = self._tokens.get(account, _MAX_TOKEN_WAIT).value
        except TokenUnavailableError as error:
            outcome = error.outcome
            return lambda _endpoint: outcome
        return lambda endpoint: self._wechat.fetch_quota(endpoint, token)
