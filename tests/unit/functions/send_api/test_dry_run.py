"""``?dry_run=true``: everything but the POST, and nothing written."""

from __future__ import annotations

import copy
import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.fakes import START, Service, answer, body, message, metrics
from tests.fakes.templates import MEETING, account_templates
from tests.unit.functions.send_api.calls import SUBSCRIPTION, Response, call, keyed
from tests.unit.standings import KEY
from wechat_notify.core.delivery.circuit import AccountCircuits, Circuit
from wechat_notify.core.messages.envelope import SendRequest
from wechat_notify.core.outcomes import ErrorClass

GOOD = body(template_id=MEETING.id, data={"date2": {"value": "2026年3月1日"}, "thing1": {"value": "会议室"}})
HOLD = Circuit("kind:subscription", ErrorClass.QUOTA, 45009, START - 60, START + 3600)


def rehearse(content: object = None, dry_run: str = "true", key: str = KEY, **headers: str) -> Response:
    event = {
        **SUBSCRIPTION,
        "queryStringParameters": {"dry_run": dry_run},
        "headers": {**SUBSCRIPTION["headers"], "idempotency-key": key, **headers},
        "body": json.dumps(GOOD if content is None else content),
        "pathParameters": {"account": "shop"},
    }
    return call(event)


def state(service: Service) -> Any:
    """What a message would change."""
    return copy.deepcopy(
        (
            service.ledger_store.entries,
            service.ledger_store.puts,
            service.ledger_store.circuits,
            service.ledger_store.circuit_puts,
            service.queue.bodies,
            service.wechat.attempts,
            service.wechat.fetches,
            service.store.saves,
            service.bus.events,
        )
    )


@pytest.fixture
def synced(service: Service) -> Service:
    service.ledger_store.templates["shop"] = account_templates(MEETING)
    return service


def test_message_that_would_be_sent(synced: Service, capsys: pytest.CaptureFixture[str]) -> None:
    before = state(synced)
    response = rehearse()
    assert response.status == 200
    assert response.content == {
        "id": KEY,
        "account": "shop",
        "kind": "subscription",
        "dry_run": True,
        "would": "send",
        "warnings": [],
        "preview": {
            "template_known": True,
            "title": "报名结果通知",
            "text": "会议时间:2026年3月1日\n会议地点:会议室\n",
            "keywords": [{"key": "date2", "shown": "2026年3月1日"}, {"key": "thing1", "shown": "会议室"}],
        },
    }
    assert state(synced) == before
    (line,) = synced.lines("invocation finished")
    assert (line["dry_run"], line["would"]) == (True, "send")
    assert not [each for each in metrics(capsys.readouterr().out) if each.name.startswith("Messages")]


def test_respond_async_does_not_queue(service: Service) -> None:
    before = state(service)
    response = rehearse(prefer="respond-async")
    assert (response.status, response.content["would"]) == (200, "send")
    assert "Preference-Applied" not in response.headers
    assert state(service) == before


def test_false_sends(service: Service) -> None:
    assert rehearse(dry_run="false").content["status"] == "sent"
    assert len(service.wechat.accepted) == 1


@pytest.mark.parametrize("value", ["", "1", "True", "yes", "true,true"])
def test_anything_else_is_refused(service: Service, value: str) -> None:
    before = state(service)
    response = rehearse(dry_run=value)
    assert (response.status, response.says) == (422, "invalid-fields")
    assert [(error["path"], error["limit"]) for error in response.content["errors"]] == [
        ("dry_run", "true, false")
    ]
    assert state(service) == before


@pytest.mark.parametrize(
    ("content", "path"),
    [
        (body(touser=""), "touser"),
        (body(template_id=MEETING.id), "data.date2"),
    ],
)
def test_broken_rules_are_told(
    synced: Service, capsys: pytest.CaptureFixture[str], content: dict[str, Any], path: str
) -> None:
    before = state(synced)
    response = rehearse(content)
    assert (response.status, response.says) == (422, "invalid-message")
    assert [error["path"] for error in response.content["errors"]] == [path]
    assert state(synced) == before
    assert not [each for each in metrics(capsys.readouterr().out) if each.name == "MessagesRefused"]


