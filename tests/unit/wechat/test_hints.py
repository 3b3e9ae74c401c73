"""What ``client.py`` makes of a code or of a missing answer: its consequences and its hint."""

from __future__ import annotations

import ast
import inspect
import re

import pytest

from wechat_notify.core.outcomes import ErrorClass, Holds, Outcome, Status
from wechat_notify.wechat import connections, session
from wechat_notify.wechat.answers import Answer
from wechat_notify.wechat.client import _CAUSES, _hint, _no_answer, _outcome, _refused_token
from wechat_notify.wechat.errcodes import ERROR_CODES
from wechat_notify.wechat.session import NoAnswer


def outcome(code: int, errmsg: str = "text") -> Outcome:
    return _outcome(Answer(code, errmsg, None, None, None), "subscription")


# The consequence of each code for a template message: its fate, what else it holds, the end of that hold, how
# many repeats it is worth, and the least seconds before the next one. "waits" is the fate under a quota,
# "reset" the daily one. A change to any row of the module's table shows here.
CONSEQUENCES = """
#  code  fate      holds     until  repeats  wait
-604104  failed    account   -      -        -
-604101  failed    kind      -      -        -
-604100  failed    kind      -      -        -
-504002  failed    account   -      -        -
  -1000  repeated  -         -      -        2
     -1  repeated  -         -      -        2
      0  sent      -         -      -        -
  20001  repeated  -         -      -        2
  40001  repeated  kind      -      2        3
  40002  failed    account   -      -        -
  40014  repeated  kind      -      2        3
  40037  repeated  -         -      2        -
  40090  failed    account   -      -        -
  40091  repeated  account   -      -        600
  40094  repeated  account   -      2        -
  40125  failed    account   -      -        -
  40164  failed    account   -      -        -
  40200  failed    kind      -      -        -
  40222  failed    account   -      -        -
  40234  failed    kind      -      -        -
  40235  failed    kind      -      -        -
  40241  sent      -         -      -        -
  40243  failed    account   -      -        -
  41001  failed    account   -      -        -
  41004  failed    account   -      -        -
  41018  failed    account   -      -        -
  41019  failed    account   -      -        -
  41020  failed    account   -      -        -
  41021  failed    account   -      -        -
  41032  failed    kind      -      -        -
  41034  failed    kind      -      -        -
  41035  failed    kind      -      -        -
  42001  repeated  kind      -      2        3
  42006  repeated  account   -      2        -
  43104  failed    kind      -      -        -
  43107  failed    template  -      -        -
  43108  repeated  -         -      -        1
  43116  failed    template  -      -        -
  43117  repeated  -         -      -        60
  44007  sent      -         -      -        -
  45009  waits     kind      reset  -        -
  45011  repeated  kind      -      -        60
  45040  waits     kind      -      -        -
  45061  repeated  -         -      -        2
  45063  failed    kind      -      -        -
  45065  sent      -         -      -        -
  45066  repeated  -         -      -        60
  45087  failed    kind      -      -        -
  45093  waits     kind      -      -        -
  45102  repeated  -         -      -        2
  45103  failed    kind      -      -        -
  45104  waits     kind      -      -        2
  45109  failed    kind      -      -        -
  45501  repeated  account   -      -        60
  46101  failed    kind      -      -        -
  48001  failed    kind      -      -        -
  48004  failed    kind      -      -        -
  48008  failed    kind      -      -        -
  48009  failed    kind      -      -        -
  48011  failed    template  -      -        -
  48012  repeated  kind      -      2        3
  50001  failed    kind      -      -        -
  50004  failed    account   -      -        -
  50007  failed    account   -      -        -
  61003  failed    account   -      -        -
  61004  failed    account   -      -        -
  61005  repeated  account   -      -        600
  61006  repeated  account   -      -        600
  61007  failed    kind      -      -        -
  61009  failed    account   -      -        -
  61010  failed    account   -      -        -
  61011  failed    account   -      -        -
  61014  failed    account   -      -        -
  61015  failed    account   -      -        -
  61016  failed    kind      -      -        -
  61017  failed    kind      -      -        -
  61023  failed    account   -      -        -
  61024  failed    account   -      -        -
  61028  failed    account   -      -        -
  61450  repeated  -         -      -        2
  61503  repeated  -         -      -        2
  85105  failed    kind      -      -        -
  85107  failed    kind      -      -        -
  85113  repeated  -         -      -        2
  89501  failed    account   -      -        -
  89502  failed    account   -      -        -
  89503  failed    account   -      -        -
  89504  failed    account   -      -        -
  89505  failed    account   -      -        -
  89506  failed    account   -      -        86400
  89507  failed    account   -      -        3600
 200001  repeated  -         -      -        2
 200013  failed    template  -      -        -
 200100  failed    kind      -      -        -
"""
# These fail their own message and say nothing of any other.
FAIL_ALONE = (
    "-501007 404 20002 40003 40008 40013 40033 40034 40035 40036 40038 40039 40048 40062 40066 40068 "
    "40097 40101 40138 40165 40166 40221 40246 40247 40249 40400 41002 41011 41028 41029 41030 41031 42002 "
    "42007 43001 43002 43003 43004 43006 43019 43100 43101 43102 43105 43106 44002 44004 45012 45013 "
    "45014 45015 45026 45027 45028 45047 45051 45067 45082 45168 46004 47001 47002 47003 48002 48006 49001 "
    "50002 50003 50005 61451 61452 61453 61454 61455 61456 61457 76001 76002 76003 76004 76021 76022 85112 "
    "200002 200011 200012 200014 200016 200017 200018 200019 200020 200021 200022 "
)


