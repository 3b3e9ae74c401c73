"""Messages against their account's templates, whichever trigger they came by."""

from __future__ import annotations

import pytest

from functions.send_queue.handler import lambda_handler as send_queue
from tests.fakes import FakeContext, Service, body
from tests.fakes.templates import MEETING, account_templates
from tests.unit.functions.send_api.calls import keyed, post
from tests.unit.functions.send_queue.events import enqueued
from tests.unit.standings import KEY
from wechat_notify.core.outcomes import Status

WRONG = body(template_id=MEETING.id)
UNKNOWN = body(template_id="newer")


@pytest.fixture
def synced(service: Service) -> Service:
    service.ledger_store.templates["shop"] = account_templates(MEETING)
    return service


@pytest.mark.parametrize("prefer", ["", "respond-async"])
def test_wrong_message_over_http(synced: Service, prefer: str) -> None:
    response = keyed(WRONG, prefer=prefer)
    assert (response.status, response.says) == (422, "invalid-message")
    assert response.content["errors"] == [
        {
            "path": "data.date2",
            "rule": "missing",
            "limit": None,
            "length": None,
            "en": "is a keyword of the template and must be given",
            "zh": "是模板中的关键词，不能缺少",
        }
    ]
    assert (synced.wechat.attempts, synced.queue.bodies) == ([], [])


def test_wrong_message_on_the_queue(synced: Service) -> None:
    assert send_queue(enqueued(WRONG), FakeContext(60.0)) == {"batchItemFailures": []}
    entry = synced.ledger_store.entries["shop", KEY]
    assert (entry.status, entry.reason) == (Status.FAILED, "invalid_message")
    assert entry.outcome is not None
    assert entry.outcome.hint.en == "data.date2 is a keyword of the template and must be given."
    assert synced.wechat.attempts == []


def test_template_that_is_not_known_passes(synced: Service) -> None:
    response = post(UNKNOWN)
    assert (response.status, [each["rule"] for each in response.content["warnings"]]) == (
        200,
        ["unknown_template"],
    )
    send_queue(enqueued(UNKNOWN), FakeContext(60.0))
    assert len(synced.wechat.accepted) == 2


def test_without_templates_nothing_changes(service: Service) -> None:
    service.ledger_store.failing["read_templates"] = "ThrottlingException"
    assert post(WRONG).content.get("warnings") is None
    assert service.ledger_store.template_reads == 1
