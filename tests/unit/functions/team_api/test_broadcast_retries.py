"""Retries of broadcasts: a new one of what failed for a reason that can pass."""

from __future__ import annotations

import pytest

from tests.fakes import OTHER_OPENID, Service, answer
from tests.unit.functions.broadcast.steps import run
from tests.unit.functions.team_api.broadcasts import BODY, RETRY, create, results
from tests.unit.functions.team_api.calls import Response, call


@pytest.fixture
def finished(service: Service) -> Service:
    """The second of its two messages can be sent again."""
    service.wechat.plan.extend([answer(0), answer(48001)])
    create(BODY, key="b")
    run(service)
    return service


def retry(key: str = "again", **query: str) -> Response:
    return call(RETRY, None, query, {"Idempotency-Key": key}, id="b")


def test_retry_is_a_new_broadcast(finished: Service) -> None:
    retried = retry()
    assert (retried.status, retried.content["state"], retried.content["retry_of"]) == (202, "checking", "b")
    assert retried.headers["Location"] == "/v1/accounts/shop/broadcasts/again"
    run(finished)
    assert [row["openid"] for row in results(finished, "again")] == [OTHER_OPENID]
    assert (retry().status, retry().content["state"]) == (201, "finished")
    assert len(finished.wechat.attempts) == 3


@pytest.mark.parametrize(
    ("key", "query"), [("b", {}), ("again", {"include_unknown": "true"}), ("again", {"dry_run": "true"})]
)
def test_key_of_another_request(finished: Service, key: str, query: dict[str, str]) -> None:
    retry()
    refused = retry(key, **query)
    assert (refused.status, refused.problem) == (422, "broadcast-id-reused")
    assert len(finished.broadcast_store.broadcasts) == 2


def test_recipients_have_expired(finished: Service) -> None:
    finished.objects.objects.clear()
    refused = retry()
    assert (refused.status, refused.problem) == (404, "unknown-upload")
    assert finished.objects.objects == {}
