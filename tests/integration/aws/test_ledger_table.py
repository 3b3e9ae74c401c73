"""Conditional puts and batch reads of the ledger's table."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ReadTimeoutError

from tests.fakes import Clock
from tests.integration.aws.samples import SENT, asked, keys_asked
from tests.integration.conftest import RETENTION, ClientsAt
from tests.integration.raw_server import (
    RawServer,
    Request,
    always,
    in_turn,
    json_answer,
    refused,
)
from wechat_notify.aws.clients import Clients
from wechat_notify.aws.conditional_put import Answer, ConditionalPut
from wechat_notify.aws.ledger_items import ENTRIES
from wechat_notify.aws.ledger_table import LedgerTable
from wechat_notify.core.delivery.entry import Entry
from wechat_notify.core.errors import (
    StorageError,
)


def meets(**existing: Any) -> bytes:
    """The refusal of a put; it may have the item that stands there."""
    return refused("com.amazonaws.dynamodb.v20120810#ConditionalCheckFailedException", **existing)


THERE = meets(Item=ENTRIES.to_item(SENT))


NOTHING = json_answer()


def operation(request: Request) -> str:
    return request.headers["x-amz-target"].partition(".")[2]


def test_put_is_one_call(clients_at: ClientsAt) -> None:
    with RawServer(in_turn(NOTHING, THERE)) as server:
        table = LedgerTable(clients_at(server.url), "ledger", RETENTION)
        assert table.put(SENT) is None
        assert table.put(SENT._replace(writer="another")) == SENT
    assert [operation(request) for request in server.requests] == ["PutItem"] * 2
    for request in asked(server):
        assert request["TableName"] == "ledger"
        assert request["ReturnValuesOnConditionCheckFailure"] == "ALL_OLD"
        assert request["ExpressionAttributeValues"] == {":previous": {"N": "1"}}


def test_refusal_without_item_is_read(clients_at: ClientsAt) -> None:
    with RawServer(in_turn(meets(), json_answer(Item=ENTRIES.to_item(SENT)))) as server:
        assert LedgerTable(clients_at(server.url), "ledger", RETENTION).put(SENT) == SENT
    assert [operation(request) for request in server.requests] == ["PutItem", "GetItem"]
    assert asked(server)[1]["ConsistentRead"] is True


def test_deleted_item_is_put_again_once(clients_at: ClientsAt) -> None:
    with RawServer(in_turn(meets(), NOTHING, NOTHING)) as server:
        assert LedgerTable(clients_at(server.url), "ledger", RETENTION).put(SENT) is None
    assert [operation(request) for request in server.requests] == ["PutItem", "GetItem", "PutItem"]
    with RawServer(in_turn(meets(), NOTHING, meets(), NOTHING)) as server:
        table = LedgerTable(clients_at(server.url), "ledger", RETENTION)
        with pytest.raises(StorageError, match="Contended") as raised:
            table.put(SENT)
    assert raised.value.__context__ is None


def test_repeated_put_finds_its_own_item(clients_at: ClientsAt) -> None:
    with RawServer(in_turn(b"", THERE)) as server:
        assert LedgerTable(clients_at(server.url), "ledger", RETENTION).put(SENT) == SENT
    first, second = asked(server)
    assert first == second


def as_put(entry: Entry, retry_for: float = 0.0, began: float = 0.0) -> ConditionalPut:
    kind = ENTRIES
    item = kind.to_item(entry)
    return ConditionalPut(kind.writing, item, kind.attributes, entry.version - 1, retry_for, began)


GROUP = [SENT._replace(id="first", version=1), SENT._replace(id="second", version=2)]


def grouped(*errors: dict[str, Any] | None) -> bytes:
    return json_answer(Responses=[{"Error": error} if error else {"TableName": "ledger"} for error in errors])


STORED, ALONE = Answer(stored=True), None


EXISTING = ENTRIES.to_item(SENT)


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (grouped(None, None), [STORED, STORED]),
        (grouped({"Code": "DuplicateItem"}, None), [ALONE, STORED]),
        (
            grouped(None, {"Code": "ConditionalCheckFailed", "Item": EXISTING}),
            [STORED, Answer(stored=False, existing=EXISTING)],
        ),
        (grouped(None, {"Code": "ConditionalCheckFailed"}), [STORED, ALONE]),
        (grouped({"Code": "ThrottlingError"}, {"Code": "AccessDenied"}), [ALONE, ALONE]),
        (grouped({}, {"Message": "no code"}), [STORED, ALONE]),
        (grouped(None), [ALONE, ALONE]),
        (NOTHING, [ALONE, ALONE]),
        (refused("com.amazon.coral.service#AccessDeniedException"), [ALONE, ALONE]),
        (b"", [ALONE, ALONE]),
    ],
)
def test_a_group_is_one_call(clients_at: ClientsAt, answer: bytes, expected: list[object]) -> None:
    """What is not clear is put alone afterwards, and the group's call is not repeated."""
    with RawServer(always(answer)) as server:
        table = LedgerTable(clients_at(server.url), "ledger", RETENTION)
        assert table._put_group([as_put(entry) for entry in GROUP]) == expected
    assert [operation(request) for request in server.requests] == ["BatchExecuteStatement"]
    insert, update = asked(server)[0]["Statements"]
    assert insert["Statement"].startswith("""INSERT INTO "ledger" VALUE {'pk': ?, 'account': ?, """)
    assert insert["Parameters"][:2] == [{"S": "message#shop#first"}, {"S": "shop"}]
    assert update["Statement"].endswith('WHERE "pk" = ? AND "version" = ?')
    assert 'REMOVE "lease_until"' in update["Statement"]
    assert update["Parameters"][-2:] == [{"S": "message#shop#second"}, {"N": "1"}]
    assert update["ReturnValuesOnConditionCheckFailure"] == "ALL_OLD"


