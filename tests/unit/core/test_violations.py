from __future__ import annotations

import pytest

from tests.fakes import OPENID, body
from tests.unit.core.messages.bodies import violations
from wechat_notify.core.errors import InvalidMessageError
from wechat_notify.core.texts import Bilingual
from wechat_notify.core.violations import Violation

REQUIRED = Bilingual("is required", "缺少必填字段")
SHOWN = ["touser", "data", "data.character_string12.value", "data.first.color", "data." + "k" * 24]
KEYS_NOT_SHOWN = [OPENID, "13800138000", "张三", "thing1x", "thing1\n", "a@b", "a b", ""]
NOT_SHOWN = ["data." + "k" * 25, "data.zhang.san", "data.zhang.value.san", "data.zhang.wei@x.com.value"]


@pytest.mark.parametrize(
    ("path", "place"),
    [
        *((path, path) for path in SHOWN),
        *((f"data.{key}.value", "data.?.value") for key in KEYS_NOT_SHOWN),
        *((path, "data.?") for path in NOT_SHOWN),
        (OPENID, "?"),
    ],
)
def test_place(path: str, place: str) -> None:
    """A key that does not look like WeChat's may be a person's name or id."""
    violation = Violation(path, "missing", REQUIRED)
    assert (violation.place, violation.for_log()) == (place, f"{place}: missing")
    assert violation.as_sentence() == Bilingual(f"{place} is required", f"{place} 缺少必填字段")
    assert violation.as_dict()["path"] == path


@pytest.mark.parametrize(
    ("path", "place"),
    [("zhangsan", "?"), ("data.thing1.zhangsan", "data.?"), (f"{OPENID}.thing1", "?"), ("zhang.san", "?")],
)
def test_place_of_an_unknown_field(path: str, place: str) -> None:
    assert Violation(path, "unknown_field", REQUIRED).for_log() == f"{place}: unknown_field"


def test_whole_message() -> None:
    (violation,) = violations(None)
    assert violation.as_sentence() == Bilingual("the message must be a JSON object", "消息 必须是 JSON 对象")
    assert violation.for_log() == "message: object"


@pytest.mark.parametrize(
    "message",
    [
        {OPENID: body()},
        body() | {OPENID: 1},
        body(data={OPENID: "text"}),
        body(data={OPENID: {"value": "x", OPENID: 1}}),
        body(data={"thing1": {OPENID: "x"}}),
        body(data={f"{OPENID}.DATA": {"value": "x"}}),
        body(miniprogram={"appid": "wx1", "pagepath": "p", OPENID: 1}),
        body(kind="template") | {"kind": OPENID},
    ],
)
def test_openid_as_a_name(message: object) -> None:
    error = InvalidMessageError(violations(message))
    assert OPENID not in repr(error.args) + str(error)
    assert not [violation for violation in error.violations if OPENID in violation.for_log()]
