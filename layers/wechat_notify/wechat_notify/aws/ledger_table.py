"""The ledger's table: an item for every message, and one for the open circuits of an account.

``message#<account>#<id>``
    A ``core.ledger.Entry``.
``circuits#<account>``
    A ``core.circuits.AccountCircuits``.

The attributes are the fields under their own names, to be read in the console; what is None is absent.
Times are seconds since the epoch, to the millisecond. ``ttl`` is when DynamoDB may delete the item.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from enum import StrEnum
from functools import cached_property, lru_cache
from typing import Any, Generic, NamedTuple, TypeVar, cast
from urllib.parse import quote

from pydantic import TypeAdapter

from wechat_notify.aws.clients import Clients
from wechat_notify.aws.group_commit import GroupCommit
from wechat_notify.core.circuits import AccountCircuits, Circuit
from wechat_notify.core.entry import Change, Entry
from wechat_notify.core.envelope import is_account_name
from wechat_notify.core.errors import StorageError
from wechat_notify.core.outcomes import Bilingual, Outcome

T = TypeVar("T", bound=Entry | AccountCircuits)

RETRY_FOR = 2.5
"""Seconds in which a call is repeated: an outage of the table of a second is outlasted."""
PATIENT_RETRY_FOR = 6.0
"""The same where what came of a message would be lost: an outage of five seconds is outlasted."""
_KEYS_A_CALL = 100
_MAX_STATEMENTS = 25
"""Maximum number of statements in one call of ``BatchExecuteStatement``."""
_MAX_WAIT = 14 * 86400.0
"""Seconds for which SQS keeps a message at most: an expiry that lies further ahead keeps no entry longer."""
_PAUSES = (0.05, 0.1, 0.2, 0.4)
"""Seconds before what a throttled table left unread is asked for again."""


class LedgerTable:
    """The table, by its name: a ``LedgerStore`` and a ``CircuitStore``.

    Parameters
    ----------
    aws : Clients
        boto3's clients.
    table_name : str
        The table, whose only key is ``pk``.
    retention_seconds : float
        For how long an entry is kept after its last change and its expiry (or 14 days, where that is further
        ahead), circuits after they are over.
    now, clock, sleep : Callable
        Seconds since the epoch; seconds on a clock that never goes back; a pause.
    """

    def __init__(
        self,
        aws: Clients,
        table_name: str,
        retention_seconds: float,
        *,
        now: Callable[[], float] = time.time,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._aws = aws
        self._table_name = table_name
        self._retention_seconds = retention_seconds
        self._now = now
        self._clock = clock
        self._sleep = sleep
        self._commits = GroupCommit[_Put, "_Answer | None"](self._put_group, _MAX_STATEMENTS)

    def put(self, entry: Entry, *, patient: bool = False) -> Entry | None:
        """Store an entry as the successor of the version before it; otherwise what stands there."""
        over = min(max(entry.updated_at, entry.expires_at or 0.0), entry.updated_at + _MAX_WAIT)
        return self._put(_ENTRIES, entry, over, patient=patient)

    def read(self, account: str, message_id: str) -> Entry | None:
        """The newest version of an entry."""
        return self._read(_ENTRIES, _message_key(account, message_id))

    def put_circuits(self, circuits: AccountCircuits) -> AccountCircuits | None:
        """Store an account's circuits as the successor of the version before; otherwise what stands there."""
        over = max([self._now(), *(circuit.held_until for circuit in circuits.circuits)])
        return self._put(_CIRCUITS, circuits, over)

    def read_circuits(self, accounts: Iterable[str]) -> dict[str, AccountCircuits]:
        """The newest circuits by account; accounts that have no item are left out."""
        # One impossible key and the call is refused as a whole.
        keys = sorted({_circuits_key(account) for account in accounts if is_account_name(account)})
        found: list[AccountCircuits] = []
        for start in range(0, len(keys), _KEYS_A_CALL):
            found += map(_CIRCUITS.from_item, self._read_all(keys[start : start + _KEYS_A_CALL]))
        return {circuits.account: circuits for circuits in found}

    def _put(self, kind: _Kind[T], value: T, over: float, *, patient: bool = False) -> T | None:
        item = kind.to_item(value) | {"ttl": _attribute(math.ceil(over + self._retention_seconds))}
        retry_for = PATIENT_RETRY_FOR if patient else RETRY_FOR
        put = _Put(kind.writing, item, kind.attributes, value.version - 1, retry_for, self._clock())
        answer = self._commits.write(put)
        for _ in range(2):
            if answer is None:
                answer = self._put_alone(put)
            if answer.stored:
                return None
            found = kind.from_item(answer.existing) if answer.existing else self._read(kind, put.key)
            if found is not None:
                return found
            answer = None
        # It vanished between the put and the read, twice.
        raise StorageError(kind.writing, "Contended")

    def _put_group(self, puts: Sequence[_Put]) -> list[_Answer | None]:
        """Put several items with one call; return None for those that are to be put alone.

        The call is made once. Where it fails, each thread puts its own item, in what is left of its time.
        """
        if len(puts) == 1:
            return [self._put_alone(puts[0])]
        statements: Any = [put.statement(self._table_name) for put in puts]
        answers: list[Any] = []
        with suppress(StorageError):
            answers = self._aws.call(
                puts[0].action,
                lambda: self._aws.dynamodb.batch_execute_statement(Statements=statements),
            ).get("Responses", [])
        if len(answers) != len(puts):
            return [None] * len(puts)
        return [_answer(each.get("Error")) for each in answers]

    def _put_alone(self, put: _Put) -> _Answer:
        return self._aws.call(
            put.action,
            lambda: self._put_item(put),
            retry_for=max(0.0, put.retry_for - (self._clock() - put.began)),
        )

    def _put_item(self, put: _Put) -> _Answer:
        from botocore.exceptions import ClientError  # noqa: PLC0415 - imported with boto3, by the first call

        client = self._aws.dynamodb
        try:
            client.put_item(
                TableName=self._table_name,
                Item=put.item,
                ConditionExpression="attribute_not_exists(pk) OR version = :previous",
                ExpressionAttributeValues={":previous": _attribute(put.previous)},
                ReturnValuesOnConditionCheckFailure="ALL_OLD",
            )
        # Not client.exceptions: its classes are made on first use, and by several threads several times.
        except ClientError as error:
            response: Any = error.response
            if response.get("Error", {}).get("Code") != "ConditionalCheckFailedException":
                raise
            return _Answer(stored=False, existing=response.get("Item", {}))
        return _Answer(stored=True)

    def _read(self, kind: _Kind[T], key: str) -> T | None:
        answer = self._aws.call(
            kind.reading,
            lambda: self._aws.dynamodb.get_item(
                TableName=self._table_name, Key={"pk": _attribute(key)}, ConsistentRead=True
            ),
            retry_for=RETRY_FOR,
        )
        return kind.from_item(answer["Item"]) if "Item" in answer else None

    def _read_all(self, keys: list[str]) -> list[dict[str, Any]]:
        items: list[dict[str, Any]] = []
        wanted: Any = {
            self._table_name: {"Keys": [{"pk": _attribute(key)} for key in keys], "ConsistentRead": True}
        }
        for pause in (*_PAUSES, None):
            answer = self._read_some(wanted)
            if "Responses" not in answer:
                raise StorageError(_CIRCUITS.reading, "UnreadableAnswer")
            items += answer["Responses"].get(self._table_name, [])
            wanted = answer.get("UnprocessedKeys")
            if not wanted:
                return items
            if pause:
                self._sleep(pause)
        raise StorageError(_CIRCUITS.reading, "UnprocessedKeys")

    def _read_some(self, wanted: Any) -> Any:
        return self._aws.call(
            _CIRCUITS.reading,
            lambda: self._aws.dynamodb.batch_get_item(RequestItems=wanted),
            retry_for=RETRY_FOR,
        )


