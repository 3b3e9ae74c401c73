"""WeChat's receipts: from the simulator through the public address to the message's state."""

from __future__ import annotations

import json
import time
import uuid
from typing import Any

import pytest

from functions.callback_events.handler import PAUSES
from local.accounts import CallbackKey
from local.client import get_json, http
from local.examples import addressed, examples
from local.simulator.receipts import sign
from tests.e2e.conftest import Service, eventually, listening

BY_KIND = {message["kind"]: message for message in examples()}
ACCOUNT = "receipts"
LAST = str(len(PAUSES) + 1)
"""The receive count of a receipt that does not come again."""


@pytest.fixture(scope="module")
def key(service: Service) -> CallbackKey:
    """The key of an account whose mini program gets JSON."""
    service.add_account(ACCOUNT)
    key = service.stack.accounts.set_callback(ACCOUNT, f"wx{ACCOUNT}", form="json")
    service.tell("settings", push_again_seconds=1)
    service.client("lambda").invoke(FunctionName=service.state.token_refresh_function, Payload=b"{}")
    return key


@pytest.fixture
def shop(service: Service, key: CallbackKey) -> Service:  # noqa: ARG001 - the account is ready
    return service


def send(shop: Service, touser: str, kind: str = "template") -> str:
    """Send a message, whose receiver's name may tell the simulator what its receipt is to be; its id."""
    answer = shop.post(addressed(BY_KIND[kind], touser), account=ACCOUNT)
    return str(answer.json()["id"])


def named(order: str) -> str:
    return f"receipt-{order}-{uuid.uuid4().hex[:8]}"


def at_last(shop: Service, touser: str, msgid: int) -> Any:
    """Hand a receipt over as the queue does for the last time; the function's answer."""
    fields = {
        "FromUserName": touser,
        "CreateTime": int(time.time()),
        "MsgType": "event",
        "Event": "TEMPLATESENDJOBFINISH",
        "MsgID": msgid,
        "Status": "success",
    }
    record = {
        "messageId": "1",
        "receiptHandle": "none",
        "body": json.dumps({"account": ACCOUNT, "fields": fields}),
        "attributes": {"ApproximateReceiveCount": LAST},
    }
    name = shop.stack.deployment.physical_ids["CallbackEventsFunction"]
    answer = shop.client("lambda").invoke(FunctionName=name, Payload=json.dumps({"Records": [record]}))
    return json.loads(answer["Payload"].read())


@pytest.mark.parametrize(
    ("token", "account", "status"), [(None, ACCOUNT, 200), ("wrong", ACCOUNT, 403), (None, "nobody", 403)]
)
def test_check_of_the_address(
    shop: Service, key: CallbackKey, token: str | None, account: str, status: int
) -> None:
    """WeChat asks when the address is set."""
    timestamp = str(int(time.time()))
    signature = sign(token or key.token, timestamp, "7")
    query = f"signature={signature}&timestamp={timestamp}&nonce=7&echostr=4375120948345356249"
    answer = http("GET", f"{shop.state.api_url}/v1/callbacks/{account}?{query}")

    assert (answer.status_code, answer.text) == (
        status,
        "4375120948345356249" if status == 200 else "refused",
    )


@pytest.mark.parametrize(
    ("order", "kinds"),
    [
        ("twice", ["template", "subscription", "mini_program_subscription"]),
        ("early", ["template"]),  # it comes before the answer to the send
    ],
)
def test_delivered(shop: Service, order: str, kinds: list[str]) -> None:
    for message_id in [send(shop, named(order), kind) for kind in kinds]:
        found = shop.becomes(message_id, "delivered", account=ACCOUNT)
        statuses = [change["status"] for change in found["timeline"]]
        assert statuses == ["sending", "sent", "delivered"]


@pytest.mark.parametrize(
    ("order", "reason"),
    [("user-block", "user block"), ("system-failed", "system failed"), ("freq-limit", "freq limit")],
)
def test_undelivered(shop: Service, order: str, reason: str) -> None:
    pattern: dict[str, Any] = {"detail-type": ["message.undelivered"]}
    with listening(shop, f"undelivered-{order}", pattern) as heard:
        message_id = send(shop, named(order))
        found = shop.becomes(message_id, "undelivered", account=ACCOUNT)
        assert (found["reason"], found["wechat"]["errcode"]) == (reason, 0)
        (event,) = eventually(heard)
    assert (event["detail"]["id"], event["detail"]["reason"]) == (message_id, reason)


def test_lost_answer_is_settled(shop: Service) -> None:
    """WeChat has its message, and the sender no answer: the receipt tells."""
    message_id = send(shop, "fault-reset-after")
    assert shop.look(message_id, ACCOUNT).json()["status"] == "unknown"
    (arrived, *_) = shop.arrived("fault-reset-after")

    assert at_last(shop, "fault-reset-after", arrived["msgid"]) == {"batchItemFailures": []}
    found = shop.look(message_id, ACCOUNT).json()
    assert (found["status"], found["wechat"]["msgid"]) == ("delivered", arrived["msgid"])


def test_receipt_of_other_senders(shop: Service) -> None:
    message_id = send(shop, named("none"))

    assert at_last(shop, "somebody", 12345) == {"batchItemFailures": []}
    assert shop.look(message_id, ACCOUNT).json()["status"] == "sent"


def test_stranger_is_refused(shop: Service) -> None:
    url = f"{shop.state.api_url}/v1/callbacks/{ACCOUNT}"
    body = b"<xml><Encrypt><![CDATA[AAAA]]></Encrypt></xml>"
    given = f"msg_signature={'0' * 40}&timestamp={int(time.time())}&nonce=1"
    assert http("POST", f"{url}?{given}", body).status_code == 403
    assert get_json(f"{shop.state.simulator_url}/_sim/callbacks")["callbacks"][f"wx{ACCOUNT}"]
