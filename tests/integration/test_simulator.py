"""The simulated WeChat keeps WeChat's documented rules; time is a number that the tests move."""

import json
import re
from collections.abc import Mapping
from random import Random
from typing import Any

import pytest

from local.simulator import errcodes, faults
from local.simulator.control import Control, ControlError
from local.simulator.errcodes import Refusal
from local.simulator.faults import Fault
from local.simulator.fields import check_value
from local.simulator.messages import (
    BIZSEND,
    ENDPOINTS,
    SUBSCRIBE_SEND,
    TEMPLATE_SEND,
    TEMPLATE_SUBSCRIBE,
    WXOPEN_TEMPLATE_SEND,
)
from local.simulator.wechat import STABLE_TOKEN, TOKEN, Answer, Call, WeChat

RID = re.compile(r" rid: [0-9a-f]{8}-[0-9a-f]{8}-[0-9a-f]{8}$")
MIDNIGHT_BEIJING = 1_760_025_600.0
LARGEST_DOUBLE_INTEGER = 2**53

# The bodies that WeChat's own pages print.
SAMPLE_BIZSEND = {
    "touser": "OPENID",
    "template_id": "ngqIpbwh8bUfcSsECmogfXcV14J0tQlEpBO27izEYtY",
    "page": "http://weixin.qq.com/download",
    "miniprogram": {"appid": "xiaochengxuappid12345", "pagepath": "index?foo=bar"},
    "client_msg_id": "MSG_000001",
    "data": {
        "keyword1": {"value": "巧克力"},
        "keyword2": {"value": "39.8元"},
        "keyword3": {"value": "2014年9月22日"},
    },
}
SAMPLE_TEMPLATE_SUBSCRIBE = {
    "touser": "OPENID",
    "template_id": "TEMPLATE_ID",
    "miniprogram": {"appid": "xiaochengxuappid12345", "pagepath": "index?foo=bar"},
    "scene": "1000",
    "title": "订阅通知",
    "data": {"content": {"value": "您好!", "color": "#FF0000"}},
}
SAMPLE_WXOPEN = {
    "touser": "OPENID",
    "template_id": "TEMPLATE_ID",
    "page": "index",
    "form_id": "FORMID",
    "data": {
        "keyword1": {"value": "339208499"},
        "keyword2": {"value": "2015-01-05, 12:30"},
        "keyword3": {"value": "Tencent WeChat Headquarters"},
        "keyword4": {"value": "No. 397, Xingang Zhonglu, Haizhu District, Guangzhou"},
    },
    "emphasis_keyword": "keyword1.DATA",
}
SAMPLES: dict[str, dict[str, Any]] = {
    BIZSEND: SAMPLE_BIZSEND,
    TEMPLATE_SUBSCRIBE: SAMPLE_TEMPLATE_SUBSCRIBE,
    WXOPEN_TEMPLATE_SEND: SAMPLE_WXOPEN,
    SUBSCRIBE_SEND: {
        "touser": "oA",
        "template_id": "T",
        "page": "index?foo=bar",
        "data": {
            "phrase3": {"value": "审核通过"},
            "name1": {"value": "订阅"},
            "date2": {"value": "2019-12-25 09:42"},
        },
        "miniprogram_state": "formal",
        "lang": "zh_CN",
    },
    TEMPLATE_SEND: {"touser": "oA", "template_id": "T", "data": {"thing1": {"value": "巧克力"}}},
}


# Every field that a page marks as optional, and the two whose required mark contradicts their default.
OPTIONAL = [
    (BIZSEND, "page"),
    (BIZSEND, "miniprogram_state"),
    (BIZSEND, "lang"),
    (BIZSEND, "client_msg_id"),
    (TEMPLATE_SUBSCRIBE, "url"),
    (WXOPEN_TEMPLATE_SEND, "page"),
    (WXOPEN_TEMPLATE_SEND, "emphasis_keyword"),
    (SUBSCRIBE_SEND, "page"),
    (SUBSCRIBE_SEND, "miniprogram_state"),
    (SUBSCRIBE_SEND, "lang"),
    (TEMPLATE_SEND, "url"),
    (TEMPLATE_SEND, "client_msg_id"),
    *((path, name) for path in SAMPLES for name in ("color", "topcolor")),
]
# Values that break the rule of the type that their key is spelt like. The first three were delivered.
UNTYPED = {
    "date": "2022-08-26 星期五",
    "number": "1份",
    "time": "今天11:22",
    "thing": "一" * 21,
    "letter": "A1",
    "symbol": "text",
    "character_string": "订单 1",
    "amount": "一百元",
    "phone_number": "见短信",
    "car_number": "沪 A 12345 号",
    "name": "用户410774",
    "phrase": "已经发货了哦",
}
EMPTY: list[Any] = ["", None, [], {}]
EMPTY_MINIPROGRAMS: list[Any] = [*EMPTY, {"appid": "", "pagepath": ""}, {"appid": None, "path": []}]
BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class World:
    """A WeChat with two apps, a clock to move and shorthands for calls."""

    def __init__(self) -> None:
        self.now = MIDNIGHT_BEIJING
        self.while_waiting: list[Call] = []
        self.answered_meanwhile: list[Answer] = []
        self.wechat = WeChat(
            {"wxA": "secretA", "wxB": "secretB"},
            clock=lambda: self.now,
            wait=self._wait,
            rng=Random(1),  # noqa: S311 - the same ids in every run
        )
        self.control_api = Control(self.wechat)

    def _wait(self, seconds: float) -> None:
        self.now += seconds
        while self.while_waiting:
            self.answered_meanwhile.append(self.wechat.handle(self.while_waiting.pop()))

    def control(
        self, path: str, body: Mapping[str, Any] | None = None, method: str = "POST"
    ) -> dict[str, Any]:
        given = dict(body or {})
        if method == "POST":
            return self.control_api.handle(method, f"/_sim/{path}", {}, json.dumps(given).encode())
        return self.control_api.handle(method, f"/_sim/{path}", {k: str(v) for k, v in given.items()}, b"")

    def stable(self, app_id: str = "wxA", **changes: Any) -> Mapping[str, Any]:
        body = {
            "grant_type": "client_credential",
            "appid": app_id,
            "secret": f"secret{app_id[-1]}",
            **changes,
        }
        given = {name: value for name, value in body.items() if value is not None}
        return self.wechat.handle(Call("POST", STABLE_TOKEN, body=json.dumps(given).encode())).payload

    def plain(self, **changes: str) -> Mapping[str, Any]:
        query = {"grant_type": "client_credential", "appid": "wxA", "secret": "secretA", **changes}
        return self.wechat.handle(Call("GET", TOKEN, query)).payload

    def call(self, path: str, body: Mapping[str, Any] | bytes, token: str | None = None) -> Call:
        value = self.stable()["access_token"] if token is None else token
        raw = body if isinstance(body, bytes) else json.dumps(body, ensure_ascii=False).encode()
        return Call("POST", path, {"access_token": value}, raw)

    def send(
        self, path: str = TEMPLATE_SEND, token: str | None = None, raw: bytes | None = None, **changes: Any
    ) -> Mapping[str, Any]:
        body = {name: value for name, value in {**SAMPLES[path], **changes}.items() if value is not None}
        return self.wechat.handle(self.call(path, body if raw is None else raw, token)).payload

    def post(self, path: str, body: Mapping[str, Any]) -> Mapping[str, Any]:
        """Send a body as it is; in `send` a field that is ``None`` is left out."""
        return self.wechat.handle(self.call(path, body)).payload

    def errcode(self, path: str = TEMPLATE_SEND, token: str | None = None, **changes: Any) -> int:
        answer = self.send(path, token, **changes)
        if answer["errcode"] != 0:
            assert RID.search(answer["errmsg"]), answer
        return int(answer["errcode"])

    def newest(self) -> dict[str, Any]:
        messages = self.control("messages", {"limit": 1}, "GET")["messages"]
        return dict(messages[0])


