"""Access tokens: how ``stable_token`` and ``token`` hand them out, and which are good at a given moment."""

import random
import re
import string
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from local.simulator import errcodes
from local.simulator.errcodes import Refusal

OVERLAP = 300  # seconds: a replaced token goes on working for five minutes
FORCE_INTERVAL = 30  # seconds between two forced calls, else the later one does not refresh
FORCE_PER_DAY = 20
_REMEMBERED = 10_000  # values kept, so that an old token can still be told from an unknown one
_WELL_FORMED = re.compile(r"[A-Za-z0-9_-]{32,512}")
_ALPHABET = string.ascii_letters + string.digits + "_-"


def beijing_day(now: float) -> int:
    """The day of a daily limit. WeChat publishes no hour of reset; midnight in Beijing is assumed."""
    return int((now + 8 * 3600) // 86_400)


@dataclass(slots=True)
class Token:
    """One access token; both times are epoch seconds.

    ``stable_token`` and ``token`` are isolated: neither voids what the other issued.
    """

    value: str
    app_id: str
    stable: bool
    expires_at: float
    void_at: float = float("inf")
    sticky: bool = False

    def remaining(self, now: float) -> float:
        """Seconds until it expires."""
        return self.expires_at - now

    def good(self, now: float) -> bool:
        """Whether business calls take it."""
        return now < self.expires_at and now < self.void_at


@dataclass(slots=True)
class _Forced:
    at: float
    day: int
    count: int


class Tokens:
    """The token server of all accounts. Not thread-safe: its owner holds a lock."""

    def __init__(self, clock: Callable[[], float], rng: random.Random) -> None:
        self._clock = clock
        self._rng = rng
        self.lifetime = 7200
        self._all: OrderedDict[str, Token] = OrderedDict()
        self._stable: dict[str, Token] = {}
        self._plain: dict[str, Token] = {}
        self._forced: dict[str, _Forced] = {}

    def stable(self, app_id: str, *, force: bool) -> Token:
        """The token of ``stable_token``.

        Normal mode repeats the current token until its last five minutes; a call in these brings a new
        one, and the old one works for five more minutes.

        Forced mode replaces it and voids every older one at once, so nothing is left of an overlap. It
        does so at most 20 times a day; within 30 s of the last time it is a normal call.
        """
        now = self._clock()
        last = self._forced.get(app_id)
        if force and (last is None or now - last.at >= FORCE_INTERVAL):
            day = beijing_day(now)
            count = last.count if last is not None and last.day == day else 0
            if count >= FORCE_PER_DAY:
                raise Refusal(errcodes.DAILY_QUOTA_REACHED)
            self._forced[app_id] = _Forced(now, day, count + 1)
            for token in self._good(app_id, now):
                if token.stable:
                    token.void_at = now
            return self._issue_stable(app_id, now)
        current = self._stable.get(app_id)
        if current is None:
            return self._issue_stable(app_id, now)
        if current.remaining(now) >= OVERLAP and (current.good(now) or current.sticky):
            return current
        if current.good(now):
            current.expires_at = now + OVERLAP
        return self._issue_stable(app_id, now)

    def plain(self, app_id: str) -> Token:
        """The token of ``token``: every call brings a new one; the old one works for five more minutes."""
        now = self._clock()
        old = self._plain.get(app_id)
        if old is not None:
            old.void_at = min(old.void_at, now + OVERLAP)
        token = self._plain[app_id] = self._issue(app_id, now, stable=False)
        return token

    def owner(self, value: str) -> str:
        """The account that a token acts for, as a business call sees it."""
        token = self._all.get(value)
        if token is None:
            malformed = _WELL_FORMED.fullmatch(value) is None
            raise Refusal(errcodes.INVALID_ACCESS_TOKEN if malformed else errcodes.INVALID_CREDENTIAL)
        now = self._clock()
        if now >= token.expires_at:
            raise Refusal(errcodes.ACCESS_TOKEN_EXPIRED)
        if now >= token.void_at:
            raise Refusal(errcodes.INVALID_CREDENTIAL)
        return token.app_id

    def last_owner(self, value: str) -> str | None:
        """The account that a token was issued to, whether or not it is still good."""
        token = self._all.get(value)
        return token.app_id if token else None

    def revoke(self, app_id: str | None, *, sticky: bool) -> int:
        """Make the good tokens of an account (or of all) 40001; returns how many.

        With ``sticky`` normal mode goes on returning the revoked token, so that only a forced call helps.
        """
        now = self._clock()
        revoked = self._good(app_id, now)
        for token in revoked:
            token.void_at = now
            token.sticky = sticky
        return len(revoked)

    def expire(self, app_id: str | None, seconds: float) -> int:
        """Give the good tokens of an account (or of all) this many seconds to live; returns how many."""
        now = self._clock()
        expiring = self._good(app_id, now)
        for token in expiring:
            token.expires_at = now + seconds
        return len(expiring)

    def _good(self, app_id: str | None, now: float) -> list[Token]:
        return [
            token
            for token in self._all.values()
            if (app_id is None or token.app_id == app_id) and token.good(now)
        ]

    def _issue_stable(self, app_id: str, now: float) -> Token:
        token = self._stable[app_id] = self._issue(app_id, now, stable=True)
        return token

    def _issue(self, app_id: str, now: float, *, stable: bool) -> Token:
        value = f"{self._rng.randrange(10, 100)}_{''.join(self._rng.choices(_ALPHABET, k=133))}"
        token = self._all[value] = Token(value, app_id, stable, now + self.lifetime)
        while len(self._all) > _REMEMBERED:
            self._all.popitem(last=False)
        return token
