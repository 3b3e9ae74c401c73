"""Entries and circuits as DynamoDB items."""

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from enum import Enum
from types import NoneType
from typing import Any, get_args, get_origin, get_type_hints

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.integration.aws.samples import SENT
from tests.integration.conftest import RETENTION
from wechat_notify.aws.clients import Clients
from wechat_notify.aws.items import ItemType
from wechat_notify.aws.ledger_items import CIRCUITS, ENTRIES
from wechat_notify.aws.ledger_table import LedgerTable
from wechat_notify.core.delivery.circuit import AccountCircuits, Circuit
from wechat_notify.core.delivery.entry import Entry
from wechat_notify.core.errors import StorageError
from wechat_notify.core.outcomes import ErrorClass
from wechat_notify.wechat.outcomes import hint_for

Aws = Callable[[str], Any]
HINT = hint_for(0)


def item(aws: Aws, key: str) -> dict[str, Any]:
    found: dict[str, Any] = aws("dynamodb").get_item(TableName="ledger", Key={"pk": {"S": key}})["Item"]
    return found


def size(attribute: Mapping[str, Any]) -> int:
    """An attribute's bytes as DynamoDB counts them.

    https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/CapacityUnitCalculations.html
    """
    ((kind, value),) = attribute.items()
    match kind:
        case "S":
            return len(value.encode())
        case "N":
            return len(value.strip("-0.").replace(".", "")) // 2 + 2
        case "BOOL":
            return 1
        case "L":
            return 3 + sum(1 + size(each) for each in value)
    return 3 + sum(1 + len(name.encode()) + size(each) for name, each in value.items())


def test_entry_has_a_readable_item(aws: Aws, ledger_table: LedgerTable) -> None:
    ledger_table.put(SENT)
    assert item(aws, "message#shop#019ca8d13f2b7c3e8a4d5e6f70819203") == {
        "pk": {"S": "message#shop#019ca8d13f2b7c3e8a4d5e6f70819203"},
        "listed": {"S": "shop#sent#3"},
        "account": {"S": "shop"},
        "id": {"S": "019ca8d13f2b7c3e8a4d5e6f70819203"},
        "status": {"S": "sent"},
        "fingerprint": {"S": "5e884898da28047151d0e56f8dc62927"},
        "writer": {"S": "c6af9ac6-7b61-4c9d-8d6e-1f2a3b4c5d6e"},
        "created_at": {"N": "1772348645.123"},
        "updated_at": {"N": "1772348645.500"},
        "version": {"N": "2"},
        "kind": {"S": "subscription"},
        "template_id": {"S": "ngqIpbwh8bUfcSsECmogfXcV14J0tQlEpBO27izEYtY"},
        "openid_hash": {"S": "0123456789abcdef"},
        "attempts": {"N": "1"},
        "answers_lost": {"N": "0"},
        "outcome": {
            "M": {
                "status": {"S": "sent"},
                "error_class": {"S": "success"},
                "hint": {"M": {"en": {"S": HINT.en}, "zh": {"S": HINT.zh}}},
                "retryable": {"BOOL": False},
                "errcode": {"N": "0"},
                "errmsg": {"S": "ok"},
                "msgid": {"N": "1864323726461255680"},
                "unjudged": {"BOOL": False},
                "until_reset": {"BOOL": False},
            }
        },
        "timeline": {
            "L": [
                {"M": {"status": {"S": "sending"}, "at": {"N": "1772348645.123"}}},
                {"M": {"status": {"S": "sent"}, "at": {"N": "1772348645.500"}, "errcode": {"N": "0"}}},
            ]
        },
        "ttl": {"N": "1774940646"},
    }


def test_sent_entry_takes_one_write_unit(aws: Aws, ledger_table: LedgerTable) -> None:
    assert SENT.outcome
    largest = SENT._replace(
        account="a" * 64,
        id="i" * 64,
        kind="mini_program_subscription",
        expires_at=1_772_348_999.999,
        outcome=SENT.outcome._replace(msgid=2**63 - 1),
    )
    for entry, most in ((SENT, 768), (largest, 1024)):
        ledger_table.put(entry)
        stored = item(aws, f"message#{entry.account}#{entry.id}")
        assert size({"M": stored}) < most


DAY = 86_400


