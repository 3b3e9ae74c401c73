"""What WeChat remembers: templates, form ids, consents, limits, and what was sent already."""

from typing import Any

import pytest

from local.simulator.calls import Call
from local.simulator.messages import TEMPLATE_SEND
from tests.unit.local.simulator.conftest import DAY, MIDNIGHT_BEIJING, SAMPLES, SUBSCRIPTIONS, World

LARGEST_DOUBLE_INTEGER = 2**53


def test_msgids_exceed_a_double(world: World) -> None:
    first, second = world.send()["msgid"], world.send()["msgid"]
    assert isinstance(first, int)
    assert LARGEST_DOUBLE_INTEGER < first < second < 2**63
    assert world.newest()["msgid"] == second


def test_unknown_paths(world: World) -> None:
    answer = world.wechat.handle(Call("POST", "/cgi-bin/message/none"))
    assert (answer.status, answer.payload["errcode"]) == (404, 404)
    assert world.see("stats")["unknown_paths"] == 1


def test_registered_templates_and_openids(world: World) -> None:
    assert [world.errcode(template_id=template_id) for template_id in (None, "")] == [40036, 40037]
    world.order("templates", template_id="T", path=TEMPLATE_SEND)
    assert world.errcode() == 0
    assert world.errcode(template_id="U") == 40037
    assert world.errcode("subscribe/send") == 40037
    assert world.errcode(template_id="U", token=world.token("wxB")) == 0
    world.order("apps", openids=["oA"])
    assert (world.errcode(), world.errcode(touser="oOfAnotherAccount")) == (0, 40003)


def test_keywords_of_a_registered_template(world: World) -> None:
    enums = {"enum_string2": ["已付款"]}
    world.order("templates", template_id="T", keywords=["thing1", "enum_string2"], enums=enums)
    answer = world.send()
    assert answer["errcode"] == 47003
    assert answer["errmsg"].startswith("argument invalid! data.enum_string2.value is empty rid: ")
    good = {"thing1": {"value": "巧克力"}, "enum_string2": {"value": "已付款"}}
    assert world.errcode(data=good) == 0
    assert world.errcode(data={**good, "enum_string2": {"value": "未付款"}}) == 47003
    assert world.errcode(data={**good, "thing9": {"value": "x"}}) == 0
    assert world.problems == ["data.thing9 is not a keyword of the template"]


# Form ids


def test_form_id_carries_one_message(world: World) -> None:
    assert world.errcode("wxopen/template/send", template_id="") == 40037  # which leaves it unused
    assert [world.errcode("wxopen/template/send") for _ in range(2)] == [0, 41029]
    assert world.errcode("wxopen/template/send", form_id="OTHER") == 0


def test_prepay_id_carries_three_messages(world: World) -> None:
    prepay_id = "wx201410272009395522657a690389285100"
    receivers = ["OPENID", "OPENID", "oB", "OPENID", "OPENID"]
    answers = [
        world.errcode("wxopen/template/send", form_id=prepay_id, touser=touser) for touser in receivers
    ]
    assert answers == [0, 0, 41028, 0, 41029]


@pytest.mark.parametrize("form_id", [None, "", 7, "the formId is a mock one"])
def test_invalid_form_ids(world: World, form_id: Any) -> None:
    assert world.errcode("wxopen/template/send", form_id=form_id) == 41028


def test_registered_form_ids(world: World) -> None:
    """They belong to a user and live for seven days."""
    for value, age in (("F1", 0), ("F2", 7 * DAY - 1), ("F3", 7 * DAY)):
        told = world.order("form_ids", form_id=value, openid="OPENID", age_seconds=age)
        assert told == {"form_id": value, "uses": 1}
    assert world.errcode("wxopen/template/send", form_id="F1", touser="oB") == 41028
    answers = [world.errcode("wxopen/template/send", form_id=value) for value in ("F1", "F2", "F3", "F4")]
    assert answers == [0, 0, 41028, 41028]


@pytest.mark.parametrize("retired", [46101, 45103])
def test_endpoint_can_be_retired(world: World, retired: int) -> None:
    world.order("apps", retired=retired)
    assert (world.errcode("wxopen/template/send"), world.errcode("subscribe/send")) == (retired, 0)
    world.order("apps", retired=None)
    assert world.errcode("wxopen/template/send") == 0


# Consents


