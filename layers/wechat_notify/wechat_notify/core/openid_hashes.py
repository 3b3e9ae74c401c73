"""Keyed hashes of openids: by them the ledger and the log name a person."""

from __future__ import annotations

import hmac
from functools import lru_cache
from typing import NamedTuple, Protocol

_DIGITS = 16


class HashKeys(NamedTuple):
    """The key under which openids are hashed, and others, under which they are found as well.

    The others are earlier ones; after a rotation, until every process knows the new key, it is the last of
    them.
    """

    current: bytes
    others: tuple[bytes, ...] = ()

    @property
    def all(self) -> tuple[bytes, ...]:
        """The current key and the others."""
        return (self.current, *self.others)


class KeySource(Protocol):
    """Reads the keys; both methods raise ``StorageError`` where none were ever read."""

    def load(self) -> HashKeys:
        """The keys, read again where they were read minutes ago."""

    def loaded(self) -> HashKeys:
        """The keys as they were read last."""


class KeyedHash(Protocol):
    """Hashes a text under the stack's keys."""

    def __call__(self, text: str) -> str:
        """Under the current key."""

    def every(self, text: str) -> tuple[str, ...]:
        """Under the current key and the others."""


class OpenidHashes:
    """Hashes openids under the keys of a source."""

    def __init__(self, source: KeySource) -> None:
        self._source = source

    def load(self) -> None:
        """Read the keys where that is due; afterwards hashing does not fail. Raises ``StorageError``."""
        self._source.load()

    def __call__(self, text: str) -> str:
        """The hash under the current key, as new entries and log lines have it."""
        return hash_openid(text, self._source.loaded().current)

    def every(self, text: str) -> tuple[str, ...]:
        """The hashes under the current key and the others, for look-ups; raises ``StorageError``."""
        return tuple(hash_openid(text, key) for key in self._source.load().all)


def hash_openid(openid: str, key: bytes) -> str:
    """An openid as logs may carry it: 16 hex digits of its HMAC-SHA256, the same for the same user."""
    digest = _keyed(key).copy()
    digest.update(openid.encode())
    return digest.hexdigest()[:_DIGITS]


@lru_cache(maxsize=8)
def _keyed(key: bytes) -> hmac.HMAC:
    """Begun once: ``hmac.digest`` takes the key in anew, and lets other threads go first meanwhile."""
    return hmac.new(key, digestmod="sha256")
