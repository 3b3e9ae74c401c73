from __future__ import annotations

import ast
import inspect
import re

import pytest

from wechat_notify.core.messages.kinds import KINDS
from wechat_notify.core.outcomes import ErrorClass, Holds, Outcome, Status
from wechat_notify.wechat import connections, session
from wechat_notify.wechat.answers import Answer
from wechat_notify.wechat.client import _CAUSES, _hint, _no_answer, _outcome, _refused_token
from wechat_notify.wechat.errcodes import (
    ERROR_CODES,
    ErrorCode,
    RetryHint,
    advice,
    counts_as_sent,
    holds,
    lookup,
    repeats,
    until_reset,
)
from wechat_notify.wechat.session import NoAnswer

# A second witness: written down class by class from what WeChat's documentation says about sends, not copied
# from the module. 41033 and 200015 lie within these runs of codes; no meaning of theirs is known.
CLASS_TABLE = {
    "transient": "-1 -1000 20001 200001 45102 61450 61503 85113",
    "token": "40001 40014 41001 42001 42002 42006 42007 48012",
    "rate_limit": "43108 43117 45011 45061 45066 45501",
    "quota": "45009 45028 45040 45093 45104 48006 43100 45026 200012",
    "recipient": "40003 41028 41029 43004 43006 43019 43101 45015 45047 46004 48002 50002 50005",
    "template": "40034 40036 40037 40246 40247 43102 43105 45027",
    "banned": "41031 41032 41034 41035 43106 43107 43116 45087 48004 48011 50004 50007 200011 200013",
    "request": (
        "40008 40033 40035 40039 40048 40062 40066 40068 40097 40138 40165 40166 40249 41030 43001 43002"
        " 43003 44002 45012 45013 45014 45051 45082 45168 47001 47002 47003 200014 200016 200017 200018"
        " 200019 200020 200021"
    ),
    "config": (
        "40002 40013 40125 40164 40243 41002 41004 45063 40234 40235 61004 61014 61015 61024 89501 89502"
        " 89503 89504 89505 89506 89507"
    ),
    "permission": "43104 48001 48008 50001 61003 61007 61016 61017 200100",
    "duplicate": "40241 44007 45065 200022",
    "deprecated": "45103 45109 46101 48009",
}
# Codes that the class table leaves out, because few sends meet them.
OTHER_CODES = {
    "success": "0",
    "config": (
        "-604104 -604101 -604100 -504002 40090 40222 41018 41019 41020 41021 49001 61011 61028 85107 85112"
    ),
    "permission": "40200 76003 76022 85105",
    "platform": "40091 40094 61005 61006 61009 61010 61023",
    "quota": "61456",
    "recipient": "50003",
    "request": (
        "-501007 404 20002 40038 40101 40221 40400 41011 44004 45067 61451 61452 61453 61454 61455 61457"
        " 76001 76002 76004 76021 200002"
    ),
}
EXPECTED = {
    int(code): error_class
    for table in (CLASS_TABLE, OTHER_CODES)
    for error_class, codes in table.items()
    for code in codes.split()
}


def test_the_table_is_complete_and_every_class_is_right() -> None:
    assert {code: row.error_class.value for code, row in ERROR_CODES.items()} == EXPECTED
    assert len(ERROR_CODES) == 188


def test_rows_are_in_order_and_filed_under_their_own_code() -> None:
    assert list(ERROR_CODES) == sorted(ERROR_CODES)
    assert all(row.code == code for code, row in ERROR_CODES.items())


def test_names_are_unique_constants() -> None:
    names = [row.name for row in ERROR_CODES.values()]
    assert len(set(names)) == len(names)
    assert not [name for name in names if not re.fullmatch(r"[A-Z][A-Z0-9_]*", name)]


def test_meanings_are_short_and_in_their_language() -> None:
    for row in ERROR_CODES.values():
        assert row.meaning.en.isascii()
        assert 0 < len(row.meaning.en) <= 90, row.code
        assert re.search(r"[\u4e00-\u9fff]", row.meaning.zh), row.code
        assert len(row.meaning.zh) <= 60, row.code


def test_chinese_punctuation_is_full_width() -> None:
    texts = [text.zh for row in ERROR_CODES.values() for text in (row.meaning, advice(row))]
    assert not [text for text in texts if re.search(r"[,;:()?!]", text)]


