"""Items of the ledger's table that are replaced version by version, and read by their key."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from types import MappingProxyType
from typing import Any

from wechat_notify.aws.clients import Clients
from wechat_notify.aws.conditional_put import Answer, ConditionalPut, answer_to_statement
from wechat_notify.aws.group_commit import GroupCommit
from wechat_notify.aws.items import ItemType, T, to_attribute
from wechat_notify.core.errors import StorageError

RETRY_FOR = 2.5
"""Seconds in which a call is repeated: an outage of the table of a second is outlasted."""
PATIENT_RETRY_FOR = 6.0
"""The same where what came of a message would be lost: an outage of five seconds is outlasted."""
_KEYS_A_CALL = 100
_MAX_STATEMENTS = 25
"""Maximum number of statements in one call of ``BatchExecuteStatement``."""
_PAUSES = (0.05, 0.1, 0.2, 0.4)
"""Seconds before what a throttled table left unread is asked for again."""


class VersionedItems:
    """The items of a table, by its name; every method raises ``StorageError``.

    Parameters
    ----------
    aws : Clients
        boto3's clients.
    table_name : str
        The table, whose only key is ``pk``.
    retention_seconds : float
        For how long an item is kept after it is over.
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
        self._commits = GroupCommit[ConditionalPut, "Answer | None"](self._put_group, _MAX_STATEMENTS)

    def put_item(
        self,
        item_type: ItemType[T],
        value: T,
        over: float | None,
        more: Mapping[str, Any] = MappingProxyType({}),
        *,
        patient: bool = False,
        revives: bool = True,
    ) -> T | None:
        """Store a value as the successor of its version before, until ``over`` and for the retention after.

        Returns None where it was stored, otherwise the existing value, which another call has written.
        ``over`` is None of what is kept until somebody deletes it, and names ``ttl`` among its type's
        attributes. ``more`` are attributes beside the value's; ``patient`` is for what must not be lost.
        ``revives`` is False of what must stay deleted: the write of its successor fails.
        """
        item = {**item_type.to_item(value), **more}
        if over is not None:
            item["ttl"] = to_attribute(math.ceil(over + self._retention_seconds))
        retry_for = PATIENT_RETRY_FOR if patient else RETRY_FOR
        put = ConditionalPut(
            item_type.writing,
            item,
            item_type.attributes,
            value.version - 1,
            retry_for,
            self._clock(),
            revives,
        )
        answer = self._commits.write(put)
        for _ in range(2):
            if answer is None:
                answer = self._put_alone(put)
            if answer.stored:
                return None
            found = (
                item_type.from_item(answer.existing)
                if answer.existing
                else self.read_item(item_type, put.key)
            )
            if found is not None:
                # A put that is repeated because its answer was lost finds itself.
                is_own = (found.version, found.writer) == (value.version, value.writer)
                return None if is_own else found
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
            lambda: self._put_once(put),
            retry_for=max(0.0, put.retry_for - (self._clock() - put.began)),
        )

    def _put_once(self, put: ConditionalPut) -> Answer:
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

    def read_item(self, item_type: ItemType[T], key: str, *, retry_for: float = RETRY_FOR) -> T | None:
        """Return the newest version of a value, None where there is none."""
        answer = self._aws.call(
            item_type.reading,
            lambda: self._aws.dynamodb.get_item(
                TableName=self._table_name, Key={"pk": to_attribute(key)}, ConsistentRead=True
            ),
            retry_for=retry_for,
        )
        return item_type.from_item(answer["Item"]) if "Item" in answer else None

    def read_items(self, item_type: ItemType[T], keys: Sequence[str]) -> Iterator[T]:
        """The newest versions of several values; those that are not there are left out."""
        for start in range(0, len(keys), _KEYS_A_CALL):
            group = self._read_group(item_type.reading, keys[start : start + _KEYS_A_CALL])
            yield from map(item_type.from_item, group)

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
