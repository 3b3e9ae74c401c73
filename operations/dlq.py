"""Look into the dead letter queue and send its messages once more: ``python operations/dlq.py --help``.

It receives, sends and deletes: SQS's own redrive does not exist in the China regions. Python 3.11 and boto3
are all it needs, so it may be copied to any machine as it stands.

Wherever it is stopped, nothing is lost and nothing goes to WeChat twice. A message is deleted only after its
copy was sent, and the copy carries the SQS message id under which the service received the body first. That
is the message's id where the body names none, and the service sends one id once; a body that it cannot read
comes back under the same id.

Permissions: ``sqs:GetQueueAttributes``, ``ReceiveMessage``, ``ChangeMessageVisibility`` and ``DeleteMessage``
on the dead letter queue, ``sqs:SendMessage`` on the target.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import re
import signal
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final, Self

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, NoRegionError
from botocore.utils import is_valid_endpoint_url

_BATCH: Final = 10
_BATCH_BYTES: Final = 256 * 1024
"""SQS took no more in one request for most of its life."""
_MAX_READ: Final = 100_000
"""SQS hands out no more than 120,000 messages of a queue at a time."""
_EMPTY_RECEIVES: Final = 3
"""A receive that brings nothing does not mean that there is nothing: several in a row do."""
_WAIT_SECONDS = 1
"""Above 0 SQS asks all of its servers and not a sample of them."""
_PROGRESS_EVERY: Final = 100

_CONTENT_ERRORS: Final = ("BatchRequestTooLong", "InvalidMessageContents", "InvalidParameterValue")
"""SQS's errors about one body; any other error concerns all messages."""
_ACCOUNT: Final = re.compile(r"[a-z0-9-]{1,64}")
_REGION: Final = re.compile(r"\bsqs\.([a-z0-9-]+)\.amazonaws\.com")

AwsError = (BotoCoreError, ClientError)


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """One message of the queue.

    ``first_id`` is the SQS message id of the body's first receive, ``producer_id`` the id that the body
    itself names, and ``reason`` the rule that was broken.
    """

    message_id: str
    first_id: str
    producer_id: str
    body: str
    reason: str
    receive_count: int
    sent_at: float

    @classmethod
    def of(cls, message: dict[str, Any]) -> Self:
        """A message as SQS hands it out."""
        system, attributes = message["Attributes"], message.get("MessageAttributes", {})
        strings = {name: a["StringValue"] for name, a in attributes.items() if a["DataType"] == "String"}
        moved = "received too often: moved by SQS" if "DeadLetterQueueSourceArn" in system else ""
        return cls(
            message_id=message["MessageId"],
            first_id=strings.get("message_id") or message["MessageId"],
            producer_id=strings.get("id", ""),
            body=message["Body"],
            reason=strings.get("reason") or moved,
            receive_count=int(system["ApproximateReceiveCount"]),
            sent_at=int(system["SentTimestamp"]) / 1000,
        )

    @property
    def data(self) -> bytes:
        """The body as SQS counts it."""
        return self.body.encode("utf-8", "surrogatepass")

    def entry(self, entry_id: str) -> dict[str, Any]:
        """Return the message to send again; the attributes other than the id belong to the dead letter."""
        entry: dict[str, Any] = {
            "Id": entry_id,
            "MessageBody": self.body,
            "MessageAttributes": {"message_id": {"DataType": "String", "StringValue": self.first_id}},
        }
        if account := _account(self.body):
            entry["MessageGroupId"] = account  # fair queues: one account's thousands do not hold up another
        return entry


Copies = list[DeadLetter]
"""Dead letters with the same first id and the same body: one message, however often it is there."""


