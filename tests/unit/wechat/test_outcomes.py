"""The outcome and the hint that an answer, or its absence, comes to."""

from __future__ import annotations

import ast
import inspect
import re

import pytest

from wechat_notify.core.outcomes import ErrorClass, HoldScope, Outcome, Status
from wechat_notify.wechat import connections, session
from wechat_notify.wechat.answers import Answer
from wechat_notify.wechat.client import refused_token
from wechat_notify.wechat.error_codes import ERROR_CODES
from wechat_notify.wechat.outcomes import (
    CAUSES,
    hint_for,
    outcome_of,
    outcome_of_no_answer,
    outcome_of_token_endpoint,
)
from wechat_notify.wechat.session import NoAnswer


def outcome(code: int, errmsg: str = "text") -> Outcome:
    return outcome_of(Answer(code, errmsg, None, None, None), "subscription")


@pytest.mark.parametrize(
    ("errmsg", "address"),
    [
        ("invalid ip 198.51.100.7 ipv6 ::ffff:198.51.100.7, not in whitelist rid: 66695e1c", "198.51.100.7"),
        ("invalid ip [2001:db8::7]: not in whitelist", "2001:db8::7"),
        ("not in whitelist: 2001:db8::7.", "2001:db8::7"),
        ("调用接口的IP地址198.51.100.7不在白名单中", "198.51.100.7"),
        ("source:198.51.100.7.", "198.51.100.7"),
        ("invalid ip ipv6 ::ffff:198.51.100.7, not in whitelist", "198.51.100.7"),
    ],
)
def test_refused_address_is_named(errmsg: str, address: str) -> None:
    whitelist = outcome(40164, errmsg).hint
    assert f"Add {address} to the account's IP whitelist" in whitelist.en
    assert f"请将 {address} 加入账号的 IP 白名单" in whitelist.zh
    for code in (61004, *range(89501, 89508)):
        hint = outcome(code, errmsg).hint
        assert address in hint.en
        assert address in hint.zh


@pytest.mark.parametrize(
    "errmsg",
    [
        "",
        "not in whitelist rid: 66695e1c-5d4a8e9f-0b2c3d4e",
        "invalid ip 1.2.3.4.5 256.1.1.1",
        "add:: :: a:b:c d::a",
        "a " * 100_000 + "10.0.0.1",
    ],
)
def test_no_address_is_made_up(errmsg: str) -> None:
    assert outcome(40164, errmsg).hint == outcome(40164, "").hint
    assert "this IP address" in outcome(40164, errmsg).hint.en


def test_address_in_its_own_hint_alone() -> None:
    """And in no hint that is kept."""
    hint_for.cache_clear()
    assert outcome(48001, "invalid ip 198.51.100.7").hint == outcome(48001).hint
    for last in range(5):
        outcome(40164, f"invalid ip 198.51.100.{last}")
    assert hint_for.cache_info().currsize == 2


@pytest.mark.parametrize("code", [40013, 41002, 49001])
def test_whose_appid(code: int) -> None:
    """A send names that of a mini program, a request for a token the account's own."""
    of_a_send = outcome(code)
    of_a_token = refused_token(b'{"errcode": %d}' % code, ("s",))
    assert "mini program that the message opens" in of_a_send.hint.en
    assert "小程序" in of_a_send.hint.zh
    assert "stored credentials" in of_a_token.hint.en
    assert (of_a_send.holds, of_a_token.holds) == (None, HoldScope.ACCOUNT)


@pytest.mark.parametrize(
    ("errcode", "error_class", "holds"),
    [
        (40001, ErrorClass.CONFIG, HoldScope.ACCOUNT),
        (45009, ErrorClass.QUOTA, HoldScope.ACCOUNT),
        (45011, ErrorClass.RATE_LIMIT, HoldScope.ACCOUNT),
        (-1, ErrorClass.TRANSIENT, None),
        (99999, ErrorClass.OTHER, None),
    ],
)
def test_refused_token(errcode: int, error_class: ErrorClass, holds: HoldScope | None) -> None:
    """Its daily limit ends no quota: forced refreshes have their own, while normal calls go on."""
    found = refused_token(b'{"errcode": %d}' % errcode, ("s",))
    assert (found.status, found.errcode, found.error_class) == (Status.FAILED, errcode, error_class)
    assert (found.holds, found.repeats, found.until_reset) == (holds, None, False)


def test_wrong_secret_is_no_token_error() -> None:
    found = refused_token(b'{"errcode": 40001, "errmsg": "rid: 1-2"}', ("s",))
    assert (found.retryable, found.retry_after, found.rid) == (False, None, "1-2")
    assert "AppSecret" in found.hint.en


