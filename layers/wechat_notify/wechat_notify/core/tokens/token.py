"""Access tokens, the accounts that they belong to, and where they come from."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Protocol

from wechat_notify.core.texts import Bilingual

_EXPIRY_MARGIN = 10.0
"""Seconds before its expiry from which a token is not used for a new message."""


@dataclass(frozen=True, slots=True)
class AccessToken:
    """An access token; ``expires_at`` and ``obtained_at`` are seconds since the epoch.

    ``forced_day`` (a date in Beijing), ``forced_count`` and ``forced_at`` are the account's
    use of its forced refreshes, kept beside the token because that is written by the same hand.
    """

    value: str
    expires_at: float
    obtained_at: float
    forced_day: str = ""
    forced_count: int = 0
    forced_at: float = 0.0

    def __repr__(self) -> str:
        """Without the token: reprs end in logs and tracebacks."""
        return f"AccessToken(expires_at={self.expires_at:.0f})"

    def usable(self, now: float) -> bool:
        """Return whether a message may still be sent with it."""
        return now < self.expires_at - _EXPIRY_MARGIN

    @property
    def digest(self) -> str:
        """SHA-256 of the token, to name it without sending it."""
        return hashlib.sha256(self.value.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Grant:
    """WeChat's answer on the token endpoint; ``expires_in`` is the time *remaining*, in seconds."""

    value: str
    expires_in: float

    def __repr__(self) -> str:
        """Without the token."""
        return f"Grant(expires_in={self.expires_in:.0f})"


class TokenSource(Protocol):
    """Fetches one account's tokens: the way depends on its credentials and on nothing else."""

    def fetch(self, *, force: bool) -> Grant:
        """Ask WeChat; raises ``TokenUnavailableError``."""


@dataclass(frozen=True, slots=True)
class Account:
    """The stored parameters of one account.

    ``source`` is None where the credentials cannot be used; ``problem`` then says why.
    """

    name: str
    source: TokenSource | None
    token: AccessToken | None = None
    problem: Bilingual | None = None


class TokenReader(Protocol):
    """The sender's side of the parameter store."""

    def read(self, account: str) -> AccessToken | None:
        """The stored token, None where there is none; raises ``StorageError``."""


class Refresher(Protocol):
    """The token refresher as a sender calls it."""

    def ask(self, account: str, rejected: str | None) -> AccessToken:
        """A usable token that is not the one whose digest was ``rejected``.

        Raises ``RefresherBusyError``, ``UnknownAccountError``, ``TokenUnavailableError`` or
        ``StorageError``.
        """
