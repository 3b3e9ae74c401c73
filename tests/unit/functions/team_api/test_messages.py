from __future__ import annotations

from typing import Any

import pytest

from tests.fakes import START, Service
from tests.unit.functions.team_api.calls import call
from wechat_notify.core.delivery.entry import Entry
from wechat_notify.core.outcomes import ErrorClass, Outcome, Status
from wechat_notify.core.texts import Bilingual

LIST = "GET messages"
HINT = Bilingual("the user refuses messages", "用户拒收")
REFUSED = Outcome(Status.FAILED, ErrorClass.RECIPIENT, HINT, errcode=43101, errmsg="user refuse")


@pytest.fixture
def listed(service: Service) -> Service:
    for number in range(5):
        status = Status.FAILED if number % 2 else Status.SENT
        at = START + number
        outcome = REFUSED if number % 2 else None
        service.ledger_store.put(
            Entry("shop", f"m-{number}", status, "f", "w", at, at, kind="template", outcome=outcome)
        )
    return service


@pytest.mark.usefixtures("listed")
def test_message_in_a_list() -> None:
    response = call(LIST, query={"status": "failed", "limit": "1"})
    assert response.status == 200
    (message,) = response.content["messages"]
    assert message == {
        "id": "m-3",
        "account": "shop",
        "kind": "template",
        "status": "failed",
        "attempts": 0,
        "created_at": "2026-03-01T07:04:08.000Z",
        "updated_at": "2026-03-01T07:04:08.000Z",
        "wechat": {"errcode": 43101, "errmsg": "user refuse"},
        "class": "recipient",
        "retryable": False,
        "hint": HINT.as_dict(),
    }


@pytest.mark.usefixtures("listed")
@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({}, "43210"),
        ({"status": "sent"}, "420"),
        ({"status": "failed,unknown"}, "31"),
        ({"since": "2026-03-01T07:04:08Z"}, "43"),
        ({"since": "2026-03-01T15:04:08 08:00"}, "43"),
        ({"broadcast": "sale"}, ""),
    ],
)
def test_filters(query: dict[str, str], expected: str) -> None:
    """A plus that was not escaped comes as a blank."""
    content = call(LIST, query=query).content
    assert "".join(message["id"][-1] for message in content["messages"]) == expected
    assert content["next"] is None


@pytest.mark.usefixtures("listed")
def test_pages_by_cursor() -> None:
    query: dict[str, Any] = {"limit": "2"}
    pages = []
    for _ in range(3):
        content = call(LIST, query=query).content
        pages.append("".join(message["id"][-1] for message in content["messages"]))
        query["cursor"] = content["next"]
    assert (pages, query["cursor"]) == (["43", "21", "0"], None)


@pytest.mark.usefixtures("listed")
@pytest.mark.parametrize("change", [{"status": "sent"}, {"cursor": "forged"}, {"cursor": ""}])
def test_cursor_of_another_list(change: dict[str, str]) -> None:
    cursor = call(LIST, query={"limit": "2"}).content["next"]
    refused = call(LIST, query={"limit": "2", "cursor": cursor, **change})
    assert (refused.status, refused.problem) == (400, "invalid-cursor")
    assert call(LIST, query={"limit": "2", "cursor": cursor}, account="other").status == 400


@pytest.mark.usefixtures("listed")
@pytest.mark.parametrize(
    ("query", "rule"),
    [
        ({"status": "sending"}, "choice"),
        ({"status": ""}, "choice"),
        ({"since": "yesterday"}, "time"),
        ({"since": "2026-03-01T07:04:08"}, "time"),
        ({"limit": "0"}, "range"),
        ({"limit": "101"}, "range"),
        ({"limit": "many"}, "range"),
        ({"broadcast": ""}, "empty"),
        ({"state": "failed"}, "unknown_field"),
    ],
)
def test_wrong_query(query: dict[str, str], rule: str) -> None:
    refused = call(LIST, query=query)
    assert (refused.status, refused.problem) == (422, "invalid-fields")
    assert [(error["path"], error["rule"]) for error in refused.content["errors"]] == [
        (next(iter(query)), rule)
    ]
