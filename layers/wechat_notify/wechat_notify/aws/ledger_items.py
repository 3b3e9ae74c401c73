"""The items of the ledger's table: entries, circuits and templates."""

from __future__ import annotations

import re
import zlib
from enum import StrEnum
from typing import Any
from urllib.parse import quote

from wechat_notify.aws.items import ItemType
from wechat_notify.core.delivery.circuit import AccountCircuits, Circuit
from wechat_notify.core.delivery.entry import (
    NEWER_RELEASE,
    RECEIPT_KINDS,
    Change,
    Entry,
    awaits_receipt,
)
from wechat_notify.core.outcomes import ErrorClass, HoldScope, Outcome, Status
from wechat_notify.core.templates.template import AccountTemplates, Enumeration, Template
from wechat_notify.core.texts import Bilingual


def message_key(account: str, message_id: str) -> str:
    """The key of a message's entry."""
    # A name with a # in it, which no account has, must not lead to another account's entries.
    return f"message#{quote(account, safe='')}#{message_id}"


def message_id(key: str) -> str:
    """The id of the message whose entry has this key."""
    return key.split("#", 2)[2]


def listed_in(entry: Entry) -> str | None:
    """The partition of the index that an entry belongs to, None where it is not listed (yet)."""
    if entry.status is Status.SENDING or (entry.status is Status.QUEUED and entry.outcome is None):
        return None
    return partition(entry.account, entry.status, zlib.crc32(entry.id.encode()) % SHARDS)


def partition(account: str, status: Status, shard: int) -> str:
    """A partition of the index by account and status."""
    return f"{account}#{status.value}#{shard}"


SHARDS = 10
"""A partition takes 1,000 writes a second, and one that is full holds up the writes of the table itself: an
account may send 10,000 messages a second."""


def msgid_key(account: str, msgid: int) -> str:
    """The key under which a receipt finds its message, by WeChat's id of it."""
    return f"{account}#msgid#{msgid}"


def receiver_key(account: str, openid_hash: str) -> str:
    """The key under which it finds those to its receiver whose id is not known."""
    return f"{account}#openid#{openid_hash}"


def receipt_key(entry: Entry) -> str | None:
    """The key that an entry has in the index of receipts, None where no receipt can be about it."""
    if entry.outcome and entry.outcome.msgid is not None:
        return msgid_key(entry.account, entry.outcome.msgid)
    if entry.openid_hash and entry.kind in RECEIPT_KINDS and awaits_receipt(entry):
        return receiver_key(entry.account, entry.openid_hash)
    return None


def circuits_key(account: str) -> str:
    """The key of an account's circuits."""
    return f"circuits#{quote(account, safe='')}"


def templates_key(account: str) -> str:
    """The key of an account's templates."""
    return f"templates#{quote(account, safe='')}"


# ---------------------------------------------------------------- what a newer release has written
# Releases run side by side during a deployment, and after a rollback the older one goes on alone. Fields that
# it does not know are read past (``aws.items``); here are the values.

_NAME = re.compile("[a-z][a-z_]{1,39}")


def _replace_newer(fields: Any, name: str, known: type[StrEnum], instead: StrEnum) -> bool:
    """Put a known value in the place of a newer one; what is no name of a value stays unreadable."""
    value = fields.get(name) if isinstance(fields, dict) else None
    newer = isinstance(value, str) and value not in set(known) and _NAME.fullmatch(value) is not None
    if newer:
        fields[name] = instead
    return newer


def _entry_of_newer(fields: dict[str, Any]) -> dict[str, Any]:
    """An entry in a state that is not known here: over, and in doubt."""
    if _replace_newer(fields, "status", Status, Status.UNKNOWN):
        fields["reason"] = NEWER_RELEASE
    for change in fields.get("timeline") or ():
        _replace_newer(change, "status", Status, Status.UNKNOWN)
    outcome = fields.get("outcome")
    _replace_newer(outcome, "status", Status, Status.UNKNOWN)
    _replace_newer(outcome, "error_class", ErrorClass, ErrorClass.OTHER)
    _replace_newer(outcome, "holds", HoldScope, HoldScope.ACCOUNT)
    return fields


def _circuits_of_newer(fields: dict[str, Any]) -> dict[str, Any]:
    """A hold of a class that is not known here holds all the same, and ends by a probe."""
    for circuit in fields.get("circuits") or ():
        _replace_newer(circuit, "error_class", ErrorClass, ErrorClass.OTHER)
    return fields


_OF_ENTRIES = {"hint": Bilingual, "outcome": Outcome, "timeline": Change}
ENTRIES = ItemType(
    Entry,
    lambda entry: message_key(entry.account, entry.id),
    "the message's entry",
    _OF_ENTRIES,
    "listed",
    "receipt_key",
    read_newer=_entry_of_newer,
)
CIRCUITS = ItemType(
    AccountCircuits,
    lambda circuits: circuits_key(circuits.account),
    "the account's circuits",
    {"circuits": Circuit, "hint": Bilingual},
    read_newer=_circuits_of_newer,
)
TEMPLATES = ItemType(
    AccountTemplates,
    lambda templates: templates_key(templates.account),
    "the account's templates",
    {"enumerations": Enumeration, "templates": Template},
)