class _Answer(NamedTuple):
    """DynamoDB's answer to a put; ``existing`` is the item that is another version's, empty if not told."""

    stored: bool
    existing: dict[str, Any] = {}  # noqa: RUF012 - nobody changes it


def _answer(error: dict[str, Any] | None) -> _Answer | None:
    """Return the answer that one statement of a group was given, None where that is not clear.

    ``DuplicateItem`` comes without the item. An ``UPDATE`` of an item that is gone fails, a put would not.
    """
    if error is None:
        return _Answer(stored=True)
    existing = error.get("Item")
    if error.get("Code") == "ConditionalCheckFailed" and existing:
        return _Answer(stored=False, existing=existing)
    return None


class _Put(NamedTuple):
    """An item that takes the place of its version ``previous``, which is 0 for the first.

    ``attributes`` are the names that its type has; the put is repeated for ``retry_for`` seconds.
    """

    action: str
    item: dict[str, Any]
    attributes: frozenset[str]
    previous: int
    retry_for: float
    began: float

    @property
    def key(self) -> str:
        """The item's key."""
        return cast("str", self.item["pk"]["S"])

    def statement(self, table_name: str) -> dict[str, Any]:
        """The put in PartiQL, which has an ``INSERT`` where there is no item and an ``UPDATE`` of one."""
        if not self.previous:
            return {"Statement": _insert(table_name, tuple(self.item)), "Parameters": [*self.item.values()]}
        given = {name: value for name, value in self.item.items() if name != "pk"}
        absent = self.attributes - self.item.keys()
        return {
            "Statement": _update(table_name, tuple(given), tuple(sorted(absent))),
            "Parameters": [*given.values(), self.item["pk"], _attribute(self.previous)],
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
        }


