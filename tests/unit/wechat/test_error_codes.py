"""The table of error codes, against a second witness."""

from __future__ import annotations

import re

import pytest

from wechat_notify.core.outcomes import ErrorClass
from wechat_notify.core.texts import Bilingual
from wechat_notify.wechat.advice import advice
from wechat_notify.wechat.error_codes import ERROR_CODES, ErrorCode, RetryHint, lookup

# A second witness: written down class by class from what WeChat's documentation says, not copied from the
# module. 41033 and 200015 lie within these runs of codes; no meaning of theirs is known.
CLASSES = {
    "success": "0",
    "transient": "-1 -1000 20001 200001 45102 61450 61503 85113",
    "token": "40001 40014 41001 42001 42002 42006 42007 48012",
    "rate_limit": "43108 43117 45011 45061 45066 45501",
    "quota": "45009 45028 45040 45093 45104 48006 43100 45026 61456 200012",
    "recipient": "40003 41028 41029 43004 43006 43019 43101 45015 45047 46004 48002 50002 50003 50005",
    "template": "40034 40036 40037 40246 40247 43102 43105 45027",
    "banned": "41031 41032 41034 41035 43106 43107 43116 45087 48004 48011 50004 50007 200011 200013",
    "request": (
        "-501007 404 20002 40008 40033 40035 40038 40039 40048 40062 40066 40068 40097 40101 40138 40165"
        " 40166 40221 40249 40400 41011 41030 43001 43002 43003 44002 44004 45012 45013 45014 45051 45067"
        " 45082 45168 47001 47002 47003 61451 61452 61453 61454 61455 61457 76001 76002 76004 76021 200002"
        " 200014 200016 200017 200018 200019 200020 200021"
    ),
    "config": (
        "-604104 -604101 -604100 -504002 40002 40013 40090 40125 40164 40222 40234 40235 40243 41002 41004"
        " 41018 41019 41020 41021 45063 49001 61004 61011 61014 61015 61024 61028 85107 85112 89501 89502"
        " 89503 89504 89505 89506 89507"
    ),
    "permission": "40200 43104 48001 48008 50001 61003 61007 61016 61017 76003 76022 85105 200100",
    "platform": "40091 40094 61005 61006 61009 61010 61023",
    "duplicate": "40241 44007 45065 200022",
    "deprecated": "45103 45109 46101 48009",
}
HINTS = {
    "none": "0",
    "never": "41001 47003",
    "never_duplicate": "40241",
    "backoff": "61450",
    "backoff_capped": "-1",
    "backoff_per_openid": "43117",
    "serialise_per_openid": "43108",
    "next_minute": "45011",
    "next_month": "48006",
    "next_day_or_clear_quota": "45009",
    "after_60s": "45066",
    "after_1h": "89507",
    "after_24h": "89506",
    "after_config": "40164",
    "after_reauthorization": "42007",
    "after_token_refresh_once": "40001 40014 42001",
    "after_user_action": "43101",
}


def by_code(table: dict[str, str]) -> dict[int, str]:
    return {int(code): word for word, codes in table.items() for code in codes.split()}


def test_classes_and_hints() -> None:
    assert {code: row.error_class.value for code, row in ERROR_CODES.items()} == by_code(CLASSES)
    expected = by_code(HINTS)
    assert {code: lookup(code).retry_hint.value for code in expected} == expected


def test_rows() -> None:
    assert list(ERROR_CODES) == sorted(ERROR_CODES)
    assert len({row.name for row in ERROR_CODES.values()}) == len(ERROR_CODES)
    for code, row in ERROR_CODES.items():
        assert row.code == code
        assert re.fullmatch(r"[A-Z][A-Z0-9_]*", row.name), code
        assert row.meaning.en.isascii(), code
        assert 0 < len(row.meaning.en) <= 90, code
        assert re.search(r"[\u4e00-\u9fff]", row.meaning.zh), code
        assert len(row.meaning.zh) <= 60, code


def test_retryable_classes() -> None:
    must_repeat = {ErrorClass.TRANSIENT, ErrorClass.RATE_LIMIT}
    may_repeat = {*must_repeat, ErrorClass.TOKEN, ErrorClass.PLATFORM}
    for code, row in ERROR_CODES.items():
        assert row.error_class not in must_repeat or row.retryable, code
        assert not row.retryable or row.error_class in may_repeat, code
        assert not row.retryable or row.retry_hint is not RetryHint.NEVER, code


@pytest.mark.parametrize("code", [12345, -2, 41033, 200015, 2**62])
def test_unknown_code(code: int) -> None:
    """It is permanent for its message."""
    meaning = Bilingual(f"errcode {code} is not a known code", f"未知的错误码 {code}")
    expected = ErrorCode(code, "UNKNOWN_CODE", ErrorClass.OTHER, False, RetryHint.UNKNOWN, meaning)  # noqa: FBT003
    assert lookup(code) == expected
    assert advice(expected).zh == "不要重试，请查看 errmsg 并在微信官方文档中查询该错误码。"
