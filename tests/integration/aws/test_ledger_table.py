"""Conditional puts and batch reads of the ledger's table."""

from typing import Any

import pytest

from tests.integration.aws.samples import SENT, asked
from tests.integration.conftest import RETENTION, ClientsAt
from tests.integration.raw_server import RawServer, always, in_turn, json_answer, refused
from wechat_notify.aws.conditional_put import Answer, ConditionalPut
from wechat_notify.aws.ledger_items import CIRCUITS, ENTRIES
from wechat_notify.aws.ledger_table import LedgerTable
from wechat_notify.core.delivery.circuit import AccountCircuits
from wechat_notify.core.delivery.entry import Entry
from wechat_notify.core.errors import StorageError


def meets(**existing: Any) -> bytes:
    """The refusal of a put; it may have the item that stands there."""
    return refused("com.amazonaws.dynamodb.v20120810#ConditionalCheckFailedException", **existing)


OTHER = SENT._replace(writer="another")
EXISTING = ENTRIES.to_item(OTHER)
THERE = meets(Item=EXISTING)
FOUND = json_answer(Item=EXISTING)
NOTHING = json_answer()


def operations(server: RawServer) -> list[str]:
    return [request.headers["x-amz-target"].partition(".")[2] for request in server.requests]


def table_at(clients_at: ClientsAt, server: RawServer, **lent: Any) -> LedgerTable:
    return LedgerTable(clients_at(server.url), "ledger", RETENTION, **lent)


@pytest.mark.parametrize(
    ("answers", "existing", "called"),
    [
        ([NOTHING], None, ["PutItem"]),
        ([THERE], OTHER, ["PutItem"]),
        ([b"", meets(Item=ENTRIES.to_item(SENT))], None, ["PutItem", "PutItem"]),
        ([meets(), FOUND], OTHER, ["PutItem", "GetItem"]),
        ([meets(), NOTHING, NOTHING], None, ["PutItem", "GetItem", "PutItem"]),
    ],
    ids=["stored", "existing", "its own, answer lost", "existing, not told", "deleted meanwhile"],
)
def test_put_finds_what_exists(
    clients_at: ClientsAt, answers: list[bytes], existing: Entry | None, called: list[str]
) -> None:
    with RawServer(in_turn(*answers)) as server:
        assert table_at(clients_at, server).put(SENT) == existing
    assert operations(server) == called
    for request in asked(server):
        assert request["TableName"] == "ledger"
        if "Item" in request:
            assert request["ReturnValuesOnConditionCheckFailure"] == "ALL_OLD"
            assert request["ExpressionAttributeValues"] == {":previous": {"N": "1"}}
        else:
            assert request["ConsistentRead"] is True


def test_put_gives_up_vanishing_items(clients_at: ClientsAt) -> None:
    with RawServer(in_turn(meets(), NOTHING, meets(), NOTHING)) as server:
        table = table_at(clients_at, server)
        with pytest.raises(StorageError, match="Contended") as raised:
            table.put(SENT)
    assert raised.value.__context__ is None


def as_put(entry: Entry, retry_for: float = 0.0, began: float = 0.0) -> ConditionalPut:
    item = ENTRIES.to_item(entry)
    return ConditionalPut("write", item, ENTRIES.attributes, entry.version - 1, retry_for, began)


GROUP = [SENT._replace(id="first", version=1), SENT._replace(id="second", version=2)]


def grouped(*errors: dict[str, Any] | None) -> bytes:
    return json_answer(Responses=[{"Error": error} if error else {"TableName": "ledger"} for error in errors])


