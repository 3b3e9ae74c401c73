"""Split entries into the batches that SQS and EventBridge accept."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")

_BATCH_ENTRIES = 10
_BATCH_BYTES = 262_144
"""SQS has since raised its bytes, EventBridge has not."""


def chunks(entries: Iterable[T], size: Callable[[T], int]) -> Iterator[list[T]]:
    """The entries in lists that one call takes; ``size`` is an entry's in bytes."""
    batch: list[T] = []
    room = _BATCH_BYTES
    for entry in entries:
        needed = size(entry)
        if batch and (len(batch) == _BATCH_ENTRIES or needed > room):
            yield batch
            batch, room = [], _BATCH_BYTES
        batch.append(entry)
        room -= needed
    if batch:
        yield batch
