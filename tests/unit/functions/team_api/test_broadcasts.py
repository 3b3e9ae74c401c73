"""Broadcasts over HTTP: their routes, from the request to the results."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.fakes import OPENID, OTHER_OPENID, Service
from tests.unit.functions.broadcast.steps import run
from tests.unit.functions.team_api.broadcasts import (
    BODY,
    GET,
    LIST,
    POST,
    RESULTS,
    RETRY,
    change,
    create,
    look,
    results,
    upload,
)
from tests.unit.functions.team_api.calls import Response, call
from wechat_notify.core.delivery.quotas import Quota
from wechat_notify.core.errors import StorageError
from wechat_notify.core.messages.kinds import MODELS

DRY = {"dry_run": "true"}
FILE = f"openid,gift\n{OPENID},礼盒\n{OTHER_OPENID},\n{OTHER_OPENID},盆栽\n{OPENID},花\n".encode()
CHANGES = ("start", "pause", "resume", "cancel")
ABOUT_ONE = (GET, RESULTS, RETRY, *(f"POST broadcasts/{{id}}/{name}" for name in CHANGES))


def sent_to(service: Service) -> list[str]:
    return [message.touser for message in service.wechat.accepted]


def test_new_upload(service: Service) -> None:
    answered = call("POST uploads")
    assert answered.status == 201
    upload_id = answered.content["id"]
    assert answered.content == {
        "id": upload_id,
        "account": "shop",
        "url": f"https://bucket.invalid/shop/uploads/{upload_id}?put&expires=3600",
        "expires_at": "2026-03-01T08:04:05.000Z",
    }
    assert service.objects.objects == {}


def test_recipients_of_a_request_are_checked_in_it(service: Service) -> None:
    created = create(BODY, query=DRY, key="b")
    assert (created.status, created.headers["Location"]) == (201, "/v1/accounts/shop/broadcasts/b")
    assert created.content == look().content
    assert (created.content["state"], created.content["rows"]) == ("checked", 2)
    report = created.content["report"]
    assert (report["valid"], report["columns"]["found"]) == (2, ["openid", "gift"])
    messages = [each["message"] for each in report["messages"]]
    assert [each["data"]["thing1"]["value"] for each in messages] == ["礼盒", "盆栽"]
    assert service.wechat.attempts == []
    assert service.rows.taken == 0


def test_file_is_checked_afterwards(service: Service) -> None:
    created = create({"message": BODY["message"], "upload": upload(service, FILE)}, key="b", query=DRY)
    assert (created.status, created.content["state"]) == (202, "checking")
    run(service, 10.0)
    report = look().content["report"]
    assert (report["rows"], report["duplicates"]) == (4, {"count": 1, "first_rows": [4]})
    ((row, errors),) = ((each["row"], each["errors"]) for each in report["invalid"]["first"])
    assert (row, [each["field"] for each in errors]) == (2, ["data.thing1.value"])
    assert [change("start").content["state"] for _ in range(2)] == ["running"] * 2
    run(service)
    assert sent_to(service) == [OPENID, OTHER_OPENID]
    assert [row["status"] for row in results(service)] == ["sent", "invalid", "sent", "duplicate"]
    counts = look().content["counts"]
    assert (counts["sent"], counts["invalid"], counts["duplicate"], counts["waiting"]) == (2, 1, 1, 0)
    (event,) = (each for each in service.bus.events if each.detail_type == "broadcast.finished")
    assert event.detail["counts"] == counts


def test_same_request_is_the_same_broadcast(service: Service) -> None:
    first = create(BODY, key="b")
    run(service)
    again = create(BODY, key="b")
    assert (first.status, again.status, again.content["state"]) == (201, 201, "finished")
    assert len(service.wechat.attempts) == 2
    assert create(BODY | {"name": "other"}, key="b").problem == "broadcast-id-reused"
    assert create(BODY, key="b", query=DRY).problem == "broadcast-id-reused"
    assert len(service.broadcast_store.broadcasts) == 1


def test_without_a_key_each_is_new(service: Service) -> None:
    ids = {create(BODY).content["id"] for _ in range(2)}
    assert len(ids) == 2
    assert {len(each) for each in ids} == {32}
    assert len(service.broadcast_store.broadcasts) == 2


@pytest.mark.parametrize("key", ["", "x" * 33, "a/b", "a b", "a,b", "ä", "a#b"])
def test_key_that_is_no_id(service: Service, key: str) -> None:
    refused = create(BODY, key=key)
    assert (refused.status, refused.problem) == (422, "invalid-fields")
    assert [each["path"] for each in refused.content["errors"]] == ["Idempotency-Key"]
    assert service.broadcast_store.broadcasts == {}


@pytest.mark.parametrize("service_name", ["broadcast_store", "objects", "ledger_store"])
def test_stored_broadcast_is_not_asked_for_again(service: Service, service_name: str) -> None:
    """An error would make a caller without a key create a second one; the queue goes on with the first."""
    put, failing = service.broadcast_store.put, getattr(service, service_name).failing

    def put_and_fail(broadcast: Any) -> Any:
        stored = put(broadcast)
        failing.update(dict.fromkeys(("read", "head", "read_circuits"), "ServiceUnavailable"))
        return stored

    service.broadcast_store.put = put_and_fail  # type: ignore[method-assign]
    created = create(BODY, key="b")
    assert (created.status, created.content["id"]) == (202, "b")
    failing.clear()
    service.broadcast_store.put = put  # type: ignore[method-assign]
    run(service)
    assert look().content["state"] == "finished"


def test_little_time_left(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("functions.team_api.broadcasts._TIME_FOR_A_STEP", 61.0)
    assert create(BODY).status == 202
    run(service)
    assert len(sent_to(service)) == 2


@pytest.mark.parametrize(
    ("route", "method"),
    [
        ("POST uploads", None),
        (POST, ("broadcast_store", "put")),
        (POST, ("objects", "write")),
        (LIST, ("broadcast_store", "list_page")),
        *((route, ("broadcast_store", "read")) for route in ABOUT_ONE),
    ],
)
def test_services_do_not_answer(service: Service, route: str, method: tuple[str, str] | None) -> None:
    if method is None:
        service.objects.presign_upload = _refuse  # type: ignore[method-assign]
    else:
        getattr(service, method[0]).failing[method[1]] = "ServiceUnavailable"
    refused = call(route, BODY if route == POST else None, id="b")
    assert (refused.status, refused.problem) == (503, "storage")
    assert refused.headers["Retry-After"] == "2"
    assert service.broadcast_store.broadcasts == {}


def _refuse(*_: object, **__: object) -> str:
    raise StorageError("sign a URL", "NoCredentialsError")


@pytest.mark.parametrize("route", ABOUT_ONE)
@pytest.mark.parametrize("broadcast_id", ["unknown", "a/b", "b#0", "", "x" * 3000, "ä", "\ud800"])
@pytest.mark.usefixtures("service")
def test_unknown_broadcast(route: str, broadcast_id: str) -> None:
    create(BODY, key="b")
    refused = call(route, id=broadcast_id)
    assert (refused.status, refused.problem) == (404, "unknown-broadcast")


@pytest.mark.parametrize("route", ABOUT_ONE)
def test_others_do_not_see_it(service: Service, route: str) -> None:
    service.add_account("other")
    create(BODY, key="b")
    run(service)
    assert call(route, id="b", account="other").problem == "unknown-broadcast"
    assert call(LIST, account="other").content == {"account": "other", "broadcasts": [], "next": None}


@pytest.mark.parametrize(
    ("route", "account", "problem"),
    [
        *((route, "nobody", "unknown-account") for route in ("POST uploads", POST, RETRY)),
        *((route, "Shop", "account-name") for route in ("POST uploads", POST, LIST, *ABOUT_ONE)),
    ],
)
def test_account_of_nobody(service: Service, route: str, account: str, problem: str) -> None:
    refused = call(route, BODY, account=account, id="b")
    assert (refused.status, refused.problem) == (404, problem)
    assert service.objects.objects == {}


STATES: dict[str, Callable[[], Response]] = {
    "checking": lambda: create({"message": BODY["message"], "upload": "file"}, key="b"),
    "checked": lambda: create(BODY, key="b", query=DRY),
    "refused": lambda: create(BODY | {"recipients": ["o#"]}, key="b"),
    "running": lambda: create(BODY, key="b"),
    "paused": lambda: change("pause", create(BODY, key="b").content["id"]),
    "cancelled": lambda: change("cancel", create(BODY, key="b").content["id"]),
}
ALLOWED = {
    "checking": {"cancel"},
    "checked": {"start", "cancel"},
    "refused": set[str](),
    "running": set(CHANGES),
    "paused": set(CHANGES),
    "cancelled": {"cancel"},
}


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("name", [*CHANGES, "results", "retry"])
def test_change_of_a_state(service: Service, state: str, name: str) -> None:
    service.objects.write("shop/uploads/file", FILE)
    assert STATES[state]().content["state"] == state
    answered = call(RESULTS, id="b") if name == "results" else change(name)
    if name in ALLOWED[state]:
        assert (answered.status, answered.content["id"]) == (200, "b")
        (line,) = service.lines("broadcast changed by request")[-1:]
        assert (line["change"], line["account"], line["broadcast"]) == (name, "shop", "b")
        return
    assert (answered.status, answered.problem) == (409, "broadcast-state")
    assert answered.content["state"] == state == look().content["state"]


def test_pages_of_the_newest_first(service: Service) -> None:
    for key in ("a", "b", "c"):
        create(BODY | {"name": key}, key=key, query=DRY)
        service.clock.advance(1.0)
    first = call(LIST, query={"limit": "2"}).content
    assert [(each["id"], each["name"], each["state"]) for each in first["broadcasts"]] == [
        ("c", "c", "checked"),
        ("b", "b", "checked"),
    ]
    rest = call(LIST, query={"limit": "2", "cursor": first["next"]}).content
    assert ([each["id"] for each in rest["broadcasts"]], rest["next"]) == (["a"], None)
    forged = call(LIST, query={"cursor": f"{first['next'][:-3]}AAA"})
    assert (forged.status, forged.problem) == (400, "invalid-cursor")
    assert call(LIST, query={"cursor": first["next"]}, account="other").problem == "invalid-cursor"


@pytest.mark.parametrize(
    ("route", "query"),
    [
        (POST, {"dry_run": "yes"}),
        (POST, {"dry_run": "true,true"}),
        (POST, {"dry": "true"}),
        (RETRY, {"include_unknown": "1"}),
        (LIST, {"limit": "0"}),
        (LIST, {"limit": "101"}),
        (LIST, {"limit": "ten"}),
        (LIST, {"cursor": ""}),
        (LIST, {"status": "running"}),
    ],
)
def test_wrong_query(service: Service, route: str, query: dict[str, str]) -> None:
    refused = call(route, BODY if route == POST else None, query, id="b")
    assert (refused.status, refused.problem) == (422, "invalid-fields")
    assert service.objects.objects == {}


@pytest.mark.parametrize(("query", "later"), [(DRY, True), (None, False)], ids=["dry run", "running"])
def test_quota_is_told_before_the_start(
    service: Service, query: dict[str, str] | None, *, later: bool
) -> None:
    """A new one is always told of it; later only one that waits for its start, since WeChat is asked."""
    service.wechat.quotas[MODELS["subscription"].endpoint] = Quota(1000, 999, 1)
    created = create(BODY, key="b", query=query).content
    assert created["estimate"]["quota"] == {"daily_limit": 1000, "remain": 1, "days": 2}
    assert ("quota" in look().content["estimate"]) is later


def test_checked_one_without_its_account(service: Service) -> None:
    """It is told all the same, also when its files have expired."""
    create(BODY, key="b", query=DRY)
    service.add_account("other", stored=False)
    record = service.broadcast_store.broadcasts.pop(("shop", "b"))
    service.broadcast_store.broadcasts["gone", "b"] = record._replace(account="gone")
    assert "quota" not in look(account="gone").content["estimate"]
    service.objects.objects.clear()
    found = look(account="gone")
    assert (found.status, found.content["state"]) == (200, "checked")
    assert not {"estimate", "report"} & found.content.keys()


def test_log_names_nobody(service: Service) -> None:
    create(BODY, key="b")
    create(BODY | {OPENID: OPENID}, key=OPENID)
    create(BODY | {"recipients": [{"openid": OPENID, OPENID: [OPENID]}]})
    look(OPENID)
    call(LIST, query={OPENID: OPENID})
    assert OPENID not in service.log.getvalue()
