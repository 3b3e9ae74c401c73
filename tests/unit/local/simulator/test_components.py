"""A third-party platform at the simulator: its rules, step by step."""

from __future__ import annotations

import base64
import json
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from defusedxml.ElementTree import fromstring

from local.simulator import components
from local.simulator.calls import Call
from local.simulator.orders import ControlError
from local.simulator.receipts import PushRequest, sign
from tests.unit.local.simulator.conftest import World

KEY, TOKEN = "K" * 43, "token"
URL = "http://127.0.0.1:1/v1/callbacks/components/platform"


class Platform:
    """The platform wxp, whose events are noted."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.pushed: list[PushRequest] = []
        world.wechat.components._notify = self.pushed.append
        fields = {"secret": "s", "url": URL, "token": TOKEN, "encoding_aes_key": KEY}
        world.order("components", component="wxp", **fields)

    def ask(self, name: str, *, token: str | None = None, ip: str = "127.0.0.1", **body: Any) -> Any:
        path = f"/cgi-bin/component/{name}"
        query = {"component_access_token": token} if token else {}
        given = json.dumps({"component_appid": "wxp", **body}).encode()
        return self.world.wechat.handle(Call("POST", path, query, given, ip)).payload

    def events(self) -> list[dict[str, str]]:
        return [
            {child.tag: child.text or "" for child in fromstring(self.opened(each))} for each in self.pushed
        ]

    def opened(self, request: PushRequest) -> str:
        """The text of an event, whose signature and receiver are right."""
        query = dict(parse_qsl(urlsplit(request.url).query))
        encrypted = fromstring(request.body).findtext("Encrypt") or ""
        assert query["msg_signature"] == sign(TOKEN, query["timestamp"], query["nonce"], encrypted)
        key = base64.b64decode(f"{KEY}=")
        decryptor = Cipher(algorithms.AES(key), modes.CBC(key[:16])).decryptor()
        padded = decryptor.update(base64.b64decode(encrypted)) + decryptor.finalize()
        plain = padded[: -padded[-1]]
        end = 20 + int.from_bytes(plain[16:20])
        assert plain[end:] == b"wxp"
        return plain[20:end].decode()

    def token(self) -> str:
        self.world.order("components/ticket", component="wxp")
        ticket = self.events()[-1]["ComponentVerifyTicket"]
        answer = self.ask("api_component_token", component_appsecret="s", component_verify_ticket=ticket)
        assert answer["expires_in"] == 7200
        return str(answer["component_access_token"])

    def authorize(self, token: str, **options: Any) -> str:
        code = self.ask("api_create_preauthcode", token=token)["pre_auth_code"]
        order = {"component": "wxp", "app_id": "wxshop", "pre_auth_code": code, **options}
        return str(self.world.order("components/authorize", **order)["authorization_code"])


@pytest.fixture
def platform(world: World) -> Platform:
    return Platform(world)


def test_ticket_is_pushed(platform: Platform) -> None:
    assert platform.ask("api_start_push_ticket", component_secret="s")["errcode"] == 0
    (event,) = platform.events()
    assert event["ComponentVerifyTicket"]
    assert (event["AppId"], event["InfoType"]) == ("wxp", "component_verify_ticket")
    assert platform.pushed[0].url.startswith(f"{URL}?")


@pytest.mark.parametrize(
    ("change", "errcode"),
    [
        ({"component_appsecret": "wrong"}, 40125),
        ({"component_verify_ticket": "wrong"}, 61006),
        ({"component_appid": "wxq"}, 61011),
    ],
)
def test_refused_component_token(platform: Platform, change: dict[str, str], errcode: int) -> None:
    platform.token()
    ticket = platform.events()[-1]["ComponentVerifyTicket"]
    given = {"component_appsecret": "s", "component_verify_ticket": ticket, **change}
    assert platform.ask("api_component_token", **given)["errcode"] == errcode


def test_old_ticket(platform: Platform) -> None:
    platform.token()
    ticket = platform.events()[-1]["ComponentVerifyTicket"]
    platform.world.now += components.TICKET_LIFE
    given = {"component_appsecret": "s", "component_verify_ticket": ticket}
    assert platform.ask("api_component_token", **given)["errcode"] == 61005


def test_merchant_authorizes(platform: Platform) -> None:
    token = platform.token()
    code = platform.authorize(token, func_info=[7, 89])
    event = platform.events()[-1]
    assert (event["InfoType"], event["AuthorizerAppid"]) == ("authorized", "wxshop")
    assert event["AuthorizationCode"] == code
    info = platform.ask("api_query_auth", token=token, authorization_code=code)["authorization_info"]
    assert [each["funcscope_category"]["id"] for each in info["func_info"]] == [7, 89]
    assert platform.ask("api_query_auth", token=token, authorization_code=code)["errcode"] == 61009
    sent = platform.world.send(token=info["authorizer_access_token"])
    assert sent["errcode"] == 0
    platform.authorize(token)
    assert platform.events()[-1]["InfoType"] == "updateauthorized"


def test_code_expires(platform: Platform) -> None:
    code = platform.authorize(platform.token())
    platform.world.now += components.CODE_LIFE
    token = platform.token()
    assert platform.ask("api_query_auth", token=token, authorization_code=code)["errcode"] == 61010


def test_page_is_confirmed_once(platform: Platform) -> None:
    token = platform.token()
    code = platform.ask("api_create_preauthcode", token=token)["pre_auth_code"]
    order = {"component": "wxp", "app_id": "wxshop", "pre_auth_code": code}
    platform.world.order("components/authorize", **order)
    with pytest.raises(ControlError, match="pre_auth_code"):
        platform.world.order("components/authorize", **order)


def test_refresh_token_works_once(platform: Platform) -> None:
    token = platform.token()
    code = platform.authorize(token)
    first = platform.ask("api_query_auth", token=token, authorization_code=code)["authorization_info"]
    given = {"authorizer_appid": "wxshop"}

    def renew(refresh_token: str) -> Any:
        return platform.ask(
            "api_authorizer_token", token=token, authorizer_refresh_token=refresh_token, **given
        )

    second = renew(first["authorizer_refresh_token"])
    assert second["authorizer_access_token"] != first["authorizer_access_token"]
    assert renew(first["authorizer_refresh_token"])["errcode"] == 61023
    platform.world.order("components/lose", component="wxp", app_id="wxshop")
    assert renew(second["authorizer_refresh_token"])["errcode"] == 61023
    (listed,) = platform.ask("api_get_authorizer_list", token=token, offset=0, count=500)["list"]
    assert "authorizer_access_token" in renew(listed["refresh_token"])


def test_list_has_pages(platform: Platform) -> None:
    token = platform.token()
    for each in ("wxa", "wxb", "wxc"):
        code = platform.authorize(token, app_id=each)
        platform.ask("api_query_auth", token=token, authorization_code=code)
    page = platform.ask("api_get_authorizer_list", token=token, offset=2, count=2)
    assert (page["total_count"], [each["authorizer_appid"] for each in page["list"]]) == (3, ["wxc"])
    assert platform.ask("api_get_authorizer_list", token=token, offset=0, count=501)["errcode"] == 40035


def test_merchant_leaves(platform: Platform) -> None:
    token = platform.token()
    code = platform.authorize(token)
    info = platform.ask("api_query_auth", token=token, authorization_code=code)["authorization_info"]
    order = {"component": "wxp", "app_id": "wxshop", "late": True, "events": 2}
    platform.world.order("components/unauthorize", **order)
    assert [event["InfoType"] for event in platform.events()[-2:]] == ["unauthorized"] * 2
    assert [request.late for request in platform.pushed] == [False, False, True, True]
    assert platform.world.send(token=info["authorizer_access_token"])["errcode"] == 40001
    given = {"authorizer_appid": "wxshop", "authorizer_refresh_token": info["authorizer_refresh_token"]}
    assert platform.ask("api_authorizer_token", token=token, **given)["errcode"] == 61003


def test_addresses_are_listed(platform: Platform) -> None:
    token = platform.token()
    platform.world.order("components", component="wxp", ip_whitelist=["10.0.0.0/8"])
    for name in ("api_start_push_ticket", "api_create_preauthcode"):
        assert platform.ask(name, token=token, component_secret="s")["errcode"] == 61004
    assert "pre_auth_code" in platform.ask("api_create_preauthcode", token=token, ip="10.1.2.3")


def test_tokens_that_are_refused(platform: Platform) -> None:
    token = platform.token()
    assert platform.ask("api_create_preauthcode")["errcode"] == 41001
    assert platform.ask("api_create_preauthcode", token=platform.world.token())["errcode"] == 40001
    platform.world.now += 7200
    assert platform.ask("api_create_preauthcode", token=token)["errcode"] == 42001


def test_event_ends_as_wechats_example(platform: Platform) -> None:
    platform.authorize(platform.token(), malformed=True, events=2)
    first, second = platform.pushed[-2:]
    assert platform.opened(first) == platform.opened(second)
    assert platform.opened(first).endswith("<xml>")


def test_text_of_a_merchant(platform: Platform) -> None:
    code = platform.authorize(token := platform.token())
    info = platform.ask("api_query_auth", token=token, authorization_code=code)["authorization_info"]
    query = {"access_token": info["authorizer_access_token"]}
    body = json.dumps({"touser": "oA", "msgtype": "text", "text": {"content": "hello"}}).encode()
    platform.world.wechat.handle(Call("POST", components.CUSTOM_SEND, query, body))
    assert platform.world.see("components")["texts"] == [
        {"app_id": "wxshop", "touser": "oA", "msgtype": "text", "text": {"content": "hello"}}
    ]


@pytest.mark.parametrize("order", ["ticket", "authorize", "unauthorize", "lose", "message"])
def test_orders_for_nobody(world: World, order: str) -> None:
    with pytest.raises(ControlError, match="no component"):
        world.order(f"components/{order}", component="wxnobody", app_id="wxshop")
