"""Read the dead letter queue, and send its messages once more.

It receives, sends and deletes: SQS's own redrive does not exist in the China regions.

Wherever it is stopped, nothing is lost and nothing goes to WeChat twice. A message is deleted only after its
copy was sent, and the copy carries the SQS message id under which the service received the body first. That
is the message's id where the body names none, and the service sends one id once; a body that it cannot read
comes back under the same id.
"""

from __future__ import annotations

import json
import signal
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final, Self

from wxn.accounts import is_name
from wxn.aws_errors import code_of
from wxn.language import text

BATCH: Final = 10
_BATCH_BYTES: Final = 256 * 1024
"""SQS took no more in one request for most of its life."""
MAX_READ: Final = 100_000
"""SQS hands out no more than 120,000 messages of a queue at a time."""
_EMPTY_RECEIVES: Final = 3
"""A receive that brings nothing does not mean that there is nothing: several in a row do."""
_WAIT_SECONDS: Final = 1
"""Above 0 SQS asks all of its servers and not a sample of them."""

_CONTENT_ERRORS: Final = ("BatchRequestTooLong", "InvalidMessageContents", "InvalidParameterValue")
"""SQS's errors about one body; any other error concerns all messages."""

Say = Callable[[str], None]
"""Tells a person something beside the result."""
Count = Callable[[int], None]
"""Is told how many messages are done."""


class Target(StrEnum):
    """The queue that a dead letter is sent to, by its resource in the stack."""

    SEND = "SendQueue"
    BROADCAST = "BroadcastQueue"
    STEPS = "BroadcastStepQueue"


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """One message of the queue.

    ``first_id`` is the SQS message id of the body's first receive, ``producer_id`` the id that the body
    itself names, and ``reason`` the rule that was broken. ``source`` is the name of the queue that SQS moved
    it from, empty where a function put it here.
    """

    message_id: str
    first_id: str
    producer_id: str
    body: str
    reason: str
    receive_count: int
    sent_at: float
    source: str = ""

    @classmethod
    def of(cls, message: Mapping[str, Any]) -> Self:
        """A message as SQS hands it out."""
        system, attributes = message["Attributes"], message.get("MessageAttributes", {})
        strings = {name: a["StringValue"] for name, a in attributes.items() if a["DataType"] == "String"}
        source = system.get("DeadLetterQueueSourceArn", "").rpartition(":")[2]
        moved = "received too often: moved by SQS" if source else ""
        return cls(
            message_id=message["MessageId"],
            first_id=strings.get("message_id") or message["MessageId"],
            producer_id=strings.get("id", ""),
            body=message["Body"],
            reason=strings.get("reason") or moved,
            receive_count=int(system["ApproximateReceiveCount"]),
            sent_at=int(system["SentTimestamp"]) / 1000,
            source=source,
        )

    @property
    def data(self) -> bytes:
        """The body as SQS counts it."""
        return self.body.encode("utf-8", "surrogatepass")

    @property
    def is_step(self) -> bool:
        """True of a broadcast's step: the broadcast's next call sends it anew."""
        value = decoded(self.body)
        return isinstance(value, dict) and {"broadcast", "step"} <= value.keys()

    def entry(self, entry_id: str) -> dict[str, Any]:
        """Return the message to send again; the attributes other than the id belong to the dead letter."""
        entry: dict[str, Any] = {
            "Id": entry_id,
            "MessageBody": self.body,
            "MessageAttributes": {"message_id": {"DataType": "String", "StringValue": self.first_id}},
        }
        if account := account_of(self.body):
            entry["MessageGroupId"] = account  # fair queues: one account's thousands do not hold up another
        return entry


Copies = list[DeadLetter]
"""Dead letters with the same first id and the same body: one message, however often it is there."""


