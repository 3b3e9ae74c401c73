"""The dead letter tool against an SQS in this process, whose answers a test may bend."""

from __future__ import annotations

import ast
import json
import os
import random
import re
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from operations import dlq
from tests.integration.raw_server import Connection, RawServer, Request, answer
from wechat_notify.core.errors import MalformedBodyError
from wechat_notify.core.messages.envelope import parse_queue_body

SCRIPT = Path(dlq.__file__)
UNREADABLE = "no JSON: 深圳"

Call = Callable[..., dict[str, Any]]
Bend = Callable[[Call, dict[str, Any]], dict[str, Any]]


def readable(number: int, account: str = "shop") -> str:
    return json.dumps({"account": account, "message": {"kind": "template", "touser": f"openid-{number}"}})


def aws_error(code: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": "no"}}, "Op")


@dataclass
class Sqs:
    """A dead letter queue and a send queue; calls of the tool are noted, and bent where a test says so."""

    real: Any
    calls: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    bent: dict[str, Bend] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.dlq: str = self.real.create_queue(QueueName="dead")["QueueUrl"]
        self.target: str = self.real.create_queue(QueueName="send")["QueueUrl"]

    def __getattr__(self, method: str) -> Call:
        def call(**request: Any) -> dict[str, Any]:
            self.calls.append((method, request))
            real: Call = getattr(self.real, method)
            return self.bent[method](real, request) if method in self.bent else real(**request)

        return call

    def bend(self, method: str, bend: Bend) -> None:
        self.bent[method] = bend

    def requests(self, method: str) -> list[dict[str, Any]]:
        return [request for name, request in self.calls if name == method]

    def put(self, body: str, **attributes: str) -> str:
        """A dead letter; its SQS message id."""
        typed = {name: {"DataType": "String", "StringValue": value} for name, value in attributes.items()}
        sent = self.real.send_message(QueueUrl=self.dlq, MessageBody=body, MessageAttributes=typed)
        return str(sent["MessageId"])

    def look(self, url: str) -> list[dict[str, Any]]:
        """What can be received at this moment; it can be received again afterwards."""
        found: list[dict[str, Any]] = []
        while messages := self.real.receive_message(
            QueueUrl=url,
            MaxNumberOfMessages=10,
            WaitTimeSeconds=0,
            VisibilityTimeout=60,
            MessageAttributeNames=["All"],
            AttributeNames=["All"],
        ).get("Messages"):
            found += messages
        for message in found:
            self.real.change_message_visibility(
                QueueUrl=url, ReceiptHandle=message["ReceiptHandle"], VisibilityTimeout=0
            )
        return found

    def bodies(self, url: str) -> list[str]:
        return sorted(message["Body"] for message in self.look(url))

    def ids(self, url: str) -> list[tuple[str, str]]:
        """The ids and bodies that the service would see."""
        return sorted((default_id(message), message["Body"]) for message in self.look(url))


@dataclass
class Ran:
    code: int
    out: str
    err: str

    @property
    def rows(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.out.splitlines()]


Run = Callable[..., Ran]


@pytest.fixture
def sqs(aws: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> Sqs:
    monkeypatch.setattr(dlq, "_WAIT_SECONDS", 0)
    return Sqs(aws("sqs"))


@pytest.fixture
def run(sqs: Sqs, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs the tool on the two queues."""

    def main(command: str, *arguments: str) -> Ran:
        urls = ["--queue-url", sqs.dlq, *(["--to", sqs.target] if command == "redrive" else [])]
        try:
            code: Any = dlq.main([command, *urls, *arguments], sqs)
        except SystemExit as stop:
            code = stop.code
        return Ran(code, *capsys.readouterr())

    return main


def default_id(message: Mapping[str, Any]) -> str:
    attribute = message.get("MessageAttributes", {}).get("message_id")
    return str(attribute["StringValue"] if attribute else message["MessageId"])


@dataclass
class Service:
    """send_queue with its ledger: sends an id once, and puts what it cannot read among the dead letters."""

    sqs: Sqs
    sent: Counter[str] = field(default_factory=Counter)

    def work(self) -> None:
        received = self.sqs.look(self.sqs.target)
        for message in received:
            self._handle(message)
            self.sqs.real.delete_message(QueueUrl=self.sqs.target, ReceiptHandle=message["ReceiptHandle"])

    def _handle(self, message: Mapping[str, Any]) -> None:
        try:
            request = parse_queue_body(message["Body"], default_id(message))
        except MalformedBodyError as error:
            self.sqs.put(message["Body"], reason=error.text.en, message_id=default_id(message))
        else:
            self.sent[request.id] = 1  # the ledger claims an id once


def fail_nth(nth: int, error: BaseException) -> Bend:
    """The nth call fails, before anything happened."""
    calls = 0

    def bend(real: Call, request: dict[str, Any]) -> dict[str, Any]:
        nonlocal calls
        calls += 1
        if calls == nth:
            raise error
        return real(**request)

    return bend


def without(*ids: str, named: bool) -> Bend:
    """Entries that SQS does not do; it may say so, or say nothing."""

    def bend(real: Call, request: dict[str, Any]) -> dict[str, Any]:
        done = [entry for entry in request["Entries"] if entry["Id"] not in ids]
        answered = real(**request | {"Entries": done}) if done else {}
        failed = [
            {"Id": i, "SenderFault": False, "Code": "InternalError", "Message": "\x1b[2Jno"} for i in ids
        ]
        return {"Successful": answered.get("Successful", []), "Failed": failed if named else []}

    return bend


# Listing


def test_an_empty_queue_is_listed(run: Run) -> None:
    ran = run("list")
    assert ran.code == 0
    assert ran.out == "0 messages read, 0 of them different\n"
    assert ran.err == "about 0 messages there\n"


def test_the_list_says_what_is_there_and_shows_no_body(sqs: Sqs, run: Run) -> None:
    sqs.put(UNREADABLE, reason="the body is not JSON: 行", message_id="first-1", id="order-1")
    second = sqs.put(readable(1))
    ran = run("list")
    assert ran.code == 0
    header, *rows, summary = ran.out.splitlines()
    assert header.split() == ["AGE", "COPIES", "RECEIVES", "SIZE", "DIGEST", "ID", "PRODUCER_ID", "REASON"]
    assert re.fullmatch(r"\ds +1 +1 +15 +[0-9a-f]{12}  first-1 +order-1 +the body is not JSON: 行", rows[0])
    assert re.fullmatch(rf"\ds +1 +1 +\d+ +[0-9a-f]{{12}}  {second} +- +-", rows[1])
    assert summary == "2 messages read, 2 of them different"
    assert "about 2 messages there" in ran.err
    for private in ("no JSON", "深圳", "openid"):
        assert private not in ran.out + ran.err


def test_bodies_are_shown_where_asked_for(sqs: Sqs, run: Run) -> None:
    sqs.put(UNREADABLE)
    assert f"    {UNREADABLE}\n" in run("list", "--bodies").out


def test_a_terminal_obeys_no_body_and_no_reason(sqs: Sqs, run: Run) -> None:
    nasty = "a\x1b[2J\nb\tc\x9b\u202e\r\x7f\x00"
    sqs.put(nasty, reason=nasty, message_id="x\x1by")
    ran = run("list", "--bodies")
    assert not [c for c in (ran.out + ran.err).replace("\n", "") if not c.isprintable()]
    assert "    a\\x1b[2J\\nb\\tc\\x9b\\u202e\\r\\x7f\\x00\n" in ran.out
    assert len(ran.out.splitlines()) == 4
    (row,) = run("list", "--json", "--bodies").rows
    assert (row["body"], row["reason"], row["id"]) == (nasty, nasty, "x\x1by")


def test_json_is_a_line_each_and_has_no_body_unless_asked_for(sqs: Sqs, run: Run) -> None:
    sqs.put(UNREADABLE, reason="why", message_id="first", id="order-1")
    sqs.put("x")
    ran = run("list", "--json")
    assert [sorted(row) for row in ran.rows] == [
        ["age", "copies", "digest", "id", "producer_id", "reason", "receives", "size"]
    ] * 2
    first = ran.rows[0]
    assert (first["id"], first["reason"], first["size"], first["copies"]) == ("first", "why", 15, 1)
    assert [row["producer_id"] for row in ran.rows] == ["order-1", ""]
    assert first["age"] in (0, 1)
    assert "2 messages read" in ran.err


def test_the_oldest_comes_first_with_its_age(sqs: Sqs, run: Run) -> None:
    ages = {"a": 59, "b": 90_000 * 3, "c": 3_600, "d": 61}
    for body in ages:
        sqs.put(body)

    def older(real: Call, request: dict[str, Any]) -> dict[str, Any]:
        received = real(**request)
        for message in received.get("Messages", []):
            message["Attributes"]["SentTimestamp"] = str(int((time.time() - ages[message["Body"]]) * 1000))
        return received

    sqs.bend("receive_message", older)
    ran = run("list", "--bodies")
    rows = ran.out.splitlines()[1:-1]
    assert [row.strip() for row in rows[1::2]] == ["b", "c", "d", "a"]
    assert [row.split()[0] for row in rows[::2]] == ["3d", "1h", "1m", "59s"]


def test_a_message_that_sqs_moved_says_so_and_keeps_its_id(sqs: Sqs, run: Run) -> None:
    sqs.real.set_queue_attributes(QueueUrl=sqs.target, Attributes={"RedrivePolicy": redrive_policy(sqs.dlq)})
    body = readable(1)
    sent = sqs.real.send_message(QueueUrl=sqs.target, MessageBody=body)["MessageId"]
    for _ in range(2):
        sqs.real.receive_message(QueueUrl=sqs.target, VisibilityTimeout=0)

    def with_source(real: Call, request: dict[str, Any]) -> dict[str, Any]:
        received = real(**request)
        for message in received.get("Messages", []):  # which moto leaves out
            message["Attributes"]["DeadLetterQueueSourceArn"] = "arn:aws-cn:sqs:cn-north-1:1:send"
        return received

    sqs.bend("receive_message", with_source)
    (row,) = run("list", "--json").rows
    assert (row["id"], row["reason"]) == (sent, "received too often: moved by SQS")
    assert run("redrive", "--reason", "moved by SQS").code == 0
    assert sqs.ids(sqs.target) == [(sent, body)]


def redrive_policy(url: str) -> str:
    arn = f"arn:aws:sqs:eu-central-1:123456789012:{url.rsplit('/', 1)[1]}"
    return json.dumps({"deadLetterTargetArn": arn, "maxReceiveCount": 1})


def test_copies_are_shown_once_with_their_number(sqs: Sqs, run: Run) -> None:
    first = sqs.put(UNREADABLE)
    sqs.put(UNREADABLE, message_id=first, reason="why")
    sqs.put(UNREADABLE, message_id="another")
    sqs.put("another body", message_id=first)
    ran = run("list", "--json")
    assert sorted((row["id"] == first, row["size"], row["copies"]) for row in ran.rows) == [
        (False, 15, 1),
        (True, 12, 1),
        (True, 15, 2),
    ]
    assert "4 messages read, 3 of them different" in ran.err


def test_the_list_changes_nothing(sqs: Sqs, run: Run) -> None:
    before = sorted(sqs.put(f"body {number}", reason="r", message_id="m") for number in range(25))
    assert run("list").code == 0
    assert sorted(message["MessageId"] for message in sqs.look(sqs.dlq)) == before
    assert {name for name, _ in sqs.calls} == {
        "get_queue_attributes",
        "receive_message",
        "change_message_visibility_batch",
    }


def test_messages_are_hidden_for_a_short_time_and_long_enough_for_many(sqs: Sqs, run: Run) -> None:
    run("list")
    for number in range(30):
        sqs.put(f"body {number}")
    run("list")
    timeouts = [request["VisibilityTimeout"] for request in sqs.requests("receive_message")]
    assert (timeouts[0], timeouts[-1]) == (60, 63)


def test_sqs_asks_all_its_servers(sqs: Sqs, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    sqs.bend("receive_message", lambda _real, _request: {})
    run("list")
    assert [request["WaitTimeSeconds"] for request in sqs.requests("receive_message")] == [1, 1, 1]


@pytest.mark.parametrize("command", ["list", "redrive"])
@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (KeyboardInterrupt(), 130, "interrupted"),
        (
            aws_error("AccessDenied"),
            1,
            "error: An error occurred (AccessDenied) when calling the Op operation: no",
        ),
        (
            EndpointConnectionError(endpoint_url="https://sqs"),
            1,
            'error: Could not connect to the endpoint URL: "https://sqs"',
        ),
    ],
)
def test_what_was_read_is_visible_again_when_reading_stops(
    sqs: Sqs, run: Run, *, command: str, error: BaseException, code: int, said: str
) -> None:
    for number in range(25):
        sqs.put(f"body {number}")
    sqs.bend("receive_message", fail_nth(3, error))
    ran = run(command)
    assert ran.code == code
    assert ran.err == f"about 25 messages there\n{said}\n"
    assert ran.out == (
        "" if command == "list" else "0 sent, 0 deleted from the dead letter queue, 0 failed\n"
    )
    assert len(sqs.look(sqs.dlq)) == 25
    assert sqs.look(sqs.target) == []


@pytest.mark.parametrize(
    "bend", [fail_nth(1, aws_error("RequestThrottled")), without("0", named=True), without("0", named=False)]
)
def test_what_stays_hidden_is_said(sqs: Sqs, run: Run, bend: Bend) -> None:
    sqs.put("a")
    sqs.bend("change_message_visibility_batch", bend)
    ran = run("list")
    assert ran.code == 0
    assert "1 messages read" in ran.out
    assert "1 messages are visible again only in 60 s at the latest" in ran.err


def test_messages_that_another_reader_hides_are_counted(sqs: Sqs, run: Run) -> None:
    sqs.put("a")
    sqs.put("b")
    sqs.real.receive_message(QueueUrl=sqs.dlq, VisibilityTimeout=60)
    ran = run("list")
    assert "about 2 messages there, 1 of them hidden by another reader\n" in ran.err
    assert "1 messages read" in ran.out


def grudging(seed: int) -> Bend:
    """SQS that hands out fewer than were asked for, and at times nothing, but not three times in a row."""
    randomness, empty = random.Random(seed), 0  # noqa: S311 - repeatable

    def bend(real: Call, request: dict[str, Any]) -> dict[str, Any]:
        nonlocal empty
        most = min(request["MaxNumberOfMessages"], randomness.choice([0, 0, 1, 3, 10]))
        if most == 0 and empty < 2:
            empty += 1
            return {}
        empty = 0
        return real(**request | {"MaxNumberOfMessages": max(most, 1)})

    return bend


@pytest.mark.parametrize("seed", range(2))
def test_more_than_a_hundred_are_read_however_few_come_at_a_time(sqs: Sqs, run: Run, seed: int) -> None:
    for number in range(110):
        sqs.put(f"body {number}")
    sqs.bend("receive_message", grudging(seed))
    ran = run("list", "--json")
    assert len(ran.rows) == 110
    assert re.findall(r"\d+ read", ran.err)[0].startswith("10")
    assert len(sqs.look(sqs.dlq)) == 110


@pytest.mark.parametrize("command", ["list", "redrive"])
def test_a_limit_is_kept_and_no_more_is_hidden(sqs: Sqs, run: Run, command: str) -> None:
    for number in range(30):
        sqs.put(f"body {number}")
    assert run(command, "--limit", "13").code == 0
    asked = [request["MaxNumberOfMessages"] for request in sqs.requests("receive_message")]
    assert asked == [10, 3]
    assert len(sqs.look(sqs.dlq)) == (30 if command == "list" else 17)


def test_reading_ends_although_messages_keep_coming(
    sqs: Sqs, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dlq, "_MAX_READ", 50)

    def more(real: Call, request: dict[str, Any]) -> dict[str, Any]:
        for _ in range(10):
            sqs.put("more")
        return real(**request)

    sqs.bend("receive_message", more)
    assert "50 messages read" in run("list").out
    assert run("redrive", "--reason", "none has it").out.startswith("0 sent")
    assert len(sqs.requests("receive_message")) == 10


def test_reading_ends_although_the_same_message_comes_again(sqs: Sqs, run: Run) -> None:
    sqs.put("a")
    handles: list[str] = []

    def hidden_for_no_time(real: Call, request: dict[str, Any]) -> dict[str, Any]:
        received = real(**request | {"VisibilityTimeout": 0})
        handles.extend(message["ReceiptHandle"] for message in received["Messages"])
        return received

    sqs.bend("receive_message", hidden_for_no_time)
    assert [row["copies"] for row in run("list", "--json").rows] == [1]
    assert len(handles) == 4
    assert run("redrive").code == 0
    assert (sqs.bodies(sqs.dlq), sqs.bodies(sqs.target)) == ([], ["a"])
    # The newest handle: an older one may delete nothing.
    assert sqs.requests("change_message_visibility_batch")[0]["Entries"][0]["ReceiptHandle"] == handles[3]
    assert sqs.requests("delete_message_batch")[0]["Entries"][0]["ReceiptHandle"] == handles[7]


def test_half_of_a_surrogate_pair_is_no_reason_to_stop(sqs: Sqs, run: Run) -> None:
    sqs.put("a")

    def broken(real: Call, request: dict[str, Any]) -> dict[str, Any]:
        received = real(**request)
        for message in received.get("Messages", []):
            message["Body"] = "\ud800"
        return received

    sqs.bend("receive_message", broken)
    assert "    \\ud800\n" in run("list", "--bodies").out


# Redriving


def test_a_message_is_sent_once_more_under_its_first_id(sqs: Sqs, run: Run) -> None:
    moved = sqs.put(readable(1))
    sqs.put(readable(2), reason="no time", message_id="first-2", other="x")
    ran = run("redrive")
    assert ran.code == 0
    assert ran.out == "2 sent, 2 deleted from the dead letter queue, 0 failed\n"
    assert sqs.look(sqs.dlq) == []
    assert sqs.ids(sqs.target) == sorted([(moved, readable(1)), ("first-2", readable(2))])
    for message in sqs.look(sqs.target):
        assert message["MessageAttributes"] == {
            "message_id": {"StringValue": default_id(message), "DataType": "String"}
        }


def test_an_attribute_of_another_type_is_no_id(sqs: Sqs, run: Run) -> None:
    attribute = {"message_id": {"DataType": "Number", "StringValue": "7"}}
    sent = sqs.real.send_message(QueueUrl=sqs.dlq, MessageBody="x", MessageAttributes=attribute)
    run("redrive")
    assert sqs.ids(sqs.target) == [(sent["MessageId"], "x")]


@pytest.mark.parametrize(
    ("body", "group"),
    [
        (readable(1), "shop"),
        ('{"account": "a-9"}', "a-9"),
        (json.dumps({"account": "x" * 64}), "x" * 64),
        (json.dumps({"account": "x" * 65}), None),
        ('{"account": ""}', None),
        ('{"account": "Shop"}', None),
        ('{"account": "a\\n"}', None),
        ('{"account": 7}', None),
        ('{"account": ["shop"]}', None),
        ('{"detail": {"account": "shop"}}', "shop"),
        ('{"account": "123456789012", "detail-type": "t", "detail": {"account": "shop"}}', "shop"),
        ('{"account": "123456789012", "detail-type": "t", "detail": {}}', None),
        ('{"account": "123456789012", "detail-type": "t", "detail": "shop"}', None),
        ('["account"]', None),
        ("7", None),
        ("null", None),
        (UNREADABLE, None),
        ("[" * 100_000, None),
        ("9" * 5_000, None),
        ('\ufeff{"account": "shop"}', None),
    ],
)
def test_the_message_group_is_the_account(sqs: Sqs, run: Run, body: str, group: str | None) -> None:
    sqs.put(body)
    assert run("redrive").code == 0
    (message,) = sqs.look(sqs.target)
    assert message["Attributes"].get("MessageGroupId") == group
    assert message["Body"] == body


@pytest.mark.parametrize(
    "body", ["\t\n\r", "a\tb\r\nc", "\x7f\x85\x9b\ufffd", "\u2028\u202e😀深圳", "\\u0000", " "]
)
def test_a_body_stays_as_it_was(sqs: Sqs, run: Run, body: str) -> None:
    sqs.put(body, message_id="first")
    assert run("redrive").code == 0
    assert sqs.ids(sqs.target) == [("first", body)]


def test_ten_go_at_a_time_and_each_ten_is_deleted_after_it_was_sent(sqs: Sqs, run: Run) -> None:
    for number in range(125):
        sqs.put(readable(number))
    ran = run("redrive")
    assert ran.code == 0
    assert ran.out == "125 sent, 125 deleted from the dead letter queue, 0 failed\n"
    assert "100 of 125 sent" in ran.err
    batches = [(name, len(request["Entries"])) for name, request in sqs.calls if "Entries" in request]
    pairs = [[("send_message_batch", n), ("delete_message_batch", n)] for n in [10] * 12 + [5]]
    assert batches == [call for pair in pairs for call in pair]
    assert sqs.bodies(sqs.target) == sorted(readable(number) for number in range(125))
    assert sqs.look(sqs.dlq) == []


def test_a_request_is_not_longer_than_sqs_takes(sqs: Sqs, run: Run) -> None:
    """256 KiB with the attribute, whose name, type and value count too."""
    half = 128 * 1024 - len("message_idStringm")
    for number, size in enumerate([half, half, 2 * half, 1, half, half]):
        sqs.put("深" * (size // 3) + "x" * (size % 3), message_id=str(number))
        time.sleep(0.002)  # they go in the order of their age
    assert run("redrive").code == 0
    batches = [request["Entries"] for request in sqs.requests("send_message_batch")]
    sizes = [[len(entry["MessageBody"].encode()) for entry in entries] for entries in batches]
    assert sizes == [[half, half], [2 * half], [1, half], [half]]


def test_some_that_are_not_sent_stay_and_are_counted(sqs: Sqs, run: Run) -> None:
    ids = [sqs.put(f"body {number:02}") for number in range(13)]
    sqs.bend("send_message_batch", without("1", "2", named=True))
    ran = run("redrive")
    assert ran.code == 1
    assert ran.out == "9 sent, 9 deleted from the dead letter queue, 4 failed\n"
    assert sqs.bodies(sqs.dlq) == ["body 01", "body 02", "body 11", "body 12"]
    assert len(sqs.look(sqs.target)) == 9
    assert f"not sent: {ids[1]}: InternalError: \\x1b[2Jno\n" in ran.err


def test_what_sqs_does_not_name_as_sent_was_not_sent(sqs: Sqs, run: Run) -> None:
    sqs.put("a")
    sqs.put("b")
    sqs.bend("send_message_batch", without("0", named=False))
    ran = run("redrive")
    assert ran.code == 1
    assert ran.out == "1 sent, 1 deleted from the dead letter queue, 1 failed\n"
    assert sqs.bodies(sqs.dlq) == ["a"]


def test_a_body_that_sqs_refuses_holds_up_no_other(sqs: Sqs, run: Run) -> None:
    sqs.real.set_queue_attributes(QueueUrl=sqs.target, Attributes={"MaximumMessageSize": "1024"})
    for number in range(12):
        sqs.put("x" * 2000 if number == 3 else f"body {number}", message_id=str(number))
    ran = run("redrive")
    assert ran.code == 1
    assert ran.out == "11 sent, 11 deleted from the dead letter queue, 1 failed\n"
    assert "not sent: 3: InvalidParameterValue" in ran.err
    assert sqs.bodies(sqs.dlq) == ["x" * 2000]
    assert len(sqs.look(sqs.target)) == 11


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (aws_error("AccessDenied"), 1),
        (EndpointConnectionError(endpoint_url="x"), 1),
        (KeyboardInterrupt(), 130),
    ],
)
def test_when_sending_stops_the_rest_is_visible_again(
    sqs: Sqs, run: Run, error: BaseException, code: int
) -> None:
    for number in range(25):
        sqs.put(f"body {number}")
    sqs.bend("send_message_batch", fail_nth(2, error))
    ran = run("redrive")
    assert ran.code == code
    assert ran.out == "10 sent, 10 deleted from the dead letter queue, 0 failed\n"
    assert len(ran.err.splitlines()) == 2
    assert (len(sqs.look(sqs.dlq)), len(sqs.look(sqs.target))) == (15, 10)


@pytest.mark.parametrize(("error", "code"), [(aws_error("InternalError"), 1), (KeyboardInterrupt(), 130)])
def test_stopped_between_sending_and_deleting_a_copy_is_left(
    sqs: Sqs, run: Run, error: BaseException, code: int
) -> None:
    for number in range(15):
        sqs.put(f"body {number}")
    before = sqs.ids(sqs.dlq)
    sqs.bend("delete_message_batch", fail_nth(1, error))
    ran = run("redrive")
    assert ran.code == code
    assert ran.out == "10 sent, 0 deleted from the dead letter queue, 0 failed\n"
    assert sqs.ids(sqs.dlq) == before
    sent = sqs.ids(sqs.target)
    assert len(sent) == 10
    assert set(sent) <= set(before)

    assert run("redrive").code == 0
    assert sqs.look(sqs.dlq) == []
    assert Counter(sqs.ids(sqs.target)) == Counter(before) + Counter(sent)  # the ledger drops these ten


def test_ctrl_c_waits_until_what_was_sent_is_deleted(sqs: Sqs, run: Run) -> None:
    for number in range(25):
        sqs.put(f"body {number}")

    def interrupted(real: Call, request: dict[str, Any]) -> dict[str, Any]:
        signal.raise_signal(signal.SIGINT)
        return real(**request)

    sqs.bend("send_message_batch", interrupted)
    before = signal.getsignal(signal.SIGINT)
    ran = run("redrive")
    assert ran.code == 130
    assert ran.out == "10 sent, 10 deleted from the dead letter queue, 0 failed\n"
    assert (len(sqs.look(sqs.dlq)), len(sqs.look(sqs.target))) == (15, 10)
    assert signal.getsignal(signal.SIGINT) is before


def test_ctrl_c_waits_until_all_are_visible_again(sqs: Sqs, run: Run) -> None:
    for number in range(25):
        sqs.put(f"body {number}")

    def interrupted(real: Call, request: dict[str, Any]) -> dict[str, Any]:
        if len(sqs.requests("change_message_visibility_batch")) == 1:  # a second one does not wait
            signal.raise_signal(signal.SIGINT)
        return real(**request)

    sqs.bend("change_message_visibility_batch", interrupted)
    assert run("list").code == 130
    assert len(sqs.look(sqs.dlq)) == 25


@pytest.mark.parametrize("named", [True, False])
def test_what_could_not_be_deleted_is_counted(sqs: Sqs, run: Run, *, named: bool) -> None:
    for number in range(3):
        sqs.put(f"body {number}")
    sqs.bend("delete_message_batch", without("1", named=named))
    ran = run("redrive")
    assert ran.code == 1
    assert ran.out == "3 sent, 2 deleted from the dead letter queue, 1 failed\n"
    assert "sent, but not deleted: 1; they are still there, under the same ids" in ran.err
    assert sqs.bodies(sqs.dlq) == ["body 1"]


def test_copies_are_sent_once_and_all_deleted(sqs: Sqs, run: Run) -> None:
    first = sqs.put("a")
    for _ in range(24):
        sqs.put("a", message_id=first, reason="why")
    sqs.put("a", message_id="another")
    sqs.put("b", message_id=first)
    ran = run("redrive")
    assert ran.code == 0
    assert ran.out == "3 sent, 27 deleted from the dead letter queue, 0 failed\n"
    assert sqs.ids(sqs.target) == sorted([(first, "a"), ("another", "a"), (first, "b")])
    assert sqs.look(sqs.dlq) == []


def test_copies_of_what_was_not_sent_all_stay(sqs: Sqs, run: Run) -> None:
    for _ in range(3):
        sqs.put("a", message_id="first")
    sqs.bend("send_message_batch", without("0", named=True))
    assert run("redrive").out == "0 sent, 0 deleted from the dead letter queue, 1 failed\n"
    assert len(sqs.look(sqs.dlq)) == 3


def test_only_what_is_asked_for_is_sent(sqs: Sqs, run: Run) -> None:
    moved = sqs.put("moved")
    for number, reason in enumerate(["not JSON: x", "not JSON: y", "given up"]):
        sqs.put(f"body {number}", message_id=f"first-{number}", reason=reason)
    assert run("redrive", "--id", moved, "first-2", "--id", "first-0", "first-9").err == (
        "about 4 messages there\nnot found: first-9\n"
    )
    assert sqs.bodies(sqs.target) == ["body 0", "body 2", "moved"]
    assert sqs.bodies(sqs.dlq) == ["body 1"]
    assert run("redrive", "--id", "first-1", "--reason", "given up").code == 0
    assert sqs.bodies(sqs.dlq) == ["body 1"]
    assert run("redrive", "--reason", "JSON").out.startswith("1 sent")
    assert sqs.look(sqs.dlq) == []


def test_the_limit_counts_what_is_asked_for(sqs: Sqs, run: Run) -> None:
    for number in range(40):
        sqs.put(f"body {number}", reason="odd" if number % 2 else "even")
    assert run("redrive", "--reason", "odd", "--limit", "15").out.startswith("15 sent, 15 deleted")
    left = Counter(message["MessageAttributes"]["reason"]["StringValue"] for message in sqs.look(sqs.dlq))
    assert left == {"odd": 5, "even": 20}


def test_a_dry_run_shows_what_would_be_sent_and_changes_nothing(sqs: Sqs, run: Run) -> None:
    first = sqs.put("secret")
    sqs.put("secret", message_id=first)
    sqs.put("other", reason="why")
    before = sqs.ids(sqs.dlq)
    ran = run("redrive", "--dry-run", "--id", first)
    assert ran.code == 0
    assert ran.out.splitlines()[-1] == "1 would be sent, 2 deleted from the dead letter queue"
    assert first in ran.out
    assert "secret" not in ran.out
    assert sqs.ids(sqs.dlq) == before
    assert sqs.look(sqs.target) == []


# Twice, and with the service at work


@pytest.fixture
def given_up(sqs: Sqs) -> list[tuple[str, str]]:
    """Dead letters of both sorts; what cannot be read is the last five."""
    for number in range(25):
        if number % 2:
            sqs.put(readable(number), reason="given up", message_id=f"first-{number}")
        else:
            sqs.put(readable(number))
    for number in range(5):
        sqs.put(f"{UNREADABLE} {number}", reason="the body is not JSON", message_id=f"unreadable-{number}")
    return [letter for letter in sqs.ids(sqs.dlq) if letter[0].startswith("unreadable")]


def test_a_second_redrive_changes_nothing(sqs: Sqs, run: Run, given_up: list[tuple[str, str]]) -> None:
    service = Service(sqs)
    ids = {first_id for first_id, _ in sqs.ids(sqs.dlq)} - {first_id for first_id, _ in given_up}
    for sent in (30, 5, 5):
        ran = run("redrive")
        assert ran.out == f"{sent} sent, {sent} deleted from the dead letter queue, 0 failed\n"
        service.work()
        assert set(service.sent) == ids
        assert len(ids) == 25
        assert sqs.ids(sqs.dlq) == given_up
        assert sqs.look(sqs.target) == []


@pytest.mark.parametrize("batch", [1, 2, 3])
@pytest.mark.parametrize("method", ["send_message_batch", "delete_message_batch"])
@pytest.mark.parametrize("done", [False, True], ids=["before", "after"])
def test_killed_anywhere_and_run_again_it_comes_to_the_same(
    sqs: Sqs, run: Run, given_up: list[tuple[str, str]], *, batch: int, method: str, done: bool
) -> None:
    service = Service(sqs)
    ids = {first_id for first_id, _ in sqs.ids(sqs.dlq)} - {first_id for first_id, _ in given_up}
    interrupt = fail_nth(batch, KeyboardInterrupt())

    def killed(real: Call, request: dict[str, Any]) -> dict[str, Any]:
        answered = real(**request) if done else {}
        return interrupt(real if not done else lambda **_: answered, request)

    sqs.bend(method, killed)
    assert run("redrive").code == 130
    service.work()
    del sqs.bent[method]
    assert len(sqs.look(sqs.dlq)) >= 5
    for _ in range(2):
        assert run("redrive").code == 0
        service.work()
    assert sqs.ids(sqs.dlq) == given_up
    assert set(service.sent) == ids


def test_what_comes_back_meanwhile_is_neither_sent_again_nor_deleted(
    sqs: Sqs, run: Run, given_up: list[tuple[str, str]]
) -> None:
    service = Service(sqs)

    def at_work(real: Call, request: dict[str, Any]) -> dict[str, Any]:
        answered = real(**request)
        service.work()
        return answered

    sqs.bend("send_message_batch", at_work)
    sqs.bend("delete_message_batch", at_work)
    ran = run("redrive")
    assert ran.out == "30 sent, 30 deleted from the dead letter queue, 0 failed\n"
    assert sqs.ids(sqs.dlq) == given_up
    assert len(service.sent) == 25


# The command line


DEAD = ["--queue-url", "https://sqs/1/dead"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "{list,redrive}"),
        (["purge"], "'purge'"),
        (["list"], "--queue-url"),
        (["redrive", *DEAD], "--to"),
        (["list", "--queue-url", "https://sqs/1/dead.fifo"], "FIFO"),
        (["redrive", *DEAD, "--to", "https://sqs/1/send.fifo"], "FIFO"),
        (["redrive", *DEAD, "--to", "https://sqs/1/dead/"], "itself"),
        (["list", *DEAD, "--limit", "0"], "1 to 100000"),
        (["list", *DEAD, "--limit", "100001"], "1 to 100000"),
        (["list", *DEAD, "--limit", "ten"], "--limit"),
        (["list", *DEAD, "--endpoint-url", "nonsense"], "not the address of a server"),
        (["list", *DEAD, "--to", "https://sqs/1/send"], "--to"),
    ],
)
def test_wrong_usage_is_said_before_anything_is_called(
    sqs: Sqs, capsys: pytest.CaptureFixture[str], arguments: Sequence[str], said: str
) -> None:
    with pytest.raises(SystemExit) as stop:
        dlq.main(arguments, sqs)
    assert stop.value.code == 2
    assert sqs.calls == []
    assert said in capsys.readouterr().err.splitlines()[-1]


@pytest.mark.parametrize("command", ["list", "redrive"])
def test_a_queue_that_gives_up_messages_itself_is_left_alone(sqs: Sqs, run: Run, command: str) -> None:
    """The two addresses the wrong way round would put the live queue among the dead letters."""
    sqs.real.set_queue_attributes(QueueUrl=sqs.dlq, Attributes={"RedrivePolicy": redrive_policy(sqs.target)})
    sqs.put("a")
    ran = run(command)
    assert ran.code == 2
    assert "it is not one" in ran.err
    assert {name for name, _ in sqs.calls} == {"get_queue_attributes"}


@pytest.mark.parametrize("missing", ["dlq", "target"])
def test_a_queue_that_is_none_is_one_line(sqs: Sqs, run: Run, missing: str) -> None:
    sqs.put("a")
    setattr(sqs, missing, getattr(sqs, missing) + "-none")
    ran = run("redrive")
    assert ran.code == 1
    assert "NonExistentQueue" in ran.err.splitlines()[-1]
    assert "Traceback" not in ran.err
    assert len(ran.err.splitlines()) == (1 if missing == "dlq" else 2)


@pytest.mark.usefixtures("aws")
def test_it_makes_its_own_client(sqs: Sqs, capsys: pytest.CaptureFixture[str]) -> None:
    sqs.put("a")
    assert dlq.main(["list", "--queue-url", sqs.dlq]) == 0
    assert "1 messages read" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("url", "options", "region", "endpoint"),
    [
        (
            "https://sqs.eu-west-1.amazonaws.com/1/dead",
            [],
            "eu-west-1",
            "https://sqs.eu-west-1.amazonaws.com",
        ),
        (
            "https://sqs.cn-north-1.amazonaws.com.cn/1/dead",
            [],
            "cn-north-1",
            "https://sqs.cn-north-1.amazonaws.com.cn",
        ),
        (
            "https://sqs.cn-north-1.amazonaws.com.cn/1/dead",
            ["--region", "us-east-1"],
            "us-east-1",
            "https://sqs.us-east-1.amazonaws.com",
        ),
        ("http://127.0.0.1:9/1/dead", [], "eu-central-1", "https://sqs.eu-central-1.amazonaws.com"),
        (
            "http://127.0.0.1:9/1/dead",
            ["--endpoint-url", "http://127.0.0.1:9"],
            "eu-central-1",
            "http://127.0.0.1:9",
        ),
    ],
)
@pytest.mark.usefixtures("aws")
def test_the_region_is_the_queues(url: str, options: list[str], region: str, endpoint: str) -> None:
    made = dlq._client(dlq._parser().parse_args(["list", "--queue-url", url, *options]))
    assert (made.meta.region_name, made.meta.endpoint_url) == (region, endpoint)


@pytest.mark.usefixtures("aws")
def test_without_a_region_the_option_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    for name in ("AWS_DEFAULT_REGION", "AWS_REGION", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    assert dlq.main(["list", "--queue-url", "http://127.0.0.1:9/1/dead"]) == 2
    assert capsys.readouterr().err == (
        "error: --queue-url does not tell the region: give --region, such as --region eu-west-1\n"
    )


def test_an_id_that_one_copy_names_is_found(sqs: Sqs, run: Run) -> None:
    sqs.put(readable(1), message_id="first-1")
    sqs.put(readable(1), message_id="first-1", id="order-1")
    ran = run("redrive", "--id", "first-1", "order-1", "order-2")
    assert ran.err == "about 2 messages there\nnot found: order-2\n"
    assert ran.out == "1 sent, 2 deleted from the dead letter queue, 0 failed\n"


def test_a_redrive_takes_the_producers_ids_too(sqs: Sqs, run: Run) -> None:
    sqs.put(readable(1), message_id="first-1", id="order-1")
    sqs.put(readable(2), message_id="first-2", id="order-2")
    ran = run("redrive", "--id", "order-2")
    assert ran.code == 0
    assert "not found" not in ran.err
    assert "1 sent" in ran.out


@pytest.mark.usefixtures("aws")
def test_a_profile_that_is_none_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert dlq.main(["list", "--queue-url", "https://sqs/1/dead", "--profile", "none"]) == 1
    assert capsys.readouterr().err == "error: The config profile (none) could not be found\n"


def test_it_knows_the_standard_library_and_boto3_only() -> None:
    tree = ast.parse(SCRIPT.read_text())
    names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module or "." for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert {name.split(".")[0] for name in names} - sys.stdlib_module_names == {"boto3", "botocore"}


def test_it_never_starts_a_move_task() -> None:
    assert "message_move_task" not in SCRIPT.read_text()


@pytest.mark.parametrize("as_module", [False, True])
def test_it_runs_on_its_own(tmp_path: Path, *, as_module: bool) -> None:
    copied = tmp_path / "operations" / "dlq.py"
    copied.parent.mkdir()
    copied.write_text(SCRIPT.read_text())
    command = ["-m", "operations.dlq"] if as_module else ["operations/dlq.py"]
    done = start(*command, "redrive", "--help", folder=tmp_path)
    out, _ = done.communicate(timeout=20)
    assert done.returncode == 0
    assert "--dry-run" in out


def start(*arguments: str, folder: Path = SCRIPT.parents[1]) -> subprocess.Popen[str]:
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "PYTHON"))
    }
    environment |= {"AWS_ACCESS_KEY_ID": "k", "AWS_SECRET_ACCESS_KEY": "s", "AWS_DEFAULT_REGION": "eu-west-1"}
    return subprocess.Popen(  # noqa: S603 - our own interpreter
        [sys.executable, *arguments],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


class Hanging:
    """An SQS of two messages whose second receive is answered late, or never."""

    def __init__(self) -> None:
        self.received = threading.Event()
        self.answers = threading.Event()
        self.server = RawServer(self._script)

    def _script(self, connection: Connection) -> None:
        while request := connection.read_request():
            name = operation(request)
            number = [operation(one) for one in self.server.requests].count("ReceiveMessage")
            if name == "ReceiveMessage" and number > 1:
                self.received.set()
                self.answers.wait(10)
            connection.write(answer(json.dumps(self._answer(name, number, request)).encode()))

    def _answer(self, name: str, number: int, request: Request) -> dict[str, Any]:
        if name == "GetQueueAttributes":
            counts = ("", "NotVisible", "Delayed")
            return {"Attributes": {f"ApproximateNumberOfMessages{which}": "0" for which in counts}}
        if name == "ReceiveMessage":
            attributes = {"ApproximateReceiveCount": "1", "SentTimestamp": "1"}
            message = {"MessageId": f"m{number}", "ReceiptHandle": f"handle {number}", "Body": "b"}
            return {"Messages": [message | {"Attributes": attributes}]}
        return {"Successful": [{"Id": entry["Id"]} for entry in json.loads(request.body)["Entries"]]}

    def visible_again(self) -> list[str]:
        last = self.server.requests[-1]
        assert operation(last) == "ChangeMessageVisibilityBatch"
        entries = json.loads(last.body)["Entries"]
        assert [entry["VisibilityTimeout"] for entry in entries] == [0] * len(entries)
        return [entry["ReceiptHandle"] for entry in entries]


def operation(request: Request) -> str:
    return request.headers["x-amz-target"].removeprefix("AmazonSQS.")


@pytest.fixture
def _ctrl_c_is_heard() -> Iterator[None]:
    """Whoever runs in the background was told to ignore it, and so would be whom the test starts."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("_ctrl_c_is_heard")
@pytest.mark.parametrize("twice", [False, True])
def test_ctrl_c_makes_what_was_read_visible_again(*, twice: bool) -> None:
    """And what SQS hands out meanwhile, for which the first Ctrl-C waits and the second does not."""
    sqs = Hanging()
    with sqs.server as server:
        url = f"{server.url}/1/dead"
        done = start(str(SCRIPT), "list", "--queue-url", url, "--endpoint-url", server.url)
        assert sqs.received.wait(20)
        done.send_signal(signal.SIGINT)
        assert done.stderr
        said = done.stderr.readline() + done.stderr.readline()  # or two could be one to it
        if twice:
            done.send_signal(signal.SIGINT)
        else:
            sqs.answers.set()
        out, err = done.communicate(timeout=20)
        sqs.answers.set()
    assert done.returncode == 130
    assert out == ""
    assert said == "about 0 messages there\nwaiting for SQS; Ctrl-C once more does not wait\n"
    assert err == "interrupted\n"
    assert sqs.visible_again() == (["handle 1"] if twice else ["handle 1", "handle 2"])