@pytest.mark.parametrize(("now", "last"), [(100.0, 102.5), (101.5, 102.5), (103.0, 103.0)])
def test_put_alone_has_the_remaining_time(now: float, last: float) -> None:
    """It began at 100 s, and is repeated for 2.5 s."""
    clock = Clock(now)
    found: list[float] = []

    class Down:
        def put_item(self, **_: object) -> None:
            found.append(clock.now())
            raise ReadTimeoutError(endpoint_url="https://aws.test")

        def close(self) -> None:
            pass

    clients = Clients(lambda _: Down(), clock=clock.now, sleep=clock.sleep, jitter=lambda _, most: most)
    table = LedgerTable(clients, "ledger", RETENTION, clock=clock.now)
    with pytest.raises(StorageError):
        table._put_alone(as_put(SENT, 2.5, 100.0))
    assert found[0] == now
    assert found[-1] == pytest.approx(last)


def test_circuits_are_read_in_batches(clients_at: ClientsAt) -> None:
    names = [f"shop-{number:03}" for number in range(201)]
    with RawServer(always(json_answer(Responses={"ledger": []}))) as server:
        assert LedgerTable(clients_at(server.url), "ledger", RETENTION).read_circuits(names) == {}
    assert [len(keys) for keys in keys_asked(server)] == [100, 100, 1]
    assert [key for keys in keys_asked(server) for key in keys] == [f"circuits#{name}" for name in names]


def test_invalid_account_names_are_not_read(clients_at: ClientsAt) -> None:
    strange = ["", "Shop", "a#b", "深圳", "x" * 3000]
    with RawServer(always(json_answer(Responses={"ledger": []}))) as server:
        table = LedgerTable(clients_at(server.url), "ledger", RETENTION)
        assert table.read_circuits(strange) == table.read_circuits([*strange, "shop"]) == {}
    assert keys_asked(server) == [["circuits#shop"]]


@pytest.mark.parametrize("answered", [NOTHING, json_answer(Responses=None, UnprocessedKeys={})])
def test_missing_responses_raise(clients_at: ClientsAt, answered: bytes) -> None:
    with RawServer(always(answered)) as server:
        table = LedgerTable(clients_at(server.url), "ledger", RETENTION)
        with pytest.raises(StorageError, match="UnreadableAnswer"):
            table.read_circuits(["shop"])