@pytest.mark.parametrize(
    ("expires_at", "over"),
    [
        (None, 0.0),
        (SENT.updated_at - 5, 0.0),
        (SENT.updated_at + 7200.25, 7200.25),
        (datetime(9999, 1, 1, tzinfo=UTC).timestamp(), 14 * DAY),  # after that SQS has no message to send
    ],
)
def test_entry_is_kept_after_its_expiry(
    aws: Aws, ledger_table: LedgerTable, expires_at: float | None, over: float
) -> None:
    ledger_table.put(SENT._replace(expires_at=expires_at))
    ttl = int(item(aws, f"message#shop#{SENT.id}")["ttl"]["N"])
    assert 0 <= ttl - RETENTION - SENT.updated_at - over < 1


def test_circuits_are_kept_after_their_holds(aws: Aws, clients: Clients, ledger_table: LedgerTable) -> None:
    table = LedgerTable(clients, "ledger", RETENTION, now=lambda: 1000.5)
    circuits = tuple(
        Circuit(f"kind:{until}", ErrorClass.QUOTA, 45009, 900.0, until) for until in (990.0, 2000.25)
    )
    for version, (open_now, over) in enumerate(
        ((circuits, 2000.25), (circuits[:1], 1000.5), ((), 1000.5)), 1
    ):
        assert table.put_circuits(AccountCircuits("shop", version, "writer", open_now)) is None
        ttl = int(item(aws, "circuits#shop")["ttl"]["N"])
        assert 0 <= ttl - RETENTION - over < 1
    assert ledger_table.read_circuits(["shop"])["shop"].circuits == ()


LEAVES: dict[Any, st.SearchStrategy[Any]] = {
    str: st.text(st.characters(exclude_categories=["Cs"])),  # no half of a surrogate pair gets that far
    int: st.integers(-(2**63), 2**63 - 1),
    float: st.integers(-(10**12), 10**13).map(lambda milliseconds: milliseconds / 1000),
    bool: st.booleans(),
    NoneType: st.none(),
}


def values_of(kind: Any) -> st.SearchStrategy[Any]:
    """Any values of a type, all their fields given."""
    if kind in LEAVES:
        return LEAVES[kind]
    if get_origin(kind) is tuple:
        return st.lists(values_of(get_args(kind)[0]), max_size=4).map(tuple)
    if choices := get_args(kind):
        return st.one_of(*map(values_of, choices))
    if issubclass(kind, Enum):
        return st.sampled_from(kind)
    fields = {name: values_of(its) for name, its in get_type_hints(kind).items()}
    return st.builds(kind, **fields)


@given(values_of(Entry), values_of(AccountCircuits))
def test_items_convert_back_unchanged(entry: Entry, circuits: AccountCircuits) -> None:
    sent = json.dumps([ENTRIES.to_item(entry), CIRCUITS.to_item(circuits)])
    first, second = json.loads(sent)
    assert ENTRIES.from_item(first) == entry
    assert CIRCUITS.from_item(second) == circuits


@given(st.floats(0, 4e9))
def test_times_are_kept_to_the_millisecond(at: float) -> None:
    kept = ENTRIES.from_item(ENTRIES.to_item(SENT._replace(updated_at=at))).updated_at
    assert abs(kept - at) <= 0.000_501


CIRCUIT_ITEM = CIRCUITS.to_item(AccountCircuits("shop", 1, "writer"))


@pytest.mark.parametrize(
    ("kind", "changed"),
    [
        (ENTRIES, {**ENTRIES.to_item(SENT), **change})
        for change in (
            {"status": {"S": "oGivenByHand"}},
            {"version": {"N": "1.5"}},
            {"updated_at": {"S": "oGivenByHand"}},
            {"account": {"N": "5"}},
            {"outcome": {"M": {"status": {"S": "sent"}}}},
            {"timeline": {"L": [{"S": "oGivenByHand"}]}},
            {"timeline": {"SS": ["oGivenByHand"]}},
            {"kind": {"B": b"oGivenByHand"}},
        )
    ]
    + [(ENTRIES, CIRCUIT_ITEM), (CIRCUITS, CIRCUIT_ITEM | {"circuits": {"S": "oGivenByHand"}})],
)
def test_changed_item_raises_without_its_content(kind: ItemType[Any], changed: dict[str, Any]) -> None:
    with pytest.raises(StorageError) as raised:
        kind.from_item(changed)
    assert raised.value.code == "UnreadableItem"
    assert "oGivenByHand" not in str(raised.value)
    assert raised.value.__cause__ is None
    assert raised.value.__context__ is None


def test_unknown_fields_are_ignored() -> None:
    newer = ENTRIES.to_item(SENT) | {"colour": {"NULL": True}, "shapes": {"SS": ["round"]}}
    newer["outcome"]["M"]["colour"] = newer["timeline"]["L"][0]["M"]["colour"] = {"S": "green"}
    assert ENTRIES.from_item(newer) == SENT
