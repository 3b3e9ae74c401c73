"""The ledger's table: an item for every message, one for an account's open circuits, one for its templates.

``message#<account>#<id>``
    A ``core.delivery.entry.Entry``.
``circuits#<account>``
    A ``core.delivery.circuit.AccountCircuits``.
``templates#<account>``
    A ``core.templates.template.AccountTemplates``.

``listed`` is an entry's partition of the index by account and status (``aws.message_index``).

Times are seconds since the epoch, to the millisecond. ``ttl`` is when DynamoDB may delete the item.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from types import MappingProxyType
from typing import Any

from wechat_notify.aws.clients import Clients
from wechat_notify.aws.conditional_put import Answer, ConditionalPut, answer_to_statement
from wechat_notify.aws.group_commit import GroupCommit
from wechat_notify.aws.ledger_items import (
    CIRCUITS,
    ENTRIES,
    TEMPLATES,
    ItemType,
    T,
    circuits_key,
    listed_in,
    message_key,
    templates_key,
    to_attribute,
)
from wechat_notify.core.delivery.circuit import AccountCircuits
from wechat_notify.core.delivery.entry import MAX_RETENTION, Entry
from wechat_notify.core.errors import StorageError
from wechat_notify.core.messages.identifiers import is_account_name
from wechat_notify.core.outcomes import Status
from wechat_notify.core.templates.template import AccountTemplates

RETRY_FOR = 2.5
"""Seconds in which a call is repeated: an outage of the table of a second is outlasted."""
PATIENT_RETRY_FOR = 6.0
"""The same where what came of a message would be lost: an outage of five seconds is outlasted."""
_KEYS_A_CALL = 100
_MAX_STATEMENTS = 25
"""Maximum number of statements in one call of ``BatchExecuteStatement``."""
_PAUSES = (0.05, 0.1, 0.2, 0.4)
"""Seconds before what a throttled table left unread is asked for again."""


class LedgerTable:
    """The table, by its name: a ``LedgerStore``, a ``CircuitStore`` and a ``TemplateStore``.

    Parameters
    ----------
    aws : Clients
        boto3's clients.
    table_name : str
        The table, whose only key is ``pk``.
    retention_seconds : float
        For how long an entry is kept after its last change and its expiry (or 14 days, where that is further
        ahead), circuits after they are over, templates after they were written.
    list_sent : bool
        Whether messages that were sent are listed in the index, which costs a write for each.
    now, clock, sleep : Callable
        Seconds since the epoch; seconds on a clock that never goes back; a pause.
    """

    def __init__(
        self,
        aws: Clients,
        table_name: str,
        retention_seconds: float,
        *,
        list_sent: bool = True,
        now: Callable[[], float] = time.time,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._aws = aws
        self._table_name = table_name
        self._retention_seconds = retention_seconds
        self._list_sent = list_sent
        self._now = now
        self._clock = clock
        self._sleep = sleep
        self._commits = GroupCommit[ConditionalPut, "Answer | None"](self._put_group, _MAX_STATEMENTS)

    def put(self, entry: Entry, *, patient: bool = False) -> Entry | None:
        """Store an entry as the successor of the version before it; otherwise return the existing one."""
        over = min(max(entry.updated_at, entry.expires_at or 0.0), entry.updated_at + MAX_RETENTION)
        listed = listed_in(entry) if self._list_sent or entry.status is not Status.SENT else None
        more = {} if listed is None else {"listed": to_attribute(listed)}
        return self._put(ENTRIES, entry, over, more, patient=patient)

    def read(self, account: str, message_id: str) -> Entry | None:
        """The newest version of an entry."""
        return self._read(ENTRIES, message_key(account, message_id))

    def put_circuits(self, circuits: AccountCircuits) -> AccountCircuits | None:
        """Store an account's circuits after the version before; otherwise return the existing ones."""
        over = max([self._now(), *(circuit.held_until for circuit in circuits.circuits)])
        return self._put(CIRCUITS, circuits, over)

    def read_many(self, account: str, message_ids: Iterable[str]) -> dict[str, Entry]:
        """The entries of several messages, by id; those that have none are left out."""
        keys = [message_key(account, message_id) for message_id in dict.fromkeys(message_ids)]
        entries = map(ENTRIES.from_item, self._read_all(ENTRIES.reading, keys))
        return {entry.id: entry for entry in entries}

    def read_circuits(self, accounts: Iterable[str]) -> dict[str, AccountCircuits]:
        """The newest circuits by account; accounts that have no item are left out."""
        # One impossible key and the call is refused as a whole.
        keys = sorted({circuits_key(account) for account in accounts if is_account_name(account)})
        found = map(CIRCUITS.from_item, self._read_all(CIRCUITS.reading, keys))
        return {circuits.account: circuits for circuits in found}

    def put_templates(self, templates: AccountTemplates) -> AccountTemplates | None:
        """Store an account's templates after the version before; otherwise return the existing ones."""
        return self._put(TEMPLATES, templates, templates.updated_at)

    def read_templates(self, account: str) -> AccountTemplates | None:
        """The newest templates of an account; asked once, since messages wait for the answer."""
        return self._read(TEMPLATES, templates_key(account), retry_for=0.0)

    def _put(
        self,
        item_type: ItemType[T],
        value: T,
        over: float,
        more: Mapping[str, Any] = MappingProxyType({}),
        *,
        patient: bool = False,
    ) -> T | None:
        ttl = to_attribute(math.ceil(over + self._retention_seconds))
        item = {**item_type.to_item(value), "ttl": ttl, **more}
        retry_for = PATIENT_RETRY_FOR if patient else RETRY_FOR
        put = ConditionalPut(
            item_type.writing, item, item_type.attributes, value.version - 1, retry_for, self._clock()
        )
        answer = self._commits.write(put)
        for _ in range(2):
            if answer is None:
                answer = self._put_alone(put)
            if answer.stored:
                return None
            found = (
                item_type.from_item(answer.existing) if answer.existing else self._read(item_type, put.key)
            )
            if found is not None:
                return found
            answer = None
        # It vanished between the put and the read, twice.
        raise StorageError(item_type.writing, "Contended")

    def _put_group(self, puts: Sequence[ConditionalPut]) -> list[Answer | None]:
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
        return [answer_to_statement(each.get("Error")) for each in answers]

    def _put_alone(self, put: ConditionalPut) -> Answer:
        return self._aws.call(
            put.action,
            lambda: self._put_item(put),
            retry_for=max(0.0, put.retry_for - (self._clock() - put.began)),
        )

    def _put_item(self, put: ConditionalPut) -> Answer:
        from botocore.exceptions import ClientError  # noqa: PLC0415 - imported with boto3, by the first call

        client = self._aws.dynamodb
        try:
            client.put_item(**put.request(self._table_name))
        # Not client.exceptions: its classes are made on first use, and by several threads several times.
        except ClientError as error:
            response: Any = error.response
            if response.get("Error", {}).get("Code") != "ConditionalCheckFailedException":
                raise
            return Answer(stored=False, existing=response.get("Item", {}))
        return Answer(stored=True)

    def _read(self, item_type: ItemType[T], key: str, *, retry_for: float = RETRY_FOR) -> T | None:
        answer = self._aws.call(
            item_type.reading,
            lambda: self._aws.dynamodb.get_item(
                TableName=self._table_name, Key={"pk": to_attribute(key)}, ConsistentRead=True
            ),
            retry_for=retry_for,
        )
        return item_type.from_item(answer["Item"]) if "Item" in answer else None

    def _read_all(self, action: str, keys: Sequence[str]) -> Iterator[dict[str, Any]]:
        for start in range(0, len(keys), _KEYS_A_CALL):
            yield from self._read_group(action, keys[start : start + _KEYS_A_CALL])

    def _read_group(self, action: str, keys: Sequence[str]) -> list[dict[str, Any]]:
        items: list[dict[str, Any]] = []
        wanted: Any = {
            self._table_name: {"Keys": [{"pk": to_attribute(key)} for key in keys], "ConsistentRead": True}
        }
        for pause in (*_PAUSES, None):
            answer = self._read_some(action, wanted)
            if "Responses" not in answer:
                raise StorageError(action, "UnreadableAnswer")
            items += answer["Responses"].get(self._table_name, [])
            wanted = answer.get("UnprocessedKeys")
            if not wanted:
                return items
            if pause:
                self._sleep(pause)
        raise StorageError(action, "UnprocessedKeys")

    def _read_some(self, action: str, wanted: Any) -> Any:
        return self._aws.call(
            action,
            lambda: self._aws.dynamodb.batch_get_item(RequestItems=wanted),
            retry_for=RETRY_FOR,
        )
