"""The calls of a third-party platform: what is asked, and what each answer means."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from wechat_notify.core.errors import TokenUnavailableError
from wechat_notify.core.outcomes import ErrorClass, HoldScope, Outcome
from wechat_notify.core.platform.ports import AuthorizerGrant, Component
from wechat_notify.core.tokens.token import Grant
from wechat_notify.wechat.platform import PlatformClient
from wechat_notify.wechat.session import NoAnswer

SECRET, TOKEN = "secret-of-the-platform", "token of the/platform"
PLATFORM = Component("platform", "wxp", SECRET)
Json = dict[str, Any]


class Session:
    """Answers one after the other, and notes what was asked."""

    def __init__(self, *answers: Json | bytes | NoAnswer) -> None:
        self.asked: list[tuple[str, Json]] = []
        self._answers = list(answers)

    def post(self, path: str, body: bytes) -> tuple[int, bytes] | NoAnswer:
        self.asked.append((path, json.loads(body)))
        answer = self._answers.pop(0)
        if isinstance(answer, NoAnswer):
            return answer
        return 200, answer if isinstance(answer, bytes) else json.dumps(answer).encode()


def client(*answers: Json | bytes | NoAnswer) -> tuple[PlatformClient, Session]:
    session = Session(*answers)
    return PlatformClient(session), session  # type: ignore[arg-type] # as far as it is used


RENEWED: Json = {
    "authorizer_access_token": "access",
    "expires_in": 7200,
    "authorizer_refresh_token": "refresh",
}
GRANTED: Json = {
    "authorization_info": {
        "authorizer_appid": "wxshop",
        **RENEWED,
        "func_info": [
            {"funcscope_category": {"id": 89, "type": 0}},
            {"funcscope_category": {"id": 7}},
        ],
    }
}
TOKENS = AuthorizerGrant(Grant("access", 7200.0), "refresh")


def test_component_token() -> None:
    platform, session = client({"component_access_token": "fresh", "expires_in": 7200})
    assert platform.component_token(PLATFORM, "ticket") == Grant("fresh", 7200.0)
    assert session.asked == [
        (
            "/cgi-bin/component/api_component_token",
            {
                "component_appid": "wxp",
                "component_appsecret": SECRET,
                "component_verify_ticket": "ticket",
            },
        )
    ]


@pytest.mark.parametrize("name", ["component_access_token", "access_token"])
def test_token_is_in_its_parameter(name: str) -> None:
    """WeChat's older and newer pages differ."""
    platform, session = client({"pre_auth_code": "code", "expires_in": 600})
    code = platform.pre_auth_code(Component("platform", "wxp", SECRET, name), TOKEN)
    assert (code.component_app_id, code.value, code.expires_in) == ("wxp", "code", 600.0)
    path = f"/cgi-bin/component/api_create_preauthcode?{name}=token%20of%20the%2Fplatform"
    assert session.asked == [(path, {"component_appid": "wxp"})]


def test_code_buys_tokens_and_permissions() -> None:
    platform, session = client(GRANTED)
    bought = platform.query_auth(PLATFORM, TOKEN, "code")
    assert (bought.app_id, bought.tokens, bought.permissions) == ("wxshop", TOKENS, (7, 89))
    assert session.asked[0][1] == {"component_appid": "wxp", "authorization_code": "code"}


@pytest.mark.parametrize(
    ("told", "granted"),
    [
        (None, None),
        ([], ()),
        ([{"funcscope_category": {"id": "89"}}, {"funcscope_category": {"id": 7}}], (7, 89)),
        ([89, "7"], (7, 89)),
        ([{"funcscope_category": {"id": 89}}, {"funcscope_category": {}}], None),
        ([{"funcscope_category": {"id": True}}], None),
        ([{"id": 89}, {}], None),
        (["²"], None),
    ],
)
def test_permissions_in_every_form(told: object, granted: tuple[int, ...] | None) -> None:
    """Nothing is refused by what is not known: one that cannot be read makes the others unknown too."""
    answer = {"authorization_info": {**GRANTED["authorization_info"], "func_info": told}}
    assert client(answer)[0].query_auth(PLATFORM, TOKEN, "code").permissions == granted


def test_refresh_token_is_exchanged() -> None:
    platform, session = client(RENEWED)
    assert platform.authorizer_token(PLATFORM, TOKEN, "wxshop", "before") == TOKENS
    assert session.asked[0][1] == {
        "component_appid": "wxp",
        "authorizer_appid": "wxshop",
        "authorizer_refresh_token": "before",
    }


def page(*app_ids: str, total: int | None = 501, **more: Any) -> Json:
    listed = [{"authorizer_appid": app_id, "refresh_token": f"of {app_id}"} for app_id in app_ids]
    return {"total_count": total, "list": [{**each, **more} for each in listed]}


@pytest.mark.parametrize(
    ("pages", "found", "offsets"),
    [
        ([page("wxa", "wxshop")], "of wxshop", [0]),
        ([page(*map(str, range(500))), page("wxshop")], "of wxshop", [0, 500]),
        ([page(*map(str, range(500))), page()], None, [0, 500]),
        ([page("wxa", total=1)], None, [0]),
        ([page("wxa", total=None), page()], None, [0, 1]),
        ([page(*map(str, range(100))), page("wxshop")], "of wxshop", [0, 100]),
        ([page("wxshop", refresh_token=None)], None, [0]),
    ],
)
def test_list_is_read_to_the_merchant(pages: list[Json], found: str | None, offsets: list[int]) -> None:
    """By the number of merchants that came: a page may be shorter than what was asked for."""
    platform, session = client(*pages)
    assert platform.listed_refresh_token(PLATFORM, TOKEN, "wxshop") == found
    assert [(asked["offset"], asked["count"]) for _, asked in session.asked] == [(at, 500) for at in offsets]


