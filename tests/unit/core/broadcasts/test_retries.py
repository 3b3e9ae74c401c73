from __future__ import annotations

import pytest

from tests.fakes import answer, lost
from tests.unit.core.broadcasts.world import ACCOUNT, ID, World, csv_file, openid
from wechat_notify.core.broadcasts import retries
from wechat_notify.core.delivery.entry import Entry
from wechat_notify.core.errors import BroadcastIdReusedError, BroadcastStateError, UnknownUploadError
from wechat_notify.core.outcomes import ErrorClass, Status

TEN = [openid(number) for number in range(1, 11)]
ANSWERS: dict[str, int | None] = {
    openid(2): -1,
    openid(3): 43101,
    openid(4): None,
    openid(5): 45009,
    openid(6): 40037,
    openid(7): 48001,
}
"""The second, fifth and seventh can pass; the fourth may have been sent."""


@pytest.fixture
def world() -> World:
    """A broadcast that has finished with some failures."""
    world = World()
    world.answer = lambda touser: ANSWERS.get(touser, 0)
    world.create(csv_file([*TEN, ""]), expires_at="2026-03-01T23:00:00+08:00")
    world.run()
    world.answer = lambda _: 0
    world.sends.clear()
    return world


def entry(status: Status, error_class: ErrorClass | None = None, reason: str | None = None) -> Entry:
    outcome = answer(-1)._replace(error_class=error_class) if error_class else None
    return Entry("shop", "1", status, "", "", 0.0, 0.0, outcome=outcome, reason=reason)


@pytest.mark.parametrize("error_class", ErrorClass)
def test_class_decides(error_class: ErrorClass) -> None:
    can_pass = {"transient", "token", "quota", "rate_limit", "config", "permission", "platform"}
    found = retries.can_be_retried("failed", entry(Status.FAILED, error_class))
    assert found == (error_class.value in can_pass)


@pytest.mark.parametrize(
    ("status", "found", "can_be_retried", "may_have_been_sent"),
    [
        ("sent", entry(Status.SENT), False, False),
        ("undelivered", entry(Status.UNDELIVERED), False, False),
        ("expired", entry(Status.EXPIRED), False, False),
        ("cancelled", entry(Status.CANCELLED), False, False),
        ("invalid", None, False, False),
        ("failed", None, True, False),
        ("failed", entry(Status.FAILED, reason="unknown_account"), True, False),
        ("failed", entry(Status.FAILED, reason="invalid_message"), False, False),
        ("failed", entry(Status.FAILED, ErrorClass.QUOTA)._replace(lost_at=1.0), False, True),
        ("unknown", entry(Status.UNKNOWN)._replace(outcome=lost()), False, True),
        ("unknown", entry(Status.SENDING), False, True),
    ],
)
def test_status_decides(
    status: str, found: Entry | None, *, can_be_retried: bool, may_have_been_sent: bool
) -> None:
    assert retries.can_be_retried(status, found) == can_be_retried
    assert retries.may_have_been_sent(status, found) == may_have_been_sent


@pytest.mark.parametrize("block", [1, 3, 1000])
def test_list_of_rows(block: int) -> None:
    data = retries.to_bytes([2, 17], [5]) + retries.to_bytes([], [1000])
    blocks = [data[at : at + block] for at in range(0, len(data), block)]
    assert list(retries.rows_to_retry(blocks, include_unknown=False)) == [2, 17]
    assert list(retries.rows_to_retry(blocks, include_unknown=True)) == [2, 5, 17, 1000]


@pytest.mark.parametrize(("include_unknown", "rows"), [(False, [2, 5, 7]), (True, [2, 4, 5, 7])])
def test_retry_sends_what_can_pass(world: World, rows: list[int], *, include_unknown: bool) -> None:
    world.new.retry(ACCOUNT, ID, "again", include_unknown=include_unknown)
    world.run()
    assert sorted(world.released()) == [f"again:{row}" for row in rows]
    record, counts = world.record("again"), world.counts("again")
    assert (record.state, record.retry_of, record.rows) == ("finished", ID, len(rows))
    assert (counts.sent, counts.rows) == (len(rows), len(rows))
    assert [row["row"] for row in world.results("again")] == [str(row) for row in rows]


def test_retry_of_a_retry(world: World) -> None:
    world.answer = lambda touser: -1 if touser == openid(5) else 0
    world.new.retry(ACCOUNT, ID, "again")
    world.run()
    world.new.retry(ACCOUNT, "again", "once-more")
    world.run()
    assert [message_id for _, message_id in world.sends][3:] == ["once-more:5"]


def test_retry_can_be_looked_at_first(world: World) -> None:
    world.new.retry(ACCOUNT, ID, "again", dry_run=True)
    world.run()
    assert (world.record("again").state, world.counts("again").unreleased) == ("checked", 3)


def test_same_retry_is_the_same_broadcast(world: World) -> None:
    world.new.retry(ACCOUNT, ID, "again")
    world.run()
    world.new.retry(ACCOUNT, ID, "again")
    world.run()
    assert set(world.released().values()) == {1}
    with pytest.raises(BroadcastIdReusedError):
        world.new.retry(ACCOUNT, ID, "again", include_unknown=True)


def test_nothing_to_retry_is_refused(world: World) -> None:
    world.new.retry(ACCOUNT, ID, "again")
    world.run()
    world.new.retry(ACCOUNT, "again", "once-more")
    world.run()
    assert (world.record("once-more").state, world.record("once-more").reason) == ("refused", "no_valid_rows")


def test_retry_before_the_end(world: World) -> None:
    world.create(csv_file(TEN), "other")
    with pytest.raises(BroadcastStateError):
        world.new.retry(ACCOUNT, "other", "again")


@pytest.mark.parametrize("vanished", ["recipients", "request"])
def test_retry_of_expired_files(world: World, vanished: str) -> None:
    record = world.record()
    del world.objects.objects[record.source if vanished == "recipients" else record.spec]
    with pytest.raises(UnknownUploadError):
        world.new.retry(ACCOUNT, ID, "again")


def test_retry_of_a_replaced_upload(world: World) -> None:
    world.objects.write(world.record().source, csv_file(TEN, "另一份"))
    with pytest.raises(UnknownUploadError):
        world.new.retry(ACCOUNT, ID, "again")
