"""Receipts that the simulator pushes: for which messages, what they say, and in which form."""

from __future__ import annotations

import json
from random import Random
from typing import Any
from urllib.parse import parse_qsl, urlsplit
from xml.etree.ElementTree import fromstring

import pytest

from local.simulator.messages import BIZSEND, SUBSCRIBE_SEND, TEMPLATE_SEND
from local.simulator.orders import ControlError
from local.simulator.receipts import Callback, Form, Mode, Push, Receipt, encrypt, request_of, sign
from tests.unit.local.simulator.conftest import World

KEY = "K" * 43
ORDER = {"url": "http://127.0.0.1:9/v1/callbacks/shop", "token": "t", "encoding_aes_key": KEY}
PUBLISHED = "A" * 43


def receipt(path: str = TEMPLATE_SEND, status: str = "success") -> Receipt:
    return Receipt("wxA", "oA", path, "T", 3_000_000_000_000_000_001, status)


def request(given: Receipt, mode: Mode = "plain", form: Form = "xml") -> tuple[dict[str, str], str]:
    """The parameters of the query, and the body."""
    callback = Callback("http://127.0.0.1:9/callback", "t", KEY, mode, form)
    made = request_of(callback, given, 1714112445, Random(1))  # noqa: S311
    return dict(parse_qsl(urlsplit(made.url).query)), made.body.decode()


@pytest.fixture
def pushing(world: World) -> World:
    world.order("callbacks", **ORDER)
    return world


@pytest.mark.parametrize("endpoint", ["template/send", "subscribe/send", "subscribe/bizsend"])
def test_accepted_messages_have_receipts(pushing: World, endpoint: str) -> None:
    answer = pushing.send(endpoint, touser="oA")
    (push,) = pushing.pushed
    assert isinstance(push.event, Receipt)
    assert (push.event.openid, push.event.msgid) == ("oA", answer["msgid"])
    assert (push.event.status, push.times, push.when) == ("success", 1, "soon")


def test_others_have_none(pushing: World) -> None:
    pushing.send("template/subscribe")
    pushing.send(touser="errcode-43004")
    pushing.send(touser="receipt-none")
    pushing.send(client_msg_id="1")
    pushing.send(client_msg_id="1")  # a double
    assert len(pushing.pushed) == 1


def test_app_without_callback_has_none(world: World) -> None:
    world.send()
    assert world.pushed == []


def test_lost_answer_has_a_receipt(pushing: World) -> None:
    pushing.send(touser="fault-reset-after")
    assert [push.event.openid for push in pushing.pushed] == ["fault-reset-after"]


@pytest.mark.parametrize(
    ("touser", "expected"),
    [
        ("receipt-user-block", {"status": "failed:user block"}),
        ("receipt-system-failed-1", {"status": "failed: system failed"}),
        ("receipt-freq-limit-a-b", {"status": "failed:freq limit"}),
        ("receipt-twice", {"times": 2}),
        ("receipt-early-1", {"when": "early"}),
        ("receipt-late", {"when": "late"}),
        ("receipt-malformed", {"malformed": True}),
        ("receipt-unheard-of", {}),
    ],
)
def test_receivers_order_receipts(pushing: World, touser: str, expected: dict[str, Any]) -> None:
    pushing.send(touser=touser)
    (push,) = pushing.pushed
    normal = {"status": "success", "times": 1, "when": "soon", "malformed": False}
    assert _told(push) == normal | expected


def _told(push: Push) -> dict[str, Any]:
    given = push.event
    assert isinstance(given, Receipt)
    return {
        "status": given.status,
        "times": push.times,
        "when": push.when,
        "malformed": given.malformed,
    }


def test_receipt_of_another_program(pushing: World) -> None:
    pushing.order("receipts", app_id="wxA", touser="oB", path=TEMPLATE_SEND, msgid=7)
    pushing.pusher.stop()
    with pytest.raises(ControlError, match="no callback"):
        pushing.order("receipts", app_id="wxB", touser="oB", path=TEMPLATE_SEND, msgid=7)


@pytest.mark.parametrize(
    "changes",
    [{"url": "ftp://x"}, {"encoding_aes_key": "short"}, {"mode": "open"}, {"form": "yaml"}, {"token": ""}],
)
def test_callbacks_are_checked(world: World, changes: dict[str, str]) -> None:
    with pytest.raises(ControlError):
        world.order("callbacks", **{**ORDER, **changes})


# ---- forms


def test_published_signatures() -> None:
    """WeChat's own sample values."""
    assert sign("AAAAA", "1714036504", "1514711492") == "f464b24fc39322e44b38aa78f5edd27bd1441696"


def test_template_receipt_is_xml() -> None:
    query, body = request(receipt(status="failed:user block"), form="json")
    found = {each.tag: each.text for each in fromstring(body)}  # noqa: S314 - our own
    assert found["Event"] == "TEMPLATESENDJOBFINISH"
    assert (found["MsgID"], found["Status"]) == ("3000000000000000001", "failed:user block")
    assert (found["FromUserName"], query["openid"]) == ("oA", "oA")
    assert query["signature"] == sign("t", query["timestamp"], query["nonce"])


@pytest.mark.parametrize("path", [BIZSEND, SUBSCRIBE_SEND])
def test_subscription_receipt_in_xml(path: str) -> None:
    _, body = request(receipt(path, "failed:freq limit"))
    (item,) = fromstring(body).iter("List")  # noqa: S314 - our own
    found = {each.tag: each.text for each in item}
    assert found == {
        "TemplateId": "T",
        "MsgID": "3000000000000000001",
        "ErrorCode": "1",
        "ErrorStatus": "freq limit",
    }


ITEM = {"TemplateId": "T", "MsgID": "3000000000000000001", "ErrorCode": "0", "ErrorStatus": "success"}
NUMBERS = {**ITEM, "MsgID": 3_000_000_000_000_000_001, "ErrorCode": 0}


@pytest.mark.parametrize(
    ("form", "expected"),
    [
        ("json", {"CreateTime": 1714112445, "List": ITEM}),
        ("json_list", {"CreateTime": "1714112445", "List": [ITEM]}),
        ("json_wrapped", {"CreateTime": 1714112445, "SubscribeMsgSentEvent": {"List": [NUMBERS]}}),
    ],
)
def test_forms_of_json(form: Form, expected: dict[str, Any]) -> None:
    _, body = request(receipt(SUBSCRIBE_SEND), form=form)
    found = json.loads(body)
    assert {name: found.get(name) for name in expected} == expected
    assert found.keys() == {"ToUserName", "FromUserName", "MsgType", "Event", *expected}


def test_malformed_lacks_the_receiver() -> None:
    _, body = request(Receipt("wxA", "oA", TEMPLATE_SEND, "T", 1, malformed=True))
    assert "FromUserName" not in body


@pytest.mark.parametrize(("mode", "shown"), [("secure", False), ("compatible", True)])
def test_modes(mode: Mode, *, shown: bool) -> None:
    query, body = request(receipt(), mode)
    encrypted = fromstring(body).findtext("Encrypt")  # noqa: S314 - our own
    assert encrypted
    assert query["msg_signature"] == sign("t", query["timestamp"], query["nonce"], encrypted)
    assert query["encrypt_type"] == "aes"
    assert ("FromUserName" in body) is shown


def test_padding_fills_blocks_of_32() -> None:
    for length in range(64):
        encrypted = encrypt(PUBLISHED, b"x" * length, "wxA")
        assert len(encrypted) * 3 // 4 - encrypted.count("=") == (20 + length + 3) // 32 * 32 + 32
