"""The table of consents: the fake, and DynamoDB."""

from __future__ import annotations

import math
from typing import Any

import pytest

from tests.fakes import FakeConsentStore
from tests.integration.conftest import RETENTION, ClientsAt
from tests.integration.raw_server import RawServer, always, refused
from wechat_notify.aws.consent_table import CONSENTS, ConsentTable
from wechat_notify.core.consents.links import ConsentLink
from wechat_notify.core.consents.ports import ConsentStore
from wechat_notify.core.consents.record import (
    MAX_TEMPLATES,
    MAX_UNUSED,
    MAX_USED,
    ConsentGrant,
    Holder,
    PersonConsents,
    TemplateConsents,
)
from wechat_notify.core.errors import StorageError

GRANTS = (ConsentGrant("popup:7", 7.0), ConsentGrant("link:0a", 8.5, "order-1", "writer-9", 9.0))
TEMPLATE = TemplateConsents("t-1", "0", GRANTS, 8.5, 3.0, 2.0, 1.0, 0.5)
PERSON = PersonConsents("shop", "5f2c", 1, "w-1", 9.125, 4.0, 0.25, (TEMPLATE,))
LINK = ConsentLink("0a", "shop", "t-1", "10000", 99.0, 1, "w-1", "77aa", 20.0, 10.0)


@pytest.fixture(params=["fake", "DynamoDB"])
def store(request: pytest.FixtureRequest) -> ConsentStore:
    if request.param == "fake":
        return FakeConsentStore()
    request.getfixturevalue("ledger_table")
    return ConsentTable(request.getfixturevalue("clients"), "ledger", RETENTION)


def test_every_field_is_kept(store: ConsentStore) -> None:
    assert store.read("shop", "5f2c") is None
    moved = PERSON._replace(moved_at=9.0)
    assert store.put(moved) is None
    assert store.read("shop", "5f2c") == moved
    assert store.read("other", "5f2c") is None
    assert store.read_link("0a") is None
    assert store.put_link(LINK) is None
    assert store.read_link("0a") == LINK


def test_one_successor_of_a_version(store: ConsentStore) -> None:
    store.put(PERSON)
    store.put_link(LINK)
    taken = PERSON.takes("t-1", "0", Holder("order-2", "w-2"), 10.0)
    assert taken
    first, second = (taken.successor(writer=writer, now=10.0) for writer in ("w-2", "w-3"))
    assert store.put(first) is None
    assert store.put(first) is None  # its answer was lost
    assert store.put(second) == first
    bound = LINK.successor(writer="w-2", refused_at=11.0)
    assert store.put_link(bound) is None
    assert store.put_link(LINK.successor(writer="w-3")) == bound


def test_what_was_deleted_stays_deleted(store: ConsentStore) -> None:
    store.put(PERSON)
    store.delete("shop", "5f2c")
    store.delete("shop", "5f2c")
    with pytest.raises(StorageError):
        store.put(PERSON.successor(writer="w-2", now=10.0))
    assert store.read("shop", "5f2c") is None
    assert store.put(PERSON) is None  # begun anew


def test_an_item_goes_by_itself_where_no_grant_is_left(request: pytest.FixtureRequest, aws: Any) -> None:
    request.getfixturevalue("ledger_table")
    table = ConsentTable(request.getfixturevalue("clients"), "ledger", RETENTION)

    def ttl(key: str) -> str | None:
        item = aws("dynamodb").get_item(TableName="ledger", Key={"pk": {"S": key}})["Item"]
        found: str | None = item.get("ttl", {}).get("N")
        return found

    key = CONSENTS.key(PERSON)
    assert key == "consents#shop#5f2c"
    table.put(PERSON)
    assert ttl(key) is None
    used = PERSON.takes("t-1", "0", Holder("order-2", "w-2"), 10.0)
    assert used
    table.put(used.successor(writer="w-2", now=20.0))
    assert ttl(key) == str(math.ceil(20 + RETENTION))
    freed = used.successor(writer="w-2", now=20.0).withdrawn("other", 1.0)
    freed = freed.freed("t-1", "0", {"order-2"}).granted("t-2", None, "popup:9", 9.0)
    table.put(freed.successor(writer="w-3", now=21.0))
    assert ttl(key) is None
    moved = freed._replace(version=4, writer="w-4", updated_at=22.0, moved_at=22.0)
    table.put(moved)
    assert ttl(key) == str(math.ceil(22 + RETENTION))
    table.put_link(LINK)
    assert ttl("consent-link#0a") == "99"


def size(attribute: dict[str, Any]) -> int:
    """Bytes of an attribute, as DynamoDB counts them (howitworks-dynamodb-limits: item sizes)."""
    ((kind, value),) = attribute.items()
    match kind:
        case "S":
            return len(value.encode())
        case "N":
            return len(value) // 2 + 2
        case "M":
            return 3 + sum(len(name) + size(each) + 1 for name, each in value.items())
    return 3 + sum(size(each) + 1 for each in value)


def test_the_largest_item_fits() -> None:
    """As many of everything as are kept, with the longest names; and of most people it is one write unit."""
    at = 1772361072.123
    unused = ConsentGrant(f"link:{'0' * 24}", at)
    used = ConsentGrant(f"popup:{at:.0f}", at, "m" * 64, "w" * 32, at)
    most = TemplateConsents("t" * 64, None, (unused,) * MAX_UNUSED + (used,) * MAX_USED, at, at, at, at, at)
    ours = used._replace(message_id="m" * 32)
    usual = TemplateConsents("t" * 43, None, (unused, *[ours] * MAX_USED), at)

    def bytes_of(account: str, *templates: TemplateConsents) -> int:
        person = PersonConsents(account, "h" * 16, 999, "w" * 32, at, at, at, templates)
        return size({"M": CONSENTS.to_item(person)})

    assert 200_000 < bytes_of("a" * 64, *[most] * MAX_TEMPLATES) < 400 * 1024
    assert bytes_of("shop", usual) <= 1024


@pytest.mark.parametrize("call", ["read", "put", "delete", "read_link", "put_link"])
def test_a_table_that_fails(clients_at: ClientsAt, call: str) -> None:
    given: dict[str, Any] = {"put": PERSON, "put_link": LINK, "read_link": "0a"}
    with RawServer(always(refused("AccessDeniedException"))) as server:
        table = ConsentTable(clients_at(server.url), "ledger", RETENTION)
        with pytest.raises(StorageError, match="AccessDenied"):
            getattr(table, call)(*([given[call]] if call in given else ["shop", "5f2c"]))
