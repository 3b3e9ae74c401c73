"""The table of broadcasts: the fake, and DynamoDB."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.fakes import FakeBroadcastStore
from tests.integration.conftest import RETENTION, ClientsAt
from tests.integration.contracts.broadcasts import BROADCAST, CHUNK, MINIMAL, PACE, START, STORE_CALLS
from tests.integration.raw_server import RawServer, always, refused
from wechat_notify.aws.broadcast_table import BroadcastTable
from wechat_notify.core.broadcasts.broadcast import AccountPace, Broadcast, Chunk
from wechat_notify.core.broadcasts.ports import BroadcastStore
from wechat_notify.core.cursors import Cursors
from wechat_notify.core.errors import CursorError, StorageError

CURSORS = Cursors(lambda: [b"a key for tests"])


@pytest.fixture(params=["fake", "DynamoDB"])
def store(request: pytest.FixtureRequest) -> BroadcastStore:
    if request.param == "fake":
        return FakeBroadcastStore()
    request.getfixturevalue("ledger_table")
    return BroadcastTable(request.getfixturevalue("clients"), "ledger", RETENTION, CURSORS)


@pytest.mark.parametrize("wanted", [MINIMAL, BROADCAST])
def test_every_field_is_kept(store: BroadcastStore, wanted: Broadcast) -> None:
    assert store.read("shop", wanted.id) is None
    assert store.put(wanted) is None
    assert store.read("shop", wanted.id) == wanted
    assert store.put_chunk(CHUNK) is None
    assert store.read_chunks("shop", CHUNK.broadcast_id, [CHUNK.number]) == [CHUNK]
    assert store.put_pace(PACE) is None
    assert store.read_pace("shop") == PACE


def test_samples_leave_no_field_out() -> None:
    usual: dict[type, set[str]] = {Broadcast: {"version"}, Chunk: {"version"}, AccountPace: set()}
    for value in (BROADCAST, CHUNK, PACE):
        defaults: dict[str, Any] = type(value)._field_defaults
        same = {name for name, default in defaults.items() if getattr(value, name) == default}
        assert same == usual[type(value)]


@pytest.mark.parametrize("version", [1, 3, 4, 9])
def test_only_the_next_version_is_stored(store: BroadcastStore, version: int) -> None:
    """Also where it is the same once more: its writer knows it."""
    for number in (1, 2, 3):
        assert store.put(MINIMAL._replace(version=number)) is None
        assert store.put_chunk(CHUNK._replace(version=number)) is None
        assert store.put_pace(PACE._replace(version=number)) is None
    late = MINIMAL._replace(version=version, writer="late")
    found = [
        store.put(late),
        store.put_chunk(CHUNK._replace(version=version, writer="late")),
        store.put_pace(PACE._replace(version=version, writer="late")),
    ]
    if version == 4:
        assert found == [None] * 3
        assert store.read("shop", MINIMAL.id) == late
        return
    third = [MINIMAL._replace(version=3), CHUNK._replace(version=3), PACE._replace(version=3)]
    assert found == third
    assert store.read("shop", MINIMAL.id) == third[0]


def test_one_of_many_first_puts_wins(store: BroadcastStore) -> None:
    wanted = [MINIMAL._replace(writer=f"writer {number}") for number in range(8)]
    with ThreadPoolExecutor(8) as pool:
        existing = list(pool.map(store.put, wanted))
    (winner,) = [mine for mine, found in zip(wanted, existing, strict=True) if found is None]
    assert [found for found in existing if found is not None] == [winner] * 7


def test_chunks_in_the_order_asked(store: BroadcastStore) -> None:
    chunks = {number: CHUNK._replace(number=number, version=1) for number in range(120)}
    for chunk in chunks.values():
        store.put_chunk(chunk)
    store.put_chunk(CHUNK._replace(broadcast_id="other", number=500))
    wanted = [500, *range(119, -1, -1)]
    found = store.read_chunks("shop", CHUNK.broadcast_id, wanted)
    assert found == [chunks[number] for number in wanted[1:]]
    assert store.read_chunks("shop", CHUNK.broadcast_id, []) == []
    assert store.read_chunks("other", CHUNK.broadcast_id, [1]) == []


def test_account_without_pace(store: BroadcastStore) -> None:
    store.put_pace(PACE)
    assert store.read_pace("other") == AccountPace("other")


@pytest.mark.parametrize("limit", [1, 2, 3, 50])
def test_pages_of_the_newest_first(store: BroadcastStore, limit: int) -> None:
    for number in range(5):
        store.put(MINIMAL._replace(id=f"b-{number}", created_at=START + number, version=1))
    store.put(MINIMAL._replace(account="other"))
    found: list[str] = []
    cursor: str | None = None
    for _ in range(9):
        page = store.list_page("shop", cursor=cursor, limit=limit)
        assert len(page.broadcasts) <= limit
        found += [each.id for each in page.broadcasts]
        cursor = page.cursor
        if cursor is None:
            break
    assert found == ["b-4", "b-3", "b-2", "b-1", "b-0"]
    assert cursor is None
    assert store.list_page("nobody", cursor=None, limit=limit) == ([], None)


def test_cursor_of_another_list(store: BroadcastStore) -> None:
    for number in range(3):
        store.put(MINIMAL._replace(id=f"b-{number}"))
    cursor = store.list_page("shop", cursor=None, limit=1).cursor
    assert cursor is not None
    schedules = CURSORS.write(["schedules", "shop"], ["x"])
    for account, wrong in (
        ("other", cursor),
        ("shop", f"{cursor[:-2]}AA"),
        ("shop", schedules),
        ("shop", ""),
        ("shop", "深"),
    ):
        with pytest.raises(CursorError):
            store.list_page(account, cursor=wrong, limit=1)


@pytest.mark.parametrize("name", STORE_CALLS)
@pytest.mark.parametrize("side", ["fake", "DynamoDB"])
def test_failure_carries_the_code(clients_at: ClientsAt, side: str, name: str) -> None:
    with RawServer(always(refused("InternalError"))) as server:
        fake = FakeBroadcastStore()
        fake.failing[name] = "InternalError"
        table = BroadcastTable(clients_at(server.url), "ledger", RETENTION, CURSORS)
        with pytest.raises(StorageError) as raised:
            STORE_CALLS[name](fake if side == "fake" else table)
    assert raised.value.code == "InternalError"
