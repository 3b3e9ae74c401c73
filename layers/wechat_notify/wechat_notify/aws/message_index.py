"""The index of the ledger's table by account and status: which messages came when, the newest first.

An entry is listed when its message has come to its end, or waits after an attempt. Its key in the index is
``<account>#<status>#<shard>`` and the time at which the message was handed over; neither changes while the
status stays, and a claim is not listed. So a message that is sent costs one write of the index.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import chain, groupby, islice
from typing import Any

from wechat_notify.aws.clients import Clients
from wechat_notify.aws.items import to_attribute
from wechat_notify.aws.ledger_items import SHARDS, message_id, partition
from wechat_notify.core.delivery.listing import Position
from wechat_notify.core.outcomes import Status

INDEX = "listed"
RETRY_FOR = 2.5
_THREADS = 10


class MessageIndex:
    """The index, by its table's name. Every method raises ``StorageError``."""

    def __init__(self, aws: Clients, table_name: str) -> None:
        self._aws = aws
        self._table_name = table_name

    def newest(
        self,
        account: str,
        statuses: Iterable[Status],
        *,
        since: float | None = None,
        before: Position | None = None,
        page: int,
    ) -> Iterator[Position]:
        """The positions of an account's messages, the newest first.

        Parameters
        ----------
        account : str
            The account.
        statuses : Iterable
            The messages' statuses.
        since : float, optional
            The oldest time, seconds since the epoch.
        before : Position, optional
            The position after which to go on.
        page : int
            How many are read from a partition at a time.
        """
        partitions = [partition(account, status, shard) for status in statuses for shard in range(SHARDS)]
        until = before.created_at if before else None
        queries = [self._positions(name, since, until, page) for name in partitions]
        with ThreadPoolExecutor(_THREADS) as threads:
            # One less than is read: that the last one of its millisecond is the last is known from the next.
            first = threads.map(lambda query: list(islice(query, page - 1)), queries)
        rows = [chain(head, rest) for head, rest in zip(first, queries, strict=True)]
        # Of the messages of one millisecond some may have been seen, and some not.
        return (each for each in heapq.merge(*rows, reverse=True) if before is None or each < before)

    def count_sent(self, account: str, since: float, limit: int) -> Counter[str]:
        """Count by kind what was sent of the messages that came since a time; at most about ``limit``."""
        counts: Counter[str] = Counter()
        for shard in range(SHARDS):
            for status in (Status.SENT, Status.DELIVERED, Status.UNDELIVERED):
                name = partition(account, status, shard)
                for item in self._items(name, since, None, None):
                    counts[item["kind"]["S"]] += 1
                    if counts.total() >= limit:
                        return counts
        return counts

    def _positions(
        self, name: str, since: float | None, until: float | None, page: int
    ) -> Iterator[Position]:
        items = self._items(name, since, until, page)
        # The index knows no order among those of one millisecond.
        for created_at, same in groupby(items, lambda item: float(item["created_at"]["N"])):
            ids = sorted((message_id(item["pk"]["S"]) for item in same), reverse=True)
            yield from (Position(created_at, each) for each in ids)

    def _items(
        self, name: str, since: float | None, until: float | None, page: int | None
    ) -> Iterator[dict[str, Any]]:
        condition, values = "listed = :listed", {":listed": to_attribute(name)}
        if since is not None and until is not None:
            condition += " AND created_at BETWEEN :since AND :until"
        elif since is not None:
            condition += " AND created_at >= :since"
        elif until is not None:
            condition += " AND created_at <= :until"
        bounds = {":since": since, ":until": until}
        values |= {name: to_attribute(float(at)) for name, at in bounds.items() if at is not None}
        request: dict[str, Any] = {
            "TableName": self._table_name,
            "IndexName": INDEX,
            "KeyConditionExpression": condition,
            "ExpressionAttributeValues": values,
            "ScanIndexForward": False,
            **({"Limit": page} if page else {}),
        }

        # What the answer holds is read within the call, which makes one error of all that is wrong with it.
        def query() -> tuple[Sequence[dict[str, Any]], object]:
            answer = self._aws.dynamodb.query(**request)
            return answer["Items"], answer.get("LastEvaluatedKey")

        while True:
            items, last = self._aws.call("list messages", query, retry_for=RETRY_FOR)
            yield from items
            if not last:
                return
            request["ExclusiveStartKey"] = last
