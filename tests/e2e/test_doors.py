"""Each kind of message through each door of the deployed template."""

import json
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import requests

from local.demo import Message, addressed, examples, post_message
from tests.e2e.conftest import Service, eventually

PATHS = {
    "subscription": "/cgi-bin/message/subscribe/bizsend",
    "one_time_subscription": "/cgi-bin/message/template/subscribe",
    "mini_program_template": "/cgi-bin/message/wxopen/template/send",
    "mini_program_subscription": "/cgi-bin/message/subscribe/send",
    "template": "/cgi-bin/message/template/send",
}


def assert_is(arrived: list[dict[str, Any]], message: Message) -> None:
    # A token that was revoked meanwhile shows up as a refusal before the message.
    (one,) = [m for m in arrived if m["errcode"] != 40001]
    assert one["accepted"], one
    assert one["path"] == PATHS[message["kind"]]
    sent = json.loads(one["body"])
    if message["kind"] == "template" and "client_msg_id" not in message:
        # The message's id, by which WeChat knows a second copy.
        assert 0 < len(sent.pop("client_msg_id").encode()) <= 32
    assert sent == {name: value for name, value in message.items() if name != "kind"}
    # Raw UTF-8, because WeChat has error codes of its own for \uXXXX.
    assert "\\u" not in one["body"]


def test_over_http(service: Service, message: Message) -> None:
    answer = service.post(message)
    assert answer.status_code == 200, answer.text
    assert answer.headers["Content-Type"] == "application/json"
    content = answer.json()
    assert (content["account"], content["kind"], content["status"]) == ("demo", message["kind"], "sent")
    assert content["wechat"]["errcode"] == 0
    assert content["id"]
    assert_is(service.arrived(message["touser"]), message)


def test_over_sqs(service: Service, message: Message) -> None:
    service.enqueue(service.body(message))
    assert_is(service.arrives(message["touser"]), message)


def test_over_the_event_bus(service: Service, message: Message) -> None:
    entry = {
        "Source": "test",
        "DetailType": "WeChat Message Requested",
        "Detail": service.body(message),
        "EventBusName": service.state.event_bus_name,
    }
    (put,) = service.client("events").put_events(Entries=[entry])["Entries"]
    assert_is(service.arrives(message["touser"]), message)
    assert service.becomes(put["EventId"], "sent")["kind"] == message["kind"]


def test_over_scheduler(service: Service, touser: str) -> None:
    due = (datetime.now(UTC) + timedelta(seconds=2)).replace(microsecond=0)
    messages = [addressed(message, f"{touser}-{message['kind']}") for message in examples()]
    for message in messages:
        name = f"{message['touser']}-<aws.scheduler.scheduled-time>"
        body = {"id": name, "account": "demo", "message": message}
        service.client("scheduler").create_schedule(
            Name=message["touser"],
            GroupName=service.state.schedule_group,
            ScheduleExpression=f"at({due:%Y-%m-%dT%H:%M:%S})",
            FlexibleTimeWindow={"Mode": "OFF"},
            ActionAfterCompletion="DELETE",
            Target={
                "Arn": service.stack.deployment.outputs["SendQueueArn"],
                "RoleArn": service.state.schedule_role_arn,
                "Input": json.dumps(body),
            },
        )
    for message in messages:
        assert_is(service.arrives(message["touser"]), message)
    firing = f"{messages[0]['touser']}-{due:%Y-%m-%dT%H:%M:%SZ}"
    assert service.becomes(firing, "sent")["attempts"] == 1


def test_answers_at_once_where_asked_to(service: Service, message: Message) -> None:
    answer = service.post(message, headers={"Prefer": "respond-async"})
    assert answer.status_code == 202, answer.text
    assert answer.json()["status"] == "queued"
    assert_is(service.arrives(message["touser"]), message)
    path = answer.headers["Location"]
    assert path == f"/v1/accounts/demo/messages/{answer.json()['id']}"
    looked_up = service.becomes(answer.json()["id"], "sent")
    # It is put on the queue first: whoever sends it may be faster than the note that it waits.
    timeline = [change["status"] for change in looked_up["timeline"]]
    assert timeline in (["queued", "sending", "sent"], ["sending", "sent"])