def test_success_without_a_token() -> None:
    found = refused_token(b'{"errcode": 0, "errmsg": "ok"}', ("s",))
    assert (found.error_class, found.retryable, found.holds) == (ErrorClass.TRANSIENT, True, None)
    assert (found.errcode, found.cause) == (None, "unreadable answer")


EVERY_CAUSE = [*CAUSES, "HTTP 502", "MemoryError"]
NAMES = frozenset(
    """
    API AppID AppSecret Content-Encoding GET HTTP HTTPS ICP ID IDC IP JSON OpenID POST Retry-After SDK
    URL XML WeChatApiBase api.weixin.qq.com config.json mp.weixin.qq.com permissions.openapi component
    template/subscribe uXXXX access_token api_component_token appid authorizer_refresh_token cgi_path
    clear_quota clientmsgid data errmsg component_access_token component_appid component_appsecret
    component_verify_ticket first form_id grant_type ids keyword_name_list kidList limit openid page
    pagepath prepay_id refresh_token remark rid sceneDesc secret start template_id tid token
    token_parameter type
    """.split()  # noqa: SIM905 - a list of 60 strings would be a page long
)
"""Names that have no Chinese: fields, protocols, and the host names of WeChat."""


def every_outcome() -> list[Outcome]:
    """One of each code, of each cause and of the token endpoint."""
    outcomes = [outcome(code) for code in (*ERROR_CODES, 12345)]
    outcomes += [refused_token(b'{"errcode": %d}' % code, ("s",)) for code in ERROR_CODES]
    outcomes += [outcome_of_token_endpoint(cause) for cause in EVERY_CAUSE]
    for sent, passing in ((True, True), (False, True), (False, False)):
        outcomes += [outcome_of_no_answer(NoAnswer(cause, sent, passing)) for cause in EVERY_CAUSE]
    return outcomes


def test_chinese_is_chinese_throughout() -> None:
    words = {
        word for each in every_outcome() for word in re.findall("[A-Za-z][A-Za-z0-9_./-]*", each.hint.zh)
    }
    assert {part for word in words for part in ([word] if word in NAMES else word.split("/"))} == NAMES


def test_every_hint_is_sentences() -> None:
    for each in every_outcome():
        assert each.hint.en.endswith(".")
        assert each.hint.zh.endswith("。")
        assert (each.errcode is None) == (each.cause is not None)


# ---------------------------------------------------------------- no answer


@pytest.mark.parametrize(
    ("problem", "expected"),
    [
        (
            NoAnswer("HTTP 502", may_have_arrived=True),
            (Status.UNKNOWN, ErrorClass.UNKNOWN, False, None, None, False),
        ),
        (
            NoAnswer("ConnectTimeout", may_have_arrived=False),
            (Status.FAILED, ErrorClass.TRANSIENT, True, 2.0, None, True),
        ),
        (
            NoAnswer("HTTP 429", may_have_arrived=False, limited=True),
            (Status.FAILED, ErrorClass.RATE_LIMIT, True, 60.0, HoldScope.KIND, True),
        ),
        (
            NoAnswer("HTTP 404", may_have_arrived=False, passing=False),
            (Status.FAILED, ErrorClass.CONFIG, False, None, None, True),
        ),
    ],
)
def test_no_answer(problem: NoAnswer, expected: tuple[object, ...]) -> None:
    found = outcome_of_no_answer(problem)
    judged = (found.status, found.error_class, found.retryable, found.retry_after, found.holds)
    assert (*judged, found.unjudged) == expected
    assert (found.cause, found.errcode, found.repeats) == (problem.reason, None, None)
    assert ("nothing was sent" in found.hint.en) == found.retryable
    assert ("check WeChatApiBase" in found.hint.en) == (found.error_class is ErrorClass.CONFIG)


def test_causes_are_told_in_words() -> None:
    hint = outcome_of_no_answer(NoAnswer("HTTP 502", may_have_arrived=True)).hint
    assert hint.en == "WeChat's answer was lost (HTTP 502): the message may have been sent."
    for cause in ("ReadTimeout", "MemoryError"):
        hint = outcome_of_no_answer(NoAnswer(cause, may_have_arrived=False)).hint
        assert cause not in hint.en + hint.zh


def reasons() -> set[str]:
    """Every reason that the sources give for having no answer."""
    return {
        node.value
        for module in (connections, session)
        for node in ast.walk(ast.parse(inspect.getsource(module)))
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and re.fullmatch("([A-Z][a-z]+){2,}|InvalidURL", node.value)
    }


def test_every_cause_has_words() -> None:
    assert len(reasons()) > 10
    assert reasons() <= set(CAUSES)