def test_push_is_asked_for_without_token() -> None:
    platform, session = client({"errcode": 0, "errmsg": "ok"})
    platform.start_ticket_push(PLATFORM)
    assert session.asked == [
        (
            "/cgi-bin/component/api_start_push_ticket",
            {"component_appid": "wxp", "component_secret": SECRET},
        )
    ]


def test_text_is_sent() -> None:
    platform, session = client({"errcode": 0, "errmsg": "ok"})
    platform.send_text(TOKEN, "openid", "text")
    assert session.asked[0][0].endswith("/custom/send?access_token=token%20of%20the%2Fplatform")
    assert session.asked[0][1] == {"touser": "openid", "msgtype": "text", "text": {"content": "text"}}


CALLS: dict[str, Callable[[PlatformClient], object]] = {
    "start_ticket_push": lambda platform: platform.start_ticket_push(PLATFORM),
    "component_token": lambda platform: platform.component_token(PLATFORM, "ticket-secret"),
    "pre_auth_code": lambda platform: platform.pre_auth_code(PLATFORM, TOKEN),
    "query_auth": lambda platform: platform.query_auth(PLATFORM, TOKEN, "code-secret"),
    "authorizer_token": lambda platform: platform.authorizer_token(PLATFORM, TOKEN, "wxs", "refresh-secret"),
    "listed_refresh_token": lambda platform: platform.listed_refresh_token(PLATFORM, TOKEN, "wxs"),
    "send_text": lambda platform: platform.send_text(TOKEN, "openid-secret", "text"),
}


def refusal(call: str, answer: Json | bytes | NoAnswer) -> Outcome:
    with pytest.raises(TokenUnavailableError) as caught:
        CALLS[call](client(answer)[0])
    return caught.value.outcome


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize(
    ("answer", "error_class"),
    [
        ({"errcode": 61004, "errmsg": "access clientip is not registered"}, ErrorClass.CONFIG),
        ({"errcode": -1, "errmsg": "system error"}, ErrorClass.TRANSIENT),
        ({"errcode": 0, "errmsg": "ok"}, ErrorClass.TRANSIENT),
        (b"<html>", ErrorClass.TRANSIENT),
        (b"", ErrorClass.TRANSIENT),
        (NoAnswer("ReadTimeout", may_have_arrived=True), ErrorClass.TRANSIENT),
        (NoAnswer("ConnectTimeout", may_have_arrived=False), ErrorClass.TRANSIENT),
    ],
)
def test_call_without_an_answer(call: str, answer: Json | bytes | NoAnswer, error_class: ErrorClass) -> None:
    if isinstance(answer, dict) and answer["errcode"] == 0 and call in {"start_ticket_push", "send_text"}:
        return  # that is all which these are answered
    assert refusal(call, answer).error_class is error_class


@pytest.mark.parametrize(
    ("call", "errcode", "error_class"),
    [
        ("component_token", 40125, ErrorClass.CONFIG),
        ("component_token", 40001, ErrorClass.CONFIG),
        ("component_token", 61005, ErrorClass.PLATFORM),
        ("authorizer_token", 42001, ErrorClass.TOKEN),
        ("authorizer_token", 61023, ErrorClass.PLATFORM),
        ("authorizer_token", 61003, ErrorClass.PERMISSION),
        ("query_auth", 61010, ErrorClass.PLATFORM),
    ],
)
def test_refusals_keep_their_codes(call: str, errcode: int, error_class: ErrorClass) -> None:
    """A rejected token on the token endpoint is a wrong secret."""
    outcome = refusal(call, {"errcode": errcode, "errmsg": "refused rid: 1-2-3"})
    assert (outcome.errcode, outcome.error_class, outcome.rid) == (errcode, error_class, "1-2-3")
    assert outcome.holds in {HoldScope.ACCOUNT, None}


@pytest.mark.parametrize("errcode", [41001, 41021])
def test_token_in_the_wrong_parameter(errcode: int) -> None:
    hint = refusal("pre_auth_code", {"errcode": errcode, "errmsg": "access_token missing"}).hint
    assert "token_parameter" in hint.en
    assert "token_parameter" in hint.zh


@pytest.mark.parametrize("call", CALLS)
def test_secrets_are_blanked_out(call: str) -> None:
    secrets = (SECRET, TOKEN, "ticket-secret", "code-secret", "refresh-secret", "openid-secret")
    answer = {"errcode": 61004, "errmsg": f"refused {' '.join(secrets)}"}
    sent = {
        "start_ticket_push": {SECRET},
        "component_token": {SECRET, "ticket-secret"},
        "query_auth": {TOKEN, "code-secret"},
        "authorizer_token": {TOKEN, "refresh-secret"},
        "send_text": {TOKEN, "openid-secret"},
    }.get(call, {TOKEN})
    errmsg = refusal(call, answer).errmsg or ""
    assert [secret for secret in sent if secret in errmsg] == []


def test_tokens_are_in_no_repr() -> None:
    for holder in (TOKENS, PLATFORM):
        assert not {"access", "refresh", SECRET} & set(repr(holder).replace("'", " ").split())