def test_invalid_message(service: Service, touser: str) -> None:
    message = addressed(examples()[0], touser)
    del message["template_id"]
    answer = service.post(message)
    assert answer.status_code == 422, answer.text
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert [error["path"] for error in answer.json()["errors"]] == ["template_id"]
    assert service.arrived(touser) == []


def test_message_refused_by_wechat(service: Service) -> None:
    answer = service.post(addressed(examples()[0], "errcode-43101"))
    assert answer.status_code == 422, answer.text
    assert answer.json()["errcode"] == 43101


def test_malformed_json(service: Service) -> None:
    assert service.post(b"{").status_code == 400


def test_unknown_account(service: Service, touser: str) -> None:
    message = addressed(examples()[0], touser)
    for headers in ({}, {"Prefer": "respond-async"}):
        assert service.post(message, account="nobody", headers=headers).status_code == 404
    assert service.arrived(touser) == []


@pytest.mark.parametrize("signed", [False, True], ids=["unsigned", "with another secret"])
def test_foreign_signatures_are_refused(service: Service, touser: str, *, signed: bool) -> None:
    message = addressed(examples()[0], touser)
    if signed:
        answer = post_message(replace(service.state, secret_access_key="another"), message)
    else:
        url = f"{service.state.api_url}/v1/accounts/demo/messages"
        answer = requests.post(url, json=message, timeout=10)
    assert answer.status_code == 403
    assert service.arrived(touser) == []


def test_unreadable_body_holds_up_none(service: Service, touser: str) -> None:
    before, after = (addressed(examples()[0], f"{touser}-{where}") for where in ("before", "after"))
    broken = f"not JSON {touser}"
    service.enqueue(service.body(before), broken, service.body(after))
    assert_is(service.arrives(before["touser"]), before)
    assert_is(service.arrives(after["touser"]), after)
    assert service.dead_letters() == [broken]


# One id, one message


def test_same_key_is_one_message(service: Service, message: Message, touser: str) -> None:
    headers = {"Idempotency-Key": touser}
    first, again = (service.post(message, headers=headers) for _ in range(2))
    assert (first.status_code, again.status_code) == (200, 200), again.text
    assert again.content == first.content
    assert ("Idempotent-Replayed" in first.headers, again.headers["Idempotent-Replayed"]) == (False, "true")
    assert_is(service.arrived(touser), message)
    looked_up = service.look(touser).json()
    assert (looked_up["status"], looked_up["attempts"]) == ("sent", 1)
    assert looked_up["wechat"] == first.json()["wechat"]
    assert touser not in json.dumps({**looked_up, "id": ""})
    assert service.post({**message, "template_id": "another"}, headers=headers).status_code == 422
    assert service.look(touser, account="another").status_code == 404


@pytest.mark.parametrize("key", ["order 1", "order,1", "x" * 65])
def test_malformed_keys_are_refused(service: Service, touser: str, key: str) -> None:
    answer = service.post(addressed(examples()[0], touser), headers={"Idempotency-Key": key})
    assert answer.status_code == 400, answer.text
    assert service.arrived(touser) == []


def test_copies_are_one_message(service: Service, touser: str) -> None:
    message = addressed(examples()[4], touser)
    service.enqueue(*[service.body(message, id=touser)] * 4)
    assert service.becomes(touser, "sent")["attempts"] == 1
    answer = service.post(message, headers={"Idempotency-Key": touser})
    assert (answer.status_code, answer.headers["Idempotent-Replayed"]) == (200, "true")
    time.sleep(0.5)  # as long as a second one takes to show up
    (arrived,) = service.arrived(touser)
    assert arrived["accepted"]


def test_expired_message_is_gone(service: Service, touser: str) -> None:
    message = {**addressed(examples()[0], touser), "expires_at": "2026-01-01T00:00:00Z"}
    answer = service.post(message, headers={"Idempotency-Key": touser})
    assert answer.status_code == 410, answer.text
    assert service.look(touser).json()["status"] == "expired"


