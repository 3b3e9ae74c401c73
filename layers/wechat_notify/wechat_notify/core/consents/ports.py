"""The ports of consents: storage, and what has become of messages."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Protocol

from wechat_notify.core.consents.links import ConsentLink
from wechat_notify.core.consents.record import PersonConsents


class ConsentStore(Protocol):
    """Storage of consents; every method raises ``StorageError``."""

    def read(self, account: str, openid_hash: str) -> PersonConsents | None:
        """The newest version, None where nothing is known of the person."""

    def put(self, consents: PersonConsents) -> PersonConsents | None:
        """Store after the version before; return None, or the existing one that another call has written.

        What was deleted meanwhile stays deleted: that is a ``StorageError``.
        """

    def delete(self, account: str, openid_hash: str) -> None:
        """Delete all that is known of a person."""

    def read_link(self, nonce: str) -> ConsentLink | None:
        """The newest version of a link, None where there is none (any more)."""

    def put_link(self, link: ConsentLink) -> ConsentLink | None:
        """The same as ``put`` for a link."""


class UnsentMessages(Protocol):
    """The ledger of messages, as consents ask it."""

    def __call__(self, account: str, message_ids: Iterable[str], /) -> Collection[str]:
        """Those of the messages that were certainly not sent; raises ``StorageError``."""
