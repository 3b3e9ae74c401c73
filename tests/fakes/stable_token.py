"""WeChat's ``stable_token``: the rules of the tokens, for every fake of WeChat here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Generic, TypeVar

from tests.fakes.clock import BEIJING

TOKEN_LIFE = 7200.0
RENEWAL = 300.0
"""Seconds before its end from which a call of normal mode renews a token; the old one lasts as long."""
FORCED_A_DAY = 20
FORCED_APART = 30.0


@dataclass
class TokenApp:
    """One app and its token."""

    app_id: str
    secret: str
    token: str | None = None
    expires_at: float = 0.0
    forced: list[float] = field(default_factory=list)
    issued: int = 0


App = TypeVar("App", bound=TokenApp)


class StableTokens(Generic[App]):
    """The apps' tokens, and until when each is good; ``named`` makes the next one's value."""

    def __init__(
        self, now: Callable[[], float], named: Callable[[App], str], *, life: float = TOKEN_LIFE
    ) -> None:
        self.void: set[str] = set()
        """Those that were taken back before their end."""
        self._now = now
        self._named = named
        self._life = life
        self._good: dict[str, tuple[App, float]] = {}

    def app_with(self, token: str, *, for_seconds: float = 0.0) -> App | None:
        """The app whose good token this is."""
        app, until = self._good.get(token, (None, 0.0))
        return app if until > self._now() + for_seconds else None

    def give(self, app: App, *, force: bool) -> float:
        """Answer a call of the endpoint: the seconds that the app's token has left."""
        now = self._now()
        if force and self._may_force(app, now):
            app.forced.append(now)
            self.replace(app)
        elif app.token is None or app.expires_at <= now:
            self._issue(app)
        elif app.expires_at - now <= RENEWAL:
            if app.token in self._good:
                self._good[app.token] = (app, now + RENEWAL)
            self._issue(app)
        return float(int(app.expires_at - now))

    def replace(self, app: App) -> None:
        """What a forced refresh does: the old token is void, normal mode has the new one."""
        self.revoke(app)
        self._issue(app)

    def revoke(self, app: App) -> None:
        """The token is refused from now on, though normal mode goes on handing it out."""
        if app.token is not None:
            self._good.pop(app.token, None)
            self.void.add(app.token)

    def _may_force(self, app: App, now: float) -> bool:
        """WeChat does not refresh beyond 20 a day (of Beijing) or within 30 s of the last time."""
        today = [at for at in app.forced if local_day(at) == local_day(now)]
        return len(today) < FORCED_A_DAY and (not app.forced or now - app.forced[-1] >= FORCED_APART)

    def _issue(self, app: App) -> None:
        app.issued += 1
        app.token = self._named(app)
        app.expires_at = self._now() + self._life
        self._good[app.token] = (app, app.expires_at)


def local_day(at: float) -> str:
    """The day in Beijing, by which WeChat counts."""
    return datetime.fromtimestamp(at, BEIJING).date().isoformat()
