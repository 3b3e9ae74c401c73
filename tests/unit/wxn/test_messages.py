import json
import time
from typing import Any

import pytest

from functions.team_api.messages import _LISTED
from tests.unit.wxn.fakes import FakeRun
from wxn.api import ApiError
from wxn.commands import messages
from wxn.commands.messages import cancel, list_messages, status
from wxn.errors import CommandError, ExitCode

MESSAGE = {
    "id": "a/1",
    "kind": "template",
    "status": "failed",
    "created_at": "2026-03-01T07:04:05.000Z",
    "updated_at": "2026-03-01T07:04:09.310Z",
    "wechat": {"errcode": 43101, "errmsg": "refused"},
    "class": "recipient",
    "hint": {"en": "Stop sending to this user.", "zh": "请停止发送。"},
    "timeline": [
        {"status": "sending", "at": "2026-03-01T07:04:05.000Z"},
        {"status": "queued", "at": "2026-03-01T07:04:05.180Z", "errcode": -1},
        {"status": "failed", "at": "2026-03-01T07:06:10.180Z", "errcode": 43101, "reason": "try_again"},
    ],
}
MISSING = ApiError(404, {"title": "Not found", "type": "/docs/problems.md#unknown-message"})


@pytest.fixture(autouse=True)
def shanghai(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("TZ", "Asia/Shanghai")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


class Pages(FakeRun):
    """A list of messages in pages."""

    def __init__(self, *sizes: int) -> None:
        super().__init__({}, as_json=True)
        pages = iter(sizes)
        self.asked: list[dict[str, Any]] = []

        def call(method: str, path: str, *, query: dict[str, Any]) -> dict[str, Any]:
            assert (method, path) == ("GET", "messages")
            self.asked.append(query)
            found = [{"id": f"{len(self.asked)}-{number}"} for number in range(next(pages))]
            return {"account": "shop", "messages": found, "next": f"cursor-{len(self.asked)}"}

        self.api.call = call  # type: ignore[method-assign,assignment]


def test_list_reads_pages_until_limit(capsys: pytest.CaptureFixture[str]) -> None:
    run = Pages(100, 0, 20)

    list_messages(run, limit=120)

    answer = json.loads(capsys.readouterr().out)
    assert [(query["limit"], query["cursor"]) for query in run.asked] == [
        (100, None),
        (20, "cursor-1"),
        (20, "cursor-2"),
    ]
    assert (len(answer["messages"]), answer["next"]) == (120, "cursor-3")


def test_filters_of_list() -> None:
    run = Pages(1)

    list_messages(run, status="failed, unknown", since="2026-03-01T00:00:00+08:00", broadcast="b", limit=1)

    assert run.asked == [
        {
            "status": "failed,unknown",
            "since": "2026-02-28T16:00:00.000Z",
            "broadcast": "b",
            "limit": 1,
            "cursor": None,
        }
    ]


def test_list_as_table(capsys: pytest.CaptureFixture[str]) -> None:
    list_messages(FakeRun({"GET messages": {"messages": [MESSAGE], "next": None}}))

    row = capsys.readouterr().out.splitlines()[-1].split()
    assert row == ["2026-03-01", "15:04:05", "a/1", "template", "failed", "43101", "recipient"]


@pytest.mark.parametrize(("since", "utc"), [("999999d", "1970-01-01T00:00:00.000Z")])
def test_since_before_1970(since: str, utc: str) -> None:
    run = Pages(1)

    list_messages(run, since=since, limit=1)

    assert run.asked[0]["since"] == utc


@pytest.mark.parametrize(("given", "next_step"), [("fialed", "Did you mean failed?"), ("x", "Use one of")])
def test_unknown_status_of_list(given: str, next_step: str) -> None:
    with pytest.raises(CommandError) as caught:
        list_messages(FakeRun({}), status=given)

    assert next_step in caught.value.next_step


def test_timeline_with_durations(capsys: pytest.CaptureFixture[str]) -> None:
    status(FakeRun({"GET messages/a%2F1": MESSAGE}), "a/1")

    out = capsys.readouterr().out
    assert [line.split()[1:] for line in out.splitlines()[-4:-1]] == [
        ["15:04:05.000", "+0", "s", "sending"],
        ["15:04:05.180", "+180", "ms", "queued", "-1"],
        ["15:06:10.180", "+2", "min", "5", "s", "failed", "43101", "try_again"],
    ]
    assert "Stop sending to this user." in out
    assert out.endswith("→ wxn explain 43101\n")


def test_status_of_broadcast() -> None:
    with pytest.raises(CommandError) as caught:
        status(FakeRun({"GET messages/b": MISSING, "GET broadcasts/b": {"id": "b"}}), "b")

    assert caught.value.message == "b is a broadcast, not a message."


def test_status_of_unknown_id() -> None:
    with pytest.raises(CommandError) as caught:
        status(FakeRun({"GET messages/x": MISSING, "GET broadcasts/x": MISSING}), "x")

    assert caught.value is MISSING
    assert "wxn messages" in caught.value.next_step


def test_cancel(capsys: pytest.CaptureFixture[str]) -> None:
    cancel(FakeRun({"DELETE messages/a%2F1": {**MESSAGE, "status": "cancelled"}}), "a/1")

    assert capsys.readouterr().out.startswith("cancelled  a/1\n")


def test_cancel_of_started_message() -> None:
    started = ApiError(409, {"message_status": "sending"})

    with pytest.raises(CommandError) as caught:
        cancel(FakeRun({"DELETE messages/a": started}), "a")

    assert caught.value.message == "a cannot be cancelled: it is sending."
    assert caught.value.exit_code is ExitCode.FAILED


def test_statuses_are_those_of_the_service() -> None:
    assert set(messages.STATUSES) == set(_LISTED)
