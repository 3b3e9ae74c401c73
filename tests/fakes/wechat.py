"""WeChat as the core meets it: a message in, an outcome out."""

from __future__ import annotations

import itertools
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from tests.fakes.clock import BEIJING, Clock
from tests.fakes.outcomes import answer
from wechat_notify.core.errors import TemplatesUnavailableError, TokenUnavailableError
from wechat_notify.core.messages.kinds import Message
from wechat_notify.core.outcomes import Outcome
from wechat_notify.core.templates.template import Family, Template
from wechat_notify.core.tokens.token import Grant, TokenSource


@dataclass
class _App:
    secret: str
    generation: int = 0
    token: str | None = None
    expires_at: float = 0.0
    forced: deque[float] = field(default_factory=deque)


class FakeWeChat:
    """WeChat: its ``stable_token`` and its send endpoints.

    Attempts are answered with what ``plan`` holds, in its order; without a plan by the token: 40001
    where it is not a valid one, otherwise errcode 0. A message to an openid that already has one
    in flight is answered 43108.
    """

    def __init__(self, clock: Clock, *, life: float = 7200.0) -> None:
        self.attempts: list[tuple[Message, str]] = []
        self.accepted: list[Message] = []
        self.fetches: list[tuple[str, bool]] = []
        self.plan: deque[Outcome] = deque()
        self.while_in_flight: Callable[[Message], None] = lambda _message: None
        self.while_fetching: Callable[[str], None] = lambda _app_id: None
        self.refusals: dict[str, Outcome] = {}
        self.lists: dict[tuple[str, Family], list[Template] | Outcome] = {}
        self._clock = clock
        self._life = life
        self._apps: dict[str, _App] = {}
        self._valid: dict[str, float] = {}
        self._in_flight: set[tuple[str, str]] = set()
        self._lock = threading.Lock()
        self._msgid = itertools.count(1864323726461255680)

    def app(self, app_id: str, secret: str = "s" * 32) -> TokenSource:
        """The token source of an app; the first secret named for it is the right one."""
        self._apps.setdefault(app_id, _App(secret))
        return _FakeTokenSource(self, app_id, secret)

    def refuse_tokens(self, app_id: str, outcome: Outcome) -> None:
        """Answer so whenever a token of this app is asked for."""
        self.refusals[app_id] = outcome

    def reject(self, app_id: str) -> None:
        """From now on refuse the app's token on sends, though normal mode still hands it out."""
        app = self._apps[app_id]
        assert app.token is not None
        self._valid.pop(app.token, None)

    def renew(self, app_id: str) -> None:
        """Replace the app's token, as another program's forced refresh does: the old one is void at once."""
        app = self._apps[app_id]
        if app.token is not None:
            self._valid.pop(app.token, None)
        self._issue(app_id, app)

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
            if planned is None and self._valid.get(token, 0.0) <= self._clock.now():
                return answer(40001, "invalid credential, access_token is invalid or not latest")
            outcome = planned or answer(0, msgid=next(self._msgid))
            if outcome.errcode == 0:
                self.accepted.append(message)
            return outcome

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
            now = self._clock.now()
            if force and self._may_force(app, now):
                app.forced.append(now)
                if app.token is not None:
                    self._valid.pop(app.token, None)
                self._issue(app_id, app)
            elif app.token is None or app.expires_at - now <= 300:
                if app.token is not None and app.token in self._valid:
                    self._valid[app.token] = now + 300  # the old one overlaps for 5 minutes
                self._issue(app_id, app)
            assert app.token is not None
            return Grant(app.token, float(int(app.expires_at - now)))

    def _may_force(self, app: _App, now: float) -> bool:
        """WeChat does not refresh beyond 20 a day (of Beijing) or within 30 s of the last time."""
        day = datetime.fromtimestamp(now, BEIJING).date()
        today = [at for at in app.forced if datetime.fromtimestamp(at, BEIJING).date() == day]
        return len(today) < 20 and (not app.forced or now - app.forced[-1] >= 30)

    def _issue(self, app_id: str, app: _App) -> None:
        app.generation += 1
        app.token = f"token-{app.generation}-of-{app_id}"
        app.expires_at = self._clock.now() + self._life
        self._valid[app.token] = app.expires_at


@dataclass(frozen=True)
class _FakeTokenSource:
    wechat: FakeWeChat
    app_id: str
    secret: str

    def fetch(self, *, force: bool) -> Grant:
        return self.wechat.fetch(self.app_id, self.secret, force=force)