class DeadLetterQueue:
    """The messages that are read stay hidden from other readers until deleted, or the ``with`` block ends.

    Parameters
    ----------
    sqs, url
        A boto3 client, and the queue.
    say
        Tells a person what happens.
    """

    def __init__(self, sqs: Any, url: str, say: Say = lambda _: None) -> None:
        self._sqs = sqs
        self._url = url
        self._say = say
        self._held: dict[str, str] = {}  # receipt handles by message id
        counts = [f"ApproximateNumberOfMessages{which}" for which in ("", "NotVisible", "Delayed")]
        attributes = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=counts)["Attributes"]
        self.there = sum(int(attributes[name]) for name in counts)
        self.hidden = int(attributes["ApproximateNumberOfMessagesNotVisible"])
        # A tenth of a second for each message is three calls for ten from the other side of the world.
        self._hold_seconds = 60 + min(self.there, MAX_READ) // 10

    def __enter__(self) -> Self:
        hidden = text(
            f", {self.hidden} of them hidden by another reader",
            f"，其中 {self.hidden} 条正被其他读取者占用",
        )
        about = text(f"about {self.there} messages there", f"队列中约有 {self.there} 条消息")
        self._say(f"{about}{hidden if self.hidden else ''}")
        return self

    def __exit__(self, *_: object) -> None:
        from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415 - --help starts without it

        try:
            with unbroken(self._say):
                self._each_batch(self._held, self._sqs.change_message_visibility_batch, VisibilityTimeout=0)
        except (BotoCoreError, ClientError) as error:
            self._say(text(f"error: {error}", f"错误：{error}"))
        if self._held:
            self._say(
                text(
                    f"{len(self._held)} messages are visible again only in {self._hold_seconds} s at the latest",
                    f"{len(self._held)} 条消息最迟 {self._hold_seconds} 秒后才重新可见",
                )
            )

    def read(
        self,
        limit: int,
        is_wanted: Callable[[DeadLetter], bool],
        count: Count = lambda _: None,
        *,
        is_extra: Callable[[DeadLetter], bool] = lambda _: False,
    ) -> list[Copies]:
        """Up to ``limit`` messages, oldest first; they were there before anything that is sent after.

        Those that are ``is_extra`` come along, and do not count.
        """
        found: dict[tuple[str, str], Copies] = {}
        wanted = empty = 0
        while wanted < limit and len(self._held) < MAX_READ and empty < _EMPTY_RECEIVES:
            with unbroken(self._say):
                answer = self._sqs.receive_message(
                    QueueUrl=self._url,
                    MaxNumberOfMessages=min(BATCH, limit - wanted),
                    WaitTimeSeconds=_WAIT_SECONDS,
                    VisibilityTimeout=self._hold_seconds,
                    AttributeNames=["All"],  # its successor is unknown to a boto3 from before June 2024
                    MessageAttributeNames=["message_id", "id", "reason"],
                )
                messages = answer.get("Messages", [])
                new = [message for message in messages if message["MessageId"] not in self._held]
                # One that was hidden for too short a time comes again: its newest handle is what counts.
                self._held.update((message["MessageId"], message["ReceiptHandle"]) for message in messages)
            empty = 0 if new else empty + 1
            for letter in filter(is_wanted, map(DeadLetter.of, new)):
                found.setdefault((letter.first_id, letter.body), []).append(letter)
                wanted += not is_extra(letter)
            count(len(self._held))
        return sorted(found.values(), key=lambda copies: min(letter.sent_at for letter in copies))

    def delete(self, letters: Iterable[DeadLetter]) -> int:
        """Delete what was read; how many could be deleted."""
        return self._each_batch((letter.message_id for letter in letters), self._sqs.delete_message_batch)

    def _each_batch(self, ids: Iterable[str], call: Callable[..., Any], **options: int) -> int:
        """Call what lets go of these messages; how many it let go of."""
        remaining, before = list(ids), len(self._held)
        while batch := remaining[:BATCH]:
            del remaining[:BATCH]
            handles = [self._held[message_id] for message_id in batch]
            entries = [{"Id": str(n), "ReceiptHandle": handle, **options} for n, handle in enumerate(handles)]
            for number in _successful(call(QueueUrl=self._url, Entries=entries)):
                del self._held[batch[number]]
        return before - len(self._held)


@dataclass(slots=True)
class Tally:
    """The result of a redrive, also where it was stopped. ``not_sent`` has SQS's reasons."""

    sent: int = 0
    deleted: int = 0
    failed: int = 0
    not_sent: list[dict[str, str]] = field(default_factory=list)


