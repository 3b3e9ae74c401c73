"""What people agree to, and the events of what they do."""

from __future__ import annotations

import json
from random import Random
from typing import Any
from xml.etree.ElementTree import fromstring

import pytest

from local.simulator.events import CHANGE, POPUP, PersonEvent
from local.simulator.messages import SUBSCRIBE_SEND
from local.simulator.orders import ControlError
from local.simulator.receipts import Callback, Form, Push, request_of
from tests.unit.local.simulator.conftest import World

ONE = {"app_id": "wxA", "openid": "oA"}
CALLBACK = {"app_id": "wxA", "url": "http://127.0.0.1:9/c", "token": "t", "mode": "plain"}


@pytest.fixture
def strict(world: World, monkeypatch: pytest.MonkeyPatch) -> World:
    """Messages need a consent, and events are caught."""
    world.order("apps", consents=True)
    world.order("callbacks", **CALLBACK)
    monkeypatch.setattr(world.pusher, "_schedule", lambda push, *_: world.pushed.append(push))
    return world


def subscribe(world: World, scene: str = "1000", openid: str = "oA") -> int:
    return world.errcode("template/subscribe", touser=openid, scene=scene, template_id="T")


def test_account_that_is_not_switched_on(world: World) -> None:
    assert world.errcode("subscribe/send") == 0
    assert world.order("apps")["consents"] is False


def test_no_consent(strict: World) -> None:
    assert strict.errcode("subscribe/send") == 43101
    assert strict.errcode("subscribe/bizsend") == 43101
    assert subscribe(strict) == 43101
    assert strict.errcode("template/send") == 0
    assert strict.errcode("wxopen/template/send") == 0


def test_popup_is_one_message_each_time(strict: World) -> None:
    for _ in range(2):
        strict.order("consents/popup", **ONE, answers={"T": "accept", "U": "reject"})
    assert [strict.errcode("subscribe/send") for _ in range(3)] == [0, 0, 43101]


def test_refused_message_uses_nothing(strict: World) -> None:
    strict.order("consents/popup", **ONE, answers={"T": "accept"})
    assert strict.errcode("subscribe/send", page=1) != 0
    assert strict.errcode("subscribe/send") == 0


def test_template_that_lasts(strict: World) -> None:
    strict.order("templates", app_id="wxA", template_id="T", path=SUBSCRIBE_SEND, type=3)
    strict.order("consents/popup", **ONE, answers={"T": "accept"})
    assert [strict.errcode("subscribe/send") for _ in range(3)] == [0, 0, 0]
    strict.order("consents/change", **ONE, template_ids=["T"])
    assert strict.errcode("subscribe/send") == 43101


def test_unlimited_consent(strict: World) -> None:
    strict.order("consents", **ONE, template_id="T", credits=None)
    assert [strict.errcode("subscribe/send") for _ in range(2)] == [0, 0]
    (listed,) = strict.see("consents", **ONE)["consents"]
    assert listed == {"openid": "oA", "template_id": "T", "scene": None, "credits": None}


@pytest.mark.parametrize(
    ("order", "fields"),
    [("change", {"template_ids": ["T"]}), ("unsubscribe", {}), ("revoke", {})],
)
def test_withdrawals(strict: World, order: str, fields: dict[str, Any]) -> None:
    for openid in ("oA", "oB"):
        strict.order("consents/popup", app_id="wxA", openid=openid, answers={"T": "accept"})
    strict.order(f"consents/{order}", **ONE, **fields)
    assert strict.errcode("subscribe/send") == 43101
    assert strict.errcode("subscribe/send", touser="oB") == 0


def told(push: Push, form: Form = "xml") -> str:
    callback = Callback("http://127.0.0.1:9/c", "t", None, "plain", form)
    return request_of(callback, push.event, 1, Random(1)).body.decode()  # noqa: S311


def test_delivery(strict: World) -> None:
    """Late and twice; out of order is a late one and a soon one, whose times are when they happened."""
    strict.order("consents/popup", **ONE, answers={"T": "accept"}, when="late", times=2)
    strict.now += 60
    answer = strict.order("consents/change", **ONE, template_ids=["T"])
    late, soon = strict.pushed
    assert (late.when, late.times, soon.when, soon.times) == ("late", 2, "soon", 1)
    assert isinstance(late.event, PersonEvent)
    assert isinstance(soon.event, PersonEvent)
    assert soon.event.at - late.event.at == 60
    assert answer == {"event": CHANGE, "at": soon.event.at, "pushed": True}
    strict.order("consents/unsubscribe", **ONE, age_seconds=3600, malformed=True)
    assert "oA" not in told(strict.pushed[-1])
    assert f"<CreateTime>{int(strict.now) - 3600}</CreateTime>" in told(strict.pushed[-1])


def test_forms_of_a_popup(strict: World) -> None:
    strict.order("consents/popup", **ONE, answers={"T": "accept", "U": "reject"}, popup_scene=2)
    (push,) = strict.pushed
    body = fromstring(told(push))  # noqa: S314 - our own
    assert body.findtext("Event") == POPUP
    items = [{each.tag: each.text for each in item} for item in body.iterfind("SubscribeMsgPopupEvent/List")]
    assert items == [
        {"TemplateId": "T", "SubscribeStatusString": "accept", "PopupScene": "2"},
        {"TemplateId": "U", "SubscribeStatusString": "reject", "PopupScene": "2"},
    ]
    assert json.loads(told(push, "json"))["List"] == items
    assert json.loads(told(push, "json_wrapped"))["SubscribeMsgPopupEvent"]["List"] == items
    strict.order("consents/change", **ONE, template_ids=["T"])
    alone = {"TemplateId": "T", "SubscribeStatusString": "reject"}
    assert json.loads(told(strict.pushed[-1], "json"))["List"] == alone
    assert json.loads(told(strict.pushed[-1], "json_list"))["List"] == [alone]
    assert isinstance(json.loads(told(strict.pushed[-1], "json_list"))["CreateTime"], str)


def test_revocation_names_the_person_again(strict: World) -> None:
    strict.order("consents/revoke", **ONE, event="user_authorization_cancellation")
    found = {each.tag: each.text for each in fromstring(told(strict.pushed[0]))}  # noqa: S314 - our own
    assert (found["Event"], found["OpenID"], found["AppID"]) == (
        "user_authorization_cancellation",
        "oA",
        "wxA",
    )


def test_account_without_callback(world: World) -> None:
    assert world.order("consents/unsubscribe", **ONE)["pushed"] is False


@pytest.mark.parametrize(
    ("order", "fields"),
    [
        ("popup", {"answers": {"T": "maybe"}}),
        ("popup", {"answers": {}}),
        ("change", {"template_ids": []}),
        ("revoke", {"event": "unsubscribe"}),
        ("unsubscribe", {"when": "never"}),
        ("unsubscribe", {"times": 0}),
    ],
)
def test_orders_that_make_no_sense(strict: World, order: str, fields: dict[str, Any]) -> None:
    strict.order("consents", **ONE, template_id="T", credits=1)
    with pytest.raises(ControlError):
        strict.order(f"consents/{order}", **ONE, **fields)
    assert strict.pushed == []
    assert strict.errcode("subscribe/send") == 0
