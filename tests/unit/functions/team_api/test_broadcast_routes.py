"""The routes of broadcasts: what each answers, in which state."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.fakes import Service, answer
from tests.unit.functions.team_api.calls import Response, call
from wechat_notify.core.broadcasts.engine import Engine
from wechat_notify.core.delivery.entry import Entry

CREATE, LIST, ONE = "POST broadcasts", "GET broadcasts", "GET broadcasts/{id}"
RESULTS, RETRY, START = (
    "GET broadcasts/{id}/results",
    "POST broadcasts/{id}/retry",
    "POST broadcasts/{id}/start",
)
PAUSE, RESUME, CANCEL = (f"POST broadcasts/{{id}}/{verb}" for verb in ("pause", "resume", "cancel"))
OF_ONE = (ONE, RESULTS, RETRY, START, PAUSE, RESUME, CANCEL)
MESSAGE = {"kind": "subscription", "template_id": "T-1", "data": {"thing1": {"value": "{{gift}}"}}}
SALE = {
    "message": MESSAGE,
    "recipients": [{"openid": "o1", "gift": "礼盒"}, {"openid": "o2", "gift": "礼券"}],
}


def create(content: object = None, key: str = "sale", **query: str) -> Response:
    return call(CREATE, SALE if content is None else content, query, {"idempotency-key": key})


def ask(route: str, key: str = "sale", **query: str) -> Response:
    return call(route, query=query, headers={"idempotency-key": "again"}, id=key)


def work(service: Service) -> None:
    """Do the steps that are due, and those that become due by them."""
    steps = service.broadcasts.steps
    while (due := steps.next_due()) is not None:  # type: ignore[attr-defined] # the fake
        service.clock.advance(max(0.0, due - service.clock.now()))
        step = steps.receive()  # type: ignore[attr-defined]
        if step is not None:
            Engine(service.broadcasts).run(step.account, step.broadcast_id, step.step)


@pytest.fixture
def finished(service: Service) -> Service:
    """A broadcast of which one message was sent and one may be sent again."""
    create()
    now = service.clock.now()
    for number, errcode in ((1, 0), (2, -1)):
        outcome = answer(errcode)
        entry = Entry("shop", f"sale:{number}", outcome.status, "f", "w", now, now, outcome=outcome)
        service.ledger_store.entries["shop", entry.id] = entry
    work(service)
    assert ask(ONE).content["state"] == "finished"
    return service


@pytest.mark.usefixtures("service")
def test_recipients_are_checked_in_the_request() -> None:
    response = create(dry_run="true")
    assert (response.status, response.content["state"]) == (201, "checked")
    report = response.content["report"]
    assert (report["valid"], report["columns"]["placeholders"]) == (2, ["gift", "openid"])
    assert [each["message"]["data"]["thing1"]["value"] for each in report["messages"]] == ["礼盒", "礼券"]
    assert create(dry_run="true").content["created_at"] == response.content["created_at"]
    assert ask(START).content["state"] == "running"


def test_file_is_checked_later(service: Service) -> None:
    upload = call("POST uploads")
    assert (upload.status, upload.content["url"][:4]) == (201, "http")
    content = {"message": MESSAGE, "upload": upload.content["id"]}
    assert create(content).problem == "unknown-upload"
    rows = "".join(f"{json.dumps(row)}\n" for row in SALE["recipients"]).encode()
    service.broadcasts.objects.write(f"shop/uploads/{upload.content['id']}", rows)
    assert (create(content).status, ask(ONE).content["state"]) == (202, "checking")
    work(service)
    assert ask(ONE).content["rows"] == 2


@pytest.mark.usefixtures("service")
def test_control() -> None:
    create(SALE | {"starts_at": "2099-01-01T00:00:00Z"})
    states = [ask(route).content["state"] for route in (PAUSE, PAUSE, RESUME, CANCEL, CANCEL)]
    assert states == ["paused", "paused", "running", "cancelled", "cancelled"]
    for route in (START, PAUSE, RESUME):
        refused = ask(route)
        assert (refused.status, refused.problem, refused.content["state"]) == (
            409,
            "broadcast-state",
            "cancelled",
        )


@pytest.mark.usefixtures("service")
@pytest.mark.parametrize("route", [RESULTS, RETRY])
def test_too_early(route: str) -> None:
    create(dry_run="true")
    assert ask(route).problem == "broadcast-state"


@pytest.mark.usefixtures("finished")
def test_results_of_a_finished_one() -> None:
    assert ask(RESULTS).content["url"].startswith("http")
    assert ask(CANCEL).problem == "broadcast-state"
    counts = ask(ONE).content["counts"]
    assert (counts["sent"], counts["failed"], counts["errcodes"]) == (1, 1, {"-1": 1})


def test_retry_is_a_new_broadcast(finished: Service) -> None:
    retried = ask(RETRY)
    assert (retried.status, retried.content["retry_of"]) == (202, "sale")
    work(finished)
    assert ask(RETRY).status == 201
    assert ask(RETRY, include_unknown="true").problem == "broadcast-id-reused"


def test_retry_of_expired_recipients(finished: Service) -> None:
    finished.broadcasts.objects.objects.clear()  # type: ignore[attr-defined] # the fake
    assert ask(RETRY).problem == "unknown-upload"


@pytest.mark.usefixtures("service")
def test_pages() -> None:
    for key in ("a", "b", "c"):
        create(key=key)
    query: dict[str, Any] = {"limit": "2"}
    first = call(LIST, query=query).content
    query["cursor"] = first["next"]
    assert [len(first["broadcasts"]), len(call(LIST, query=query).content["broadcasts"])] == [2, 1]
    assert call(LIST, query={"cursor": "forged"}).problem == "invalid-cursor"


@pytest.mark.usefixtures("service")
@pytest.mark.parametrize("route", OF_ONE)
def test_unknown_broadcast(route: str) -> None:
    assert ask(route, "nothing").problem == "unknown-broadcast"


@pytest.mark.usefixtures("service")
@pytest.mark.parametrize("route", [CREATE, "POST uploads", RETRY])
def test_unknown_account(route: str) -> None:
    refused = call(route, SALE, account="nobody", id="sale")
    assert (refused.status, refused.problem) == (404, "unknown-account")


@pytest.mark.parametrize(
    ("content", "key", "problem"),
    [
        (SALE | {"recipients": []}, "sale", "invalid-fields"),
        (SALE, "a b", "invalid-fields"),
        (SALE | {"name": "other"}, "taken", "broadcast-id-reused"),
    ],
)
def test_refused(service: Service, content: object, key: str, problem: str) -> None:
    create(key="taken")
    before = len(service.broadcasts.store.broadcasts)  # type: ignore[attr-defined] # the fake
    assert create(content, key).problem == problem
    assert len(service.broadcasts.store.broadcasts) == before  # type: ignore[attr-defined]
