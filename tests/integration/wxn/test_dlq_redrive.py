"""Redriving dead letters: each is sent once more under its first id, and nothing is lost on the way."""

import json
import signal
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.integration.wxn.conftest import (
    STOPS,
    UNREADABLE,
    Call,
    Sqs,
    default_id,
    readable,
    totals,
)
from tests.unit.wxn.command_line import Wxn
from wechat_notify.core.errors import MalformedBodyError
from wechat_notify.core.messages.envelope import parse_queue_body


def test_message_keeps_its_first_id(sqs: Sqs, run: Wxn) -> None:
    moved = sqs.put(readable(1))
    sqs.put(readable(2), reason="no time", message_id="first-2", other="x")
    number = {"message_id": {"DataType": "Number", "StringValue": "7"}}  # the service's is a string
    sent = sqs.real.send_message(QueueUrl=sqs.dlq, MessageBody="x", MessageAttributes=number)
    ran = run("redrive")
    assert (ran.code, ran.out) == (0, totals(3, 3))
    assert sqs.look(sqs.dlq) == []
    expected = [(moved, readable(1)), ("first-2", readable(2)), (sent["MessageId"], "x")]
    assert sqs.ids(sqs.target) == sorted(expected)
    for message in sqs.look(sqs.target):
        only = {"StringValue": default_id(message), "DataType": "String"}
        assert message["MessageAttributes"] == {"message_id": only}


@pytest.mark.parametrize(
    ("body", "group"),
    [
        (readable(1), "shop"),
        (json.dumps({"account": "x" * 64}), "x" * 64),
        (json.dumps({"account": "x" * 65}), None),
        ('{"account": ""}', None),
        ('{"account": "Shop"}', None),
        ('{"account": "a\\n"}', None),
        ('{"account": 7}', None),
        ('{"detail": {"account": "shop"}}', "shop"),
        ('{"account": "123456789012", "detail-type": "t", "detail": {"account": "shop"}}', "shop"),
        ('{"account": "123456789012", "detail-type": "t", "detail": {}}', None),
        ('{"account": "123456789012", "detail-type": "t", "detail": "shop"}', None),
        ("7", None),
        (UNREADABLE, None),
        ("[" * 100_000, None),
        ("9" * 5_000, None),
        (" \t\r\n\x7f\x85\ufffd\u2028😀\\u0000", None),
    ],
)
def test_body_stays_group_is_account(sqs: Sqs, run: Wxn, body: str, group: str | None) -> None:
    sqs.put(body, message_id="first")
    assert run("redrive").code == 0
    (message,) = sqs.look(sqs.target)
    assert message["Attributes"].get("MessageGroupId") == group
    assert (default_id(message), message["Body"]) == ("first", body)


# Batches


def test_ten_are_sent_then_deleted(sqs: Sqs, run: Wxn) -> None:
    sqs.put_all(*((readable(number), {}) for number in range(25)))
    ran = run("redrive")
    assert (ran.code, ran.out) == (0, totals(25, 25))
    assert "\nSending · 40%\n" in ran.err
    batches = [(name, len(request["Entries"])) for name, request in sqs.calls if "Entries" in request]
    pairs = [[("send_message_batch", n), ("delete_message_batch", n)] for n in (10, 10, 5)]
    assert batches == [call for pair in pairs for call in pair]
    assert sqs.bodies(sqs.target) == sorted(readable(number) for number in range(25))
    assert sqs.look(sqs.dlq) == []