STORED, ALONE = Answer(stored=True), None


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
        table = table_at(clients_at, server)
        assert table._put_group([as_put(entry) for entry in GROUP]) == expected
    assert operations(server) == ["BatchExecuteStatement"]
    insert, update = asked(server)[0]["Statements"]
    assert insert["Statement"].startswith("""INSERT INTO "ledger" VALUE {'pk': ?, 'account': ?, """)
    assert insert["Parameters"][:2] == [{"S": "message#shop#first"}, {"S": "shop"}]
    assert update["Statement"].endswith('WHERE "pk" = ? AND "version" = ?')
    assert 'REMOVE "lease_until"' in update["Statement"]
    assert update["Parameters"][-2:] == [{"S": "message#shop#second"}, {"N": "1"}]
    assert update["ReturnValuesOnConditionCheckFailure"] == "ALL_OLD"


@pytest.mark.parametrize(("now", "left"), [(100.0, 2.5), (101.5, 1.0), (103.0, 0.0)])
def test_put_alone_has_the_remaining_time(
    clients_at: ClientsAt, slept: list[float], now: float, left: float
) -> None:
    """It began at 100 s, and is repeated for 2.5 s."""
    with RawServer(always(refused("ThrottlingException"))) as server:
        table = table_at(clients_at, server, clock=lambda: now)
        with pytest.raises(StorageError):
            table._put_alone(as_put(SENT, 2.5, 100.0))
    assert sum(slept) == pytest.approx(left, abs=0.01)


def keys_asked(server: RawServer) -> list[list[str]]:
    """The keys of each call."""
    calls = [call["RequestItems"]["ledger"] for call in asked(server)]
    assert all(call["ConsistentRead"] for call in calls)
    return [[key["pk"]["S"] for key in call["Keys"]] for call in calls]


def test_circuits_are_read_in_batches(clients_at: ClientsAt) -> None:
    """What is no account's name is not asked for: it would spoil the others' reading."""
    names = [f"shop-{number:03}" for number in range(201)]
    with RawServer(always(json_answer(Responses={"ledger": []}))) as server:
        table = table_at(clients_at, server)
        assert table.read_circuits(["", "a#b", *names]) == table.read_circuits(["Shop"]) == {}
    assert [len(keys) for keys in keys_asked(server)] == [100, 100, 1]
    assert [key for keys in keys_asked(server) for key in keys] == [f"circuits#{name}" for name in names]


@pytest.mark.parametrize("answered", [NOTHING, json_answer(Responses=None, UnprocessedKeys={})])
def test_missing_responses_raise(clients_at: ClientsAt, answered: bytes) -> None:
    with RawServer(always(answered)) as server, pytest.raises(StorageError, match="UnreadableAnswer"):
        table_at(clients_at, server).read_circuits(["shop"])


def test_unprocessed_keys_are_read_again(clients_at: ClientsAt, slept: list[float]) -> None:
    circuits = [AccountCircuits(name, 1, "writer") for name in ("a", "b", "c")]
    items = [CIRCUITS.to_item(each) for each in circuits]
    left = {"ledger": {"Keys": [{"pk": items[2]["pk"]}], "ConsistentRead": True}}
    answers = (
        json_answer(Responses={"ledger": items[:2]}, UnprocessedKeys=left),
        json_answer(Responses={}, UnprocessedKeys=left),
        json_answer(Responses={"ledger": items[2:]}, UnprocessedKeys={}),
    )
    with RawServer(in_turn(*answers)) as server:
        table = table_at(clients_at, server, sleep=slept.append)
        assert table.read_circuits(["a", "b", "c"]) == {each.account: each for each in circuits}
    assert [len(keys) for keys in keys_asked(server)] == [3, 1, 1]
    assert slept == [0.05, 0.1]


def test_unprocessed_keys_are_given_up(clients_at: ClientsAt, slept: list[float]) -> None:
    left = {"ledger": {"Keys": [{"pk": {"S": "circuits#a"}}], "ConsistentRead": True}}
    with RawServer(always(json_answer(Responses={}, UnprocessedKeys=left))) as server:
        table = table_at(clients_at, server, sleep=slept.append)
        with pytest.raises(StorageError, match="UnprocessedKeys"):
            table.read_circuits(["a"])
    assert len(server.requests) == 5
    assert sum(slept) < 1
