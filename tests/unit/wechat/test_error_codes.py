"""The table of error codes, against a second witness."""

from __future__ import annotations

import re

import pytest

from wechat_notify.core.outcomes import Bilingual, ErrorClass
from wechat_notify.wechat.advice import advice
from wechat_notify.wechat.error_codes import ERROR_CODES, ErrorCode, RetryHint, lookup
from wechat_notify.wechat.error_policy import holds

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


def test_classes() -> None:
    assert {code: row.error_class.value for code, row in ERROR_CODES.items()} == EXPECTED
    assert len(ERROR_CODES) == 188


def test_order_of_rows() -> None:
    assert list(ERROR_CODES) == sorted(ERROR_CODES)
    assert all(row.code == code for code, row in ERROR_CODES.items())


def test_names() -> None:
    names = [row.name for row in ERROR_CODES.values()]
    assert len(set(names)) == len(names)
    assert not [name for name in names if not re.fullmatch(r"[A-Z][A-Z0-9_]*", name)]


def test_meanings() -> None:
    for row in ERROR_CODES.values():
        assert row.meaning.en.isascii()
        assert 0 < len(row.meaning.en) <= 90, row.code
        assert re.search(r"[\u4e00-\u9fff]", row.meaning.zh), row.code
        assert len(row.meaning.zh) <= 60, row.code


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
def test_retry_hints(code: int, retryable: bool, hint: str) -> None:  # noqa: FBT001 - a column of the table
    assert (lookup(code).retryable, lookup(code).retry_hint.value) == (retryable, hint)


def test_retryable_classes() -> None:
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
def test_unknown_code(code: int) -> None:
    """It is permanent for its message."""
    meaning = Bilingual(f"errcode {code} is not a known code", f"未知的错误码 {code}")
    expected = ErrorCode(code, "UNKNOWN_CODE", ErrorClass.OTHER, False, RetryHint.UNKNOWN, meaning)  # noqa: FBT003
    assert lookup(code) == expected
    assert holds(expected) is None
    assert advice(expected).zh == "不要重试，请查看 errmsg 并在微信官方文档中查询该错误码。"


def test_no_code_is_a_lost_answer() -> None:
    assert ErrorClass.UNKNOWN not in {row.error_class for row in ERROR_CODES.values()}
