"""Entries, circuits and templates as DynamoDB items, and back.

The attributes are the fields under their own names, to be read in the console; what is None is absent.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from contextlib import suppress
from enum import StrEnum
from functools import cached_property
from typing import Any, Generic, TypeVar, cast
from urllib.parse import quote

from pydantic import TypeAdapter

from wechat_notify.core.delivery.circuit import AccountCircuits, Circuit
from wechat_notify.core.delivery.entry import Change, Entry
from wechat_notify.core.errors import StorageError
from wechat_notify.core.outcomes import Bilingual, Outcome, Status
from wechat_notify.core.templates.template import AccountTemplates, Enumeration, Template

T = TypeVar("T", bound=Entry | AccountCircuits | AccountTemplates)


class ItemType(Generic[T]):
    """Converts one type to DynamoDB items and back; ``more`` are attributes beside the type's own fields."""

    def __init__(self, made_of: type[T], key: Callable[[T], str], name: str, *more: str) -> None:
        self.key = key
        self.reading = f"read {name}"
        self.writing = f"write {name}"
        self.attributes = frozenset((*made_of.__match_args__, *more))
        self._made_of = made_of

    @cached_property
    def _adapter(self) -> TypeAdapter[T]:
        return TypeAdapter(self._made_of)

    def to_item(self, value: T) -> dict[str, Any]:
        """The item, in DynamoDB's own JSON."""
        return {"pk": to_attribute(self.key(value)), **_attributes(value)}

    def from_item(self, item: dict[str, Any]) -> T:
        """Return the value of an item; raises ``StorageError`` where somebody has changed it by hand."""
        with suppress(ValueError):  # pydantic's errors are some
            return self._adapter.validate_python(_plain({"M": item}, self._made_of))
        raise StorageError(self.reading, "UnreadableItem")  # without any of its content


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


def circuits_key(account: str) -> str:
    """The key of an account's circuits."""
    return f"circuits#{quote(account, safe='')}"


def templates_key(account: str) -> str:
    """The key of an account's templates."""
    return f"templates#{quote(account, safe='')}"


ENTRIES = ItemType(Entry, lambda entry: message_key(entry.account, entry.id), "the message's entry", "listed")
CIRCUITS = ItemType(
    AccountCircuits, lambda circuits: circuits_key(circuits.account), "the account's circuits"
)
TEMPLATES = ItemType(
    AccountTemplates, lambda templates: templates_key(templates.account), "the account's templates"
)


# Not dataclasses.asdict, which copies every leaf first: 20 us an item, and 7 like this (16 with a match, that
# asks of one class after the other). Nor boto3's TypeSerializer: it refuses floats, and its counterpart makes
# a Decimal of every number.
def _attributes(value: Any) -> dict[str, Any]:
    return {
        name: to_attribute(each)
        for name in value.__match_args__
        if (each := getattr(value, name)) is not None
    }


def to_attribute(value: object) -> dict[str, Any]:  # noqa: PLR0911 - one for each type
    """A value in DynamoDB's own JSON."""
    kind = type(value)
    if kind is str:
        return {"S": value}
    if kind is int:
        return {"N": str(value)}
    if kind is float:
        return {"N": f"{value:.3f}"}
    if kind is bool:
        return {"BOOL": value}
    if kind is tuple:
        return {"L": [to_attribute(each) for each in cast("tuple[object, ...]", value)]}
    if isinstance(value, StrEnum):
        return {"S": value.value}
    return {"M": _attributes(value)}


_MADE_OF: dict[str, Any] = {
    "circuits": Circuit,
    "enumerations": Enumeration,
    "hint": Bilingual,
    "outcome": Outcome,
    "templates": Template,
    "timeline": Change,
}


def _plain(attribute: dict[str, Any], made_of: Any = None) -> object:
    ((kind, value),) = attribute.items()
    match kind:
        case "S" | "BOOL":
            return value
        case "N":
            return float(value) if "." in value else int(value)
        case "M":
            names = getattr(made_of, "__match_args__", ())  # what a later version has added is read past
            given = {name: _plain(value[name], _MADE_OF.get(name)) for name in names if name in value}
            if "errcode" in names:  # absent where it is None; a circuit's has no default
                given.setdefault("errcode", None)
            return given
        case "L":
            return [_plain(each, made_of) for each in value]
    raise ValueError(kind)
