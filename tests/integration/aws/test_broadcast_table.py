"""Broadcasts in the ledger's table, against DynamoDB as moto has it; the contract's tests have the rest."""

from __future__ import annotations

import math
from typing import Any

import pytest

from tests.fakes import START
from tests.integration.aws.samples import asked
from tests.integration.conftest import RETENTION, ClientsAt
from tests.integration.contracts.broadcasts import BROADCAST, CHUNK, PACE, STORE_CALLS
from tests.integration.contracts.samples import Aws
from tests.integration.raw_server import RawServer, always, in_turn, json_answer, refused
from tests.integration.secrecy import CANARY, assert_clean, texts_of
from wechat_notify.aws.broadcast_table import BROADCASTS, BroadcastTable
from wechat_notify.aws.clients import Clients
from wechat_notify.aws.ledger_table import LedgerTable
from wechat_notify.core.broadcasts.broadcast import AccountPace
from wechat_notify.core.cursors import Cursors
from wechat_notify.core.errors import StorageError


def of(clients: Clients) -> BroadcastTable:
    return BroadcastTable(
        clients, "ledger", RETENTION, Cursors(lambda: [b"a key for tests"]), now=lambda: START
    )


@pytest.fixture
def table(ledger_table: LedgerTable, clients: Clients) -> BroadcastTable:  # noqa: ARG001 - it is there now
    return of(clients)


@pytest.mark.parametrize(
    ("key", "over"),
    [
        (f"broadcast#shop#{BROADCAST.id}", BROADCAST.updated_at),
        (f"chunk#shop#{BROADCAST.id}#{CHUNK.number}", CHUNK.look_at),
        ("pace#shop", max(lease.until for lease in PACE.leases)),
    ],
)
def test_item_as_it_is_stored(aws: Aws, table: BroadcastTable, key: str, over: float) -> None:
    """Every field but those that are None, and the end of its retention."""
    table.put(BROADCAST)
    table.put_chunk(CHUNK)
    table.put_pace(PACE)
    item = aws("dynamodb").get_item(TableName="ledger", Key={"pk": {"S": key}})["Item"]
    assert item.pop("ttl") == {"N": str(math.ceil(over + RETENTION))}
    assert item.pop("listed", None) == ({"S": "shop#broadcasts"} if key.startswith("broadcast#") else None)
    value: Any = {"b": BROADCAST, "c": CHUNK, "p": PACE}[key[0]]
    assert item.keys() == {"pk", *value._fields}


def test_pace_without_leases_expires(aws: Aws, table: BroadcastTable) -> None:
    assert table.put_pace(AccountPace("shop", 1, "writer")) is None
    (item,) = aws("dynamodb").scan(TableName="ledger")["Items"]
    assert item["ttl"] == {"N": str(math.ceil(START + RETENTION))}
    assert table.read_pace("shop") == AccountPace("shop", 1, "writer")


def test_lost_answer_of_a_put(clients_at: ClientsAt) -> None:
    """Its repeat meets the first one, and is taken for it."""
    item = BROADCASTS.to_item(BROADCAST)
    with RawServer(in_turn(b"", refused("ConditionalCheckFailedException", Item=item))) as server:
        assert of(clients_at(server.url)).put(BROADCAST) is None
    first, second = asked(server)
    assert first == second


def test_list_leaves_out_what_is_gone(aws: Aws, table: BroadcastTable) -> None:
    """The index is a moment behind."""
    for number in range(3):
        table.put(BROADCAST._replace(id=f"b-{number}", version=1, created_at=START + number))
    aws("dynamodb").delete_item(TableName="ledger", Key={"pk": {"S": "broadcast#shop#b-1"}})
    assert [each.id for each in table.list_page("shop", cursor=None, limit=9).broadcasts] == ["b-2", "b-0"]


def test_cursor_of_a_page(clients_at: ClientsAt) -> None:
    last = {"pk": {"S": "broadcast#shop#b"}, "listed": {"S": "shop#broadcasts"}, "created_at": {"N": "5.000"}}
    pages = [json_answer(Items=[], LastEvaluatedKey=last), json_answer(Items=[])]
    with RawServer(in_turn(*pages)) as server:
        table = of(clients_at(server.url))
        first = table.list_page("shop", cursor=None, limit=1)
        assert first.cursor is not None
        assert table.list_page("shop", cursor=first.cursor, limit=1) == ([], None)
    queries = asked(server)
    assert [query.get("ExclusiveStartKey") for query in queries] == [None, last]
    assert {(query["IndexName"], query["Limit"], query["ScanIndexForward"]) for query in queries} == {
        ("listed", 1, False)
    }


@pytest.mark.parametrize("name", STORE_CALLS)
@pytest.mark.parametrize(
    "said",
    [refused("AccessDeniedException", Message=CANARY), json_answer(**{CANARY: CANARY}, Item={CANARY: 1})],
)
@pytest.mark.usefixtures("heard")
def test_failure_quotes_nothing(clients_at: ClientsAt, name: str, said: bytes) -> None:
    with RawServer(always(said)) as server:
        try:
            STORE_CALLS[name](of(clients_at(server.url)))
        except StorageError as error:
            assert_clean(texts_of(error))
        else:
            assert b"Item" in said
