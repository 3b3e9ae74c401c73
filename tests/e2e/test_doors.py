"""Each kind of message through each door of the deployed template."""

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import requests

from local.client import post_message
from local.examples import Message, addressed, examples
from tests import event_contract
from tests.e2e.conftest import ACCEPTED, Service, eventually, listening

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
    assert service.becomes(put["EventId"], *ACCEPTED)["kind"] == message["kind"]


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
    assert service.becomes(firing, *ACCEPTED)["attempts"] == 1


def test_answers_at_once_where_asked_to(service: Service, touser: str) -> None:
    """It is put on the queue first: whoever sends it may be faster than the note that it waits."""
    message = addressed(examples()[0], touser)
    answer = service.post(message, headers={"Prefer": "respond-async"})
    told = answer.status_code, answer.json()["status"]
    assert told in ((202, "queued"), *((200, status) for status in ACCEPTED)), answer.text
    assert_is(service.arrives(message["touser"]), message)
    if answer.status_code == 202:
        assert answer.headers["Location"] == f"/v1/accounts/demo/messages/{answer.json()['id']}"
    looked_up = service.becomes(answer.json()["id"], *ACCEPTED)
    timeline = [change["status"] for change in looked_up["timeline"] if change["status"] != "delivered"]
    assert timeline in (["queued", "sending", "sent"], ["sending", "sent"])


def test_invalid_message(service: Service, touser: str) -> None:
    message = addressed(examples()[0], touser)
    del message["template_id"]
    answer = service.post(message)
    assert answer.status_code == 422, answer.text
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert [error["path"] for error in answer.json()["errors"]] == ["template_id"]
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
    assert service.taken_from(service.state.dead_letter_queue_url) == [broken]


# One id, one message


def test_same_key_is_one_message(service: Service, touser: str) -> None:
    message = addressed(examples()[0], touser)
    headers = {"Idempotency-Key": touser}
    first, again = (service.post(message, headers=headers) for _ in range(2))
    assert (first.status_code, again.status_code) == (200, 200), again.text
    assert again.content == first.content
    assert ("Idempotent-Replayed" in first.headers, again.headers["Idempotent-Replayed"]) == (False, "true")
    assert_is(service.arrived(touser), message)
    looked_up = service.look(touser).json()
    assert (looked_up["status"] in ACCEPTED, looked_up["attempts"]) == (True, 1)
    assert looked_up["wechat"] == first.json()["wechat"]
    assert touser not in json.dumps({**looked_up, "id": ""})
    assert service.post({**message, "template_id": "another"}, headers=headers).status_code == 422
    assert service.look(touser, account="another").status_code == 404


def test_copies_are_one_message(service: Service, touser: str) -> None:
    message = addressed(examples()[4], touser)
    service.enqueue(*[service.body(message, id=touser)] * 4)
    assert service.becomes(touser, *ACCEPTED)["attempts"] == 1
    answer = service.post(message, headers={"Idempotency-Key": touser})
    assert (answer.status_code, answer.headers["Idempotent-Replayed"]) == (200, "true")
    time.sleep(0.5)  # as long as a second one takes to show up
    (arrived,) = service.arrived(touser)
    assert arrived["accepted"]


# What waits, and what is told of it


@pytest.fixture
def heard(service: Service, touser: str) -> Iterator[Callable[[], list[str]]]:
    """What the service publishes on its bus, as a queue of the team's own hears it."""
    told: list[str] = []
    with listening(service, touser, {"source": ["wechat-notify"], "detail": {"account": [touser]}}) as hear:

        def so_far() -> list[str]:
            for event in hear():
                event_contract.check(event)
                told.append(event["detail-type"])
            return told

        yield so_far


def test_used_up_quota_holds_one_kind(service: Service, touser: str, heard: Callable[[], list[str]]) -> None:
    service.add_account(touser)
    service.tell("quotas", app_id=f"wx{touser}", path=PATHS["subscription"], daily=0)
    held, free = f"{touser}-held", f"{touser}-free"
    service.enqueue(
        service.body(addressed(examples()[0], held), id=held, account=touser),
        service.body(addressed(examples()[4], free), id=free, account=touser),
    )
    service.becomes(held, "queued", account=touser)
    service.becomes(free, "sent", account=touser)
    answer = service.post(addressed(examples()[0], f"{touser}-http"), account=touser)
    assert (answer.status_code, answer.json()["errcode"]) == (429, 45009), answer.text
    assert int(answer.headers["Retry-After"]) > 0
    assert service.arrived(f"{touser}-http") == []
    assert eventually(lambda: "quota.reached" in heard())

    # What waits can be cancelled, once and for all.
    assert service.cancel(held, touser).json()["status"] == "cancelled"
    answer = service.cancel(free, touser)
    assert (answer.status_code, answer.json()["message_status"]) == (409, "sent")
    assert service.look(held, touser).json()["status"] == "cancelled"
    assert heard() == ["quota.reached"]


def test_failed_and_unknown_are_told(service: Service, touser: str, heard: Callable[[], list[str]]) -> None:
    service.add_account(touser)
    for receiver in ("errcode-43101", "fault-reset-after"):
        message = addressed(examples()[0], receiver)
        service.enqueue(service.body(message, id=f"{touser}-{receiver}", account=touser))
    service.becomes(f"{touser}-errcode-43101", "failed", account=touser)
    service.becomes(f"{touser}-fault-reset-after", "unknown", account=touser)
    assert eventually(lambda: len(heard()) == 2)
    assert sorted(heard()) == ["message.failed", "message.unknown"]


def test_events_are_logged_and_requests_not(service: Service, touser: str) -> None:
    """Not even a request that comes in the service's own name: it holds an openid."""
    service.add_account(touser)
    message = addressed(examples()[0], "errcode-43101")
    entry = {
        "Source": "wechat-notify",
        "DetailType": "WeChat Message Requested",
        "Detail": service.body(message, id=touser, account=touser),
        "EventBusName": service.state.event_bus_name,
    }
    service.client("events").put_events(Entries=[entry])

    def logged() -> list[dict[str, Any]]:
        found = service.client("logs").filter_log_events(
            logGroupName=service.stack.deployment.outputs["EventLogGroupName"], filterPattern=f'"{touser}"'
        )
        return [json.loads(line["message"]) for line in found["events"]]

    assert eventually(logged)
    (event,) = logged()
    event_contract.check(event)
    assert (event["source"], event["detail-type"]) == ("wechat-notify", "message.failed")
    assert (event["detail"]["id"], event["detail"]["errcode"]) == (touser, 43101)
