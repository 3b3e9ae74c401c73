"""Values as DynamoDB items, and back.

The attributes are the fields under their own names, to be read in the console; what is None is absent.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from enum import StrEnum
from functools import cached_property
from typing import Any, Generic, Protocol, TypeVar, cast

from pydantic import TypeAdapter

from wechat_notify.core.errors import StorageError


class Versioned(Protocol):
    """A named tuple or a frozen dataclass that is replaced version by version."""

    @property
    def version(self) -> int:
        """Its version, 1 for the first."""

    @property
    def writer(self) -> str:
        """The call that wrote this version."""


T = TypeVar("T", bound=Versioned)


class ItemType(Generic[T]):
    """Converts one type to DynamoDB items and back.

    ``parts`` are the types of its fields that are objects, or lists of them, by the fields' names at any
    depth; ``more`` are attributes beside the type's own; ``read_newer`` changes the fields of an item that a
    newer release has written, so that this one can read them.
    """

    def __init__(
        self,
        made_of: type[T],
        key: Callable[[T], str],
        name: str,
        parts: Mapping[str, Any],
        *more: str,
        read_newer: Callable[[dict[str, Any]], dict[str, Any]] = lambda fields: fields,
    ) -> None:
        self.key = key
        self.reading = f"read {name}"
        self.writing = f"write {name}"
        self.attributes = frozenset((*made_of.__match_args__, *more))  # type: ignore[attr-defined] # both kinds have them
        self._made_of = made_of
        self._parts = parts
        self._read_newer = read_newer

    @cached_property
    def _adapter(self) -> TypeAdapter[T]:
        return TypeAdapter(self._made_of)

    def to_item(self, value: T) -> dict[str, Any]:
        """The item, in DynamoDB's own JSON."""
        return {"pk": to_attribute(self.key(value)), **_attributes(value)}

    def from_item(self, item: dict[str, Any]) -> T:
        """Return the value of an item; raises ``StorageError`` where somebody has changed it by hand."""
        with suppress(ValueError):  # pydantic's errors are some
            plain = cast("dict[str, Any]", self._plain({"M": item}, self._made_of))
            return self._adapter.validate_python(self._read_newer(plain))
        raise StorageError(self.reading, "UnreadableItem")  # without any of its content

    def _plain(self, attribute: dict[str, Any], made_of: Any) -> object:
        ((kind, value),) = attribute.items()
        match kind:
            case "S" | "BOOL":
                return value
            case "N":
                return float(value) if "." in value else int(value)
            case "M":
                names = getattr(made_of, "__match_args__", ())  # what a later version has added is read past
                given = {
                    name: self._plain(value[name], self._parts.get(name)) for name in names if name in value
                }
                if "errcode" in names:  # absent where it is None; a circuit's has no default
                    given.setdefault("errcode", None)
                return given
            case "L":
                return [self._plain(each, made_of) for each in value]
        raise ValueError(kind)


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
