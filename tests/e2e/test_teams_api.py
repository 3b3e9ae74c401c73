"""The teams' API of the deployed template."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from local.client import call_api
from local.examples import addressed, examples
from tests.e2e.conftest import Service, eventually

Json = dict[str, Any]


class Team:
    """One account's part of the API."""

    def __init__(self, service: Service, account: str) -> None:
        self.service = service
        self.account = account

    def call(self, method: str, path: str, body: Json | None = None, status: int = 200) -> Json:
        content = None if body is None else json.dumps(body).encode()
        headers = {} if body is None else {"Content-Type": "application/json"}
        path = f"/v1/accounts/{self.account}/{path}"
        answer = call_api(self.service.state, method, path, content, headers)
        assert answer.status_code == status, answer.text
        answered: Json = answer.json()
        return answered

    def send(self, message_id: str, touser: str) -> None:
        headers = {"Idempotency-Key": message_id}
        self.service.post(addressed(examples()[0], touser), account=self.account, headers=headers)


@pytest.fixture
def team(service: Service, touser: str) -> Team:
    account = f"team-{touser[-12:]}"
    service.add_account(account)
    return Team(service, account)


def test_lists_and_holds(team: Team) -> None:
    """A used-up quota holds the kind; its hold is listed, and ended."""
    team.send("fine", "openid-1")
    team.send("refused", "errcode-43101")
    team.send("held", "errcode-45009")

    def listed(query: str) -> list[str]:
        return [message["id"] for message in team.call("GET", f"messages?{query}")["messages"]]

    assert eventually(lambda: listed("status=sent") == ["fine"])
    assert eventually(lambda: listed("status=failed") == ["held", "refused"])
    first = team.call("GET", "messages?limit=2")
    rest = team.call("GET", f"messages?limit=2&cursor={first['next']}")
    assert [each["id"] for each in (*first["messages"], *rest["messages"])] == ["held", "refused", "fine"]
    team.call("GET", f"messages?limit=2&cursor={first['next'][:-4]}AAAA", status=400)

    (hold,) = team.call("GET", "holds")["holds"]
    assert (hold["errcode"], hold["class"]) == (45009, "quota")
    assert team.call("DELETE", f"holds/{hold['id']}")["id"] == hold["id"]
    assert team.call("GET", "holds")["holds"] == []
    team.call("DELETE", f"holds/{hold['id']}", status=404)


def test_schedule_fires_once_and_goes(team: Team, touser: str) -> None:
    message = addressed(examples()[0], touser)
    due = (datetime.now(UTC) + timedelta(seconds=2)).replace(microsecond=0)
    team.call("PUT", "schedules/soon", {"at": due.isoformat(), "message": message}, status=201)
    team.call("PUT", "schedules/weekly", {"cron": "0 9 ? * MON *", "message": message}, status=201)
    assert {each["name"] for each in team.call("GET", "schedules")["schedules"]} == {"soon", "weekly"}
    (arrived,) = team.service.arrives(touser)
    assert arrived["accepted"]
    sent = team.service.becomes(f"soon-{due:%Y-%m-%dT%H:%M:%SZ}", "sent", account=team.account)
    assert sent["attempts"] == 1
    assert eventually(lambda: len(team.call("GET", "schedules")["schedules"]) == 1)
    assert team.call("GET", "schedules/weekly")["cron"] == "0 9 ? * MON *"
    team.call("DELETE", "schedules/weekly")
    team.call("GET", "schedules/weekly", status=404)
    refused = team.call(
        "PUT", "schedules/late", {"at": "2026-01-01T00:00:00Z", "message": message}, status=422
    )
    assert [error["rule"] for error in refused["errors"]] == ["past"]
