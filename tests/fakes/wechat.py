"""WeChat as the core meets it: a message in, an outcome out."""

from __future__ import annotations

import itertools
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from tests.fakes.clock import Clock
from tests.fakes.outcomes import answer
from tests.fakes.stable_token import TOKEN_LIFE, StableTokens, TokenApp
from wechat_notify.core.delivery.quotas import Quota
from wechat_notify.core.errors import TemplatesUnavailableError, TokenUnavailableError
from wechat_notify.core.messages.kinds import Message
from wechat_notify.core.outcomes import Outcome
from wechat_notify.core.templates.template import Family, Template
from wechat_notify.core.tokens.token import Grant, TokenSource


class FakeWeChat:
    """WeChat: its ``stable_token`` and its send endpoints.

    Attempts are answered with what ``plan`` holds, in its order; without a plan by the token: 40001
    where it is not a valid one, otherwise errcode 0. A message to an openid that already has one
    in flight is answered 43108.
    """

    def __init__(self, clock: Clock, *, life: float = TOKEN_LIFE) -> None:
        self.attempts: list[tuple[Message, str]] = []
        self.accepted: list[Message] = []
        self.fetches: list[tuple[str, bool]] = []
        self.plan: deque[Outcome] = deque()
        self.while_in_flight: Callable[[Message], None] = lambda _message: None
        self.while_fetching: Callable[[str], None] = lambda _app_id: None
        self.refusals: dict[str, Outcome] = {}
        self.lists: dict[tuple[str, Family], list[Template] | Outcome] = {}
        self.quotas: dict[str, Quota | Outcome] = {}
        self.addresses: tuple[str, ...] | Outcome = ()
        self._apps: dict[str, TokenApp] = {}
        self._tokens = StableTokens[TokenApp](
            clock.now, lambda app: f"token-{app.issued}-of-{app.app_id}", life=life
        )
        self._in_flight: set[tuple[str, str]] = set()
        self._lock = threading.Lock()
        self._msgid = itertools.count(1864323726461255680)

    def app(self, app_id: str, secret: str = "s" * 32) -> TokenSource:
        """The token source of an app; the first secret named for it is the right one."""
        self._apps.setdefault(app_id, TokenApp(app_id, secret))
        return _FakeTokenSource(self, app_id, secret)

    def refuse_tokens(self, app_id: str, outcome: Outcome) -> None:
        """Answer so whenever a token of this app is asked for."""
        self.refusals[app_id] = outcome

    def reject(self, app_id: str) -> None:
        """From now on refuse the app's token on sends, though normal mode still hands it out."""
        self._tokens.revoke(self._apps[app_id])

    def renew(self, app_id: str) -> None:
        """Replace the app's token, as another program's forced refresh does: the old one is void at once."""
        self._tokens.replace(self._apps[app_id])

    def is_good(self, token: str) -> bool:
        """Whether a send with this token is accepted."""
        return self._tokens.app_with(token) is not None

    def send(self, message: Message, token: str) -> Outcome:
        """Make one attempt; never raises."""
        person = (token.rpartition("-of-")[2], message.touser)  # an openid is one app's name for somebody
        with self._lock:
            self.attempts.append((message, token))
            if person in self._in_flight:
                return answer(43108)
            self._in_flight.add(person)
            planned = self.plan.popleft() if self.plan else None
        self.while_in_flight(message)
        with self._lock:
            self._in_flight.remove(person)
            if planned is None and not self.is_good(token):
                return answer(40001, "invalid credential, access_token is invalid or not latest")
            outcome = planned or answer(0, msgid=next(self._msgid))
            if outcome.errcode == 0:
                self.accepted.append(message)
            return outcome

    def fetch_quota(self, endpoint: str, token: str) -> Quota | Outcome:
        """What ``quotas`` has for the endpoint: its numbers, or why there are none."""
        return self.quotas.get(endpoint, Quota(0, 0, 0)) if self.is_good(token) else answer(40001)

    def callback_addresses(self, token: str) -> tuple[str, ...] | Outcome:
        """What ``addresses`` has, or why there are none."""
        return self.addresses if self.is_good(token) else answer(40001)

    def fetch_templates(self, family: Family, token: str) -> list[Template]:
        """What ``lists`` has for the token's app: templates, or why there are none."""
        listed = self.lists.get((token.rpartition("-of-")[2], family), [])
        if isinstance(listed, Outcome):
            raise TemplatesUnavailableError(listed)
        return listed

    def fetch(self, app_id: str, secret: str, *, force: bool) -> Grant:
        """The token endpoint; raises ``TokenUnavailableError``."""
        with self._lock:
            self.fetches.append((app_id, force))
        self.while_fetching(app_id)
        with self._lock:
            app = self._apps[app_id]
            if app_id in self.refusals:
                raise TokenUnavailableError(self.refusals[app_id])
            if secret != app.secret:
                raise TokenUnavailableError(answer(40125, "invalid appsecret"))
            seconds = self._tokens.give(app, force=force)
            assert app.token is not None
            return Grant(app.token, seconds)


@dataclass(frozen=True)
class _FakeTokenSource:
    wechat: FakeWeChat
    app_id: str
    secret: str

    def fetch(self, *, force: bool) -> Grant:
        return self.wechat.fetch(self.app_id, self.secret, force=force)