@pytest.fixture
def world() -> World:
    return World()


class TestStableToken:
    def test_repeats_the_token_with_the_remaining_time(self, world: World) -> None:
        first = world.stable()
        assert first["expires_in"] == 7200
        assert set(first) == {"access_token", "expires_in"}
        world.now += 6855
        assert world.stable() == {**first, "expires_in": 345}

    def test_renews_in_the_last_five_minutes_and_both_work_for_five_more(self, world: World) -> None:
        old = world.stable()["access_token"]
        world.now += 6900
        assert world.stable()["access_token"] == old
        world.now += 1
        new = world.stable()
        assert new["access_token"] != old
        assert new["expires_in"] == 7200
        world.now += 299.5
        assert world.errcode(token=old) == 0
        assert world.errcode(token=new["access_token"]) == 0
        world.now += 0.5
        assert world.errcode(token=old) == 42001
        assert world.errcode(token=new["access_token"]) == 0

    def test_an_expired_token_is_42001_and_does_not_come_back(self, world: World) -> None:
        old = world.stable()["access_token"]
        world.now += 7200
        assert world.errcode(token=old) == 42001
        assert world.stable()["access_token"] != old
        assert world.errcode(token=old) == 42001

    def test_a_forced_call_voids_every_older_token_at_once(self, world: World) -> None:
        oldest = world.stable()["access_token"]
        world.now += 6901
        old = world.stable()["access_token"]
        assert world.errcode(token=oldest) == 0
        new = world.stable(force_refresh=True)["access_token"]
        assert world.errcode(token=oldest) == 40001
        assert world.errcode(token=old) == 40001
        assert world.errcode(token=new) == 0

    def test_forced_calls_within_30_seconds_do_not_refresh(self, world: World) -> None:
        first = world.stable(force_refresh=True)
        world.now += 29
        assert world.stable(force_refresh=True) == {**first, "expires_in": 7171}
        world.now += 1
        assert world.stable(force_refresh=True)["access_token"] != first["access_token"]

    def test_twenty_forced_calls_a_day(self, world: World) -> None:
        for _ in range(20):
            assert "access_token" in world.stable(force_refresh=True)
            world.now += 30
        assert world.stable(force_refresh=True)["errcode"] == 45009
        assert "access_token" in world.stable()
        world.now = MIDNIGHT_BEIJING + 86_400
        assert "access_token" in world.stable(force_refresh=True)

    def test_forced_calls_that_do_not_refresh_are_not_counted(self, world: World) -> None:
        for _ in range(40):
            world.stable(force_refresh=True)
        world.now += 30
        assert "access_token" in world.stable(force_refresh=True)

    @pytest.mark.parametrize(
        ("changes", "errcode"),
        [
            ({"grant_type": None}, 40002),
            ({"grant_type": "authorization_code"}, 40002),
            ({"appid": None}, 41002),
            ({"appid": "wxC"}, 40013),
            ({"appid": 7}, 40013),
            ({"secret": None}, 41004),
            ({"secret": "wrong"}, 40125),
            ({"force_refresh": "true"}, 47001),
        ],
    )
    def test_refuses_wrong_parameters(self, world: World, changes: dict[str, Any], errcode: int) -> None:
        answer = world.stable(**changes)
        assert answer["errcode"] == errcode
        assert RID.search(answer["errmsg"])

    @pytest.mark.parametrize("body", [b"", b"grant_type=client_credential&appid=wxA", b"[]", b"\xff"])
    def test_takes_json_posts_only(self, world: World, body: bytes) -> None:
        assert world.wechat.handle(Call("POST", STABLE_TOKEN, body=body)).payload["errcode"] == 43002

    def test_does_not_read_the_query(self, world: World) -> None:
        query = {"grant_type": "client_credential", "appid": "wxA", "secret": "secretA"}
        assert world.wechat.handle(Call("GET", STABLE_TOKEN, query)).payload["errcode"] == 43002
        assert world.wechat.handle(Call("POST", STABLE_TOKEN, query, b"{}")).payload["errcode"] == 40002

    def test_has_published_limits(self, world: World) -> None:
        assert world.wechat.limits_of("wxA", STABLE_TOKEN).per_minute == 10_000
        assert world.wechat.limits_of("wxA", STABLE_TOKEN).daily == 500_000
        world.control("quotas", {"app_id": "wxA", "path": STABLE_TOKEN, "per_minute": 2, "daily": 3})
        assert "access_token" in world.stable()
        assert "access_token" in world.stable()
        assert world.stable()["errcode"] == 45011
        assert "access_token" in world.stable("wxB")
        world.now += 60
        assert "access_token" in world.stable()
        assert world.stable()["errcode"] == 45009
        world.now = MIDNIGHT_BEIJING + 86_400
        assert "access_token" in world.stable()

    def test_frozen_accounts_and_secrets(self, world: World) -> None:
        token = world.stable()["access_token"]
        world.control("apps", {"app_id": "wxA", "secret_frozen": True})
        assert world.stable()["errcode"] == 40243
        assert world.errcode(token=token) == 0
        world.control("apps", {"app_id": "wxA", "secret_frozen": False, "account_frozen": True})
        assert world.stable()["errcode"] == 50007
        assert world.errcode(token=token) == 50007

    def test_ip_whitelist_names_the_address(self, world: World) -> None:
        world.control("apps", {"app_id": "wxA", "ip_whitelist": ["10.0.0.0/8", "192.0.2.7"]})
        answer = world.stable()
        assert answer["errcode"] == 40164
        assert "127.0.0.1" in answer["errmsg"]
        world.control("apps", {"app_id": "wxA", "ip_whitelist": ["127.0.0.0/8"]})
        assert "access_token" in world.stable()

    def test_apps_are_strangers(self, world: World) -> None:
        token_a, token_b = world.stable("wxA")["access_token"], world.stable("wxB")["access_token"]
        world.stable("wxB", force_refresh=True)
        assert world.errcode(token=token_b) == 40001
        assert world.errcode(token=token_a) == 0
        assert world.newest()["app_id"] == "wxA"