def test_unknown_message_is_not_found(service: Service, touser: str) -> None:
    for answer in (service.look(touser), service.cancel(touser)):
        assert answer.status_code == 404, answer.text
        assert answer.headers["Content-Type"] == "application/problem+json"


# What waits, and what is told of it


@pytest.fixture
def heard(service: Service, touser: str) -> Iterator[Any]:
    """What the service publishes on its bus, as a queue of the team's own hears it."""
    sqs, events, bus = service.client("sqs"), service.client("events"), service.state.event_bus_name
    url = sqs.create_queue(QueueName=touser)["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    pattern = json.dumps({"source": ["wechat-notify"], "detail": {"account": [touser]}})
    events.put_rule(Name=touser, EventBusName=bus, EventPattern=pattern)
    events.put_targets(Rule=touser, EventBusName=bus, Targets=[{"Id": "queue", "Arn": arn}])
    told: list[dict[str, Any]] = []

    def hear() -> list[str]:
        messages = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", [])
        for message in messages:
            sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
        told.extend(json.loads(message["Body"]) for message in messages)
        assert {event["source"] for event in told} <= {"wechat-notify"}
        return [event["detail-type"] for event in told]

    yield hear
    events.remove_targets(Rule=touser, EventBusName=bus, Ids=["queue"])
    events.delete_rule(Name=touser, EventBusName=bus)
    sqs.delete_queue(QueueUrl=url)


def test_used_up_quota_holds_one_kind(service: Service, touser: str, heard: Any) -> None:
    account = touser
    service.add_account(account)
    quota = {"app_id": f"wx{account}", "path": PATHS["subscription"]}
    service.tell("quotas", **quota, daily=1)
    held, free = examples()[0], examples()[4]
    names = [f"{touser}-{number}" for number in range(4)]
    service.enqueue(*[service.body(addressed(held, name), id=name, account=account) for name in names])
    looked_up = {name: service.becomes(name, "sent", "queued", account=account) for name in names}
    waiting = [name for name in names if looked_up[name]["status"] == "queued"]
    assert len(waiting) == 3
    assert sum(m["accepted"] for name in names for m in service.arrived(name)) == 1

    # Everything else goes on: another kind, another account, and HTTP hears when to come again.
    for another in (
        service.body(addressed(free, f"{touser}-kind"), id=f"{touser}-kind", account=account),
        service.body(addressed(held, f"{touser}-demo"), id=f"{touser}-demo"),
    ):
        service.enqueue(another)
    service.becomes(f"{touser}-kind", "sent", account=account)
    service.becomes(f"{touser}-demo", "sent")
    answer = service.post(addressed(held, f"{touser}-http"), account=account)
    assert (answer.status_code, answer.json()["errcode"]) == (429, 45009), answer.text
    assert int(answer.headers["Retry-After"]) > 0
    assert service.arrived(f"{touser}-http") == []
    assert eventually(lambda: "quota.reached" in heard())

    # What waits can be cancelled, once and for all.
    assert service.cancel(waiting[0], account).json()["status"] == "cancelled"
    sent = next(name for name in names if name not in waiting)
    answer = service.cancel(sent, account)
    assert (answer.status_code, answer.json()["message_status"]) == (409, "sent")
    assert service.look(waiting[0], account).json()["status"] == "cancelled"
    assert heard() == ["quota.reached"]


def test_failed_and_unknown_are_told(service: Service, touser: str, heard: Any) -> None:
    service.add_account(touser)
    for receiver in ("errcode-43101", "fault-reset-after"):
        message = addressed(examples()[0], receiver)
        service.enqueue(service.body(message, id=f"{touser}-{receiver}", account=touser))
    service.becomes(f"{touser}-errcode-43101", "failed", account=touser)
    service.becomes(f"{touser}-fault-reset-after", "unknown", account=touser)
    assert eventually(lambda: len(heard()) == 2)
    assert sorted(heard()) == ["message.failed", "message.unknown"]
