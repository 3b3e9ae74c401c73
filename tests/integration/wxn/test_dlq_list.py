"""Listing dead letters: what is shown of them, and that nothing about them changes."""

import re
import time
from itertools import cycle
from typing import Any

import pytest

from tests.integration.wxn.conftest import (
    STOPS,
    UNREADABLE,
    WAIT_SECONDS,
    Call,
    Sqs,
    aws_error,
    readable,
    redrive_policy,
    totals,
)
from tests.unit.wxn.command_line import Wxn
from wxn import dead_letters


def test_table_shows_no_body(sqs: Sqs, run: Wxn) -> None:
    sqs.put(UNREADABLE, reason="the body is not JSON: 行", message_id="first-1", id="order-1")
    second = sqs.put(readable(1))
    ran = run("list")
    assert ran.code == 0
    header, _rule, *rows = ran.out.splitlines()
    columns = ["Age", "Copies", "Receives", "Size", "Digest", "ID", "Own", "ID", "Goes", "to", "Reason"]
    assert header.split() == columns
    assert re.fullmatch(
        r"\d s +1 +1 +15 +[0-9a-f]{12} +first-1 +order-1 +SendQueue +the body is not JSON: 行 *", rows[0]
    )
    assert re.fullmatch(rf"\d s +1 +1 +\d+ +[0-9a-f]{{12}} +{second} +- +SendQueue +- *", rows[1])
    assert ran.err.splitlines()[-1] == "2 messages read, 2 of them different"
    assert "about 2 messages there" in ran.err
    assert not [private for private in ("no JSON", "深圳", "openid") if private in ran.out + ran.err]


def test_terminal_obeys_no_body(sqs: Sqs, run: Wxn) -> None:
    nasty = "a\x1b[2J\nb\tc\x9b\u202e\r\x7f\x00"
    sqs.put(nasty, reason=nasty, message_id="x\x1by")
    ran = run("list", "--bodies")
    assert not [c for c in (ran.out + ran.err).replace("\n", "") if not c.isprintable()]
    assert "x\\x1by: a\\x1b[2J\\nb\\tc\\x9b\\u202e\\r\\x7f\\x00\n" in ran.out
    assert len(ran.out.splitlines()) == 4
    (row,) = run("list", "--json", "--bodies").rows
    assert (row["body"], row["reason"], row["id"]) == (nasty, nasty, "x\x1by")


def test_half_a_surrogate_pair(sqs: Sqs, run: Wxn) -> None:
    sqs.put("a")
    sqs.bend_messages(lambda message: message.update(Body="\ud800"))
    assert ": \\ud800\n" in run("list", "--bodies").out


def test_json_lines(sqs: Sqs, run: Wxn) -> None:
    """No body is in them unless it is asked for, and copies are one line."""
    first = sqs.put(UNREADABLE)
    sqs.put(UNREADABLE, message_id=first, reason="why", id="order-1")
    sqs.put("another body", message_id=first)
    sqs.put("x", message_id="first", reason="why", id="order-1")
    ran = run("list", "--json")
    columns = ["age", "copies", "digest", "id", "producer_id", "reason", "receives", "size", "target"]
    assert [sorted(row) for row in ran.rows] == [columns] * 3
    rows = [[row[name] for name in ("id", "size", "copies", "reason", "producer_id")] for row in ran.rows]
    assert rows == [[first, 15, 2, "", ""], [first, 12, 1, "", ""], ["first", 1, 1, "why", "order-1"]]
    assert {row["age"] for row in ran.rows} <= {0, 1}
    assert ran.err == ""


def test_oldest_comes_first(sqs: Sqs, run: Wxn) -> None:
    ages = {"a": 59, "b": 90_000 * 3, "c": 3_600, "d": 61}
    for body in ages:
        sqs.put(body)

    def older(message: dict[str, Any]) -> None:
        message["Attributes"]["SentTimestamp"] = str(int((time.time() - ages[message["Body"]]) * 1000))

    sqs.bend_messages(older)
    rows = run("list", "--bodies").out.splitlines()[2:]
    shown = [re.split("  +", row.strip())[0] for row in rows[:4]]
    assert shown == ["3 d 3 h", "1 h", "1 min 1 s", "59 s"]
    assert [row.rpartition(" ")[2] for row in rows[4:]] == ["b", "c", "d", "a"]


def test_message_moved_by_sqs(sqs: Sqs, run: Wxn) -> None:
    """It says so, and keeps its id."""
    sqs.real.set_queue_attributes(QueueUrl=sqs.target, Attributes=redrive_policy(sqs.dlq))
    body = readable(1)
    sent = sqs.real.send_message(QueueUrl=sqs.target, MessageBody=body)["MessageId"]
    for _ in range(2):
        sqs.real.receive_message(QueueUrl=sqs.target, VisibilityTimeout=0)
    source = {"DeadLetterQueueSourceArn": "arn:aws-cn:sqs:cn-north-1:1:send"}
    sqs.bend_messages(lambda message: message["Attributes"].update(source))  # which moto leaves out
    (row,) = run("list", "--json").rows
    assert (row["id"], row["reason"]) == (sent, "received too often: moved by SQS")
    assert run("redrive", "--reason", "moved by SQS").code == 0
    assert sqs.ids(sqs.target) == [(sent, body)]