class TestPlainToken:
    def test_every_call_brings_a_new_one_and_the_old_works_five_minutes(self, world: World) -> None:
        old, new = world.plain()["access_token"], world.plain()["access_token"]
        assert old != new
        world.now += 299
        assert world.errcode(token=old) == 0
        world.now += 1
        assert world.errcode(token=old) == 40001
        assert world.errcode(token=new) == 0

    def test_is_isolated_from_stable_token(self, world: World) -> None:
        plain, stable = world.plain()["access_token"], world.stable()["access_token"]
        world.stable(force_refresh=True)
        assert world.errcode(token=plain) == 0
        stable = world.stable()["access_token"]
        world.plain()
        world.now += 300
        assert world.errcode(token=stable) == 0

    def test_wrong_secret_is_40001_and_post_43001(self, world: World) -> None:
        assert world.plain(secret="wrong")["errcode"] == 40001
        assert world.wechat.handle(Call("POST", TOKEN)).payload["errcode"] == 43001

    def test_two_thousand_a_day(self, world: World) -> None:
        assert world.wechat.limits_of("wxA", TOKEN).daily == 2_000


class TestTokensUnderControl:
    def test_a_revoked_token_is_40001_and_the_next_normal_call_helps(self, world: World) -> None:
        token = world.stable()["access_token"]
        assert world.control("tokens/revoke", {"app_id": "wxA"}) == {"revoked": 1}
        assert world.errcode(token=token) == 40001
        assert world.errcode() == 0

    def test_a_sticky_revocation_needs_a_forced_call(self, world: World) -> None:
        token = world.stable()["access_token"]
        world.control("tokens/revoke", {"sticky": True})
        assert world.stable()["access_token"] == token
        assert world.errcode() == 40001
        world.stable(force_refresh=True)
        assert world.errcode() == 0

    def test_tokens_can_be_made_to_expire(self, world: World) -> None:
        token = world.stable()["access_token"]
        assert world.control("tokens/expire", {"app_id": "wxA", "seconds": 400}) == {"expiring": 1}
        assert world.stable() == {"access_token": token, "expires_in": 400}
        world.control("tokens/expire")
        assert world.errcode(token=token) == 42001
        assert world.stable()["expires_in"] == 7200

    def test_new_tokens_can_live_shorter(self, world: World) -> None:
        world.control("settings", {"token_seconds": 600})
        assert world.stable()["expires_in"] == 600


