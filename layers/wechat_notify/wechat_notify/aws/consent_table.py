"""Consents in the ledger's table.

``consents#<account>#<openid_hash>``
    A ``core.consents.record.PersonConsents``; no openid. ``ttl`` only where no grant is left, or
    it was moved to another hash.
``consent-link#<nonce>``
    A ``core.consents.links.ConsentLink``.
"""

from __future__ import annotations

from urllib.parse import quote

from wechat_notify.aws.items import ItemType, to_attribute
from wechat_notify.aws.versioned_items import RETRY_FOR, VersionedItems
from wechat_notify.core.consents.links import ConsentLink
from wechat_notify.core.consents.record import ConsentGrant, PersonConsents, TemplateConsents


def _consents_key(account: str, openid_hash: str) -> str:
    return f"consents#{quote(account, safe='')}#{openid_hash}"


def _link_key(nonce: str) -> str:
    return f"consent-link#{nonce}"


CONSENTS = ItemType(
    PersonConsents,
    lambda consents: _consents_key(consents.account, consents.openid_hash),
    "the person's consents",
    {"templates": TemplateConsents, "grants": ConsentGrant},
    "ttl",
)
LINKS = ItemType(ConsentLink, lambda link: _link_key(link.nonce), "the confirmation link", {})


class ConsentTable(VersionedItems):
    """A ``ConsentStore``; arguments as ``VersionedItems`` has them."""

    def read(self, account: str, openid_hash: str) -> PersonConsents | None:
        """The newest version, None where nothing is known of the person."""
        return self.read_item(CONSENTS, _consents_key(account, openid_hash))

    def put(self, consents: PersonConsents) -> PersonConsents | None:
        """Store after the version before; otherwise return the existing one. What is deleted stays so."""
        over = None if consents.has_unused and consents.moved_at is None else consents.updated_at
        return self.put_item(CONSENTS, consents, over, revives=False)

    def delete(self, account: str, openid_hash: str) -> None:
        """Delete all that is known of a person."""
        key = {"pk": to_attribute(_consents_key(account, openid_hash))}
        self._aws.call(
            "delete the person's consents",
            lambda: self._aws.dynamodb.delete_item(TableName=self._table_name, Key=key),
            retry_for=RETRY_FOR,
        )

    def read_link(self, nonce: str) -> ConsentLink | None:
        """The newest version of a link, None where there is none (any more)."""
        return self.read_item(LINKS, _link_key(nonce))

    def put_link(self, link: ConsentLink) -> ConsentLink | None:
        """Store after the version before; otherwise return the existing one."""
        return self.put_item(LINKS, link, link.expires_at - self._retention_seconds, revives=False)
