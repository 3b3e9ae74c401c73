"""Each kind of message through each door of the deployed template."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import requests

from local.demo import Message, addressed, examples, post_message
from tests.e2e.conftest import Service

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
    assert service.client("events").put_events(Entries=[entry])["FailedEntryCount"] == 0
    assert_is(service.arrives(message["touser"]), message)


def test_over_scheduler(service: Service, touser: str) -> None:
    due = (datetime.now(UTC) + timedelta(seconds=2)).replace(microsecond=0)
    messages = [addressed(message, f"{touser}-{message['kind']}") for message in examples()]
    for message in messages:
        body = {"id": "<aws.scheduler.scheduled-time>", "account": "demo", "message": message}
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


def test_answers_at_once_where_asked_to(service: Service, message: Message) -> None:
    answer = service.post(message, headers={"Prefer": "respond-async"})
    assert answer.status_code == 202, answer.text
    assert answer.json()["status"] == "queued"
    assert_is(service.arrives(message["touser"]), message)


def test_invalid_message(service: Service, touser: str) -> None:
    message = addressed(examples()[0], touser)
    del message["template_id"]
    answer = service.post(message)
    assert answer.status_code == 422, answer.text
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert [error["path"] for error in answer.json()["errors"]] == ["template_id"]
    assert service.arrived(touser) == []


def test_message_that_wechat_refuses(service: Service) -> None:
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


def test_refuses_a_request_without_signature(service: Service, touser: str) -> None:
    url = f"{service.state.api_url}/v1/accounts/demo/messages"
    answer = requests.post(url, json=addressed(examples()[0], touser), timeout=10)
    assert answer.status_code == 403
    assert service.arrived(touser) == []


def test_refuses_a_signature_with_another_secret(service: Service, touser: str) -> None:
    stranger = replace(service.state, secret_access_key="another")
    assert post_message(stranger, addressed(examples()[0], touser)).status_code == 403
    assert service.arrived(touser) == []


def test_a_body_that_cannot_be_read_does_not_hold_up_its_neighbours(service: Service, touser: str) -> None:
    before, after = (addressed(examples()[0], f"{touser}-{where}") for where in ("before", "after"))
    broken = f"not JSON {touser}"
    service.enqueue(service.body(before), broken, service.body(after))
    assert_is(service.arrives(before["touser"]), before)
    assert_is(service.arrives(after["touser"]), after)
    assert service.dead_letters() == [broken]