class TestSends:
    @pytest.mark.parametrize("path", SAMPLES)
    def test_the_printed_samples_are_accepted(self, world: World, path: str) -> None:
        answer = world.send(path)
        assert (answer["errcode"], answer["errmsg"]) == (0, "ok")
        assert ("msgid" in answer) == (path in (BIZSEND, SUBSCRIBE_SEND, TEMPLATE_SEND))
        assert world.newest()["accepted"] is True
        assert world.newest()["problems"] == []

    def test_msgids_are_integers_beyond_a_double_and_differ(self, world: World) -> None:
        first, second = world.send()["msgid"], world.send()["msgid"]
        assert isinstance(first, int)
        assert LARGEST_DOUBLE_INTEGER < first < second < 2**63
        assert world.newest()["msgid"] == second

    def test_the_token_stands_in_the_query(self, world: World) -> None:
        token = world.stable()["access_token"]
        body = {**SAMPLES[TEMPLATE_SEND], "access_token": token}
        call = Call("POST", TEMPLATE_SEND, {}, json.dumps(body).encode())
        assert world.wechat.handle(call).payload["errcode"] == 41001
        assert world.errcode(token="") == 41001

    def test_unknown_and_malformed_tokens(self, world: World) -> None:
        assert world.errcode(token="80_" + "x" * 130) == 40001
        assert world.errcode(token="ACCESS TOKEN") == 40014

    def test_sends_are_posts(self, world: World) -> None:
        call = Call("GET", TEMPLATE_SEND, {"access_token": world.stable()["access_token"]})
        assert world.wechat.handle(call).payload["errcode"] == 43002

    def test_unknown_paths(self, world: World) -> None:
        answer = world.wechat.handle(Call("POST", "/cgi-bin/message/none"))
        assert (answer.status, answer.payload["errcode"]) == (404, 404)
        assert world.control("stats", method="GET")["unknown_paths"] == 1

    @pytest.mark.parametrize(
        ("raw", "errcode"),
        [
            (b"", 44002),
            (b"{", 47001),
            (b"[]", 47001),
            (b'{"touser": NaN}', 47001),
            (b'{"touser": "line\nbreak"}', 47001),
            (b"[" * 100_000, 47001),
            (b'{"touser": "\xff"}', 40033),
            (rb'{"data": {"thing1": {"value": "\u5de7"}}}', 47002),
            (rb'{"data": {"thing1": {"value": "\\\u5de7"}}}', 47002),
        ],
    )
    def test_bodies_are_json_in_raw_utf8(self, world: World, raw: bytes, errcode: int) -> None:
        assert world.send(raw=raw)["errcode"] == errcode

    def test_an_escaped_backslash_and_escaped_ascii_are_no_unicode_escapes(self, world: World) -> None:
        raw = rb'{"touser": "oA", "template_id": "T", "data": {"thing1": {"value": "\\u5de7 \u0041"}}}'
        assert world.send(raw=raw)["errcode"] == 0

    @pytest.mark.parametrize(
        ("changes", "errcode", "problem"),
        [
            ({"kind": "template"}, 47001, "unknown field kind"),
            ({"templateId": "T", "template_id": None}, 40036, "unknown field templateId"),
            ({"clientMsgId": "1"}, 47001, "unknown field clientMsgId"),
            ({"priority": 1}, 0, "unknown field priority"),
        ],
    )
    def test_foreign_names(self, world: World, changes: dict[str, Any], errcode: int, problem: str) -> None:
        assert world.errcode(**changes) == errcode
        assert problem in world.newest()["problems"]
        assert world.newest()["accepted"] is (errcode == 0)

    @pytest.mark.parametrize("touser", [None, "", 7, "o A", "微信", "x" * 65])
    def test_openids(self, world: World, touser: Any) -> None:
        assert world.errcode(touser=touser) == 40003

    def test_registered_openids(self, world: World) -> None:
        world.control("apps", {"app_id": "wxA", "openids": ["oA"]})
        assert world.errcode() == 0
        assert world.errcode(touser="oOfAnotherAccount") == 40003

    def test_template_ids(self, world: World) -> None:
        assert world.errcode(template_id=None) == 40036
        assert world.errcode(template_id="") == 40037
        world.control("templates", {"app_id": "wxA", "template_id": "T", "path": TEMPLATE_SEND})
        assert world.errcode() == 0
        assert world.errcode(template_id="U") == 40037
        assert world.errcode(SUBSCRIBE_SEND) == 40037
        assert world.errcode(template_id="U", token=world.stable("wxB")["access_token"]) == 0

    def test_every_keyword_of_a_template_must_be_there(self, world: World) -> None:
        template = {"app_id": "wxA", "template_id": "T", "keywords": ["thing1", "enum_string2"]}
        world.control("templates", {**template, "enums": {"enum_string2": ["已付款"]}})
        answer = world.send()
        assert answer["errcode"] == 47003
        assert answer["errmsg"].startswith("argument invalid! data.enum_string2.value is empty rid: ")
        good = {"thing1": {"value": "巧克力"}, "enum_string2": {"value": "已付款"}}
        assert world.errcode(data=good) == 0
        assert world.errcode(data={**good, "enum_string2": {"value": "未付款"}}) == 47003
        assert world.errcode(data={**good, "thing9": {"value": "x"}}) == 0
        assert world.newest()["problems"] == ["data.thing9 is not a keyword of the template"]

    @pytest.mark.parametrize(
        ("data", "errmsg"),
        [
            ({"thing1": {"value": "一" * 21}}, "data.thing1.value invalid"),
            ({"phrase10": {"value": "略略略略略略"}}, "data.phrase10.value invalid"),
            ({"thing1": {"value": 5}}, "data.thing1.value invalid"),
            ({"thing1": {"value": "  "}}, "data.thing1.value is empty"),
            ({"thing1": {}}, "data.thing1.value is empty"),
            ({"thing1": "text"}, "data.thing1.value is empty"),
            ({"thing1.DATA": {"value": "text"}}, "data.thing1.value is empty"),
            ('{"thing1": {"value": "text"}}', "data.thing1.value is empty"),
            ("text", "data.keyword1.value is empty"),
            ({}, "data is empty"),
            (None, "data is empty"),
        ],
    )
    def test_47003_names_the_field(self, world: World, data: Any, errmsg: str) -> None:
        answer = world.send(data=data)
        assert answer["errcode"] == 47003
        assert answer["errmsg"].startswith(f"argument invalid! {errmsg} rid: ")

    def test_older_keywords_are_not_checked(self, world: World) -> None:
        data = {"first": {"value": ""}, "keyword1": {"value": "一" * 300}, "remark": {"value": "a\nb"}}
        assert world.errcode(data=data) == 0
        assert len(world.newest()["problems"]) == 3

    @pytest.mark.parametrize(("key", "value"), UNTYPED.items())
    def test_names_without_index_are_free(self, world: World, key: str, value: str) -> None:
        """In ``template/send`` a key without a trailing number is a name, whatever type it is spelt like."""
        assert world.errcode(data={key: {"value": value}}) == 0
        assert world.newest()["accepted"] is True

    @pytest.mark.parametrize(("key", "value"), UNTYPED.items())
    def test_an_index_makes_a_type(self, world: World, key: str, value: str) -> None:
        answer = world.send(data={f"{key}1": {"value": value}})
        assert answer["errcode"] == 47003
        assert f"data.{key}1.value invalid" in answer["errmsg"]

    @pytest.mark.parametrize("path", [BIZSEND, SUBSCRIBE_SEND])
    @pytest.mark.parametrize("suffix", ["", "1"])
    @pytest.mark.parametrize(("key", "value"), UNTYPED.items())
    def test_subscriptions_type_every_key(
        self, world: World, path: str, suffix: str, key: str, value: str
    ) -> None:
        answer = world.send(path, data={f"{key}{suffix}": {"value": value}})
        assert answer["errcode"] == 47003
        assert f"data.{key}{suffix}.value invalid" in answer["errmsg"]

    @pytest.mark.parametrize("path", [BIZSEND, SUBSCRIBE_SEND])
    def test_a_subscription_key_without_index_is_noted(self, world: World, path: str) -> None:
        assert world.errcode(path, data={"date": {"value": "2019-12-25"}}) == 0
        assert world.newest()["problems"] == [
            "data.date has no index, every keyword of a subscription has one"
        ]

    @pytest.mark.parametrize("path", [BIZSEND, SUBSCRIBE_SEND])
    @pytest.mark.parametrize("key", ["first", "remark", "keyword1"])
    def test_subscriptions_have_no_older_keywords(self, world: World, path: str, key: str) -> None:
        """Free text without 47003 belongs to the older templates of ``template/send`` alone."""
        assert world.errcode(path, data={key: {"value": ""}}) == 47003
        assert world.errcode(path, data={key: {"value": "text"}}) == 0

    @pytest.mark.parametrize("key", ["date", "first", "keyword1"])
    def test_names_are_wrapped_too(self, world: World, key: str) -> None:
        answer = world.send(data={key: "text"})
        assert answer["errcode"] == 47003
        assert f"data.{key}.value is empty" in answer["errmsg"]

    @pytest.mark.parametrize("value", ["一" * 21, "a\nb", "🍫"])
    def test_what_names_lose_is_noted(self, world: World, value: str) -> None:
        assert world.errcode(data={"date": {"value": value}}) == 0
        assert world.newest()["problems"] == ["data.date is dropped or cut by WeChat without an error"]

    def test_pages(self, world: World) -> None:
        world.control("apps", {"app_id": "wxA", "pages": ["index"]})
        assert world.errcode(SUBSCRIBE_SEND) == 0
        assert world.errcode(SUBSCRIBE_SEND, page="pages/none?foo=bar") == 41030
        assert world.errcode(BIZSEND) == 0
        assert world.errcode(BIZSEND, page="pages/none") == 41030
        assert world.errcode(WXOPEN_TEMPLATE_SEND, page="pages/none") == 41030

    def test_undocumented_refusals_are_only_noted(self, world: World) -> None:
        assert world.errcode(SUBSCRIBE_SEND, lang="de_DE", miniprogram_state="beta") == 0
        assert len(world.newest()["problems"]) == 2

    @pytest.mark.parametrize(
        ("changes", "errcode"),
        [
            ({"title": "一" * 15}, 0),
            ({"title": "一" * 16}, 40062),
            ({"title": ""}, 40062),
            ({"title": None}, 40062),
            ({"scene": "0"}, 0),
            ({"scene": "10000"}, 0),
            ({"scene": "10001"}, 40035),
            ({"scene": "-1"}, 40035),
            ({"scene": None}, 47001),
            ({"miniprogram": {"appid": "wx1"}}, 40165),
            ({"miniprogram": {"pagepath": "index"}}, 40166),
            ({"miniprogram": "index"}, 47001),
            ({"data": {"content": {"value": "一" * 200}}}, 0),
            ({"data": {"content": {"value": "一" * 201}}}, 47003),
            ({"data": {"content": "您好!"}}, 47003),
            ({"data": {}}, 0),
            ({"data": None}, 47003),
        ],
    )
    def test_one_time_subscription(self, world: World, changes: dict[str, Any], errcode: int) -> None:
        assert world.errcode(TEMPLATE_SUBSCRIBE, **changes) == errcode


