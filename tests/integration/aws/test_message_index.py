"""The index by account and status, against DynamoDB as moto has it."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any

import pytest

from tests.fakes import START
from tests.integration.aws.samples import SENT
from tests.integration.conftest import RETENTION, ClientsAt
from tests.integration.contracts.samples import Aws
from tests.integration.raw_server import RawServer, always, json_answer
from wechat_notify.aws import message_index
from wechat_notify.aws.clients import Clients
from wechat_notify.aws.ledger_items import SHARDS
from wechat_notify.aws.ledger_table import LedgerTable
from wechat_notify.aws.message_index import MessageIndex
from wechat_notify.core.delivery.entry import Entry
from wechat_notify.core.delivery.listing import Position
from wechat_notify.core.errors import StorageError
from wechat_notify.core.outcomes import Status

PROBLEMS = (Status.FAILED, Status.UNKNOWN)


def entry(message_id: str, status: Status, at: float = 0.0, **fields: Any) -> Entry:
    return SENT._replace(
        id=message_id, status=status, created_at=START + at, version=1, outcome=None, **fields
    )


@pytest.fixture
def index(ledger_table: LedgerTable, clients: Clients) -> MessageIndex:
    for number in range(40):
        status = (Status.SENT, Status.FAILED, Status.UNKNOWN, Status.EXPIRED)[number % 4]
        kind = "template" if number % 8 else "subscription"
        # Five of them come in each millisecond.
        assert ledger_table.put(entry(f"m-{number:02}", status, number // 5 / 1000, kind=kind)) is None
    ledger_table.put(entry("m-99", Status.FAILED, 9.0, account="other"))
    ledger_table.put(entry("first", Status.QUEUED))
    ledger_table.put(entry("claimed", Status.SENDING))
    ledger_table.put(entry("put-off", Status.QUEUED)._replace(outcome=SENT.outcome))
    return MessageIndex(clients, "ledger")


def ids(positions: Iterator[Position]) -> list[str]:
    return [position.id for position in positions]


def numbers(*remainders: int, since: int = 0, before: int = 40) -> list[str]:
    return [f"m-{number:02}" for number in reversed(range(since, before)) if number % 4 in remainders]


@pytest.mark.parametrize("page", [1, 3, 50])
def test_newest_first_across_partitions(index: MessageIndex, page: int) -> None:
    """Whatever is read from a partition at a time, and whatever comes in one millisecond."""
    assert ids(index.newest("shop", PROBLEMS, page=page)) == numbers(1, 2)
    assert ids(index.newest("shop", [Status.SENT], page=page)) == numbers(0)


def test_page_is_one_request_a_partition(clients: Clients, ledger_table: LedgerTable) -> None:
    """Whatever more there is: the millisecond of the last one may have others, which nobody asked for."""
    for number in range(200):
        ledger_table.put(entry(f"m-{number}", Status.SENT, number))
    requests: list[object] = []
    clients.dynamodb.meta.events.register("before-call.dynamodb.Query", lambda **_: requests.append(1))
    found = MessageIndex(clients, "ledger").newest("shop", [Status.SENT], page=6)
    assert len(list(islice(found, 5))) == 5
    assert len(requests) == SHARDS


def test_list_goes_on_after_any_position(index: MessageIndex) -> None:
    everything = list(index.newest("shop", PROBLEMS, page=5))
    for at, position in enumerate(everything):
        assert list(index.newest("shop", PROBLEMS, before=position, page=5)) == everything[at + 1 :]


def test_since(index: MessageIndex) -> None:
    since = START + 0.004
    assert ids(index.newest("shop", PROBLEMS, since=since, page=5)) == numbers(1, 2, since=20)
    before = Position(START + 0.006, "m-30")
    found = index.newest("shop", PROBLEMS, since=since, before=before, page=5)
    assert ids(found) == numbers(1, 2, since=20, before=30)


def test_waiting_after_an_attempt_is_listed(index: MessageIndex) -> None:
    """What was just handed over, or is claimed, is not: that would cost a write for every message."""
    assert ids(index.newest("shop", [Status.QUEUED, Status.SENDING], page=5)) == ["put-off"]


def test_status_moves_the_entry(index: MessageIndex, ledger_table: LedgerTable) -> None:
    failed = entry("m-01", Status.FAILED, 0.0, kind="template")
    claimed = failed._replace(status=Status.SENDING, version=2)
    assert ledger_table.put(claimed) is None
    assert "m-01" not in ids(index.newest("shop", PROBLEMS, page=5))
    assert ledger_table.put(claimed._replace(status=Status.SENT, version=3)) is None
    assert ids(index.newest("shop", [Status.SENT], page=5))[-1] in {"m-00", "m-01"}


def test_sent_ones_can_stay_out(aws: Aws, ledger_table: LedgerTable, clients: Clients) -> None:
    table = LedgerTable(clients, "ledger", RETENTION, list_sent=False)
    table.put(entry("sent", Status.SENT))
    table.put(entry("delivered", Status.DELIVERED))
    table.put(entry("failed", Status.FAILED))
    (listed,) = (item for item in aws("dynamodb").scan(TableName="ledger")["Items"] if "listed" in item)
    assert listed["id"] == {"S": "failed"}
    assert ledger_table.read_many("shop", ["sent", "failed", "nothing"]).keys() == {"sent", "failed"}


def test_sent_by_kind(index: MessageIndex, monkeypatch: pytest.MonkeyPatch) -> None:
    assert index.count_sent("shop", START, 100) == {"subscription": 5, "template": 5}
    assert index.count_sent("shop", START + 0.004, 100).total() == 5
    assert index.count_sent("shop", START, 4).total() == 4
    assert index.count_sent("nobody", START, 100) == {}
    monkeypatch.setattr(message_index, "SHARDS", 0)
    assert index.count_sent("shop", START, 100) == {}


def test_unreadable_answer_is_an_error(clients_at: ClientsAt) -> None:
    with RawServer(always(json_answer(Unknown=1))) as server:
        index = MessageIndex(clients_at(server.url), "ledger")
        with pytest.raises(StorageError):
            list(index.newest("shop", PROBLEMS, page=5))