@pytest.mark.parametrize(
    ("code", "retryable", "hint"),
    [
        (0, False, "none"),
        (-1, True, "backoff_capped"),
        (61450, True, "backoff"),
        (40001, True, "after_token_refresh_once"),
        (40014, True, "after_token_refresh_once"),
        (42001, True, "after_token_refresh_once"),
        (41001, False, "never"),
        (42007, False, "after_reauthorization"),
        (40164, False, "after_config"),
        (40241, False, "never_duplicate"),
        (43101, False, "after_user_action"),
        (43108, True, "serialise_per_openid"),
        (43117, True, "backoff_per_openid"),
        (45009, False, "next_day_or_clear_quota"),
        (45011, True, "next_minute"),
        (45066, True, "after_60s"),
        (47003, False, "never"),
        (48006, False, "next_month"),
        (89506, False, "after_24h"),
        (89507, False, "after_1h"),
    ],
)
def test_what_a_sender_does(code: int, retryable: bool, hint: str) -> None:  # noqa: FBT001 - a column of the table
    assert (lookup(code).retryable, lookup(code).retry_hint.value) == (retryable, hint)


def test_only_a_class_that_can_pass_by_itself_is_retryable() -> None:
    passing = {ErrorClass.TRANSIENT, ErrorClass.RATE_LIMIT, ErrorClass.TOKEN, ErrorClass.PLATFORM}
    assert {row.error_class for row in ERROR_CODES.values() if row.retryable} == passing
    assert not [
        row.code for row in ERROR_CODES.values() if row.retryable and row.retry_hint is RetryHint.NEVER
    ]
    must_repeat = {ErrorClass.TRANSIENT, ErrorClass.RATE_LIMIT}
    assert not [
        row.code for row in ERROR_CODES.values() if row.error_class in must_repeat and not row.retryable
    ]


@pytest.mark.parametrize("code", [12345, -2, 41033, 200015, 2**62])
def test_an_unknown_code_is_permanent_and_says_so(code: int) -> None:
    row = lookup(code)
    assert (row.code, row.error_class, row.retryable) == (code, ErrorClass.OTHER, False)
    assert row.retry_hint is RetryHint.UNKNOWN
    assert "not a known code" in row.meaning.en
    assert "未知" in row.meaning.zh
    assert advice(row).en


def test_no_code_has_the_class_of_a_lost_answer() -> None:
    assert ErrorClass.UNKNOWN not in {row.error_class for row in ERROR_CODES.values()}


def test_every_hint_has_advice_in_one_sentence_and_two_languages() -> None:
    assert {row.retry_hint for row in ERROR_CODES.values()} == set(RetryHint) - {RetryHint.UNKNOWN}
    for row in (*ERROR_CODES.values(), lookup(12345)):
        text = advice(row)
        assert re.fullmatch(r"[A-Z].*[^.]\.", text.en)
        assert ". " not in text.en
        assert re.fullmatch(r"[^。]*[\u4e00-\u9fff][^。]*。", text.zh)


def test_advice_is_refined_by_class() -> None:
    never = {
        row.error_class: advice(row) for row in ERROR_CODES.values() if row.retry_hint is RetryHint.NEVER
    }
    assert len({text.en for text in never.values()}) == len(never)
    assert len({text.zh for text in never.values()}) == len(never)


def test_advice_exists_for_every_hint_whatever_the_class() -> None:
    meaning = lookup(0).meaning
    for hint in RetryHint:
        for error_class in ErrorClass:
            row = ErrorCode(1, "X", error_class, retryable=False, retry_hint=hint, meaning=meaning)
            assert advice(row).en


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


def test_each_code_has_its_consequence() -> None:
    rows = [line.split() for line in CONSEQUENCES.splitlines() if line and not line.startswith("#")]
    expected = {int(code): tuple(cells) for code, *cells in rows}
    expected |= {int(code): ("failed", "-", "-", "-", "-") for code in FAIL_ALONE.split()}
    assert len(expected) == len(ERROR_CODES)
    assert {code: consequence(code) for code in ERROR_CODES} == expected


def test_an_unknown_code_fails_its_message_alone() -> None:
    assert consequence(12345) == ("failed", "-", "-", "-", "-")


def test_what_a_recipient_or_a_request_is_refused_for_holds_nobody_else() -> None:
    own = {"success", "transient", "recipient", "request", "template", "duplicate", "other"}
    assert not [row.code for row in ERROR_CODES.values() if row.error_class in own and holds(row)]


@pytest.mark.parametrize("code", [*ERROR_CODES, 12345])
@pytest.mark.parametrize("kind", [*KINDS, ""])
def test_how_many_repeats_a_code_is_worth(code: int, kind: str) -> None:
    expected = {40037: 2, 40001: 2, 40014: 2, 40094: 2, 42001: 2, 42006: 2, 48012: 2}.get(code)
    if kind == "one_time_subscription" and code == -1:
        expected = 4
    assert repeats(lookup(code), kind) == expected


def test_no_answer_that_is_not_to_be_repeated_is_worth_repeats_but_40037() -> None:
    worth = [row.code for row in ERROR_CODES.values() if repeats(row, "template") and not row.retryable]
    assert worth == [40037]