class TestWhatSdksSend:
    """WeChat takes bodies that its own pages do not show; widely used SDKs send them by default."""

    @pytest.mark.parametrize("empty", EMPTY)
    @pytest.mark.parametrize(("path", "name"), OPTIONAL)
    def test_empty_fields_are_absent(self, world: World, path: str, name: str, empty: Any) -> None:
        world.control("apps", {"app_id": "wxA", "pages": ["index"]})
        assert world.post(path, {**SAMPLES[path], name: empty})["errcode"] == 0
        assert world.newest()["problems"] == []

    @pytest.mark.parametrize("empty", EMPTY_MINIPROGRAMS)
    @pytest.mark.parametrize("path", [BIZSEND, TEMPLATE_SUBSCRIBE, TEMPLATE_SEND])
    def test_an_empty_miniprogram_is_absent(self, world: World, path: str, empty: Any) -> None:
        assert world.post(path, {**SAMPLES[path], "miniprogram": empty})["errcode"] == 0
        assert world.newest()["problems"] == []

    def test_half_a_miniprogram_is_not_empty(self, world: World) -> None:
        miniprogram = {"appid": "wx1", "pagepath": ""}
        assert world.errcode(TEMPLATE_SUBSCRIBE, miniprogram=miniprogram) == 40165
        assert world.errcode(miniprogram=miniprogram) == 0
        assert world.newest()["problems"] == ["miniprogram.pagepath is missing"]

    @pytest.mark.parametrize("path", [BIZSEND, TEMPLATE_SUBSCRIBE, TEMPLATE_SEND])
    def test_path_stands_for_pagepath(self, world: World, path: str) -> None:
        assert world.errcode(path, miniprogram={"appid": "wx1", "path": "index"}) == 0
        assert world.newest()["problems"] == ["miniprogram.path is read as pagepath"]

    @pytest.mark.parametrize("empty", EMPTY)
    @pytest.mark.parametrize("name", ["touser", "template_id", "data"])
    def test_required_fields_are_not_optional(self, world: World, name: str, empty: Any) -> None:
        errcode = world.post(TEMPLATE_SEND, {**SAMPLES[TEMPLATE_SEND], name: empty})["errcode"]
        assert errcode in {"touser": (40003,), "template_id": (40036, 40037), "data": (47003,)}[name]

    @pytest.mark.parametrize("empty", EMPTY)
    def test_an_empty_client_msg_id_holds_nothing_back(self, world: World, empty: Any) -> None:
        body = {**SAMPLES[TEMPLATE_SEND], "client_msg_id": empty}
        assert world.post(TEMPLATE_SEND, body)["msgid"] != world.post(TEMPLATE_SEND, body)["msgid"]
        assert world.newest()["accepted"] is True

    @pytest.mark.parametrize("data", [[], {}, "", None])
    def test_empty_data_is_optional_for_the_mini_program(self, world: World, data: Any) -> None:
        body = {**SAMPLES[WXOPEN_TEMPLATE_SEND], "data": data, "emphasis_keyword": ""}
        assert world.post(WXOPEN_TEMPLATE_SEND, body)["errcode"] == 0

    def test_an_empty_list_is_an_empty_object(self, world: World) -> None:
        assert world.errcode(TEMPLATE_SUBSCRIBE, data=[]) == 0
        assert world.newest()["problems"] == ["data.content is missing"]
        assert world.errcode(TEMPLATE_SUBSCRIBE, data=[1]) == 47003
        assert "data is empty" in world.send(data=[])["errmsg"]

    @pytest.mark.parametrize("content", [*EMPTY, {"value": None}, {"value": "", "color": ""}])
    def test_an_empty_content_is_absent(self, world: World, content: Any) -> None:
        assert world.errcode(TEMPLATE_SUBSCRIBE, data={"content": content}) == 0
        assert world.newest()["problems"] == ["data.content is missing"]

    @pytest.mark.parametrize("color", [*EMPTY, "#F00", "#FF0000", "red", "#12345G", 7, ["#F00"], {"r": 1}])
    @pytest.mark.parametrize("path", SAMPLES)
    def test_a_colour_never_stops_a_message(self, world: World, path: str, color: Any) -> None:
        data = {key: {**item, "color": color} for key, item in SAMPLES[path]["data"].items()}
        body = {**SAMPLES[path], "data": data, "color": color, "topcolor": color}
        assert world.post(path, body)["errcode"] == 0
        assert world.newest()["accepted"] is True

    @pytest.mark.parametrize(
        ("color", "problems"),
        [
            ("#F00", []),
            ("#FF0000", []),
            ("", []),
            ({}, []),
            ("red", ["data.content.color is not #RRGGBB"]),
            (7, ["data.content.color is not #RRGGBB"]),
        ],
    )
    def test_only_a_doubtful_colour_is_noted(self, world: World, color: Any, problems: list[str]) -> None:
        assert world.errcode(TEMPLATE_SUBSCRIBE, data={"content": {"value": "您好!", "color": color}}) == 0
        assert world.newest()["problems"] == problems

    @pytest.mark.parametrize("name", ["color", "topcolor"])
    @pytest.mark.parametrize("path", SAMPLES)
    def test_a_colour_of_the_message_is_ignored(self, world: World, path: str, name: str) -> None:
        assert world.errcode(path, **{name: "#FF0000"}) == 0
        assert world.newest()["problems"] == [f"{name} is no longer documented and without effect"]

    def test_a_scene_may_be_a_number(self, world: World) -> None:
        consent = {"app_id": "wxA", "openid": "OPENID", "template_id": "TEMPLATE_ID", "scene": "1000"}
        world.control("consents", {**consent, "credits": 1})
        assert world.errcode(TEMPLATE_SUBSCRIBE, scene=1000) == 0
        assert world.errcode(TEMPLATE_SUBSCRIBE, scene="1000") == 43101
        assert world.errcode(TEMPLATE_SUBSCRIBE, scene=10_001) == 40035

    def test_a_byte_order_mark_is_skipped(self, world: World) -> None:
        body = json.dumps(SAMPLES[TEMPLATE_SEND], ensure_ascii=False).encode()
        assert world.send(raw=BYTE_ORDER_MARK + body)["errcode"] == 0
        assert world.send(raw=BYTE_ORDER_MARK)["errcode"] == 44002
        assert world.send(raw=BYTE_ORDER_MARK * 2 + body)["errcode"] == 47001
        credentials = {"grant_type": "client_credential", "appid": "wxA", "secret": "secretA"}
        raw = BYTE_ORDER_MARK + json.dumps(credentials).encode()
        assert "access_token" in world.wechat.handle(Call("POST", STABLE_TOKEN, body=raw)).payload

    @pytest.mark.parametrize("empty", EMPTY)
    def test_an_empty_force_refresh_is_absent(self, world: World, empty: Any) -> None:
        token = world.stable()["access_token"]
        credentials = {"grant_type": "client_credential", "appid": "wxA", "secret": "secretA"}
        raw = json.dumps({**credentials, "force_refresh": empty}).encode()
        assert world.wechat.handle(Call("POST", STABLE_TOKEN, body=raw)).payload["access_token"] == token


