"""SQS: a standard queue, and the event source mapping that hands its batches to the function.

Delivered at least once and in no order; a message that is handed out is hidden until its visibility
timeout ends or it is deleted by its newest receipt. Groups make a fair queue: who has much in flight waits
for those who have little. Not modelled: long polling, message size, batch windows.
"""

# ruff: noqa: N803 - the names of a request's fields are AWS's

from __future__ import annotations

import threading
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from heapq import heappop, heappush
from itertools import count
from random import Random
from typing import Any

from tests.fakes.aws import Refusal

RETENTION = 14 * 86400.0
VISIBILITY_TIMEOUT = 432.0
MAX_IN_FLIGHT = 120_000
MAX_DELAY = 900
MAX_VISIBILITY = 43_200
MAX_RECEIVES = 1000
"""As the template has it, like the visibility timeout."""
_COPIES_AFTER = (0.01, 0.5, 3.0, 61.0, VISIBILITY_TIMEOUT + 5, 1000.0)


@dataclass(slots=True)
class Stored:
    """One message on the queue."""

    id: str
    body: str
    group: str | None
    attributes: Mapping[str, str]
    sent_at: float
    receives: int = 0
    receipt: str | None = None
    generation: int = 0
    chain: int = 0
    """Invocations that led to it."""

    @property
    def number(self) -> str:
        """What tells it, while it is in flight, from all others, copies of itself included."""
        return (self.receipt or "").partition("/")[0]


class FakeSqs:
    """One standard queue; ``dead_letters`` takes what was received too often.

    ``copies_after`` are the seconds after which a message may come once more, though it was deleted or is
    being worked on.
    """

    def __init__(
        self,
        now: Callable[[], float],
        name: str,
        *,
        dead_letters: FakeSqs | None = None,
        receives_most: int = MAX_RECEIVES,
        copies_after: Sequence[float] = _COPIES_AFTER,
        visibility_timeout: float = VISIBILITY_TIMEOUT,
    ) -> None:
        self.received = 0
        self.doubled: list[str] = []
        """The bodies of the messages that came once more than they had to."""
        self.messages: dict[int, Stored] = {}
        self.on_arrival: Callable[[], None] = lambda: None
        self.handed_out: dict[str, list[float]] = defaultdict(list)
        """When each was, by its number."""
        self._now = now
        self._lock = threading.Lock()
        self._copies_after = copies_after
        self._visibility_timeout = visibility_timeout
        self._name = name
        self._dead_letters = dead_letters
        self._receives_most = receives_most
        self._hidden: list[tuple[float, int, int]] = []
        self._ready: dict[str | None, deque[int]] = {}
        self._in_flight: Counter[str | None] = Counter()
        self._numbers = count(1)
        self._by_receipt: dict[str, int] = {}

    def put(
        self,
        body: str,
        *,
        group: str | None = None,
        delay: int = 0,
        attributes: Mapping[str, str] | None = None,
        chain: int = 0,
    ) -> str:
        """Store a message; its id."""
        with self._lock:
            if not 0 <= delay <= MAX_DELAY:
                raise Refusal("InvalidParameterValue")
            if not body:
                raise Refusal("MissingParameter")
            number = next(self._numbers)
            now = self._now()
            stored = Stored(f"{number:08x}-{self._name}", body, group, dict(attributes or {}), now)
            stored.chain = chain
            self.messages[number] = stored
            self._show(number, stored, now + delay)
            return stored.id

    def receive(self, most: int, chance: Random, copies: float) -> list[Stored]:
        """Hand out what is visible, ``most`` messages at most."""
        with self._lock:
            self._surface()
            found: list[Stored] = []
            while len(found) < most and self._ready:
                if self._in_flight.total() >= MAX_IN_FLIGHT:
                    break
                # No set and no hash decides: the groups stand in the order in which they came.
                group = min(self._ready, key=lambda name: self._in_flight[name])
                waiting = self._ready[group]
                if len(waiting) > 1 and chance.random() < 0.2:
                    waiting.rotate(-chance.randrange(min(len(waiting), 20)))
                number = waiting.popleft()
                if not waiting:
                    del self._ready[group]
                stored = self.messages.get(number)
                if stored is None or self._gone(number, stored):
                    continue
                found.append(self._hand_out(number, stored))
                if chance.random() < copies:
                    self._copy(stored, chance.choice(self._copies_after))
            return found

    def delete(self, receipt: str) -> None:
        """Delete a message by a receipt; an old one works as well, as on a real queue."""
        with self._lock:
            number = self._by_receipt.pop(receipt, None)
            stored = self.messages.pop(number, None) if number is not None else None
            if stored is not None:
                self._end_flight(stored)
                self._by_receipt.pop(stored.receipt or "", None)

    def hide(self, receipt: str, seconds: int) -> None:
        """Set a message's visibility timeout anew."""
        with self._lock:
            if not 0 <= seconds <= MAX_VISIBILITY:
                raise Refusal("InvalidParameterValue")
            number = self._by_receipt.get(receipt)
            stored = self.messages.get(number) if number is not None else None
            if number is None or stored is None:
                raise Refusal("ReceiptHandleIsInvalid")
            if stored.receipt != receipt:
                raise Refusal("MessageNotInflight")
            stored.generation += 1
            heappush(self._hidden, (self._now() + seconds, number, stored.generation))

    def next_visible_at(self) -> float | None:
        """When a hidden message may be due; in the past where one may be visible now."""
        with self._lock:
            if self._ready:
                return 0.0
            return self._hidden[0][0] if self._hidden else None

    def __len__(self) -> int:
        return len(self.messages)

    def _is_over(self, number: int, generation: int) -> bool:
        """Whether a message is gone or was hidden anew."""
        stored = self.messages.get(number)
        return stored is None or stored.generation != generation

    def _show(self, number: int, stored: Stored, when: float) -> None:
        if when <= self._now():
            self._ready.setdefault(stored.group, deque()).append(number)
        else:
            heappush(self._hidden, (when, number, stored.generation))
        self.on_arrival()

    def _surface(self) -> None:
        while self._hidden and self._hidden[0][0] <= self._now():
            _, number, generation = heappop(self._hidden)
            if self._is_over(number, generation):
                continue
            stored = self.messages[number]
            self._end_flight(stored)
            self._ready.setdefault(stored.group, deque()).append(number)

    def _end_flight(self, stored: Stored) -> None:
        if stored.receipt is not None:
            stored.receipt = None
            self._in_flight[stored.group] -= 1

    def _gone(self, number: int, stored: Stored) -> bool:
        if self._now() - stored.sent_at <= RETENTION:
            if self._dead_letters is None or stored.receives < self._receives_most:
                return False
            self._dead_letters.put(stored.body, group=stored.group, attributes=stored.attributes)
        del self.messages[number]
        return True

    def _hand_out(self, number: int, stored: Stored) -> Stored:
        stored.receives += 1
        stored.generation += 1
        stored.receipt = f"{number}/{stored.receives}"
        self._by_receipt[stored.receipt] = number
        self._in_flight[stored.group] += 1
        self.received += 1
        self.handed_out[str(number)].append(self._now())
        heappush(self._hidden, (self._now() + self._visibility_timeout, number, stored.generation))
        return stored

    def _copy(self, stored: Stored, after: float) -> None:
        duplicate = copy(stored)
        duplicate.receipt = None
        number = next(self._numbers)
        self.messages[number] = duplicate
        self.doubled.append(stored.body)
        heappush(self._hidden, (self._now() + after, number, duplicate.generation))