def outcome(code: int, errmsg: str = "text") -> Outcome:
    return _outcome(Answer(code, errmsg, None, None, None), "subscription")


def test_the_daily_reset_ends_the_hold_of_one_code_alone() -> None:
    assert [code for code in ERROR_CODES if until_reset(lookup(code))] == [45009]


def test_a_message_counts_as_sent_by_four_codes() -> None:
    assert [code for code in ERROR_CODES if counts_as_sent(lookup(code))] == [0, 40241, 44007, 45065]


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
def test_an_address_that_is_refused_is_named(errmsg: str, address: str) -> None:
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


def test_an_address_stands_in_no_other_hint() -> None:
    assert outcome(48001, "invalid ip 198.51.100.7").hint == outcome(48001).hint


def test_a_hint_with_an_address_is_not_remembered() -> None:
    _hint.cache_clear()
    for last in range(5):
        outcome(40164, f"invalid ip 198.51.100.{last}")
    assert _hint.cache_info().currsize == 1


@pytest.mark.parametrize("code", [40013, 41002, 49001])
def test_an_appid_is_that_of_whoever_named_it(code: int) -> None:
    """A send names that of a mini program, a request for a token the account's own."""
    of_a_send = outcome(code)
    of_a_token = _refused_token(b'{"errcode": %d}' % code, "s")
    assert "mini program that the message opens" in of_a_send.hint.en
    assert "小程序" in of_a_send.hint.zh
    assert "stored credentials" in of_a_token.hint.en
    assert (of_a_send.holds, of_a_token.holds) == (None, Holds.ACCOUNT)


def test_a_limit_of_the_token_endpoint_does_not_wait_for_the_reset() -> None:
    """More than 20 forced refreshes a day are answered with 45009, while normal calls go on."""
    found = _refused_token(b'{"errcode": 45009}', "s")
    assert (found.holds, found.until_reset) == (Holds.ACCOUNT, False)
    assert outcome(45009).until_reset


def test_a_success_without_a_token_is_no_wrong_secret() -> None:
    found = _refused_token(b'{"errcode": 0, "errmsg": "ok"}', "s")
    assert (found.error_class, found.retryable, found.holds) == (ErrorClass.TRANSIENT, True, None)
    assert (found.errcode, found.cause) == (None, "unreadable answer")


@pytest.mark.parametrize(
    ("code", "says"),
    [
        (41001, "WeChatApiBase"),
        (42007, "Have the user"),
        (40234, "neither signs nor encrypts"),
        (40243, "Unfreeze"),
        (45028, "mass-send quota"),
        (45040, "next month"),
        (45104, "Spread the calls"),
        (45501, "for a minute"),
        (48006, "back end count as well"),
        (89501, "administrator approve"),
        (200011, "Stop adding templates"),
        (200012, "Delete a template"),
    ],
)
def test_advice_is_about_what_the_code_names(code: int, says: str) -> None:
    assert says in outcome(code).hint.en


@pytest.mark.parametrize("code", [45102, 61450, 42007, 46004])
def test_advice_names_nothing_of_another_code(code: int) -> None:
    assert not re.search("template_id|permission sets|obtained from", advice(lookup(code)).en)


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


def test_chinese_texts_are_chinese_throughout() -> None:
    assert set().union(*(latin(each.hint.zh) for each in every_outcome())) == set()


def test_an_english_word_in_a_chinese_text_is_found() -> None:
    assert latin("未收到微信的应答（ReadTimeout），请检查 template/subscribe 和 a 字段") == {
        "ReadTimeout",
        "a",
    }


def test_names_without_chinese_are_all_in_use() -> None:
    texts = " ".join(each.hint.zh for each in every_outcome())
    assert not [name for name in NAMES if name not in texts]


def test_a_hint_can_be_followed_by_another_sentence() -> None:
    for each in every_outcome():
        assert each.hint.en.endswith(".")
        assert each.hint.zh.endswith("。")


def test_what_has_no_errcode_has_a_cause() -> None:
    for each in every_outcome():
        assert (each.errcode is None) == (each.cause is not None)


@pytest.mark.parametrize("cause", ["ReadTimeout", "MemoryError"])
def test_a_cause_is_told_in_words(cause: str) -> None:
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
def test_what_left_nothing_behind_was_no_attempt(cause: str) -> None:
    found = _no_answer(NoAnswer(cause, may_have_arrived=False))
    assert (found.unjudged, found.retryable, found.cause) == (True, True, cause)


def test_a_lost_answer_says_why_and_no_more() -> None:
    found = _no_answer(NoAnswer("HTTP 502", may_have_arrived=True))
    assert (found.cause, found.unjudged) == ("HTTP 502", False)
    assert found.hint.en == "WeChat's answer was lost (HTTP 502): the message may have been sent."
