"""What becomes of whole broadcasts; their control, pace and interruptions have tests of their own."""

from __future__ import annotations

from typing import Any

import pytest

from tests.fakes import START
from tests.fakes.templates import PRIZE, account_templates
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


def test_broadcast_of_another_familys_template() -> None:
    """It is refused before anything is sent, where the account's templates are known."""
    world = World()
    world.templates = account_templates(PRIZE)
    world.create(csv_file(TEN), message={**MESSAGE, "template_id": PRIZE.id})
    world.run()
    assert world.states()[-1] == "refused"
    assert world.sends == []


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


def test_request_has_expired_between_two_chunks() -> None:
    """A look at the first chunk finds the request gone; the release of the third one ends the broadcast."""
    world = World()
    world.create(csv_file([openid(number) for number in range(900)]), messages_per_second=5)
    world.run(61.0)
    world.objects.objects = {key: it for key, it in world.objects.objects.items() if "/request" not in key}
    world.run()
    record, counts = world.record(), world.counts()
    assert (record.state, record.reason, counts.sent, counts.unreleased) == (
        "failed",
        "upload_changed",
        600,
        300,
    )


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