class DeadLetterQueue:
    """The messages that are read stay hidden from other readers until deleted, or the ``with`` block ends."""

    def __init__(self, sqs: Any, url: str) -> None:
        self._sqs = sqs
        self._url = url
        self._held: dict[str, str] = {}  # receipt handles by message id
        counts = [f"ApproximateNumberOfMessages{which}" for which in ("", "NotVisible", "Delayed")]
        names = ["RedrivePolicy", *counts]
        attributes = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]
        self.gives_up_messages = bool(attributes.get("RedrivePolicy"))
        self.there = sum(int(attributes[name]) for name in counts)
        self.hidden = int(attributes["ApproximateNumberOfMessagesNotVisible"])
        # A tenth of a second for each message is three calls for ten from the other side of the world.
        self._hold_seconds = 60 + min(self.there, _MAX_READ) // 10

    def __enter__(self) -> Self:
        hidden = f", {self.hidden} of them hidden by another reader" if self.hidden else ""
        _say(f"about {self.there} messages there{hidden}")
        return self

    def __exit__(self, *_: object) -> None:
        try:
            with _unbroken():
                self._each_batch(self._held, self._sqs.change_message_visibility_batch, VisibilityTimeout=0)
        except AwsError as error:
            _say(f"error: {error}")
        if self._held:
            _say(f"{len(self._held)} messages are visible again only in {self._hold_seconds} s at the latest")

    def read(self, limit: int, is_wanted: Callable[[DeadLetter], bool]) -> list[Copies]:
        """Up to ``limit`` messages, oldest first; they were there before anything that is sent after."""
        found: dict[tuple[str, str], Copies] = {}
        count = empty = 0
        while count < limit and len(self._held) < _MAX_READ and empty < _EMPTY_RECEIVES:
            held_before = len(self._held)
            with _unbroken():
                answer = self._sqs.receive_message(
                    QueueUrl=self._url,
                    MaxNumberOfMessages=min(_BATCH, limit - count),
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
                count += 1
            _progress(held_before, len(self._held), "read")
        return sorted(found.values(), key=lambda copies: min(letter.sent_at for letter in copies))

    def delete(self, letters: Iterable[DeadLetter]) -> int:
        """Delete what was read; how many could be deleted."""
        return self._each_batch((letter.message_id for letter in letters), self._sqs.delete_message_batch)

    def _each_batch(self, ids: Iterable[str], call: Callable[..., Any], **options: int) -> int:
        """Call what lets go of these messages; how many it let go of."""
        remaining, before = list(ids), len(self._held)
        while batch := remaining[:_BATCH]:
            del remaining[:_BATCH]
            handles = [self._held[message_id] for message_id in batch]
            entries = [{"Id": str(n), "ReceiptHandle": handle, **options} for n, handle in enumerate(handles)]
            for number in _successful(call(QueueUrl=self._url, Entries=entries)):
                del self._held[batch[number]]
        return before - len(self._held)


@dataclass(slots=True)
class Tally:
    """The result of a redrive, also where it was stopped."""

    sent: int = 0
    deleted: int = 0
    failed: int = 0

    def __str__(self) -> str:
        return f"{self.sent} sent, {self.deleted} deleted from the dead letter queue, {self.failed} failed"


def redrive(queue: DeadLetterQueue, sqs: Any, target: str, found: Sequence[Copies], tally: Tally) -> None:
    """Send each message, then delete all its copies; one that could not be sent stays where it is."""
    for batch in _batches(found):
        with _unbroken():
            sent = _send(sqs, target, batch)
            tally.sent += len(sent)
            tally.failed += len(batch) - len(sent)
            done = [letter for copies in sent for letter in copies]
            deleted = queue.delete(done)
            tally.deleted += deleted
            tally.failed += len(done) - deleted
        if deleted < len(done):
            _say(f"sent, but not deleted: {len(done) - deleted}; they are still there, under the same ids")
        _progress(tally.sent - len(sent), tally.sent, f"of {len(found)} sent")


def _send(sqs: Any, target: str, batch: Sequence[Copies]) -> list[Copies]:
    """Those of which SQS says that it has taken them."""
    entries = [copies[0].entry(str(number)) for number, copies in enumerate(batch)]
    try:
        answer = sqs.send_message_batch(QueueUrl=target, Entries=entries)
    except ClientError as error:
        if not error.response["Error"]["Code"].endswith(_CONTENT_ERRORS):
            raise
        if len(batch) > 1:  # one of them is at fault, and must not hold up the others for ever
            return [sent for copies in batch for sent in _send(sqs, target, [copies])]
        answer = {"Failed": [{"Id": "0", **error.response["Error"]}]}
    for failure in answer.get("Failed", []):
        first_id = batch[int(failure["Id"])][0].first_id
        _say(f"not sent: {first_id}: {failure.get('Code')}: {failure.get('Message', '')}")
    return [batch[number] for number in _successful(answer)]


def show(found: Sequence[Copies], *, bodies: bool, as_json: bool) -> None:
    """Print a table, or a JSON line for each message; bodies hold personal data."""
    columns = ("age", "copies", "receives", "size", "digest", "id", "producer_id", "reason")
    table = [tuple(column.upper() for column in columns)]
    for copies in found:
        oldest = min(copies, key=lambda letter: letter.sent_at)
        seconds = max(0, int(time.time() - oldest.sent_at))
        receives = max(letter.receive_count for letter in copies)
        digest = hashlib.sha256(oldest.data).hexdigest()[:12]
        row = (
            seconds,
            len(copies),
            receives,
            len(oldest.data),
            digest,
            oldest.first_id,
            oldest.producer_id,
            oldest.reason,
        )
        if as_json:
            line = dict(zip(columns, row, strict=True)) | ({"body": oldest.body} if bodies else {})
            print(json.dumps(line))
        else:
            table.append((_age(seconds), *(_printable(str(value)) or "-" for value in row[1:])))
    if as_json:
        return
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    for row_number, cells in enumerate(table if found else []):
        print("  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)).rstrip())
        if bodies and row_number:
            print(f"    {_printable(found[row_number - 1][0].body)}")


def list_command(queue: DeadLetterQueue, _sqs: Any, options: argparse.Namespace) -> int:
    """Show what is there."""
    with queue:
        found = queue.read(options.limit, lambda _: True)
    show(found, bodies=options.bodies, as_json=options.json)
    summary = f"{sum(map(len, found))} messages read, {len(found)} of them different"
    print(summary, file=sys.stderr if options.json else sys.stdout)
    return 0


def redrive_command(queue: DeadLetterQueue, sqs: Any, options: argparse.Namespace) -> int:
    """Send once more what is there and asked for; 1 where any of it failed."""
    ids, reason = set(options.id or []), options.reason

    def is_wanted(letter: DeadLetter) -> bool:
        named = not ids or letter.first_id in ids or letter.producer_id in ids
        return named and (not reason or reason in letter.reason)

    tally = Tally()
    try:
        with queue:
            found = queue.read(options.limit, is_wanted)
            letters = [letter for copies in found for letter in copies]
            if missing := ids - {name for each in letters for name in (each.first_id, each.producer_id)}:
                _say(f"not found: {', '.join(sorted(missing))}")
            if not options.dry_run:
                redrive(queue, sqs, options.to, found, tally)
    finally:
        if not options.dry_run:
            print(tally)
    if options.dry_run:
        show(found, bodies=False, as_json=False)
        print(f"{len(found)} would be sent, {sum(map(len, found))} deleted from the dead letter queue")
    return 1 if tally.failed else 0


def _batches(found: Iterable[Copies]) -> Iterator[list[Copies]]:
    """As many as one request takes, of messages and of bytes."""
    batch: list[Copies] = []
    size = 0
    for copies in found:
        # SQS counts an attribute's name, type and value too.
        added = len(copies[0].data) + len(f"message_idString{copies[0].first_id}".encode())
        if batch and (len(batch) == _BATCH or size + added > _BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(copies)
        size += added
    if batch:
        yield batch


@contextmanager
def _unbroken() -> Iterator[None]:
    """Ctrl-C waits for the answer, a second one does not: SQS hides what it hands out to nobody."""
    asked = False

    def remember(*_: object) -> None:
        nonlocal asked
        asked = True
        signal.signal(signal.SIGINT, before)
        _say("waiting for SQS; Ctrl-C once more does not wait")

    before = signal.signal(signal.SIGINT, remember)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
    if asked:
        raise KeyboardInterrupt


def _successful(answer: dict[str, Any]) -> list[int]:
    """The entries of a batch that SQS says it has done, by their number: what it does not name has failed."""
    return [int(entry["Id"]) for entry in answer.get("Successful", [])]


def _account(body: str) -> str | None:
    """The account of a body that can be read. An event of the bus has one of its own: that of AWS."""
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return None
    envelope = value.get("detail", value) if isinstance(value, dict) else None
    account = envelope.get("account") if isinstance(envelope, dict) else None
    return account if isinstance(account, str) and _ACCOUNT.fullmatch(account) else None


def _age(seconds: int) -> str:
    for unit, length in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds >= length:
            return f"{seconds // length}{unit}"
    return f"{seconds}s"


def _printable(text: str) -> str:
    """Without what a terminal would obey: bodies and reasons come from outside."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def _say(text: str) -> None:
    print(_printable(text), file=sys.stderr)


def _progress(before: int, count: int, what: str) -> None:
    if count // _PROGRESS_EVERY > before // _PROGRESS_EVERY:
        _say(f"{count} {what}")


def _parser() -> argparse.ArgumentParser:
    def count(text: str) -> int:
        if not 1 <= int(text) <= _MAX_READ:
            raise argparse.ArgumentTypeError(f"1 to {_MAX_READ}")
        return int(text)

    def endpoint(text: str) -> str:
        if not is_valid_endpoint_url(text):
            raise argparse.ArgumentTypeError("not the address of a server")
        return text

    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument("--queue-url", required=True, metavar="URL", help="the dead letter queue")
    shared.add_argument(
        "--limit", type=count, default=_MAX_READ, metavar="N", help="at most so many messages"
    )
    shared.add_argument("--region", help="where the queue's address does not tell")
    shared.add_argument("--profile", help="of the AWS configuration")
    shared.add_argument("--endpoint-url", type=endpoint, metavar="URL", help="an SQS other than the region's")
    parser = argparse.ArgumentParser(
        description="The messages that were given up.",
        epilog="Exit codes: 0 done, 1 something failed, 2 wrong usage, 130 Ctrl-C.",
    )
    commands = parser.add_subparsers(required=True)
    command = commands.add_parser("list", parents=[shared], help="show what is there, and change nothing")
    command.add_argument("--bodies", action="store_true", help="with the bodies, which hold personal data")
    command.add_argument("--json", action="store_true", help="a JSON object a line; ages in seconds")
    command.set_defaults(run=list_command, to=None)
    command = commands.add_parser("redrive", parents=[shared], help="send once more what is there")
    command.add_argument("--to", required=True, metavar="URL", help="the queue to send to")
    command.add_argument("--id", nargs="+", action="extend", help="only these, as the list names them")
    command.add_argument("--reason", metavar="TEXT", help="only those whose reason holds this text")
    command.add_argument("--dry-run", action="store_true", help="show what would be sent, and change nothing")
    command.set_defaults(run=redrive_command)
    return parser


def _client(options: argparse.Namespace) -> Any:
    named = _REGION.search(options.queue_url)
    region = options.region or (named[1] if named else None)
    session = boto3.Session(profile_name=options.profile, region_name=region)
    if session.region_name is None:
        raise NoRegionError
    config = Config(connect_timeout=5, read_timeout=20, retries={"mode": "standard", "total_max_attempts": 5})
    return session.client("sqs", endpoint_url=options.endpoint_url, config=config)


def main(arguments: Sequence[str] | None = None, sqs: Any = None) -> int:
    """Run one command; the exit code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a terminal that knows no Chinese is no reason to stop
            stream.reconfigure(errors="backslashreplace")
    parser = _parser()
    options = parser.parse_args(arguments)
    urls = [url.rstrip("/") for url in (options.queue_url, options.to) if url is not None]
    if any(url.endswith(".fifo") for url in urls):
        parser.error("FIFO queues are not supported")
    if len(set(urls)) < len(urls):
        parser.error("--to is the dead letter queue itself")
    try:
        sqs = sqs or _client(options)
        queue = DeadLetterQueue(sqs, options.queue_url)
        if queue.gives_up_messages:
            parser.error("--queue-url has a dead letter queue of its own, so it is not one")
        code: int = options.run(queue, sqs, options)
    except NoRegionError:
        _say("error: --queue-url does not tell the region: give --region, such as --region eu-west-1")
        return 2
    except AwsError as error:
        _say(f"error: {error}")
        return 1
    except KeyboardInterrupt:
        _say("interrupted")
        return 130
    return code


if __name__ == "__main__":
    sys.exit(main())
