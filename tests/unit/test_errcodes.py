from __future__ import annotations

import re

import pytest

from wechat_notify.core.messages import KINDS
from wechat_notify.core.outcomes import ErrorClass, Holds, Outcome, Status
from wechat_notify.wechat.answers import Answer
from wechat_notify.wechat.client import _CAUSES, _no_answer, _NoAnswer, _outcome, _refused_token
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


# What an answer speaks about beyond its own message, class by class; written apart from the code.
HOLDS = {
    "config": "account",
    "platform": "account",
    "permission": "kind",
    "banned": "kind",
    "deprecated": "kind",
}
HOLDS_CODES = {
    **dict.fromkeys((43107, 43116, 48011, 200013), "template"),
    **dict.fromkeys((50004, 50007, 61003), "account"),
    **dict.fromkeys((40001, 40014, 42001, 45011, 45063, 48012), "kind"),
    # Of the quotas those that a send has; no other one is helped by waiting.
    **dict.fromkeys((45009, 45040, 45093, 45104), "kind"),
    45501: "account",
}


@pytest.mark.parametrize("code", [*ERROR_CODES, 12345])
def test_how_much_of_an_account_a_code_speaks_about(code: int) -> None:
    row = lookup(code)
    held = holds(row)
    assert (held and held.value) == HOLDS_CODES.get(code, HOLDS.get(row.error_class.value))


def test_what_a_recipient_or_a_request_is_refused_for_holds_nobody_else() -> None:
    own = {"success", "transient", "recipient", "request", "template", "duplicate", "other"}
    assert not [row.code for row in ERROR_CODES.values() if row.error_class in own and holds(row)]


@pytest.mark.parametrize("code", [*ERROR_CODES, 12345])
@pytest.mark.parametrize("kind", [*KINDS, ""])
def test_how_many_repeats_a_code_is_worth(code: int, kind: str) -> None:
    expected = {40037: 2, 40001: 2, 40014: 2, 42001: 2, 48012: 2}.get(code)
    if kind == "one_time_subscription" and code in {-1, 45102}:
        expected = 4
    assert repeats(lookup(code), kind) == expected


def test_no_answer_that_is_not_to_be_repeated_is_worth_repeats_but_40037() -> None:
    worth = [row.code for row in ERROR_CODES.values() if repeats(row, "template") and not row.retryable]
    assert worth == [40037]


def outcome(code: int, errmsg: str = "text") -> Outcome:
    return _outcome(Answer(code, errmsg, None, None, None), "subscription")


def test_the_daily_reset_ends_the_hold_of_one_code_alone() -> None:
    assert [code for code in ERROR_CODES if until_reset(lookup(code))] == [45009]
    assert [code for code in ERROR_CODES if outcome(code).until_reset] == [45009]


def test_a_message_counts_as_sent_by_four_codes() -> None:
    sent = [code for code in ERROR_CODES if counts_as_sent(lookup(code))]
    assert sent == [0, 40241, 44007, 45065]
    assert sent == [code for code in ERROR_CODES if outcome(code).status is Status.SENT]
    assert outcome(200022).status is Status.FAILED


@pytest.mark.parametrize("code", [43100, 45026, 45028, 48006, 61456, 200012])
def test_a_quota_of_something_else_holds_nothing(code: int) -> None:
    found = outcome(code)
    assert (found.holds, found.retryable, found.repeats, found.retry_after) == (None, False, None, None)


def test_an_app_that_is_refused_as_a_whole_waits_as_a_whole() -> None:
    found = outcome(45501)
    assert (found.holds, found.retry_after, found.retryable) == (Holds.ACCOUNT, 60.0, True)


@pytest.mark.parametrize(
    ("errmsg", "address"),
    [
        ("invalid ip 198.51.100.7 ipv6 ::ffff:198.51.100.7, not in whitelist rid: 66695e1c", "198.51.100.7"),
        ("invalid ip 198.51.100.7, not in whitelist", "198.51.100.7"),
        ("invalid ip [2001:db8::7]: not in whitelist", "2001:db8::7"),
        ("IP 地址 198.51.100.7，不在白名单", "198.51.100.7"),
    ],
)
def test_an_address_that_is_refused_is_named(errmsg: str, address: str) -> None:
    for code in (40164, 61004, 89503):
        hint = outcome(code, errmsg).hint
        assert hint.en.endswith(f"The IP address is {address}.")
        assert hint.zh.endswith(f"该 IP 地址为 {address}。")


@pytest.mark.parametrize(
    "errmsg", ["", "not in whitelist", "invalid ip 1.2.3.4.5", "x " * 100_000 + "10.0.0.1"]
)
def test_no_address_is_made_up(errmsg: str) -> None:
    assert "The IP address is" not in outcome(40164, errmsg).hint.en


NAMES = re.compile(
    r"access_token|refresh_token|(?:api_)?component_\w+|authorizer_\w+|template_id|template/subscribe|form_id|prepay_id"
    r"|cloud_?\w*|config\.json|permissions\.openapi|clear_quota|clientmsgid|errcode|errmsg|openid|OpenID"
    r"|App(?:ID|Secret)|APIs?|ID|IP|IDC|URL|JSON|XML|HTTPS?(?: \d+)?|GET|POST|SDK|ICP|kidList|sceneDesc|start"
    r"|limit"
    r"|tid|ids|rid|cgi_path|token|appid|secret|page(?:path)?|data|first|remark|keyword_name_list|grant_type"
    r"|msg_?id|url|uXXXX|WeChatApiBase|Retry-After|Content-Encoding|mp\.weixin\.qq\.com|api\.weixin\.qq\.com"
)
"""Names that have no Chinese."""


def test_chinese_texts_are_chinese_throughout() -> None:
    causes = [*_CAUSES, "HTTP 502", "SomethingElse"]
    outcomes = [outcome(code) for code in (*ERROR_CODES, 12345)]
    outcomes += [_no_answer(_NoAnswer(cause, may_have_arrived=True)) for cause in causes]
    outcomes += [
        _no_answer(_NoAnswer(cause, may_have_arrived=False, passing=passing))
        for cause in causes
        for passing in (True, False)
    ]
    outcomes += [_refused_token(b"x", "s"), _refused_token(b'{"errcode": 40001}', "s")]
    left = {word for each in outcomes for word in re.findall("[A-Za-z]{2,}", NAMES.sub("", each.hint.zh))}
    assert left == set()


@pytest.mark.parametrize("cause", ["ConnectTimeout", "HTTP 429"])
def test_what_left_nothing_behind_was_no_attempt(cause: str) -> None:
    found = _no_answer(_NoAnswer(cause, may_have_arrived=False))
    assert (found.unattempted, found.retryable, found.cause) == (True, True, cause)


def test_a_lost_answer_says_why_and_no_more() -> None:
    found = _no_answer(_NoAnswer("HTTP 502", may_have_arrived=True))
    assert (found.cause, found.unattempted) == ("HTTP 502", False)
    assert found.hint.en == "WeChat's answer was lost (HTTP 502): the message may have been sent."
