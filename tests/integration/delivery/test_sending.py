"""Kinds, error codes and faults between the client and WeChat."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from local.simulator.errcodes import ERRMSG
from local.simulator.server import Simulator
from tests.integration.conftest import SHORT
from tests.integration.delivery.conftest import BODIES, ENDPOINTS, Service, body, message
from wechat_notify import bootstrap
from wechat_notify.core.messages.parser import parse_message
from wechat_notify.core.outcomes import ErrorClass, Status
from wechat_notify.wechat.client import WeChatClient
from wechat_notify.wechat.error_codes import lookup


@pytest.fixture
def impatient(
    service: Service, client_at: Callable[..., WeChatClient], monkeypatch: pytest.MonkeyPatch
) -> Service:
    """The service with less time for WeChat."""
    client = client_at(bootstrap.settings().wechat_api_base, limits=SHORT)
    monkeypatch.setattr(bootstrap, "wechat", lambda: client)
    return service


@pytest.mark.parametrize("name", sorted(path.stem for path in BODIES.glob("*.json")))
def test_every_kind_arrives_unchanged(service: Service, name: str) -> None:
    given = body(name)
    parsed, _warnings = parse_message(given)
    delivery = service.send(parsed)
    assert delivery.outcome.status is Status.SENT
    (arrival,) = service.arrivals()
    kind = given.pop("kind")
    names = {"templateId": "template_id", "formId": "form_id", "emphasisKeyword": "emphasis_keyword"}
    assert arrival["path"] == ENDPOINTS[kind]
    assert json.loads(arrival["body"]) == {names.get(key, key): value for key, value in given.items()}
    assert "\\u" not in arrival["body"]
    assert arrival["accepted"]
    assert arrival["app_id"] == "wxapp"
    assert delivery.outcome.msgid == arrival["msgid"]


def test_all_kinds_have_a_body() -> None:
    assert {body(path.stem)["kind"] for path in BODIES.glob("*.json")} == ENDPOINTS.keys()


def test_every_errcode_has_its_error_class(
    simulator: Simulator, client_at: Callable[..., WeChatClient]
) -> None:
    client = client_at(simulator.url)
    token = client.fetch_token("wxapp", "app-secret", force=False).value
    for errcode in sorted({*ERRMSG, 99999, -99999} - {0}):
        outcome = client.send(message(f"errcode-{errcode}"), token)
        row = lookup(errcode)
        assert outcome.errcode == errcode
        assert (outcome.error_class, outcome.retryable) == (row.error_class, row.retryable)
        assert (outcome.status is Status.SENT) == (errcode in {40241, 44007, 45065})
        assert outcome.rid
        assert outcome.msgid is None


@pytest.mark.parametrize(
    ("errcode", "error_class", "retryable", "retry_after"),
    [
        (-1, ErrorClass.TRANSIENT, True, 2),
        (40003, ErrorClass.RECIPIENT, False, None),
        (40037, ErrorClass.TEMPLATE, False, None),
        (43101, ErrorClass.RECIPIENT, False, None),
        (43107, ErrorClass.BANNED, False, None),
        (43108, ErrorClass.RATE_LIMIT, True, 1),
        (43117, ErrorClass.RATE_LIMIT, True, 60),
        (45009, ErrorClass.QUOTA, False, None),
        (45011, ErrorClass.RATE_LIMIT, True, 60),
        (46101, ErrorClass.DEPRECATED, False, None),
        (47003, ErrorClass.REQUEST, False, None),
        (48001, ErrorClass.PERMISSION, False, None),
        (50007, ErrorClass.BANNED, False, None),
        (12345, ErrorClass.OTHER, False, None),
    ],
)
def test_a_refused_message_is_attempted_once(
    service: Service, errcode: int, error_class: ErrorClass, *, retryable: bool, retry_after: float | None
) -> None:
    delivery = service.send(message(f"errcode-{errcode}"))
    outcome = delivery.outcome
    assert (outcome.status, outcome.errcode, outcome.error_class) == (Status.FAILED, errcode, error_class)
    assert (outcome.retryable, outcome.retry_after) == (retryable, retry_after)
    assert delivery.attempts == len(service.arrivals()) == 1


def test_invalid_field_is_named(service: Service) -> None:
    service.tell("templates", app_id="wxapp", template_id="T", keywords=["thing1", "date2"])
    outcome = service.send(message()).outcome
    assert (outcome.errcode, outcome.field) == (47003, "date2")


@pytest.mark.parametrize(
    "touser", ["fault-timeout", "fault-reset", "fault-truncated", "fault-html", "fault-503"]
)
@pytest.mark.parametrize("after", ["", "-after"])
def test_lost_answer_is_unknown(impatient: Service, touser: str, after: str) -> None:
    delivery = impatient.send(message(touser + after))
    assert delivery.outcome.status is Status.UNKNOWN
    assert not delivery.outcome.retryable
    (arrival,) = impatient.arrivals()
    assert arrival["accepted"] == bool(after)


def test_redirect_is_not_followed(service: Service) -> None:
    outcome = service.send(message("fault-redirect")).outcome
    assert (outcome.status, outcome.error_class) == (Status.FAILED, ErrorClass.CONFIG)
    assert outcome.unjudged
    assert service.ask("stats")["redirects_followed"] == 0


def test_a_slow_answer_is_given_up(impatient: Service) -> None:
    impatient.tell("settings", fault_seconds=5)
    delivery = impatient.send(message("fault-drip"))
    assert delivery.outcome.status is Status.UNKNOWN
    assert delivery.seconds < 2
