"""Answers, log lines and metrics where the account asks for its receivers' consent."""

from __future__ import annotations

import json

import pytest

from tests.fakes import OPENID, Service, metrics
from tests.unit.functions.send_api.calls import KEYED, call
from wechat_notify.core.callbacks.events import ConsentChange

Capture = pytest.CaptureFixture[str]


def prepare(service: Service, policy: str, capsys: Capture) -> None:
    service.store.consents["shop"] = policy
    service.token_refresher.refresh("shop")
    capsys.readouterr()


def counted(capsys: Capture) -> dict[str, float]:
    return {
        each.name: each.value
        for each in metrics(capsys.readouterr().out)
        if each.dimensions == {"account": "shop"} and each.name.startswith("Consents")
    }


def accept(service: Service) -> None:
    sent = json.loads(KEYED["body"])
    change = ConsentChange(sent["touser"], sent["template_id"], accepted=True, asked=True, at=1)
    service.consents.record("shop", [change])


def test_a_consent_is_used_up(service: Service, capsys: Capture) -> None:
    accept(service)
    prepare(service, "enforce", capsys)
    response = call(KEYED)
    assert (response.status, "warnings" in response.content) == (200, False)
    assert counted(capsys) == {"ConsentsUsed": 1}
    assert service.lines("invocation finished")[-1]["consent"] == "used"


def test_a_message_without_one_is_sent_with_a_warning(service: Service, capsys: Capture) -> None:
    prepare(service, "warn", capsys)
    response = call(KEYED)
    assert response.status == 200
    assert [each["rule"] for each in response.content["warnings"]] == ["no_consent"]
    assert counted(capsys) == {}
    assert service.lines("invocation finished")[-1]["consent"] == "missing"


def test_or_is_refused(service: Service, capsys: Capture) -> None:
    prepare(service, "enforce", capsys)
    response = call(KEYED)
    assert (response.status, response.says, response.content["errcode"]) == (422, "not-sent", None)
    assert (response.content["class"], response.content["retryable"]) == ("recipient", False)
    assert "订阅授权" in response.content["hint"]["zh"]
    assert counted(capsys) == {"ConsentsRefused": 1}
    assert service.wechat.attempts == []
    (line,) = service.lines("message not attempted")
    assert (line["consent"], line["level"]) == ("refused", "WARNING")
    assert OPENID not in service.log.getvalue()
    again = call(KEYED)
    assert (again.status, again.says, again.replayed) == (422, "not-sent", True)
    accept(service)
    other = {**KEYED, "headers": {**KEYED["headers"], "idempotency-key": "another"}}
    assert call(other).status == 200