def test_held_message(service: Service) -> None:
    service.ledger_store.circuits["shop"] = AccountCircuits("shop", 1, "writer", (HOLD,))
    before = state(service)
    content = rehearse().content
    assert (content["would"], content["hold"]) == (
        "hold",
        {
            "id": "kind:subscription",
            "held_until": "2026-03-01T08:04:05.000Z",
            "class": "quota",
            "errcode": 45009,
        },
    )
    assert state(service) == before


def test_expired_message(service: Service) -> None:
    past = datetime.fromtimestamp(START - 1, UTC).isoformat()
    before = state(service)
    content = rehearse({**GOOD, "expires_at": past}).content
    assert (content["would"], content["expires_at"]) == ("expire", "2026-03-01T07:04:04.000Z")
    assert state(service) == before


@pytest.mark.parametrize(
    ("planned", "would", "status"),
    [(0, "replay", "sent"), (43101, "replay", "failed"), (-1, "send", None)],
)
def test_id_that_was_used(service: Service, planned: int, would: str, status: str | None) -> None:
    service.wechat.plan.append(answer(planned))
    keyed(GOOD)
    before = state(service)
    content = rehearse().content
    assert (content["would"], content.get("status")) == (would, status)
    assert state(service) == before


def test_id_of_another_message(service: Service) -> None:
    keyed(GOOD)
    before = state(service)
    assert rehearse(body()).content["would"] == "conflict"
    assert state(service) == before


def test_id_in_flight(service: Service) -> None:
    found: list[Response] = []
    service.wechat.while_in_flight = lambda _message: found.append(rehearse())
    keyed(GOOD)
    assert [(each.content["would"], each.content["status"]) for each in found] == [("in_flight", "sending")]


def test_id_in_doubt(service: Service) -> None:
    """A claim that nobody finished: it may have been sent, and looking changes nothing."""
    request = SendRequest(KEY, "shop", GOOD)
    service.ledger.claim(request, message(**GOOD), 10.0, takes_queued=False)
    service.clock.advance(3600)
    before = state(service)
    content = rehearse().content
    assert (content["would"], content["status"]) == ("replay", "unknown")
    assert state(service) == before


def test_unknown_account(service: Service) -> None:
    service.store.tokens.clear()
    service.store.sources.clear()
    assert (rehearse().status, rehearse().says) == (404, "unknown-account")


def test_broken_ledger(service: Service) -> None:
    service.ledger_store.failing["read"] = "ThrottlingException"
    assert rehearse().status == 503


@pytest.mark.parametrize("policy", ["warn", "enforce"])
def test_receiver_without_a_consent(synced: Service, policy: str) -> None:
    synced.store.consents["shop"] = policy
    synced.token_refresher.refresh("shop")
    before = state(synced)
    content = rehearse().content
    assert state(synced) == before
    if policy == "warn":
        assert (content["would"], "refusal" in content) == ("send", False)
        assert [(each["path"], each["rule"]) for each in content["warnings"]] == [("touser", "no_consent")]
    else:
        assert (content["would"], content["warnings"]) == ("refuse", [])
        assert (content["refusal"]["class"], "43101" in content["refusal"]["hint"]["en"]) == (
            "recipient",
            True,
        )


def test_kind_that_a_merchant_did_not_grant(synced: Service) -> None:
    synced.store.tokens["shop"] = replace(synced.store.tokens["shop"], permissions=(7,))
    before = state(synced)
    content = rehearse().content
    assert (content["would"], content["refusal"]["class"]) == ("refuse", "permission")
    assert "89" in content["refusal"]["hint"]["en"]
    assert state(synced) == before