class TestFieldRules:
    @pytest.mark.parametrize(
        ("key", "value"),
        [
            ("thing1", "一" * 20),
            ("number01", "9" * 32),
            ("number1", "3.14"),
            ("number1", 3.5),
            ("letter1", "A" * 32),
            ("symbol1", "+-*/%"),
            ("character_string1", "A-1 #" * 6),
            ("time7", "15:01"),
            ("time7", "15:01:59"),
            ("time7", "2019年10月1日 15:01"),
            ("time7", "2019年8月8日"),
            ("time7", "15:01~16:30"),
            ("date2", "2019-12-25 09:42"),
            ("date2", "2018.01.01"),
            ("date2", "2018/01/01~2018/02/01"),
            ("date2", "10月1日"),
            ("date2", "2018-01"),
            ("amount3", "¥1234567890.55元"),
            ("amount3", "39.8"),
            ("amount3", "$5"),
            ("phone_number1", "+86-0766-66888866"),
            ("car_number8", "粤A8Z888挂"),
            ("name1", "一" * 10),
            ("name1", "A" * 20),
            ("phrase3", "审核通过了"),
            ("enum_string2", "anything"),
            ("site01", "anything at all, however long it may be"),
            ("short_thing1", "六六六六六六"),
        ],
    )
    def test_accepts(self, key: str, value: Any) -> None:
        check_value(key, {"value": value})

    @pytest.mark.parametrize(
        ("key", "value"),
        [
            ("thing1", "一" * 21),
            ("number1", "9" * 33),
            ("number1", "1,000"),
            ("number1", "一"),
            ("number1", "٣"),
            ("number1", True),
            ("letter1", "A" * 33),
            ("letter1", "A1"),
            ("symbol1", "++++++"),
            ("symbol1", "+a"),
            ("symbol1", "+\n+"),
            ("character_string1", "A中"),
            ("character_string1", "A" * 33),
            ("time1", "24:00"),
            ("time1", "2022-01-27 15:00-16:00"),
            ("time1", "soon"),
            ("date1", "15:01"),
            ("date1", "2019年12月25号"),
            ("amount1", "¥12345678901"),
            ("amount1", "¥¥5"),
            ("amount1", "1,000"),
            ("phone_number1", "+86-0766-668888660"),
            ("phone_number1", "call me"),
            ("car_number1", "粤A8Z888挂挂"),
            ("car_number1", "粤粤A8Z88"),
            ("name1", "一" * 11),
            ("name1", "A" * 21),
            ("name1", "用户410774"),
            ("phrase1", "一二三四五六"),
            ("phrase1", "ok"),
        ],
    )
    def test_refuses(self, key: str, value: Any) -> None:
        with pytest.raises(Refusal) as refusal:
            check_value(key, {"value": value})
        assert refusal.value.errcode == 47003
        assert refusal.value.errmsg == f"argument invalid! data.{key}.value invalid"

    def test_guesses_are_notes(self) -> None:
        assert check_value("thing1", {"value": "🍫"}) == ["data.thing1.value may be refused by WeChat"]
        assert check_value("thing1", {"value": "巧克力"}) == []


class TestFormIds:
    def test_a_form_id_carries_one_message(self, world: World) -> None:
        assert world.errcode(WXOPEN_TEMPLATE_SEND) == 0
        assert world.errcode(WXOPEN_TEMPLATE_SEND) == 41029
        assert world.errcode(WXOPEN_TEMPLATE_SEND, form_id="OTHER") == 0

    def test_a_prepay_id_carries_three_to_one_user(self, world: World) -> None:
        prepay_id = "wx201410272009395522657a690389285100"
        for _ in range(2):
            assert world.errcode(WXOPEN_TEMPLATE_SEND, form_id=prepay_id) == 0
        assert world.errcode(WXOPEN_TEMPLATE_SEND, form_id=prepay_id, touser="oB") == 41028
        assert world.errcode(WXOPEN_TEMPLATE_SEND, form_id=prepay_id) == 0
        assert world.errcode(WXOPEN_TEMPLATE_SEND, form_id=prepay_id) == 41029

    @pytest.mark.parametrize("form_id", [None, "", 7, "the formId is a mock one"])
    def test_invalid(self, world: World, form_id: Any) -> None:
        assert world.errcode(WXOPEN_TEMPLATE_SEND, form_id=form_id) == 41028

    def test_registered_ones_belong_to_a_user_and_live_seven_days(self, world: World) -> None:
        for value, age in (("F1", 0), ("F2", 7 * 86_400 - 1), ("F3", 7 * 86_400)):
            given = {"app_id": "wxA", "form_id": value, "openid": "OPENID", "age_seconds": age}
            assert world.control("form_ids", given) == {"form_id": value, "uses": 1}
        assert world.errcode(WXOPEN_TEMPLATE_SEND, form_id="unregistered") == 41028
        assert world.errcode(WXOPEN_TEMPLATE_SEND, form_id="F1", touser="oB") == 41028
        assert world.errcode(WXOPEN_TEMPLATE_SEND, form_id="F1") == 0
        assert world.errcode(WXOPEN_TEMPLATE_SEND, form_id="F2") == 0
        assert world.errcode(WXOPEN_TEMPLATE_SEND, form_id="F3") == 41028

    def test_a_refused_call_leaves_it_unused(self, world: World) -> None:
        assert world.errcode(WXOPEN_TEMPLATE_SEND, template_id="") == 40037
        assert world.errcode(WXOPEN_TEMPLATE_SEND) == 0

    def test_without_data_and_with_emphasis(self, world: World) -> None:
        assert world.errcode(WXOPEN_TEMPLATE_SEND, data=None, emphasis_keyword=None) == 0
        assert world.errcode(WXOPEN_TEMPLATE_SEND, form_id="F2", emphasis_keyword="first.DATA") == 40138
        assert world.errcode(WXOPEN_TEMPLATE_SEND, form_id="F3", emphasis_keyword="keyword1") == 0
        assert world.newest()["problems"] == ["emphasis_keyword is not <keyword>.DATA of a keyword in data"]

    @pytest.mark.parametrize("retired", [46101, 45103])
    def test_the_endpoint_can_be_retired(self, world: World, retired: int) -> None:
        world.control("apps", {"app_id": "wxA", "retired": retired})
        assert world.errcode(WXOPEN_TEMPLATE_SEND) == retired
        assert world.errcode(SUBSCRIBE_SEND) == 0
        world.control("apps", {"app_id": "wxA", "retired": None})
        assert world.errcode(WXOPEN_TEMPLATE_SEND) == 0


class TestConsents:
    @pytest.mark.parametrize("path", [BIZSEND, SUBSCRIBE_SEND])
    def test_an_accepted_message_uses_one_up(self, world: World, path: str) -> None:
        sample = SAMPLES[path]
        consent = {"app_id": "wxA", "openid": sample["touser"], "template_id": sample["template_id"]}
        world.control("consents", {**consent, "credits": 1})
        bad = {"thing1": {"value": ""}}
        assert world.errcode(path, data=bad) == 47003
        assert world.errcode(path) == 0
        assert world.errcode(path) == 43101
        assert "user refuse to accept the msg" in world.send(path)["errmsg"]
        assert world.errcode(path, touser="oOther") == 0
        world.control("consents", {**consent, "credits": None})
        assert world.errcode(path) == 0

    def test_one_time_consent_belongs_to_its_scene(self, world: World) -> None:
        consent = {"app_id": "wxA", "openid": "OPENID", "template_id": "TEMPLATE_ID"}
        world.control("consents", {**consent, "scene": 1000, "credits": 1})
        world.control("consents", {**consent, "scene": "7", "credits": 0})
        assert world.errcode(TEMPLATE_SUBSCRIBE, scene="7") == 43101
        assert world.errcode(TEMPLATE_SUBSCRIBE, scene="1000") == 0
        assert world.errcode(TEMPLATE_SUBSCRIBE, scene="1000") == 43101

    def test_a_follower_gets_template_messages_until_he_refuses(self, world: World) -> None:
        consent = {"app_id": "wxA", "openid": "oA", "template_id": "T"}
        world.control("consents", {**consent, "credits": 1})
        assert [world.errcode(), world.errcode()] == [0, 0]
        world.control("consents", {**consent, "credits": 0})
        assert world.errcode() == 43101


