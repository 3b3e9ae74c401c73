from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.unit.wxn.broadcasts.answers import broadcast as answered
from tests.unit.wxn.fakes import FakeRun
from wxn.commands.broadcast import broadcast
from wxn.errors import CommandError, ExitCode

FILE = Path("recipients.csv")


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({}, "There is nothing to do."),
        ({"follow": "a", "resume": "b"}, "These exclude each other: --follow, --resume"),
        ({"file": FILE, "show_list": True}, "These exclude each other: FILE, --list"),
        ({"file": FILE}, "There is no message."),
        ({"follow": "a", "rate": 5.0}, "The options of a new broadcast need its file."),
        ({"retry": "a", "message": "message.json"}, "The options of a new broadcast need its file."),
        ({"retry": "a"}, "This command asks, and there is no terminal."),
        (
            {"file": FILE, "message": "message.json"},
            "This command asks, and there is no terminal.",
        ),
    ],
)
def test_wrong_options(options: dict[str, Any], told: str) -> None:
    run = FakeRun({})
    with pytest.raises(CommandError) as error:
        broadcast(run, **options)

    assert (error.value.message, error.value.exit_code) == (told, ExitCode.USAGE)
    assert run.calls == []


def test_list_tells_that_there_are_more(capsys: pytest.CaptureFixture[str]) -> None:
    one = {
        "id": "spring",
        "state": "finished",
        "rows": 1200,
        "created_at": "2026-03-01T02:00:00Z",
        "name": "春",
    }
    broadcast(FakeRun({"GET broadcasts": {"broadcasts": [one], "next": "b64"}}), show_list=True)

    shown = capsys.readouterr()
    row = shown.out.splitlines()[-1].split()
    assert (row[0], row[-3:]) == ("spring", ["1,200", "finished", "春"])
    assert "There are more: give a greater --limit." in shown.err


def test_cancel_asks_where_something_is_left() -> None:
    run = FakeRun({"GET broadcasts/spring": {"state": "running", "counts": {"unreleased": 5}}})
    with pytest.raises(CommandError, match="This command asks"):
        broadcast(run, cancel="spring")


def test_retry_has_one_id() -> None:
    """Repeated, the command finds the retry that it made before."""
    keys = set()
    for _ in range(2):
        again = answered("running") | {"id": "again", "retry_of": "spring"}
        run = FakeRun({"POST broadcasts/spring/retry": again, "GET broadcasts/again": again})
        broadcast(run, retry="spring", include_unknown=True, yes=True, detach=True)
        (method, path, body, query, headers), *_ = run.calls
        keys.add(headers["Idempotency-Key"])

        assert (method, path, body) == ("POST", "broadcasts/spring/retry", None)
        assert query == {"dry_run": "true", "include_unknown": "true"}
    assert len(keys) == 1
