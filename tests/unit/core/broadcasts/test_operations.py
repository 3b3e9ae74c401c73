"""The operations that callers have on new and existing broadcasts."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import pytest

from tests.fakes import START
from tests.unit.core.broadcasts.world import ACCOUNT, ID, MESSAGE, World, csv_file, openid
from wechat_notify.core.broadcasts.broadcast import Broadcast
from wechat_notify.core.delivery.circuit import AccountCircuits, Circuit
from wechat_notify.core.errors import (
    BroadcastIdReusedError,
    BroadcastStateError,
    CursorError,
    StorageError,
    UnknownBroadcastError,
    UnknownUploadError,
)
from wechat_notify.core.outcomes import ErrorClass

TEN = [openid(number) for number in range(1, 11)]
OPERATIONS = ("start", "pause", "resume", "cancel", "look_up", "results")


@pytest.fixture
def world() -> World:
    return World()


def in_state(world: World, state: str) -> Broadcast:
    """A broadcast that has come to this state."""
    world.answer = lambda touser: 43101 if touser == openid(1) else 0
    if state == "refused":
        world.create(csv_file([""]))
    else:
        world.create(csv_file(TEN), messages_per_second=0.1, dry_run=state == "checked")
    if state != "checking":
        world.run({"running": 1.0, "paused": 1.0, "finishing": 70.0, "cancelled": 1.0}.get(state, 40e5))
    if state in {"paused", "cancelled"}:
        {"paused": world.broadcasts.pause, "cancelled": world.broadcasts.cancel}[state](ACCOUNT, ID)
    assert world.record().state == state
    return world.record()


ALLOWED = {
    "checking": {"cancel"},
    "checked": {"start", "cancel"},
    "refused": set[str](),
    "running": {"start", "pause", "resume", "cancel"},
    "paused": {"start", "pause", "resume", "cancel"},
    "finishing": {"start", "cancel"},
    "finished": {"start", "results"},
    "cancelled": {"cancel"},
}


@pytest.mark.parametrize("operation", [*OPERATIONS[:4], "results"])
@pytest.mark.parametrize("state", ALLOWED)
def test_operation_of_a_state(world: World, state: str, operation: str) -> None:
    before = in_state(world, state)
    if operation in ALLOWED[state]:
        getattr(world.broadcasts, operation)(ACCOUNT, ID)
        return
    with pytest.raises(BroadcastStateError) as caught:
        getattr(world.broadcasts, operation)(ACCOUNT, ID)
    assert caught.value.state == state
    assert world.record() == before


@pytest.mark.parametrize(
    ("state", "operation"),
    [("running", "start"), ("running", "resume"), ("paused", "pause"), ("cancelled", "cancel")],
)
def test_repeated_operation_changes_nothing(world: World, state: str, operation: str) -> None:
    before = in_state(world, state)
    assert getattr(world.broadcasts, operation)(ACCOUNT, ID) == before
    assert world.record() == before


def test_same_request_is_the_same_broadcast(world: World) -> None:
    first = world.create(csv_file(TEN))
    world.run()
    assert world.create(csv_file(TEN)).version == world.record().version > first.version
    world.run()
    assert set(world.released().values()) == {1}


@pytest.mark.parametrize(("data", "is_same"), [(csv_file(TEN), True), (csv_file(TEN[:9]), False)])
def test_file_counts_by_its_content(world: World, data: bytes, *, is_same: bool) -> None:
    """A caller that was interrupted uploads its file once more, and repeats its request."""
    world.create(csv_file(TEN))
    repeat = {"message": MESSAGE, "upload": world.upload(data, "again")}
    with nullcontext() if is_same else pytest.raises(BroadcastIdReusedError):
        world.ask(repeat)
    world.run()
    assert set(world.released().values()) == {1}


def test_same_request_wakes_a_lost_broadcast(world: World) -> None:
    """The call that stored it ended before it sent the first step."""
    world.create(csv_file(TEN))
    world.steps.receive()
    assert world.steps.next_due() is None
    world.create(csv_file(TEN))
    world.run()
    assert world.record().state == "finished"


def test_other_request_under_the_same_id(world: World) -> None:
    world.create(csv_file(TEN))
    with pytest.raises(BroadcastIdReusedError):
        world.create(csv_file(TEN), name="other")


def test_ids_of_two_accounts_are_two(world: World) -> None:
    world.create(csv_file(TEN))
    with pytest.raises(UnknownBroadcastError):
        world.broadcasts.look_up("other", ID)


@pytest.mark.parametrize("operation", OPERATIONS)
def test_unknown_broadcast(world: World, operation: str) -> None:
    with pytest.raises(UnknownBroadcastError):
        getattr(world.broadcasts, operation)(ACCOUNT, "unknown")


def test_upload_that_never_finished(world: World) -> None:
    upload = world.new.new_upload(ACCOUNT)
    assert upload.url.startswith(f"https://bucket.invalid/{ACCOUNT}/uploads/{upload.id}?")
    assert upload.expires_at == START + 3600.0
    with pytest.raises(UnknownUploadError):
        world.ask({"message": MESSAGE, "upload": upload.id})
    assert world.store.broadcasts == {}


def test_results_are_downloaded(world: World) -> None:
    in_state(world, "finished")
    assert world.broadcasts.results(ACCOUNT, ID) == (
        f"https://bucket.invalid/{ACCOUNT}/broadcasts/{ID}/results.csv?expires=900&filename={ID}.csv"
    )


def test_list_is_paged(world: World) -> None:
    for number in range(3):
        world.create(csv_file(TEN), f"number-{number}")
        world.clock.advance(1.0)
    first = world.broadcasts.list_page(ACCOUNT, limit=2)
    assert [each.id for each in first.broadcasts] == ["number-2", "number-1"]
    last = world.broadcasts.list_page(ACCOUNT, cursor=first.cursor, limit=2)
    assert ([each.id for each in last.broadcasts], last.cursor) == (["number-0"], None)
    with pytest.raises(CursorError):
        world.broadcasts.list_page(ACCOUNT, cursor="forged")


def test_contended_record(world: World) -> None:
    """Somebody writes the record between each read and each write."""
    record = in_state(world, "running")
    put = world.store.put

    def put_second(broadcast: Broadcast) -> Broadcast | None:
        put(world.record()._replace(version=world.record().version + 1, writer="another"))
        return put(broadcast)

    world.store.put = put_second  # type: ignore[method-assign]
    with pytest.raises(StorageError):
        world.broadcasts.pause(ACCOUNT, ID)
    assert world.record().state == record.state


def test_overview_of_a_running_broadcast(world: World) -> None:
    world.create(csv_file(["", *TEN]), messages_per_second=0.1, name="春季促销")
    world.run(30.0)
    overview: dict[str, Any] = world.broadcasts.look_up(ACCOUNT, ID).as_dict()
    report, counts = overview.pop("report"), overview.pop("counts")
    assert report["rows"] == 11
    assert (counts["waiting"], counts["unreleased"], counts["invalid"]) == (6, 4, 1)
    assert overview == {
        "id": ID,
        "account": ACCOUNT,
        "name": "春季促销",
        "state": "running",
        "rows": 11,
        "created_at": "2026-03-01T07:04:05.000Z",
        "started_at": "2026-03-01T07:04:05.000Z",
        "messages_per_second": 0.1,
        "next_release_at": "2026-03-01T07:05:05.000Z",
        "estimate": {"seconds": 70, "finishes_at": "2026-03-01T07:05:45.000Z"},
        "has_results": False,
    }


@pytest.mark.parametrize("state", ["checked", "running", "paused", "finishing", "finished"])
def test_overview_names_holds(world: World, state: str) -> None:
    in_state(world, state)
    circuit = Circuit("account", ErrorClass.CONFIG, 40164, START, world.clock.now() + 60.0)
    world.ledger.circuits[ACCOUNT] = AccountCircuits(ACCOUNT, 1, "writer", (circuit,))
    held = world.broadcasts.look_up(ACCOUNT, ID).as_dict().get("held", [])
    assert [each["errcode"] for each in held] == ([] if state == "finished" else [40164])


def test_overview_outlives_its_files(world: World) -> None:
    in_state(world, "finished")
    world.objects.objects.clear()
    overview = world.broadcasts.look_up(ACCOUNT, ID)
    assert (overview.report, overview.counts.sent) == (None, 9)
