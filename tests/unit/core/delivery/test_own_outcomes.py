"""The service's own sentences, in both languages."""

from __future__ import annotations

from tests.fakes import START
from wechat_notify.core.delivery.batch import _rules
from wechat_notify.core.delivery.circuit import Circuit
from wechat_notify.core.delivery.own_outcomes import held
from wechat_notify.core.outcomes import Bilingual, ErrorClass
from wechat_notify.core.violations import Violation


def test_hold_without_advice() -> None:
    circuit = Circuit("account", ErrorClass.QUOTA, 45009, START, START + 60.0)
    assert held(circuit, 60.0).hint == Bilingual(
        "Nothing was sent: the answer to an earlier message holds for this one too. errcode 45009. "
        "The next attempt is due at 2026-03-01T07:05:05.000Z.",
        "消息未发出：微信此前的应答对该消息同样适用。错误码 45009。下次尝试时间为 2026-03-01T07:05:05.000Z。",
    )


def test_several_rules() -> None:
    rule = Bilingual("is required", "缺少必填字段")
    violations = [Violation("touser", "missing", rule), Violation("data", "missing", rule)]
    assert _rules(violations) == Bilingual(
        "touser is required; data is required.", "touser 缺少必填字段；data 缺少必填字段。"
    )