class Redrive:
    """Sends dead letters to the queues that they came from.

    Parameters
    ----------
    queue
        The dead letter queue that was read.
    sqs, targets
        A boto3 client, and the URLs of the queues.
    tally
        It counts what was done.
    """

    def __init__(
        self,
        queue: DeadLetterQueue,
        sqs: Any,
        targets: Mapping[Target, str],
        *,
        tally: Tally,
        say: Say,
        count: Count,
    ) -> None:
        self._queue = queue
        self._sqs = sqs
        self._targets = targets
        self._tally = tally
        self._say = say
        self._count = count

    def run(self, found: Iterable[Copies]) -> None:
        """Send each message, then delete all its copies; one that could not be sent stays where it is."""
        by_target: dict[Target, list[Copies]] = defaultdict(list)
        for copies in found:
            by_target[target_of(copies[0], self._targets)].append(copies)
        for target, messages in by_target.items():
            for batch in _batches(messages):
                self._run_batch(self._targets[target], batch)

    def _run_batch(self, url: str, batch: Sequence[Copies]) -> None:
        tally = self._tally
        with unbroken(self._say):
            sent = self._send(url, batch)
            tally.sent += len(sent)
            tally.failed += len(batch) - len(sent)
            done = [letter for copies in sent for letter in copies]
            deleted = self._queue.delete(done)
            tally.deleted += deleted
            tally.failed += len(done) - deleted
        if deleted < len(done):
            undeleted = len(done) - deleted
            self._say(
                text(
                    f"sent, but not deleted: {undeleted}; they are still there, under the same ids",
                    f"已发送但未能删除：{undeleted} 条，仍在队列中，ID 不变",
                )
            )
        self._count(tally.sent)

    def _send(self, url: str, batch: Sequence[Copies]) -> list[Copies]:
        """Send one batch; return the messages that SQS says it has taken."""
        from botocore.exceptions import ClientError  # noqa: PLC0415 - --help starts without it

        entries = [copies[0].entry(str(number)) for number, copies in enumerate(batch)]
        try:
            answer = self._sqs.send_message_batch(QueueUrl=url, Entries=entries)
        except ClientError as error:
            if not code_of(error).endswith(_CONTENT_ERRORS):
                raise
            if len(batch) > 1:  # one of them is at fault, and must not hold up the others for ever
                return [sent for copies in batch for sent in self._send(url, [copies])]
            answer = {"Failed": [{"Id": "0", **error.response["Error"]}]}
        for failure in answer.get("Failed", []):
            first_id, code = batch[int(failure["Id"])][0].first_id, failure.get("Code", "")
            told = failure.get("Message", "")
            self._tally.not_sent.append({"id": first_id, "code": code, "message": told})
            self._say(text(f"not sent: {first_id}: {code}: {told}", f"未能发送：{first_id}：{code}：{told}"))
        return [batch[number] for number in _successful(answer)]


def target_of(letter: DeadLetter, targets: Mapping[Target, str]) -> Target:
    """The queue that SQS moved it from. What a function put here is for the send queue: rows are readable."""
    return next(
        (target for target, url in targets.items() if url.rpartition("/")[2] == letter.source), Target.SEND
    )


def _batches(found: Iterable[Copies]) -> Iterator[list[Copies]]:
    """Batches that fit into one request, by their number of messages and of bytes."""
    batch: list[Copies] = []
    size = 0
    for copies in found:
        # SQS counts an attribute's name, type and value too.
        added = len(copies[0].data) + len(f"message_idString{copies[0].first_id}".encode())
        if batch and (len(batch) == BATCH or size + added > _BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(copies)
        size += added
    if batch:
        yield batch


@contextmanager
def unbroken(say: Say) -> Iterator[None]:
    """Ctrl-C waits for the answer, a second one does not: SQS hides what it hands out to nobody."""
    asked = False

    def remember(*_: object) -> None:
        nonlocal asked
        asked = True
        signal.signal(signal.SIGINT, before)
        say(text("waiting for SQS; Ctrl-C once more does not wait", "正在等待 SQS，再按一次 Ctrl-C 立即退出"))

    before = signal.signal(signal.SIGINT, remember)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
    if asked:
        raise KeyboardInterrupt


def _successful(answer: Mapping[str, Any]) -> list[int]:
    """The entries of a batch that SQS says it has done, by their number: what it does not name has failed."""
    return [int(entry["Id"]) for entry in answer.get("Successful", [])]


def decoded(body: str) -> Any:
    """The JSON of a body; None where it is none."""
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def account_of(body: str) -> str | None:
    """The account of a body that can be read. An event of the bus has one of its own: that of AWS."""
    value = decoded(body)
    envelope = value.get("detail", value) if isinstance(value, dict) else None
    account = envelope.get("account") if isinstance(envelope, dict) else None
    return account if isinstance(account, str) and is_name(account) else None
