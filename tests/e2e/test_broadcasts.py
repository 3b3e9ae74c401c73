"""Broadcasts of the deployed template: from a file, and from a request."""

from __future__ import annotations

import csv
import json
import uuid
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from local.client import http
from tests.e2e.conftest import ACCEPTED, Service, eventually
from tests.e2e.test_teams_api import Team

Json = dict[str, Any]
MESSAGE = {
    "kind": "subscription",
    "touser": "{{openid}}",
    "template_id": "J5tWfHcX2mNq8sVbKpLr0aZ7dGhEoTi3vBrN6wCxMkU",
    "data": {"thing1": {"value": "{{gift}}"}},
}
_A_BROADCAST = 40.0
"""Seconds that a small broadcast takes at most, on a machine that does something else too."""


@pytest.fixture
def team(service: Service, touser: str) -> Team:
    account = f"campaign-{touser[-12:]}"
    service.add_account(account)
    return Team(service, account)


def becomes(team: Team, broadcast_id: str, state: str) -> Json:
    def look() -> Json:
        return team.call("GET", f"broadcasts/{broadcast_id}")

    eventually(lambda: look()["state"] == state, _A_BROADCAST)
    found = look()
    assert found["state"] == state, found
    return found


def results(team: Team, broadcast_id: str) -> list[dict[str, str]]:
    url = team.call("GET", f"broadcasts/{broadcast_id}/results")["url"]
    answer = http("GET", url)
    assert answer.status_code == 200
    assert f'filename="{broadcast_id}.csv"' in answer.headers["Content-Disposition"]
    assert answer.content.startswith("\ufeffrow,".encode())
    return list(csv.DictReader(answer.content.decode("utf-8-sig").splitlines()))


def test_broadcast_from_a_file(team: Team, touser: str) -> None:
    """A dry run, then its start: what is sent, refused, bad or listed twice is counted exactly."""
    fine = [f"{touser}-{number}" for number in range(5)]
    rows = [
        *(f"{each},茶叶礼盒" for each in fine),
        "errcode-43101,花",
        f"{fine[0]},花",
        ",花",
        f"{touser}-short",
    ]
    upload = team.call("POST", "uploads", status=201)
    file = "\r\n".join(["openid,gift", *rows]).encode("gb18030")
    http("PUT", upload["url"], file).raise_for_status()
    request = {"message": MESSAGE, "upload": upload["id"], "max_failures_percent": 100}
    created = team.call("POST", "broadcasts?dry_run=true", request, status=202)
    broadcast_id = created["id"]
    report = becomes(team, broadcast_id, "checked")["report"]
    assert (report["rows"], report["valid"], report["columns"]["missing"]) == (9, 7, [])
    assert report["messages"][0]["message"]["data"]["thing1"]["value"] == "茶叶礼盒"
    assert [each["row"] for each in report["invalid"]["first"]] == [8, 9]
    assert not team.service.arrived(fine[0])

    for _ in range(2):
        assert team.call("POST", f"broadcasts/{broadcast_id}/start")["state"] in {"running", "finishing"}
    counts = becomes(team, broadcast_id, "finished")["counts"]
    expected = {"sent": 5, "failed": 1, "invalid": 2, "duplicate": 1}
    assert counts.pop("errcodes") == {"43101": 1}
    assert {name: count for name, count in counts.items() if count} == expected
    found = results(team, broadcast_id)
    assert [row["row"] for row in found] == [str(number) for number in range(1, 10)]
    assert Counter(row["status"] for row in found) == expected
    assert [row["openid"] for row in found][:5] == fine
    assert {row["errcode"] for row in found if row["status"] == "failed"} == {"43101"}
    for each in fine:
        (message,) = team.service.arrived(each)
        assert message["accepted"]
    team.call("POST", f"broadcasts/{broadcast_id}/cancel", status=409)


def test_broadcast_from_a_request(team: Team, service: Service, touser: str) -> None:
    """It is checked at once, sent once, and nobody else's."""
    request = {"message": MESSAGE, "recipients": [{"openid": touser, "gift": "茶叶礼盒"}]}
    created = team.call("POST", "broadcasts", request, status=201)
    assert created["state"] == "running"
    broadcast_id = created["id"]
    (arrived,) = service.arrives(touser)
    assert arrived["accepted"]
    assert becomes(team, broadcast_id, "finished")["counts"]["sent"] == 1
    (row,) = results(team, broadcast_id)
    assert (row["openid"], row["status"]) == (touser, "sent")
    assert [each["id"] for each in team.call("GET", "broadcasts")["broadcasts"]] == [broadcast_id]
    sent = service.becomes(row["id"], "sent", account=team.account)
    assert sent["attempts"] == 1

    other = Team(service, service.state.account)
    for path in ("", "/results"):
        other.call("GET", f"broadcasts/{broadcast_id}{path}", status=404)
    assert http("GET", team.call("GET", f"broadcasts/{broadcast_id}/results")["url"] + "x").status_code == 403


def test_broadcast_queue_is_worked_off_as_the_other(service: Service, team: Team, touser: str) -> None:
    """Without a token, after a transient error, beyond the quota, and where a body cannot be read."""
    order = {"app_id": f"wx{team.account}", "path": "/cgi-bin/message/subscribe/bizsend"}
    unreadable = f"unreadable {uuid.uuid4().hex}"
    url = service.stack.deployment.physical_ids["BroadcastQueue"]

    def enqueue(body: str) -> None:
        service.client("sqs").send_message(QueueUrl=url, MessageBody=body)

    def enqueue_message(name: str, receiver: str, **envelope: object) -> None:
        content = {**MESSAGE, "touser": receiver, "data": {"thing1": {"value": "花"}}}
        enqueue(json.dumps({"account": team.account, "id": name, "message": content, **envelope}))

    enqueue(unreadable)
    enqueue_message(f"{touser}-first", f"{touser}-1")
    service.becomes(f"{touser}-first", *ACCEPTED, account=team.account)
    soon = (datetime.now(UTC) + timedelta(seconds=1)).isoformat(timespec="milliseconds")
    enqueue_message(f"{touser}-again", "errcode--1", expires_at=soon)
    assert eventually(lambda: service.look(f"{touser}-again", team.account).json().get("attempts"))
    service.tell("quotas", **order, daily=1)
    enqueue_message(f"{touser}-held", f"{touser}-2")
    assert eventually(lambda: team.call("GET", "holds")["holds"])
    service.becomes(f"{touser}-held", "queued", account=team.account)
    dead: list[str] = []

    def is_dead() -> bool:
        dead.extend(service.taken_from(service.state.dead_letter_queue_url))
        return unreadable in dead

    assert eventually(is_dead)
