"""The pages on which people confirm and merchants authorize."""

from __future__ import annotations

from html.parser import HTMLParser
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest

from local.simulator.messages import TEMPLATE_SEND, TEMPLATE_SUBSCRIBE
from local.simulator.pages import AUTHORIZE, CONFIRM, Page, Pages
from tests.unit.local.simulator.conftest import World
from tests.unit.local.simulator.test_components import Platform

LINK = {
    "action": "get_confirm",
    "appid": "wxA",
    "scene": "1000",
    "template_id": "T",
    "redirect_url": "https://example.com/back?x=1",
    "reserved": "abc123",
}


def show(world: World, **changes: str | None) -> Page:
    return Pages(world.wechat).answer("GET", CONFIRM, link(changes), b"")


def press(world: World, decision: str, openid: str = "oA", **changes: str | None) -> dict[str, str]:
    """Press a button; the parameters with which the browser comes back."""
    form = urlencode({"decision": decision, "openid": openid}).encode()
    page = Pages(world.wechat).answer("POST", CONFIRM, link(changes), form)
    assert page.status == 302
    assert page.location is not None
    assert page.location.startswith("https://example.com/back?x=1&")
    return dict(parse_qsl(urlsplit(page.location).query))


def link(changes: dict[str, str | None]) -> dict[str, str]:
    return {name: value for name, value in {**LINK, **changes}.items() if value is not None}


class Names(HTMLParser):
    def __init__(self, html: str) -> None:
        super().__init__()
        self.buttons: list[str | None] = []
        self.inputs: dict[str | None, str | None] = {}
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == "button":
            self.buttons.append(given.get("value"))
        elif tag == "input":
            self.inputs[given.get("name")] = given.get("value")


def test_page_has_its_buttons(world: World) -> None:
    page = show(world)
    names = Names(page.html)
    assert (page.status, names.buttons, list(names.inputs)) == (200, ["confirm", "cancel"], ["openid"])
    assert 'data-fragment="#wechat_redirect"' in page.html


def test_confirmation(world: World) -> None:
    world.order("apps", consents=True)
    back = {"x": "1", "openid": "oA", "template_id": "T", "action": "confirm", "scene": "1000"}
    assert press(world, "confirm") == {**back, "reserved": "abc123"}
    assert press(world, "confirm", reserved=None) == back  # a second one does not add up
    codes = [world.errcode("template/subscribe", touser="oA", template_id="T") for _ in range(2)]
    assert codes == [0, 43101]
    press(world, "confirm", scene="7")
    assert world.errcode("template/subscribe", touser="oA", template_id="T", scene="7") == 0


def test_cancel_names_nobody(world: World) -> None:
    world.order("apps", consents=True)
    assert "openid" not in press(world, "cancel")
    assert press(world, "cancel")["action"] == "cancel"
    assert world.errcode("template/subscribe", touser="oA", template_id="T") == 43101


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"action": "confirm"}, "action"),
        ({"appid": "wxC"}, "appid"),
        ({"scene": "10001"}, "scene"),
        ({"scene": None}, "scene"),
        ({"template_id": None}, "template error"),
        ({"template_id": "U"}, "template error"),
        ({"template_id": "other family"}, "template error"),
        ({"reserved": "a-b"}, "reserved"),
        ({"reserved": "a" * 129}, "reserved"),
        ({"redirect_url": "example.com"}, "redirect_url"),
        ({"redirect_url": "https://[x"}, "redirect_url"),
        ({"redirect_url": "https://elsewhere.example/"}, "not a business domain"),
    ],
)
def test_links_that_are_wrong(world: World, changes: dict[str, str | None], error: str) -> None:
    world.order("apps", domains=["example.com"])
    world.order("templates", template_id="T", path=TEMPLATE_SUBSCRIBE)
    world.order("templates", template_id="other family", path=TEMPLATE_SEND)
    assert "get_confirm" not in show(world).html
    assert Names(show(world).html).buttons
    page = show(world, **changes)
    assert error in page.html
    assert not Names(page.html).buttons


@pytest.mark.parametrize("form", [{"decision": "maybe", "openid": "oA"}, {"decision": "confirm"}])
def test_forms_that_are_wrong(world: World, form: dict[str, str]) -> None:
    page = Pages(world.wechat).answer("POST", CONFIRM, LINK, urlencode(form).encode())
    assert (page.location, "parameter error" in page.html) == (None, True)


def test_texts_are_escaped(world: World) -> None:
    world.order("templates", template_id="T", path=TEMPLATE_SUBSCRIBE, title="<script>x</script>")
    assert "<script>x" not in show(world).html


def test_bare_domain_gets_a_slash(world: World) -> None:
    form = urlencode({"decision": "cancel", "openid": "oA"}).encode()
    given = link({"redirect_url": "https://example.com"})
    page = Pages(world.wechat).answer("POST", CONFIRM, given, form)
    assert page.location is not None
    assert page.location.startswith("https://example.com/?template_id=T&action=cancel")


# ---- platforms


@pytest.fixture
def platform(world: World) -> Platform:
    return Platform(world)


def authorize(platform: Platform, method: str, form: dict[str, str] | None = None, **changes: Any) -> Page:
    code = platform.ask("api_create_preauthcode", token=platform.token())["pre_auth_code"]
    query = {
        "component_appid": "wxp",
        "pre_auth_code": code,
        "redirect_uri": "https://example.com/done",
        **changes,
    }
    return Pages(platform.world.wechat).answer(method, AUTHORIZE[0], query, urlencode(form or {}).encode())


def test_merchant_authorizes_on_the_page(platform: Platform) -> None:
    page = authorize(platform, "GET", biz_appid="wxshop")
    names = Names(page.html)
    assert (names.buttons, names.inputs["app_id"]) == (["authorize"], "wxshop")
    form = {"decision": "authorize", "app_id": "wxshop", "permission-89": "on"}
    page = authorize(platform, "POST", form)
    assert page.location is not None
    told = dict(parse_qsl(urlsplit(page.location).query))
    assert told["expires_in"] == "3600"
    event = platform.events()[-1]
    assert (event["InfoType"], event["AuthorizationCode"]) == ("authorized", told["auth_code"])
    info = platform.ask("api_query_auth", token=platform.token(), authorization_code=told["auth_code"])
    assert info["authorization_info"]["func_info"] == [{"funcscope_category": {"id": 89}}]


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"component_appid": "wxq"}, "component_appid"),
        ({"pre_auth_code": "used"}, "pre_auth_code"),
        ({"redirect_uri": "/done"}, "redirect_uri"),
        ({"biz_appid": "wxother"}, "app_id"),
    ],
)
def test_authorizations_that_are_wrong(platform: Platform, changes: dict[str, str], error: str) -> None:
    page = authorize(platform, "POST", {"app_id": "wxshop"}, **changes)
    assert (page.location, error in page.html) == (None, True)


def test_events_of_a_merchant_come_to_its_platform(platform: Platform) -> None:
    form = {"app_id": "wxshop"}
    authorize(platform, "POST", form)
    code = platform.events()[-1]["AuthorizationCode"]
    platform.ask("api_query_auth", token=platform.token(), authorization_code=code)
    callback = platform.world.wechat.callback_of("wxshop")
    assert callback is not None
    assert callback.url.endswith("/wxshop")
    assert callback.app_id == "wxp"