def test_requests_fit_into_256_kib(sqs: Sqs, run: Wxn) -> None:
    """With the attribute, whose name, type and value count too."""
    half = 128 * 1024 - len("message_idStringm")
    for number, size in enumerate([half, half, 2 * half, 1, half, half]):
        sqs.put("深" * (size // 3) + "x" * (size % 3), message_id=str(number))
        time.sleep(0.002)  # they go in the order of their age
    assert run("redrive").code == 0
    batches = [request["Entries"] for request in sqs.requests("send_message_batch")]
    sizes = [[len(entry["MessageBody"].encode()) for entry in entries] for entries in batches]
    assert sizes == [[half, half], [2 * half], [1, half], [half]]


@pytest.mark.parametrize("named", [True, False])
def test_unsent_messages_stay(sqs: Sqs, run: Wxn, *, named: bool) -> None:
    """What SQS does not name as sent was not sent."""
    ids = sqs.fill(13)
    sqs.omits("send_message_batch", "1", "2", named=named)
    ran = run("redrive")
    assert (ran.code, ran.out) == (1, totals(9, 9, 4))
    assert sqs.bodies(sqs.dlq) == ["body 01", "body 02", "body 11", "body 12"]
    assert len(sqs.look(sqs.target)) == 9
    assert (f"not sent: {ids[1]}: InternalError: \\x1b[2Jno\n" in ran.err) is named


def test_refused_body_holds_up_none(sqs: Sqs, run: Wxn) -> None:
    sqs.real.set_queue_attributes(QueueUrl=sqs.target, Attributes={"MaximumMessageSize": "1024"})
    for number in range(12):
        sqs.put("x" * 2000 if number == 3 else f"body {number}", message_id=str(number))
    ran = run("redrive")
    assert (ran.code, ran.out) == (1, totals(11, 11, 1))
    assert "not sent: 3: InvalidParameterValue" in ran.err
    assert sqs.bodies(sqs.dlq) == ["x" * 2000]
    assert len(sqs.look(sqs.target)) == 11


@pytest.mark.parametrize(("error", "code", "said"), STOPS)
def test_sending_stops_and_hides_nothing(
    sqs: Sqs, run: Wxn, error: BaseException, code: int, said: str
) -> None:
    sqs.fill(25)
    sqs.fails("send_message_batch", 2, error)
    ran = run("redrive")
    assert (ran.code, ran.out) == (code, totals(10, 10))
    assert ran.notes[0] == "about 25 messages there"
    assert "\n".join(ran.notes[1:]).startswith(said)
    assert sqs.counts() == (15, 10)


@pytest.fixture
def _ctrl_c_is_heard() -> Iterator[None]:
    """Whoever runs in the background was told to ignore it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    assert signal.signal(signal.SIGINT, before) is signal.default_int_handler


@pytest.mark.usefixtures("_ctrl_c_is_heard")
@pytest.mark.parametrize(
    ("command", "method", "out", "left"),
    [
        ("redrive", "send_message_batch", totals(10, 10), (15, 10)),
        ("list", "receive_message", "", (25, 0)),
        ("list", "change_message_visibility_batch", "", (25, 0)),
    ],
)
def test_ctrl_c_waits(
    sqs: Sqs, run: Wxn, *, command: str, method: str, out: str, left: tuple[int, int]
) -> None:
    """Until what was sent is deleted, what was read is known, and all are visible again."""
    sqs.fill(25)

    def interrupted(real: Call, request: dict[str, Any]) -> dict[str, Any]:
        answered = real(**request)
        if len(sqs.requests(method)) == 1:
            signal.raise_signal(signal.SIGINT)
        return answered

    sqs.bent[method] = interrupted
    ran = run(command)
    assert (ran.code, ran.out) == (130, out)
    waiting = "waiting for SQS; Ctrl-C once more does not wait"
    assert ran.notes == ["about 25 messages there", waiting]
    assert sqs.counts() == left


@pytest.mark.usefixtures("_ctrl_c_is_heard")
def test_second_ctrl_c_does_not_wait(sqs: Sqs, run: Wxn) -> None:
    sqs.fill(25)

    def interrupted(real: Call, request: dict[str, Any]) -> dict[str, Any]:
        if len(sqs.requests("receive_message")) > 1:
            signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGINT)
        return real(**request)

    sqs.bent["receive_message"] = interrupted
    assert run("list").code == 130
    assert len(sqs.requests("receive_message")) == 2
    assert sqs.counts() == (25, 0)


def test_undeleted_messages_are_counted(sqs: Sqs, run: Wxn) -> None:
    sqs.fill(3)
    sqs.omits("delete_message_batch", "1", named=False)
    ran = run("redrive")
    assert (ran.code, ran.out) == (1, totals(3, 2, 1))
    assert "sent, but not deleted: 1; they are still there, under the same ids" in ran.err
    assert sqs.bodies(sqs.dlq) == ["body 01"]


# Copies, and what is asked for


def test_copies_are_sent_once(sqs: Sqs, run: Wxn) -> None:
    """And all of them are deleted, or none where that one is not sent."""
    first = sqs.put("a")
    sqs.put_all(*[("a", {"message_id": first, "reason": "why"})] * 24)
    sqs.put("a", message_id="another")
    sqs.put("b", message_id=first)
    sqs.omits("send_message_batch", "0", named=True)
    assert run("redrive").out == totals(2, 2, 1)
    assert len(sqs.look(sqs.dlq)) == 25
    del sqs.bent["send_message_batch"]
    assert run("redrive").out == totals(1, 25)
    assert sqs.ids(sqs.target) == sorted([(first, "a"), ("another", "a"), (first, "b")])
    assert sqs.look(sqs.dlq) == []


def test_only_what_is_asked_for(sqs: Sqs, run: Wxn) -> None:
    moved = sqs.put("moved")
    for number, reason in enumerate(["not JSON: x", "not JSON: y", "given up"]):
        sqs.put(f"body {number}", message_id=f"first-{number}", reason=reason)
    ran = run("redrive", "--id", moved, "--id", "first-2", "--id", "first-0", "--id", "first-9")
    assert ran.notes == ["about 4 messages there", "not found: first-9"]
    assert sqs.bodies(sqs.target) == ["body 0", "body 2", "moved"]
    assert sqs.bodies(sqs.dlq) == ["body 1"]
    assert run("redrive", "--id", "first-1", "--reason", "given up").code == 0
    assert sqs.bodies(sqs.dlq) == ["body 1"]
    assert run("redrive", "--reason", "JSON").out.startswith("1 sent")
    assert sqs.look(sqs.dlq) == []


@pytest.mark.parametrize("asked", [["order-1"], ["first-1", "order-1", "order-2"]])
def test_producers_ids_are_taken_too(sqs: Sqs, run: Wxn, asked: list[str]) -> None:
    """One copy that names the id is enough where the first id is asked for as well."""
    sqs.put(readable(2), message_id="first-2", id="order-3")
    sqs.put(readable(1), message_id="first-1")
    sqs.put(readable(1), message_id="first-1", id="order-1")
    ran = run("redrive", *(f"--id={each}" for each in asked))
    assert (ran.code, ran.out) == (0, totals(1, len(asked[:2])))
    assert ran.notes[1:] == ["not found: order-2"] * ("order-2" in asked)


def test_limit_counts_what_is_asked(sqs: Sqs, run: Wxn) -> None:
    sqs.put_all(*((f"body {number}", {"reason": "odd" if number % 2 else "even"}) for number in range(40)))
    assert run("redrive", "--reason", "odd", "--limit", "15").out.startswith("15 sent, 15 deleted")
    left = Counter(message["MessageAttributes"]["reason"]["StringValue"] for message in sqs.look(sqs.dlq))
    assert left == {"odd": 5, "even": 20}


def test_steps_that_stay_use_up_no_limit(sqs: Sqs, run: Wxn) -> None:
    """Repeated with the same limit, the command would never come to what is behind them."""
    step = json.dumps({"account": "shop", "broadcast": "b1", "step": 7})
    sqs.put_all(*((step, {"message_id": f"step-{number}"}) for number in range(12)))
    sqs.put_all(*((f"body {number}", {}) for number in range(3)))
    assert run("redrive", "--limit", "3").out.startswith("3 sent, 3 deleted")
    assert sqs.bodies(sqs.dlq) == [step] * 12


def test_dry_run_changes_nothing(sqs: Sqs, run: Wxn) -> None:
    first = sqs.put("secret")
    sqs.put("secret", message_id=first)
    sqs.put("other", reason="why")
    before = sqs.ids(sqs.dlq)
    ran = run("redrive", "--dry-run", "--id", first)
    assert ran.code == 0
    assert ran.err.splitlines()[-1] == "1 would be sent, 2 deleted from the dead letter queue"
    assert first in ran.out
    assert "secret" not in ran.out
    assert sqs.ids(sqs.dlq) == before
    assert sqs.look(sqs.target) == []


# Queues of broadcasts


def test_each_goes_where_it_was(sqs: Sqs, run: Wxn) -> None:
    """By the queue that SQS moved it from, which moto leaves out."""
    for name in ("send", "broadcast", "steps", "other"):
        sqs.put(f"from {name}")

    def moved(message: dict[str, Any]) -> None:
        name = message["Body"].split()[-1]
        message["Attributes"]["DeadLetterQueueSourceArn"] = f"arn:aws:sqs:eu-central-1:1:{name}"

    sqs.bend_messages(moved)
    assert run("redrive").out == totals(4, 4)
    assert sqs.bodies(sqs.target) == ["from other", "from send"]
    assert (sqs.bodies(sqs.broadcasts), sqs.bodies(sqs.steps)) == (["from broadcast"], ["from steps"])


def test_steps_stay(sqs: Sqs, run: Wxn) -> None:
    """They are nobody's message; what to do is said."""
    step = json.dumps({"account": "shop", "broadcast": "b1", "step": 7})
    first = sqs.put(step)
    sqs.put(readable(1))
    ran = run("redrive")
    assert (ran.code, ran.out) == (0, totals(1, 1))
    assert f"left there: {first}, a step of a broadcast" in ran.err
    assert sqs.bodies(sqs.dlq) == [step]
    assert json.loads(run("redrive", "--json").out)["steps"] == [step]
    assert run("list", "--json").rows[0]["target"] is None


# Twice, and with the service at work


@dataclass
class Service:
    """send_queue with its ledger: sends an id once, and puts what it cannot read among the dead letters."""

    sqs: Sqs
    sent: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        named = {"reason": "given up", "message_id": "first-{}"}
        self.sqs.put_all(
            *(
                (readable(number), {key: value.format(number) for key, value in named.items() if number % 2})
                for number in range(12)
            )
        )
        self.readable = {first_id for first_id, _ in self.sqs.ids(self.sqs.dlq)}
        self.unreadable = [(f"unreadable-{number}", f"{UNREADABLE} {number}") for number in range(3)]
        self.sqs.put_all(
            *((body, {"reason": "not JSON", "message_id": first_id}) for first_id, body in self.unreadable)
        )

    def work(self) -> None:
        for message in self.sqs.look(self.sqs.target):
            self._handle(message)
            self.sqs.real.delete_message(QueueUrl=self.sqs.target, ReceiptHandle=message["ReceiptHandle"])

    def _handle(self, message: Mapping[str, Any]) -> None:
        try:
            request = parse_queue_body(message["Body"], default_id(message))
        except MalformedBodyError as error:
            self.sqs.put(message["Body"], reason=error.text.en, message_id=default_id(message))
        else:
            self.sent[request.id] = 1  # the ledger claims an id once


@pytest.fixture
def service(sqs: Sqs) -> Service:
    """At work on 12 dead letters that it can read and 3 that it cannot."""
    return Service(sqs)


@pytest.mark.parametrize("batch", [1, 2])
@pytest.mark.parametrize("method", ["send_message_batch", "delete_message_batch"])
@pytest.mark.parametrize("done", [False, True], ids=["before", "after"])
def test_killed_anywhere_and_run_again(
    sqs: Sqs, run: Wxn, service: Service, *, batch: int, method: str, done: bool
) -> None:
    sqs.fails(method, batch, KeyboardInterrupt(), done=done)
    assert run("redrive").code == 130
    service.work()
    del sqs.bent[method]
    assert len(sqs.look(sqs.dlq)) >= 3
    for _ in range(2):
        assert run("redrive").code == 0
        service.work()
    assert sqs.ids(sqs.dlq) == service.unreadable
    assert set(service.sent) == service.readable


def test_what_returns_meanwhile_stays(sqs: Sqs, run: Wxn, service: Service) -> None:
    """It is neither sent again nor deleted."""

    def at_work(real: Call, request: dict[str, Any]) -> dict[str, Any]:
        answered = real(**request)
        service.work()
        return answered

    sqs.bent |= {"send_message_batch": at_work, "delete_message_batch": at_work}
    assert run("redrive").out == totals(15, 15)
    assert sqs.ids(sqs.dlq) == service.unreadable
    assert set(service.sent) == service.readable