# Reading


def test_many_are_hidden_for_longer(sqs: Sqs, run: Wxn) -> None:
    assert run("list").err.startswith("about 0 messages there\n")
    sqs.fill(30)
    run("list")
    timeouts = [request["VisibilityTimeout"] for request in sqs.requests("receive_message")]
    assert (timeouts[0], timeouts[-1]) == (60, 63)


def test_all_servers_are_asked(sqs: Sqs, run: Wxn, monkeypatch: pytest.MonkeyPatch) -> None:
    """A wait above 0 asks all of them, and one empty answer is no end."""
    monkeypatch.setattr(dead_letters, "_WAIT_SECONDS", WAIT_SECONDS)
    sqs.bent["receive_message"] = lambda _real, _request: {}
    run("list")
    assert [request["WaitTimeSeconds"] for request in sqs.requests("receive_message")] == [1, 1, 1]


@pytest.mark.parametrize(("error", "code", "said"), STOPS)
def test_reading_stops_and_hides_nothing(
    sqs: Sqs, run: Wxn, error: BaseException, code: int, said: str
) -> None:
    sqs.fill(25)
    sqs.fails("receive_message", 3, error)
    ran = run("redrive")
    assert (ran.code, ran.out) == (code, totals(0, 0))
    assert ran.notes[0] == "about 25 messages there"
    assert "\n".join(ran.notes[1:]).startswith(said)
    assert sqs.counts() == (25, 0)


@pytest.mark.parametrize("how", ["throttled", "unnamed"])
def test_what_stays_hidden_is_said(sqs: Sqs, run: Wxn, how: str) -> None:
    sqs.put("a")
    sqs.omits("change_message_visibility_batch", "0", named=False)
    if how == "throttled":
        sqs.fails("change_message_visibility_batch", 1, aws_error("RequestThrottled"))
    ran = run("list")
    assert ran.code == 0
    assert "1 messages read" in ran.err
    assert "1 messages are visible again only in 60 s at the latest" in ran.err


def test_messages_hidden_by_others_are_counted(sqs: Sqs, run: Wxn) -> None:
    sqs.fill(2)
    sqs.real.receive_message(QueueUrl=sqs.dlq, VisibilityTimeout=60)
    ran = run("list")
    assert "about 2 messages there, 1 of them hidden by another reader\n" in ran.err
    assert "1 messages read" in ran.err


def test_grudging_sqs_is_read_out(sqs: Sqs, run: Wxn) -> None:
    """It hands out fewer than were asked for, and at times nothing, but not three times in a row."""
    grants = cycle([0, 3, 0, 0, 10, 1])

    def grudging(real: Call, request: dict[str, Any]) -> dict[str, Any]:
        most = min(request["MaxNumberOfMessages"], next(grants))
        return real(**request | {"MaxNumberOfMessages": most}) if most else {}

    before = sorted(sqs.fill(25))
    sqs.bent["receive_message"] = grudging
    ran = run("list")
    assert len(ran.out.splitlines()) == 27
    assert "\nReading the dead letter queue · 0 messages\n" in ran.err
    assert sorted(message["MessageId"] for message in sqs.look(sqs.dlq)) == before
    changing = {"get_queue_attributes", "receive_message", "change_message_visibility_batch"}
    assert {name for name, _ in sqs.calls} == changing


@pytest.mark.parametrize(("command", "left"), [("list", 30), ("redrive", 17)])
def test_limit_hides_no_more(sqs: Sqs, run: Wxn, command: str, left: int) -> None:
    sqs.fill(30)
    assert run(command, "--limit", "13").code == 0
    asked = [request["MaxNumberOfMessages"] for request in sqs.requests("receive_message")]
    assert asked == [10, 3]
    assert len(sqs.look(sqs.dlq)) == left


def test_reading_ends_while_more_come(sqs: Sqs, run: Wxn, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dead_letters, "MAX_READ", 50)

    def more(real: Call, request: dict[str, Any]) -> dict[str, Any]:
        sqs.fill(10)
        return real(**request)

    sqs.bent["receive_message"] = more
    assert "50 messages read" in run("list").err
    assert run("redrive", "--reason", "none has it").out.startswith("0 sent")
    assert len(sqs.requests("receive_message")) == 10


def test_same_message_again_and_again(sqs: Sqs, run: Wxn) -> None:
    """Reading ends, and the newest handle counts: an older one may delete nothing."""
    sqs.put("a")
    handles: list[str] = []

    def hidden_for_no_time(real: Call, request: dict[str, Any]) -> dict[str, Any]:
        received = real(**request | {"VisibilityTimeout": 0})
        handles.extend(message["ReceiptHandle"] for message in received["Messages"])
        return received

    sqs.bent["receive_message"] = hidden_for_no_time
    assert [row["copies"] for row in run("list", "--json").rows] == [1]
    assert len(handles) == 4
    assert run("redrive").code == 0
    assert (sqs.bodies(sqs.dlq), sqs.bodies(sqs.target)) == ([], ["a"])
    assert sqs.requests("change_message_visibility_batch")[0]["Entries"][0]["ReceiptHandle"] == handles[3]
    assert sqs.requests("delete_message_batch")[0]["Entries"][0]["ReceiptHandle"] == handles[7]