class TestLimits:
    def test_published_daily_defaults(self, world: World) -> None:
        published = {SUBSCRIBE_SEND: 10_000_000, TEMPLATE_SEND: 100_000, WXOPEN_TEMPLATE_SEND: 1_000_000}
        for path in ENDPOINTS:
            assert world.wechat.limits_of("wxA", path).daily == published.get(path)

    def test_daily_quota_of_an_app_at_an_endpoint(self, world: World) -> None:
        world.control("quotas", {"app_id": "wxA", "path": TEMPLATE_SEND, "daily": 1})
        assert [world.errcode(), world.errcode()] == [0, 45009]
        assert world.errcode(SUBSCRIBE_SEND) == 0
        assert world.errcode(token=world.stable("wxB")["access_token"]) == 0
        world.now = MIDNIGHT_BEIJING + 86_400
        assert world.errcode() == 0

    def test_per_minute(self, world: World) -> None:
        world.control("quotas", {"app_id": "wxA", "path": TEMPLATE_SEND, "per_minute": 1})
        assert [world.errcode(), world.errcode()] == [0, 45011]
        world.now += 60
        assert world.errcode() == 0

    def test_frequency_of_one_openid(self, world: World) -> None:
        world.control("quotas", {"app_id": "wxA", "path": TEMPLATE_SEND, "openid_per_minute": 1})
        assert [world.errcode(), world.errcode(), world.errcode(touser="oB")] == [0, 43117, 0]
        world.now += 60
        assert world.errcode() == 0

    def test_two_sends_to_one_openid_at_the_same_time(self, world: World) -> None:
        world.control("settings", {"latency": 0.2})
        other_app = world.stable("wxB")["access_token"]
        sample = SAMPLES[TEMPLATE_SEND]
        token = world.stable()["access_token"]
        world.while_waiting = [
            world.call(TEMPLATE_SEND, sample, other_app),
            world.call(TEMPLATE_SEND, {**sample, "touser": "oB"}, token),
            world.call(TEMPLATE_SEND, sample, token),
        ]
        assert world.errcode(token=token) == 0
        assert [answer.payload["errcode"] for answer in world.answered_meanwhile] == [43108, 0, 0]
        assert world.errcode() == 0


class TestClientMsgId:
    def test_a_repeat_within_ten_minutes_is_delivered_once(self, world: World) -> None:
        first = world.send(client_msg_id="1")
        world.now += 599
        assert world.send(client_msg_id="1") == first
        assert (world.newest()["accepted"], world.newest()["duplicate"]) == (False, True)
        assert world.send(client_msg_id="1", touser="oB")["msgid"] != first["msgid"]
        assert world.send(client_msg_id="2")["msgid"] != first["msgid"]
        world.now += 1
        assert world.send(client_msg_id="1")["msgid"] != first["msgid"]
        stats = world.control("stats", method="GET")
        assert (stats["accepted"], stats["duplicate"]) == (4, 1)

    def test_a_refused_message_is_not_remembered(self, world: World) -> None:
        assert world.errcode(client_msg_id="1", template_id="") == 40037
        assert world.errcode(client_msg_id="1") == 0
        assert world.newest()["accepted"] is True

    def test_only_template_send_knows_it(self, world: World) -> None:
        first, second = world.send(BIZSEND), world.send(BIZSEND)
        assert first["msgid"] != second["msgid"]


class TestNamedReceivers:
    @pytest.mark.parametrize("errcode", [-1, 40003, 43101, 45009, 46101, 99999])
    def test_bring_their_error(self, world: World, errcode: int) -> None:
        assert world.errcode(touser=f"errcode-{errcode}") == errcode

    def test_errcode_0_is_an_ordinary_receiver(self, world: World) -> None:
        assert world.errcode(touser="errcode-0") == 0

    @pytest.mark.parametrize(
        ("touser", "effect", "accepted"),
        [
            ("fault-timeout", "timeout", False),
            ("fault-timeout-after", "timeout", True),
            ("fault-reset", "reset", False),
            ("fault-html", "html", False),
            ("fault-truncated-after", "truncated", True),
            ("fault-redirect", "redirect", False),
            ("fault-drip-after", "drip", True),
            ("fault-503", "status", False),
        ],
    )
    def test_bring_their_fault(self, world: World, touser: str, effect: str, accepted: bool) -> None:  # noqa: FBT001 - a column of the table
        answer = world.wechat.handle(world.call(TEMPLATE_SEND, {**SAMPLES[TEMPLATE_SEND], "touser": touser}))
        assert answer.fault is not None
        assert answer.fault.effect == effect
        assert world.newest()["accepted"] is accepted

    def test_other_names_are_people(self) -> None:
        assert faults.named("fault-200", 1) is None
        assert faults.named("fault-", 1) is None


class TestFaults:
    def test_before_and_after(self, world: World) -> None:
        world.control("faults", {"effect": "timeout", "path": TEMPLATE_SEND, "count": 1, "seconds": 9})
        world.control("faults", {"effect": "reset", "when": "after", "path": TEMPLATE_SEND, "count": 1})
        struck = [world.wechat.handle(world.call(TEMPLATE_SEND, SAMPLES[TEMPLATE_SEND])) for _ in range(3)]
        assert [answer.fault and (answer.fault.effect, answer.fault.seconds) for answer in struck] == [
            ("timeout", 9),
            ("reset", 30),
            None,
        ]
        listed = world.control("messages", method="GET")["messages"]
        assert [(entry["accepted"], entry["errcode"], entry["fault"]) for entry in reversed(listed)] == [
            (False, None, "timeout before"),
            (True, 0, "reset after"),
            (True, 0, None),
        ]
        assert world.control("stats", method="GET")["unanswered"] == 1
        assert world.control("faults", method="GET") == {"faults": []}

    def test_error_codes(self, world: World) -> None:
        world.control("faults", {"effect": "errcode", "errcode": 45009, "errmsg": "full", "count": 1})
        world.control("faults", {"effect": "errcode", "errcode": -1, "when": "after", "count": 1})
        assert world.stable()["errcode"] == 45009
        world.control("faults", method="DELETE")
        token = world.stable()["access_token"]
        world.control("faults", {"effect": "errcode", "errcode": 43107, "path": "/cgi-bin/message/*"})
        assert world.errcode(token=token) == 43107
        assert (world.newest()["accepted"], world.newest()["errcode"]) == (False, 43107)
        assert "access_token" in world.stable()
        assert world.control("faults", method="DELETE") == {"cleared": 1}
        world.control("faults", {"effect": "errcode", "errcode": -1, "when": "after", "count": 1})
        assert world.errcode(token=token) == -1
        assert world.newest()["accepted"] is True

    def test_probability(self) -> None:
        planted = faults.Faults(Random(7))  # noqa: S311 - the same chances in every run
        planted.plant(Fault("reset", probability=0.25))
        struck = sum(planted.strike(TEMPLATE_SEND) is not None for _ in range(4000))
        assert 900 < struck < 1100