@lru_cache
def _insert(table_name: str, names: tuple[str, ...]) -> str:
    given = ", ".join(f"'{name}': ?" for name in names)
    return f'INSERT INTO "{table_name}" VALUE {{{given}}}'


@lru_cache
def _update(table_name: str, given: tuple[str, ...], absent: tuple[str, ...]) -> str:
    changes = [f'SET "{name}" = ?' for name in given] + [f'REMOVE "{name}"' for name in absent]
    return f'UPDATE "{table_name}" {" ".join(changes)} WHERE "pk" = ? AND "version" = ?'


class _Kind(Generic[T]):
    """Converts one type to DynamoDB items and back."""

    def __init__(self, made_of: type[T], key: Callable[[T], str], name: str) -> None:
        self.key = key
        self.reading = f"read {name}"
        self.writing = f"write {name}"
        self.attributes = frozenset(made_of.__match_args__)
        self._made_of = made_of

    @cached_property
    def _adapter(self) -> TypeAdapter[T]:
        return TypeAdapter(self._made_of)

    def to_item(self, value: T) -> dict[str, Any]:
        """The item, in DynamoDB's own JSON."""
        return {"pk": _attribute(self.key(value)), **_attributes(value)}

    def from_item(self, item: dict[str, Any]) -> T:
        """Return the value of an item; raises ``StorageError`` where somebody has changed it by hand."""
        with suppress(ValueError):  # pydantic's errors are some
            return self._adapter.validate_python(_plain({"M": item}, self._made_of))
        raise StorageError(self.reading, "UnreadableItem")  # without a word of what stands there


def _message_key(account: str, message_id: str) -> str:
    # A name with a # in it, which no account has, must not lead to another account's entries.
    return f"message#{quote(account, safe='')}#{message_id}"


def _circuits_key(account: str) -> str:
    return f"circuits#{quote(account, safe='')}"


_ENTRIES = _Kind(Entry, lambda entry: _message_key(entry.account, entry.id), "the message's entry")
_CIRCUITS = _Kind(AccountCircuits, lambda circuits: _circuits_key(circuits.account), "the account's circuits")


# Not dataclasses.asdict, which copies every leaf first: 20 us an item, and 7 like this (16 with a match, that
# asks of one class after the other). Nor boto3's TypeSerializer: it refuses floats, and its counterpart makes
# a Decimal of every number.
def _attributes(value: Any) -> dict[str, Any]:
    return {
        name: _attribute(each) for name in value.__match_args__ if (each := getattr(value, name)) is not None
    }


def _attribute(value: object) -> dict[str, Any]:  # noqa: PLR0911 - one for each type
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
        return {"L": [_attribute(each) for each in cast("tuple[object, ...]", value)]}
    if isinstance(value, StrEnum):
        return {"S": value.value}
    return {"M": _attributes(value)}


_MADE_OF: dict[str, Any] = {"circuits": Circuit, "hint": Bilingual, "outcome": Outcome, "timeline": Change}


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