def consequence(code: int) -> tuple[str, ...]:
    found = outcome(code)
    if found.status is Status.SENT:
        fate = "sent"
    elif found.retryable or found.repeats:
        fate = "repeated"
    else:
        fate = "waits" if found.holds and found.error_class is ErrorClass.QUOTA else "failed"
    until = "reset" if found.until_reset else None
    wait = None if found.retry_after is None else f"{found.retry_after:g}"
    return (fate, *(str(cell or "-") for cell in (found.holds, until, found.repeats, wait)))


def test_consequences() -> None:
    rows = [line.split() for line in CONSEQUENCES.splitlines() if line and not line.startswith("#")]
    expected = {int(code): tuple(cells) for code, *cells in rows}
    expected |= {int(code): ("failed", "-", "-", "-", "-") for code in FAIL_ALONE.split()}
    assert len(expected) == len(ERROR_CODES)
    assert {code: consequence(code) for code in ERROR_CODES} == expected


def test_consequence_of_an_unknown_code() -> None:
    assert consequence(12345) == ("failed", "-", "-", "-", "-")


@pytest.mark.parametrize(
    ("errmsg", "address"),
    [
        ("invalid ip 198.51.100.7 ipv6 ::ffff:198.51.100.7, not in whitelist rid: 66695e1c", "198.51.100.7"),
        ("invalid ip 198.51.100.7, not in whitelist", "198.51.100.7"),
        ("invalid ip [2001:db8::7]: not in whitelist", "2001:db8::7"),
        ("IP 地址 198.51.100.7，不在白名单", "198.51.100.7"),
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
        "invalid ip 1.2.3.4.5",
        "invalid ip 256.1.1.1",
        "add:: :: a:b:c",
        "a " * 100_000 + "10.0.0.1",
    ],
)
def test_no_address_is_made_up(errmsg: str) -> None:
    assert outcome(40164, errmsg).hint == outcome(40164, "").hint
    assert "this IP address" in outcome(40164, errmsg).hint.en


def test_address_in_no_other_hint() -> None:
    assert outcome(48001, "invalid ip 198.51.100.7").hint == outcome(48001).hint


def test_hint_with_address_is_not_cached() -> None:
    _hint.cache_clear()
    for last in range(5):
        outcome(40164, f"invalid ip 198.51.100.{last}")
    assert _hint.cache_info().currsize == 1


@pytest.mark.parametrize("code", [40013, 41002, 49001])
def test_whose_appid(code: int) -> None:
    """A send names that of a mini program, a request for a token the account's own."""
    of_a_send = outcome(code)
    of_a_token = _refused_token(b'{"errcode": %d}' % code, "s")
    assert "mini program that the message opens" in of_a_send.hint.en
    assert "小程序" in of_a_send.hint.zh
    assert "stored credentials" in of_a_token.hint.en
    assert (of_a_send.holds, of_a_token.holds) == (None, Holds.ACCOUNT)