class TestControl:
    def test_messages_are_listed_newest_first(self, world: World) -> None:
        for touser in ("o1", "o2", "o3"):
            world.errcode(touser=touser)
        world.errcode(SUBSCRIBE_SEND, token=world.stable("wxB")["access_token"])
        listed = world.control("messages", {"limit": 2, "app_id": "wxA", "path": TEMPLATE_SEND}, "GET")
        assert listed["total"] == 3
        assert [json.loads(entry["body"])["touser"] for entry in listed["messages"]] == ["o3", "o2"]
        entry = listed["messages"][0]
        assert entry["time"].startswith("2025-10-09T16:00:00")
        assert (entry["app_id"], entry["path"], entry["errcode"]) == ("wxA", TEMPLATE_SEND, 0)
        assert world.control("messages", method="DELETE") == {"cleared": 4}
        assert world.control("messages", method="GET") == {"total": 0, "messages": []}
        assert world.control("stats", method="GET")["arrived"] == 0

    def test_only_the_newest_are_kept_but_all_are_counted(self, world: World) -> None:
        token = world.stable()["access_token"]
        call = world.call(TEMPLATE_SEND, b"", token)
        for _ in range(10_005):
            world.wechat.handle(call)
        listed = world.control("messages", {"limit": 10_000}, "GET")
        assert (listed["total"], len(listed["messages"])) == (10_005, 10_000)
        assert world.control("stats", method="GET")["errcodes"] == {"44002": 10_005}

    def test_stats(self, world: World) -> None:
        token = world.stable()["access_token"]
        world.stable(force_refresh=True)
        world.stable(secret="wrong")
        world.plain()
        world.errcode(token=token)
        world.errcode(touser="errcode-43101")
        world.errcode(SUBSCRIBE_SEND)
        stats = world.control("stats", method="GET")
        assert (stats["arrived"], stats["accepted"], stats["refused"]) == (3, 1, 2)
        assert stats["by_path"][TEMPLATE_SEND]["errcodes"] == {"40001": 1, "43101": 1}
        # Each of the two later sends fetched its token.
        assert stats["by_app"]["wxA"]["token_calls"] == {"normal": 3, "forced": 1, "plain": 1, "refused": 1}
        assert stats["by_app"]["wxA"]["accepted"] == 1
        assert stats["by_app"]["wxB"]["arrived"] == 0

    def test_apps_are_added_and_listed_without_secrets(self, world: World) -> None:
        world.control("apps", {"app_id": "wxC", "secret": "secretC"})
        assert "access_token" in world.stable("wxC")
        assert "secretC" not in json.dumps(world.control("apps", method="GET"))

    def test_reset_goes_back_to_the_start(self, world: World) -> None:
        token = world.stable()["access_token"]
        world.control("apps", {"app_id": "wxC", "secret": "secretC"})
        world.control("faults", {"effect": "reset"})
        world.control("settings", {"latency": 1})
        world.control("templates", {"app_id": "wxA", "template_id": "other"})
        world.control("quotas", {"app_id": "wxA", "path": TEMPLATE_SEND, "daily": 0})
        world.control("reset")
        assert world.errcode(token=token) == 40001
        assert world.errcode() == 0
        assert world.control("health", method="GET") == {"status": "ok", "apps": 2}
        assert world.control("settings", method="GET")["latency"] == 0

    @pytest.mark.parametrize(
        ("path", "body", "message"),
        [
            ("apps", {}, "app_id is missing"),
            ("apps", {"app_id": "wxC"}, "secret is missing"),
            ("apps", {"app_id": "wxA", "retired": True}, "retired must be one of null, 46101, 45103"),
            ("apps", {"app_id": "wxA", "ip_whitelist": ["home"]}, "ip_whitelist: home is neither"),
            ("apps", {"app_id": "wxA", "pages": "index"}, "pages must be a list of strings"),
            ("apps", {"app_id": "wxA", "color": 1}, "unknown: color"),
            ("faults", {"effect": "fire"}, "effect must be one of"),
            ("faults", {"effect": []}, "effect must be one of"),
            ("faults", {"effect": "errcode"}, "errcode is missing"),
            ("faults", {"effect": "reset", "probability": 2}, "probability must be a number from 0 to 1"),
            ("faults", {"effect": "reset", "count": 1.5}, "count must be a whole number"),
            ("faults", {"effect": "reset", "path": "/none"}, "path must be"),
            ("faults", {"effect": "redirect", "location": "/\r\nX: y"}, "location must be an address"),
            ("consents", {"app_id": "wxA", "openid": "o", "template_id": "T"}, "credits is missing"),
            ("consents", {"app_id": "wxZ"}, "there is no app wxZ"),
            ("quotas", {"app_id": "wxA", "path": TOKEN, "daily": -1}, "daily must be a number from 0"),
            ("templates", {"app_id": "wxA", "template_id": "T", "enums": []}, "enums must be an object"),
            ("settings", {"latency": "fast"}, "latency must be a number"),
            ("settings", {"token_seconds": 300}, "token_seconds must be a number from 301"),
            ("tokens/revoke", {"sticky": "yes"}, "sticky must be one of true, false"),
        ],
    )
    def test_bad_input_gets_a_reason(
        self, world: World, path: str, body: dict[str, Any], message: str
    ) -> None:
        before = world.control("settings", method="GET"), world.control("apps", method="GET")
        with pytest.raises(ControlError, match=re.escape(message)) as error:
            world.control(path, body)
        assert error.value.status == 400
        assert before == (world.control("settings", method="GET"), world.control("apps", method="GET"))

    def test_unknown_paths_and_methods(self, world: World) -> None:
        with pytest.raises(ControlError) as unknown:
            world.control("none")
        with pytest.raises(ControlError) as wrong_method:
            world.control("messages")
        assert (unknown.value.status, wrong_method.value.status) == (404, 405)

    @pytest.mark.parametrize("body", [b"{", b"[]", b"\xff", b"[" * 100_000])
    def test_bodies_that_are_no_objects(self, world: World, body: bytes) -> None:
        with pytest.raises(ControlError):
            world.control_api.handle("POST", "/_sim/apps", {}, body)


def test_one_text_speaks_of_a_day() -> None:
    """The other limits are of a month, a minute, a domain, a number of templates or a mass send."""
    assert [code for code, text in errcodes.ERRMSG.items() if "daily" in text] == [45009]


@pytest.mark.parametrize(
    ("errcode", "subject"),
    [
        (43100, "change template"),
        (45026, "template num"),
        (45028, "masssend"),
        (45040, "monthly"),
        (45065, "clientmsgid"),
        (45104, "domain"),
        (45501, "temporarily"),
        (48006, "clear quota"),
        (48012, "invalid token"),
        (200012, "too many templates"),
        (200022, "already exists"),
    ],
)
def test_codes_of_other_limits_name_them(world: World, errcode: int, subject: str) -> None:
    assert subject in world.send(touser=f"errcode-{errcode}")["errmsg"]


def test_every_code_that_is_answered_has_a_text() -> None:
    named = {value for name, value in vars(errcodes).items() if name.isupper() and isinstance(value, int)}
    assert named <= set(errcodes.ERRMSG)
