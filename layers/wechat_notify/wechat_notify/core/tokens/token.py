"""Access tokens, the accounts that they belong to, and where they come from."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from dataclasses import fields as dataclass_fields
from typing import Any, Protocol

from wechat_notify.core.texts import Bilingual, without_none

_EXPIRY_MARGIN = 10.0
"""Seconds before its expiry from which a token is not used for a new message."""


@dataclass(frozen=True, slots=True)
class AccessToken:
    """An access token; ``expires_at`` and ``obtained_at`` are seconds since the epoch.

    ``forced_day`` (a date in Beijing), ``forced_count`` and ``forced_at`` are the account's
    use of its forced refreshes, kept beside the token because that is written by the same hand.
    ``permissions`` are the ids of the permission sets that a merchant granted to its third-party platform:
    they travel with the token, so that a sender reads nothing else. None where nothing limits the account.
    So do ``app_id``, which confirmation links name, and ``consents``: the account's policy on messages
    without a consent, ``warn`` or ``enforce``, None where it is off.
    """

    value: str
    expires_at: float
    obtained_at: float
    forced_day: str = ""
    forced_count: int = 0
    forced_at: float = 0.0
    permissions: tuple[int, ...] | None = None
    app_id: str | None = None
    consents: str | None = None

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

    def as_dict(self) -> dict[str, Any]:
        """The token for JSON, as it is stored and handed over. What an account does not have is left out."""
        return without_none(**asdict(self))


def token_from_dict(fields: Mapping[str, Any]) -> AccessToken:
    """The token that ``as_dict`` took apart; what another version of it has more is left out.

    Raises ``KeyError``, ``TypeError`` or ``ValueError`` for anything else.
    """
    known = {
        field.name: fields[field.name] for field in dataclass_fields(AccessToken) if field.name in fields
    }
    permissions = known.pop("permissions", None)
    return AccessToken(**known, permissions=None if permissions is None else tuple(permissions))


@dataclass(frozen=True, slots=True)
class Grant:
    """WeChat's answer on the token endpoint; ``expires_in`` is the time *remaining*, in seconds.

    ``permissions`` as in the token.
    """

    value: str
    expires_in: float
    permissions: tuple[int, ...] | None = None

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

    ``source`` is None where the credentials cannot be used; ``problem`` then says why. ``sends`` is False of
    a third-party platform: its token is stored where no sender reads it. ``app_id`` and ``consents`` as in
    the token.
    """

    name: str
    source: TokenSource | None
    token: AccessToken | None = None
    problem: Bilingual | None = None
    sends: bool = True
    app_id: str | None = None
    consents: str | None = None


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