def test_limit_of_the_token_endpoint() -> None:
    """More than 20 forced refreshes a day are answered with 45009, while normal calls go on."""
    found = _refused_token(b'{"errcode": 45009}', "s")
    assert (found.holds, found.until_reset) == (Holds.ACCOUNT, False)
    assert outcome(45009).until_reset


def test_success_without_a_token() -> None:
    found = _refused_token(b'{"errcode": 0, "errmsg": "ok"}', "s")
    assert (found.error_class, found.retryable, found.holds) == (ErrorClass.TRANSIENT, True, None)
    assert (found.errcode, found.cause) == (None, "unreadable answer")


NAMES = frozenset(
    """
    API AppID AppSecret Content-Encoding GET HTTP HTTPS ICP ID IDC IP JSON OpenID POST Retry-After SDK
    URL XML WeChatApiBase api.weixin.qq.com config.json mp.weixin.qq.com permissions.openapi
    template/subscribe uXXXX access_token api_component_token appid authorizer_refresh_token cgi_path
    clear_quota clientmsgid data errmsg component_access_token component_appid component_appsecret
    component_verify_ticket first form_id grant_type ids keyword_name_list kidList limit openid page
    pagepath prepay_id refresh_token remark rid sceneDesc secret start template_id tid token
    """.split()  # noqa: SIM905 - a list of 57 strings would be a page long
)
"""Names that have no Chinese: fields, protocols, and the host names of WeChat."""


def latin(text: str) -> set[str]:
    """The words of a text that are neither Chinese nor one of the names."""
    words = set(re.findall("[A-Za-z][A-Za-z0-9_./-]*", text)) - NAMES
    return {part for word in words for part in word.split("/")} - NAMES


def every_outcome() -> list[Outcome]:
    """One of each code, of each cause and of the token endpoint."""
    causes = [*_CAUSES, "HTTP 502", "MemoryError"]
    outcomes = [outcome(code) for code in (*ERROR_CODES, 12345)]
    outcomes += [_no_answer(NoAnswer(cause, may_have_arrived=True)) for cause in causes]
    outcomes += [
        _no_answer(NoAnswer(cause, may_have_arrived=False, passing=passing, limited=limited))
        for cause in causes
        for passing, limited in ((True, False), (True, True), (False, False))
    ]
    outcomes += [_refused_token(b"x", "s")]
    outcomes += [_refused_token(b'{"errcode": %d}' % code, "s") for code in ERROR_CODES]
    return outcomes


def test_chinese_is_chinese_throughout() -> None:
    assert set().union(*(latin(each.hint.zh) for each in every_outcome())) == set()


def test_english_word_is_found() -> None:
    assert latin("未收到微信的应答（ReadTimeout），请检查 template/subscribe 和 a 字段") == {
        "ReadTimeout",
        "a",
    }


def test_names_are_in_use() -> None:
    texts = " ".join(each.hint.zh for each in every_outcome())
    assert not [name for name in NAMES if name not in texts]


def test_hints_end_as_sentences() -> None:
    for each in every_outcome():
        assert each.hint.en.endswith(".")
        assert each.hint.zh.endswith("。")


def test_errcode_or_cause() -> None:
    for each in every_outcome():
        assert (each.errcode is None) == (each.cause is not None)


@pytest.mark.parametrize("cause", ["ReadTimeout", "MemoryError"])
def test_causes_are_told_in_words(cause: str) -> None:
    for may_have_arrived in (True, False):
        found = _no_answer(NoAnswer(cause, may_have_arrived=may_have_arrived))
        assert cause not in found.hint.en + found.hint.zh
        assert found.cause == cause


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
    assert reasons() <= set(_CAUSES)


@pytest.mark.parametrize("cause", ["ConnectTimeout", "HTTP 429"])
def test_nothing_left_behind(cause: str) -> None:
    found = _no_answer(NoAnswer(cause, may_have_arrived=False))
    assert (found.unjudged, found.retryable, found.cause) == (True, True, cause)


def test_lost_answer() -> None:
    found = _no_answer(NoAnswer("HTTP 502", may_have_arrived=True))
    assert (found.cause, found.unjudged) == ("HTTP 502", False)
    assert found.hint.en == "WeChat's answer was lost (HTTP 502): the message may have been sent."