@pytest.mark.parametrize("path", SUBSCRIPTIONS)
def test_accepted_message_uses_consent_up(world: World, path: str) -> None:
    consent = {"openid": SAMPLES[path]["touser"], "template_id": SAMPLES[path]["template_id"]}
    world.order("consents", **consent, credits=1)
    assert world.errcode(path, data={"thing1": {"value": ""}}) == 47003
    assert [world.errcode(path) for _ in range(2)] == [0, 43101]
    assert "user refuse to accept the msg" in world.send(path)["errmsg"]
    assert world.errcode(path, touser="oOther") == 0
    world.order("consents", **consent, credits=None)
    assert world.errcode(path) == 0


def test_consent_belongs_to_its_scene(world: World) -> None:
    """Both the consent and the message may name it as a number."""
    consent = {"openid": "OPENID", "template_id": "TEMPLATE_ID"}
    world.order("consents", **consent, scene=1000, credits=2)
    world.order("consents", **consent, scene="7", credits=0)
    answers = [world.errcode("template/subscribe", scene=scene) for scene in ("7", 1000, "1000", "1000")]
    assert answers == [43101, 0, 0, 43101]


def test_followers_get_templates_until_refusal(world: World) -> None:
    world.order("consents", openid="oA", template_id="T", credits=1)
    assert [world.errcode(), world.errcode()] == [0, 0]
    world.order("consents", openid="oA", template_id="T", credits=0)
    assert world.errcode() == 43101


# Limits


def test_published_daily_limits(world: World) -> None:
    limits = [world.wechat.quotas.limits_of("wxA", f"/cgi-bin/message/{name}").daily for name in SAMPLES]
    assert limits == [None, None, 1_000_000, 10_000_000, 100_000]


def test_daily_quota_of_an_endpoint(world: World) -> None:
    world.order("quotas", path=TEMPLATE_SEND, daily=1)
    assert [world.errcode(), world.errcode()] == [0, 45009]
    assert world.errcode("subscribe/send") == 0
    assert world.errcode(token=world.token("wxB")) == 0
    world.now = MIDNIGHT_BEIJING + DAY
    assert world.errcode() == 0


@pytest.mark.parametrize(("limit", "errcode"), [("per_minute", 45011), ("openid_per_minute", 43117)])
def test_limits_of_a_minute(world: World, limit: str, errcode: int) -> None:
    world.order("quotas", path=TEMPLATE_SEND, **{limit: 1})
    assert [world.errcode(), world.errcode()] == [0, errcode]
    assert world.errcode(touser="oB") == (0 if limit == "openid_per_minute" else errcode)
    world.now += 60
    assert world.errcode() == 0


def test_concurrent_sends_to_one_openid(world: World) -> None:
    world.order("settings", latency=0.2)
    sample, other_app, token = SAMPLES["template/send"], world.token("wxB"), world.token()
    world.while_waiting = [
        world.call("template/send", sample, other_app),
        world.call("template/send", {**sample, "touser": "oB"}, token),
        world.call("template/send", sample, token),
    ]
    assert world.errcode(token=token) == 0
    assert [answer.payload["errcode"] for answer in world.answered_meanwhile] == [43108, 0, 0]
    assert world.errcode() == 0


# client_msg_id


def test_repeated_client_msg_id_is_held(world: World) -> None:
    first = world.send(client_msg_id="1")
    world.now += 599
    assert world.send(client_msg_id="1") == first
    assert (world.newest()["accepted"], world.newest()["duplicate"]) == (False, True)
    assert world.send(client_msg_id="1", touser="oB")["msgid"] != first["msgid"]
    assert world.send(client_msg_id="2")["msgid"] != first["msgid"]
    world.now += 1
    assert world.send(client_msg_id="1")["msgid"] != first["msgid"]
    stats = world.see("stats")
    assert (stats["accepted"], stats["duplicate"]) == (4, 1)


def test_refused_client_msg_id_is_forgotten(world: World) -> None:
    assert world.errcode(client_msg_id="1", template_id="") == 40037
    assert world.errcode(client_msg_id="1") == 0
    assert world.newest()["accepted"] is True


def test_only_template_send_holds_repeats(world: World) -> None:
    first, second = world.send("subscribe/bizsend"), world.send("subscribe/bizsend")
    assert first["msgid"] != second["msgid"]