class SqsApi:
    """The requests to SQS that the service makes, on the queues by their URLs."""

    def __init__(
        self,
        queues: dict[str, FakeSqs],
        chance: Random,
        entry_lost: Callable[[], float],
        lineage: Callable[[], int] = lambda: 0,
        put: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._lineage = lineage
        self._queues = queues
        self._is_told = put
        self._chance = chance
        self._entry_lost = entry_lost

    def send_message(self, *, QueueUrl: str, **message: Any) -> dict[str, Any]:
        """Put one message on a queue."""
        return {"MessageId": self._put(QueueUrl, message)}

    def send_message_batch(self, *, QueueUrl: str, Entries: list[dict[str, Any]]) -> dict[str, Any]:
        """Put up to ten messages on a queue, each of which may fail by itself."""
        if not 1 <= len(Entries) <= 10 or len({entry["Id"] for entry in Entries}) < len(Entries):
            raise Refusal("InvalidParameterValue")
        successful, failed = [], []
        for entry in Entries:
            try:
                if self._chance.random() < self._entry_lost():
                    raise Refusal("InternalError")  # noqa: TRY301 - as a refusal is told
                successful.append({"Id": entry["Id"], "MessageId": self._put(QueueUrl, entry)})
            except Refusal as error:
                # Only those that are said to be successful are.
                if self._chance.random() < 0.5:
                    failed.append({"Id": entry["Id"], "Code": error.code, "SenderFault": False})
        return {"Successful": successful, "Failed": failed}

    def change_message_visibility(
        self, *, QueueUrl: str, ReceiptHandle: str, VisibilityTimeout: int
    ) -> dict[str, Any]:
        """Hide a received message for longer or shorter."""
        self._queues[QueueUrl].hide(ReceiptHandle, VisibilityTimeout)
        return {}

    def _put(self, url: str, message: dict[str, Any]) -> str:
        attributes = {
            name: value["StringValue"] for name, value in message.get("MessageAttributes", {}).items()
        }
        self._is_told(message["MessageBody"])
        return self._queues[url].put(
            message["MessageBody"],
            group=message.get("MessageGroupId"),
            delay=message.get("DelaySeconds", 0),
            attributes=attributes,
            chain=self._lineage(),
        )


def records(batch: Sequence[Stored]) -> list[dict[str, Any]]:
    """The records of the event that Lambda makes of a batch."""
    return [
        {
            "messageId": stored.id,
            "receiptHandle": stored.receipt,
            "body": stored.body,
            "attributes": {
                "ApproximateReceiveCount": str(stored.receives),
                "SentTimestamp": str(int(stored.sent_at * 1000)),
            },
            "messageAttributes": {
                name: {"stringValue": value, "dataType": "String"}
                for name, value in stored.attributes.items()
            },
            "eventSource": "aws:sqs",
            "awsRegion": "cn-north-1",
        }
        for stored in batch
    ]


def succeeded(batch: Sequence[Stored], receipts: Sequence[str], answer: object) -> list[str]:
    """The receipts of what Lambda deletes, by the handler's answer; none where the answer is no good.

    https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html
    """
    if answer is None or answer == {}:
        return list(receipts)
    if not isinstance(answer, dict):
        return []
    failures = answer.get("batchItemFailures")
    if failures is None:
        return list(receipts)
    known = {stored.id for stored in batch}
    failed = {item.get("itemIdentifier") for item in failures}
    if not failed <= known:  # an empty, missing or unknown identifier: the whole batch has failed
        return []
    return [receipt for stored, receipt in zip(batch, receipts, strict=True) if stored.id not in failed]
