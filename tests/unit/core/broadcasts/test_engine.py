"""What becomes of whole broadcasts; their pace and their interruptions have tests of their own."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from tests.fakes import START
from tests.unit.core.broadcasts.world import ACCOUNT, ID, MESSAGE, World, csv_file, openid
from wechat_notify.core.broadcasts.broadcast import Chunk
from wechat_notify.core.broadcasts.checking import RUN_BLOCK
from wechat_notify.core.broadcasts.counts import Counts, ErrcodeCount
from wechat_notify.core.broadcasts.examining import LOST_AFTER
from wechat_notify.core.broadcasts.files import Files
from wechat_notify.core.outcomes import Status

TEN = [openid(number) for number in range(1, 11)]
MANY = [openid(number) for number in range(1, 1001)]


def test_every_row_is_sent_once() -> None:
    world = World()
    world.create(csv_file(MANY), messages_per_second=100)
    world.run()
    assert world.states() == ["checking", "running", "finishing", "finished"]
    assert [message_id for _, message_id in world.sends] == [f"{ID}:{row}" for row in range(1, 1001)]
    assert world.counts().sent == 1000
    assert [(row["row"], row["openid"]) for row in world.results()] == [
        (str(row), each) for row, each in enumerate(MANY, 1)
    ]
    assert world.errors == 0


def test_own_ids_name_the_messages() -> None:
    world = World()
    rows = [f"{openid(1)},order-1,礼盒", f"{openid(2)},order-2,礼盒", f"{openid(3)},order-1,礼盒"]
    world.create("\n".join(["openid,id,gift", *rows]).encode())
    world.run()
    assert sorted(world.released()) == [f"{ID}:order-1", f"{ID}:order-2"]
    assert world.results()[2]["reason"] == "duplicate_id"
    assert (world.counts().sent, world.counts().invalid) == (2, 1)


@pytest.mark.parametrize(("duplicates", "sent"), [("once", 2), ("send", 3)])
def test_recipients_listed_twice(duplicates: str, sent: int) -> None:
    world = World()
    world.create(csv_file([openid(1), openid(2), openid(1)]), duplicates=duplicates)
    world.run()
    assert (world.counts().sent, world.counts().duplicate) == (sent, 3 - sent)
    report = world.broadcasts.look_up(ACCOUNT, ID).report
    assert report is not None
    assert report["duplicates"]["count"] == 1


def test_results_say_what_became_of_each_row() -> None:
    world = World()
    answers: dict[str, int | None] = {openid(2): 43101, openid(3): None, openid(4): 43101}
    world.answer = lambda touser: answers.get(touser, 0)
    world.create(csv_file([*TEN, "=1+1"]))
    world.run()
    assert [(row["status"], row["errcode"]) for row in world.results()[:5]] == [
        ("sent", "0"),
        ("failed", "43101"),
        ("unknown", ""),
        ("failed", "43101"),
        ("sent", "0"),
    ]
    counts = world.counts()
    assert (counts.sent, counts.failed, counts.unknown) == (8, 2, 1)
    assert counts.errcodes == (ErrcodeCount(43101, 2),)
    assert world.results()[10]["openid"] == "'=1+1"


@pytest.mark.parametrize(
    ("data", "fields", "reason"),
    [
        (b"name\nA\n", {}, "unreadable_file"),
        (b"", {}, "unreadable_file"),
        (f"openid\n{openid(1)}\n".encode(), {}, "missing_columns"),
        (f'{{"openid": "{openid(1)}"}}\n'.encode(), {}, "missing_columns"),
        (csv_file(["", ""]), {}, "no_valid_rows"),
        (csv_file([openid(1), ""]), {"on_invalid": "abort"}, "invalid_rows"),
        (
            csv_file(TEN),
            {"send_window": "09:00-10:00", "expires_at": "2026-03-02T08:00:00+08:00"},
            "expires_too_early",
        ),
    ],
)
def test_what_cannot_work_is_refused(data: bytes, fields: dict[str, Any], reason: str) -> None:
    world = World()
    world.create(data, **fields)
    world.run()
    record = world.record()
    assert world.states() == ["checking", "refused"]
    assert (record.reason, record.has_ended, world.sends) == (reason, True, [])
    assert record.problem is not None
    assert record.problem.zh


def test_dry_run_waits_for_its_start() -> None:
    world = World()
    world.create(csv_file(["", *TEN]), dry_run=True)
    world.run()
    overview = world.broadcasts.look_up(ACCOUNT, ID)
    assert (overview.broadcast.state, world.sends) == ("checked", [])
    assert (overview.counts.invalid, overview.counts.unreleased) == (1, 10)
    assert overview.report is not None
    assert overview.report["invalid"]["first"][0]["row"] == 1
    assert overview.report["messages"][0]["message"]["touser"] == openid(1)
    world.broadcasts.start(ACCOUNT, ID)
    world.broadcasts.start(ACCOUNT, ID)
    world.run()
    world.broadcasts.start(ACCOUNT, ID)
    world.run()
    assert set(world.released().values()) == {1}
    assert (world.record().state, len(world.sends)) == ("finished", 10)


@pytest.mark.parametrize("vanishes", [False, True])
@pytest.mark.parametrize(("after", "sent"), [(0.0, 0), (61.0, 240)])
def test_upload_changes_while_it_is_read(after: float, sent: int, *, vanishes: bool) -> None:
    world = World()
    created = world.create(csv_file(MANY), messages_per_second=2)
    if after:
        world.run(after)
    if vanishes:
        del world.objects.objects[created.source]
    else:
        world.objects.write(created.source, csv_file(MANY, "另一份"))
    world.run()
    record, counts = world.record(), world.counts()
    assert (record.state, record.reason, record.has_ended) == ("failed", "upload_changed", True)
    assert (counts.sent, len(world.sends)) == (sent, sent)
    assert counts.unreleased == (1000 - sent if sent else 0)
    assert len(world.results() if sent else []) == sent


def test_pause_and_resume_within_a_chunk() -> None:
    world = World()
    world.create(csv_file(MANY[:300]), messages_per_second=1)
    world.run(70.0)
    world.broadcasts.pause(ACCOUNT, ID)
    world.run(3600.0)
    assert (world.record().state, world.record().next_step_at) == ("paused", None)
    assert len(world.sends) == 120  # what was on the queue
    assert (world.counts().sent, world.counts().unreleased) == (120, 180)
    world.broadcasts.resume(ACCOUNT, ID)
    world.run(59.5)
    assert len(world.sends) == 180
    world.run()
    assert (world.record().state, len(world.sends)) == ("finished", 300)


def test_cancel_within_a_chunk() -> None:
    world = World()
    world.create(csv_file([*MANY[:300], openid(1)]), messages_per_second=1)
    world.run(70.0)
    world.broadcasts.cancel(ACCOUNT, ID)
    world.run()
    counts = world.counts()
    assert (world.record().state, len(world.sends)) == ("cancelled", 120)
    assert (counts.sent, counts.unreleased, counts.duplicate, counts.rows) == (120, 180, 1, 301)
    assert [row["status"] for row in world.results()[119:122]] == ["sent", "unreleased", "unreleased"]
    assert [event.detail["state"] for event in world.bus.events] == ["cancelled"]


@pytest.mark.parametrize("rate", [1, 1000])
def test_cancel_reaches_held_messages(rate: int) -> None:
    """They are on the queue, and would be sent when the hold is over."""
    world = World()
    world.answer = lambda touser: Status.QUEUED if int(touser[1:]) > 10 else 0
    world.create(
        csv_file([*MANY, *(openid(number) for number in range(2000, 4000))]), messages_per_second=rate
    )
    world.run(6 * 3600.0 if rate > 1 else 1500.0)
    before, released = world.clock.now(), len(world.sends)
    world.broadcasts.cancel(ACCOUNT, ID)
    world.run()
    counts = world.counts()
    assert (world.record().state, counts.sent, counts.waiting) == ("cancelled", 10, 0)
    assert counts.cancelled + counts.sent in range(released, released + 61)
    assert counts.cancelled + counts.unreleased == 2990
    assert (world.record().finished_at or 0.0) - before < 120.0


@pytest.mark.parametrize("dry_run", [False, True])
def test_cancel_before_anything_was_sent(*, dry_run: bool) -> None:
    world = World()
    world.create(csv_file(TEN), dry_run=dry_run, starts_at="2026-03-02T00:00:00+08:00")
    world.run(60.0)
    world.broadcasts.cancel(ACCOUNT, ID)
    world.run()
    record = world.record()
    assert (record.state, record.has_ended, record.results) == ("cancelled", True, None)
    assert (world.counts().unreleased, world.sends) == (10, [])


def test_rest_expires_in_the_middle() -> None:
    world = World()
    expires_at = datetime.fromtimestamp(START + 90.0, UTC).isoformat()
    world.create(csv_file(MANY[:300]), messages_per_second=1, expires_at=expires_at)
    world.run()
    counts = world.counts()
    assert (world.record().state, counts.sent, counts.expired, counts.unreleased) == ("finished", 90, 210, 0)
    assert world.results()[90]["status"] == "expired"


def test_too_many_failures_pause_it() -> None:
    world = World()
    world.answer = lambda touser: 43101 if int(touser[1:]) % 4 == 0 else 0
    world.create(csv_file(MANY), messages_per_second=2)
    world.run()
    (event,) = world.bus.events
    assert (world.record().state, event.detail_type) == ("paused", "broadcast.paused")
    assert (event.detail["reason"], event.detail["errcode"]) == ("too_many_failures", 43101)
    released = len(world.sends)
    assert 120 <= released <= 240
    world.broadcasts.resume(ACCOUNT, ID)
    world.run()
    assert len(world.sends) >= released + 100
    assert [each.detail_type for each in world.bus.events] == ["broadcast.paused"] * 2


@pytest.mark.parametrize(("percent", "state"), [(24, "paused"), (25, "finished")])
def test_share_of_failures_that_is_accepted(percent: int, state: str) -> None:
    world = World()
    world.answer = lambda touser: 43101 if int(touser[1:]) % 4 == 0 else 0
    world.create(csv_file(MANY[:400]), messages_per_second=2, max_failures_percent=percent)
    world.run()
    assert world.record().state == state


def test_few_failures_do_not_pause_it() -> None:
    world = World()
    world.answer = lambda _: 43101
    world.create(csv_file(MANY[:99]), messages_per_second=1)
    world.run()
    assert (world.record().state, world.counts().failed) == ("finished", 99)


def test_end_is_announced_with_its_counts() -> None:
    world = World()
    world.create(csv_file(TEN), name="春季促销")
    world.run()
    (event,) = world.bus.events
    assert event.detail_type == "broadcast.finished"
    assert (event.detail["name"], event.detail["state"]) == ("春季促销", "finished")
    assert event.detail["counts"] == world.counts().as_dict()


@pytest.mark.parametrize(
    ("lost", "waits", "status", "reason"),
    [
        (True, None, "failed", "not_found"),
        (False, Status.QUEUED, "failed", "not_found"),
        (False, Status.SENDING, "unknown", ""),
    ],
)
def test_message_that_never_ends_is_lost(
    *, lost: bool, waits: Status | None, status: str, reason: str
) -> None:
    """The queue has dropped it, or its dead letter queue."""
    world = World()
    world.loses = lambda touser: lost and touser == openid(2)
    world.answer = lambda touser: waits if touser == openid(2) else 0
    world.create(csv_file(TEN))
    world.run(14 * 86400.0)
    assert (world.record().state, world.counts().waiting, world.counts().sent) == ("finishing", 1, 9)
    world.run()
    record = world.record()
    assert (record.state, world.counts().waiting) == ("finished", 0)
    assert LOST_AFTER < (record.finished_at or 0.0) - START < LOST_AFTER + 1000.0
    assert (world.results()[1]["status"], world.results()[1]["reason"]) == (status, reason)


def test_rows_whose_list_has_expired() -> None:
    """The bucket keeps its files for a shorter time than the messages wait."""
    world = World()
    world.answer = lambda touser: Status.QUEUED if touser == openid(2) else 0
    world.create(csv_file(TEN))
    world.run(86400.0)
    for key in [key for key in world.objects.objects if "/rows/" in key]:
        del world.objects.objects[key]
    world.run()
    assert (world.record().state, world.counts().sent, world.counts().failed) == ("finished", 9, 1)


def test_late_answers_are_counted() -> None:
    world = World()
    world.answer = lambda _: Status.QUEUED
    world.create(csv_file(TEN))
    world.run(3600.0)
    assert world.counts().waiting == 10
    for key, entry in world.ledger.entries.items():
        world.ledger.entries[key] = entry._replace(status=Status.DELIVERED)
    world.run()
    assert (world.record().state, world.counts().delivered) == ("finished", 10)


def test_first_look_that_settles_a_chunk_counts() -> None:
    """Another function saw other statuses, stored its part of the results, and ended."""
    world = World()
    world.create(csv_file(TEN))
    put_chunk = world.store.put_chunk

    def put_second(chunk: Chunk) -> Chunk | None:
        if chunk.settled and chunk.version == 2:
            put_chunk(chunk._replace(counts=Counts(delivered=10), writer="other"))
        return put_chunk(chunk)

    world.store.put_chunk = put_second  # type: ignore[method-assign]
    world.run()
    assert (world.record().state, world.record().totals) == ("finished", Counts(delivered=10))


def test_files_are_written_once() -> None:
    world = World()
    files, record = Files(world.services), world.create(csv_file(TEN))
    keys = {files.write(record, "rows/00000.jsonl", data) for data in (b"1", b"2")}
    assert {world.objects.objects[key] for key in keys} == {b"1", b"2"}


def test_results_of_many_chunks() -> None:
    """They are composed in sections, a step each."""
    world = World()
    world.create(csv_file(MANY[:601]), messages_per_second=0.01)
    world.answer = lambda touser: 45009 if touser in {MANY[0], MANY[300], MANY[600]} else 0
    world.run()
    record = world.record()
    assert (record.chunks, len(record.result_sections)) == (601, 3)
    assert [row["row"] for row in world.results()] == [str(row) for row in range(1, 602)]
    assert world.objects.objects[record.failures or ""] == b"1\n301\n601\n"


def test_memory_does_not_grow_with_the_file() -> None:
    """Rows are read as they are needed: by chunks, and from where the last one ended."""
    world = World()
    data = csv_file(MANY)
    created = world.create(data, messages_per_second=1)
    world.run()
    head, check, *chunks = [count for key, count in world.objects.reads if key == created.source]
    assert max(head, check) <= len(data)
    a_row = len(data) / 1000
    assert len(chunks) == 17
    assert max(chunks) < 60 * a_row + 2 * 1024


def test_runs_are_read_in_small_blocks() -> None:
    world = World()
    world.create(csv_file([openid(number // 2) for number in range(12_000)]), dry_run=True)
    world.run()
    sizes = [size for key, size in world.objects.reads if "/runs/" in key]
    assert sizes == [RUN_BLOCK, 12_000 * 24 - RUN_BLOCK]
    assert world.record().duplicates == 6000


def test_rows_go_on_the_queue_in_portions() -> None:
    world = World()
    world.create(csv_file(MANY), messages_per_second=1000)
    world.run()
    assert (world.rows.largest_call, world.rows.taken) == (500, 1000)


def test_inline_recipients() -> None:
    world = World()
    spec = {"message": MESSAGE, "recipients": [{"openid": each, "gift": "礼盒"} for each in TEN]}
    world.ask(spec)
    world.run()
    assert (world.record().state, world.counts().sent) == ("finished", 10)
