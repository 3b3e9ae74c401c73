from __future__ import annotations

import pytest

from tests.fakes import Service, body
from tests.fakes.templates import MEETING, account_templates
from wechat_notify.core.errors import InvalidMessageError
from wechat_notify.core.messages.envelope import SendRequest
from wechat_notify.core.templates.registry import MAX_AGE, PAUSE_AFTER_FAILURE

REQUEST = SendRequest("order-1", "shop", body(template_id=MEETING.id))


@pytest.fixture
def synced(service: Service) -> Service:
    service.ledger_store.templates["shop"] = account_templates(MEETING)
    return service


def is_refused(service: Service) -> bool:
    try:
        service.template_registry.check(REQUEST)
    except InvalidMessageError:
        return True
    return False


def test_known_template_is_checked(synced: Service) -> None:
    with pytest.raises(InvalidMessageError, match=r"data\.date2: missing"):
        synced.template_registry.check(REQUEST)


def test_warnings_join_the_others(synced: Service) -> None:
    content = body(template_id="new", data={"thing1": {"value": "🌙"}})
    warnings = synced.template_registry.check(SendRequest("order-1", "shop", content)).warnings
    assert [warning.rule for warning in warnings] == ["emoji", "unknown_template"]


def test_without_templates_everything_passes(service: Service) -> None:
    assert not is_refused(service)


def test_templates_are_read_now_and_then(synced: Service) -> None:
    for _ in range(3):
        is_refused(synced)
    assert synced.ledger_store.template_reads == 1
    synced.ledger_store.templates.clear()
    synced.clock.sleep(MAX_AGE - 1)
    assert is_refused(synced)
    synced.clock.sleep(1)
    assert not is_refused(synced)
    assert synced.ledger_store.template_reads == 2


def test_failed_read_stops_nothing(synced: Service) -> None:
    """And is not repeated for each account of a batch."""
    synced.ledger_store.failing["read_templates"] = "ThrottlingException"
    assert not is_refused(synced)
    for account in ("shop", "bank"):
        assert synced.template_registry.of(account) is None
    assert synced.ledger_store.template_reads == 1
    synced.ledger_store.failing.clear()
    synced.clock.sleep(PAUSE_AFTER_FAILURE)
    assert is_refused(synced)


def test_old_templates_outlast_a_failure(synced: Service) -> None:
    assert is_refused(synced)
    synced.ledger_store.failing["read_templates"] = "ReadTimeoutError"
    synced.clock.sleep(MAX_AGE)
    assert is_refused(synced)
