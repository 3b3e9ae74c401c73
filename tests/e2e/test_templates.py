"""Templates on the whole stack: read from WeChat, checked when sending, told and rehearsed."""

from __future__ import annotations

import json
from typing import Any

import pytest

from local.client import call_api
from tests.e2e.conftest import Service

ACCOUNT = "templates"
MEETING = "9Aw5ZV1j9xdWTFEkqCpZ7mIBbSC34khK55OtzUPl0rU"
DATA = {"date2": {"value": "2026年12月1日"}, "thing1": {"value": "TIT会议室"}}


@pytest.fixture(scope="module")
def synced(service: Service) -> Service:
    """An account of its own whose templates were read."""
    service.add_account(ACCOUNT)
    client = service.client("lambda")
    client.invoke(FunctionName=service.state.token_refresh_function, Payload=b"{}")
    name = service.stack.deployment.outputs["TemplateSyncFunctionName"]
    report = json.loads(client.invoke(FunctionName=name, Payload=b"{}")["Payload"].read())
    assert report["synced"][ACCOUNT] == 6
    assert not [each for each in report["failed"] if each["account"] == ACCOUNT]
    return service


def subscription(touser: str, **data: Any) -> dict[str, Any]:
    return {"kind": "subscription", "touser": touser, "template_id": MEETING, "data": data}


def ask(service: Service, path: str) -> Any:
    answer = call_api(service.state, "GET", f"/v1/accounts/{ACCOUNT}/{path}")
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_misspelt_key_is_refused(synced: Service, touser: str) -> None:
    misspelt = subscription(touser, dates2=DATA["date2"], thing1=DATA["thing1"])
    answer = synced.post(misspelt, account=ACCOUNT)
    assert answer.status_code == 422, answer.text
    assert [(error["path"], error["rule"]) for error in answer.json()["errors"]] == [
        ("data.date2", "missing"),
        ("data.dates2", "unknown_field"),
    ]
    assert "did you mean date2?" in answer.json()["errors"][1]["en"]
    assert synced.arrived(touser) == []
    assert synced.post(subscription(touser, **DATA), account=ACCOUNT).status_code == 200


def test_templates_are_told(synced: Service, touser: str) -> None:
    listed = ask(synced, "templates")
    assert len(listed["templates"]) == 6
    assert None not in listed["synced_at"].values()
    template = ask(synced, f"templates/{MEETING}")
    assert [keyword["key"] for keyword in template["keywords"]] == ["date2", "thing1"]
    filled = {**template["messages"][0], "touser": touser}
    assert synced.post(filled, account=ACCOUNT).json()["status"] == "sent"


def test_dry_run_sends_nothing(synced: Service, touser: str) -> None:
    body = json.dumps(subscription(touser, **DATA)).encode()
    path = f"/v1/accounts/{ACCOUNT}/messages?dry_run=true"
    headers = {"Content-Type": "application/json", "Idempotency-Key": touser, "Prefer": "respond-async"}
    answer = call_api(synced.state, "POST", path, body, headers)
    assert answer.status_code == 200, answer.text
    assert (answer.json()["would"], answer.json()["warnings"]) == ("send", [])
    assert answer.json()["preview"]["text"] == "会议时间:2026年12月1日\n会议地点:TIT会议室\n"
    assert synced.arrived(touser) == []
    assert synced.look(touser, account=ACCOUNT).status_code == 404
