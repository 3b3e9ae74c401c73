from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.fakes import START
from tests.fakes.ledger_store import FakeLedgerStore
from wechat_notify.core.delivery import listing
from wechat_notify.core.delivery.entry import Entry
from wechat_notify.core.delivery.listing import MessageFilter, MessageList, Position
from wechat_notify.core.outcomes import Status

ALL = MessageFilter((Status.SENT, Status.FAILED))


def entry(message_id: str, status: Status, at: float) -> Entry:
    return Entry("shop", message_id, status, "fingerprint", "writer", START + at, START + at)


@pytest.fixture
def store() -> FakeLedgerStore:
    store = FakeLedgerStore()
    for number in range(10):
        name = f"sale:{number}" if number % 3 == 0 else f"m-{number}"
        store.put(entry(name, Status.FAILED if number % 2 else Status.SENT, number))
    return store


def pages(store: FakeLedgerStore, wanted: MessageFilter, limit: int) -> list[list[str]]:
    found: list[list[str]] = []
    before: Position | None = None
    for _ in range(20):
        page = MessageList(store, store).page("shop", wanted, before, limit)
        found.append([each.id for each in page.entries])
        before = page.last
        if before is None:
            return found
    raise AssertionError("the list has no end")


@pytest.mark.parametrize(
    ("wanted", "limit", "expected"),
    [
        (ALL, 4, [["sale:9", "m-8", "m-7", "sale:6"], ["m-5", "m-4", "sale:3", "m-2"], ["m-1", "sale:0"]]),
        (ALL, 10, [["sale:9", "m-8", "m-7", "sale:6", "m-5", "m-4", "sale:3", "m-2", "m-1", "sale:0"]]),
        (MessageFilter((Status.FAILED,)), 3, [["sale:9", "m-7", "m-5"], ["sale:3", "m-1"]]),
        (ALL._replace(since=START + 7), 2, [["sale:9", "m-8"], ["m-7"]]),
        (ALL._replace(broadcast="sale"), 2, [["sale:9", "sale:6"], ["sale:3", "sale:0"]]),
        (ALL._replace(broadcast="sal"), 2, [[]]),
        (MessageFilter((Status.UNKNOWN,)), 2, [[]]),
    ],
)
def test_pages(store: FakeLedgerStore, wanted: MessageFilter, limit: int, expected: list[list[str]]) -> None:
    assert pages(store, wanted, limit) == expected


def test_page_looks_at_so_many(store: FakeLedgerStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """A short page has a next one."""
    monkeypatch.setattr(listing, "_MAX_LOOKED_AT", 3)
    found = pages(store, ALL._replace(broadcast="sale"), 2)
    assert found == [["sale:9"], ["sale:6"], ["sale:3"], ["sale:0"]]


def test_index_is_a_moment_behind(store: FakeLedgerStore, monkeypatch: pytest.MonkeyPatch) -> None:
    positions = [Position(START + 9, "sale:9"), Position(START + 8, "gone"), Position(START + 7, "m-7")]
    monkeypatch.setattr(store, "newest", lambda *_, **__: iter(positions))
    page = MessageList(store, store).page("shop", MessageFilter((Status.FAILED,)), None, 10)
    assert [each.id for each in page.entries] == ["sale:9", "m-7"]


def test_message_that_moves_is_listed_once(store: FakeLedgerStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """The index had it among the queued ones, and a moment later among those that were sent."""
    positions = [Position(START + 9, "sale:9"), Position(START + 9, "sale:9"), Position(START + 7, "m-7")]
    monkeypatch.setattr(store, "newest", lambda *_, **__: iter(positions))
    page = MessageList(store, store).page("shop", MessageFilter((Status.FAILED,)), None, 2)
    assert ([each.id for each in page.entries], page.last) == (["sale:9", "m-7"], None)


@pytest.mark.parametrize(("broadcast", "asked_for"), [(None, 2), ("sale", 100)])
def test_looking_for_a_broadcast_asks_for_many(
    store: FakeLedgerStore, monkeypatch: pytest.MonkeyPatch, broadcast: str | None, asked_for: int
) -> None:
    """A small page may look at thousands of messages, which must not be as many requests."""
    pages: list[int] = []

    def newest(*_: object, page: int, **__: object) -> Iterator[Position]:
        pages.append(page)
        return iter(())

    monkeypatch.setattr(store, "newest", newest)
    MessageList(store, store).page("shop", ALL._replace(broadcast=broadcast), None, 1)
    assert pages == [asked_for]
