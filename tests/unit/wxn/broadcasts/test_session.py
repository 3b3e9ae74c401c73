from __future__ import annotations

import json
from typing import Any

import pytest
import typer

from tests.unit.wxn.broadcasts.answers import ID, REPORT, broadcast
from tests.unit.wxn.fakes import FakeRun
from wxn.api import ApiError
from wxn.broadcasts.session import Session
from wxn.errors import CommandError, ExitCode

Capture = pytest.CaptureFixture[str]
LOOK = f"GET broadcasts/{ID}"
CHECKED = broadcast(
    "checked",
    {"unreleased": 2},
    report=REPORT,
    estimate={
        "seconds": 90,
        "finishes_at": "2026-03-01T02:02:30.000Z",
        "quota": {"daily_limit": 1000, "remain": 10, "days": 3},
    },
)


def session(run: FakeRun) -> Session:
    return Session(run, yes=True, sleep=lambda _: None)


def problem(name: str, status: int = 409, **fields: Any) -> ApiError:
    return ApiError(status, {"type": f"https://example.com/problems.md#{name}", "title": "Refused", **fields})


def test_check_in_words(capsys: Capture) -> None:
    session(FakeRun({LOOK: CHECKED})).await_check(broadcast("checking"))

    told = capsys.readouterr().out
    for line in (
        "Rows: 4",
        "Invalid: 1 (rows 3)",
        "Listed twice: 1 (rows 4)",
        "Unused columns: city",
        "Message of row 1:",
        "  touser: openid-1",
        "  thing1: \\x1b[31m茶",
        "Messages to send: 2",
        "WeChat's quota: 10 of 1,000 left today; the messages take 3 days",
    ):
        assert f"{line}\n" in told
    assert ["3", "touser", "empty", "must", "not", "be", "empty"] in [
        line.split() for line in told.splitlines()
    ]


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"problem": {"en": "the file is empty", "zh": "…"}}, "spring is refused: the file is empty"),
        (
            {"report": REPORT | {"rows": 0, "columns": REPORT["columns"] | {"missing": ["name", "sum"]}}},
            "spring is refused: The file has no column name, sum.",
        ),
        (
            {"retry_of": "winter", "reason": "no_valid_rows"},
            "Nothing that failed in winter can pass by being sent again.",
        ),
    ],
)
def test_refused_check(fields: dict[str, Any], told: str) -> None:
    with pytest.raises(CommandError) as error:
        session(FakeRun({})).await_check(broadcast("refused", **fields))

    assert (error.value.message, error.value.exit_code) == (told, ExitCode.FAILED)


@pytest.mark.parametrize(
    ("first", "told"), [("checking", "Nothing was sent."), ("refused", "This command has run before.")]
)
def test_refusal_of_an_earlier_run(first: str, told: str) -> None:
    refused = broadcast("refused", reason="expires_too_early")
    with pytest.raises(CommandError) as error:
        session(FakeRun({LOOK: refused})).await_check(
            broadcast("checking") if first == "checking" else refused
        )

    assert error.value.next_step.startswith(told)


def test_checked_broadcast_starts_and_ends(capsys: Capture) -> None:
    finished = broadcast("finished", {"sent": 2, "invalid": 1, "duplicate": 1})
    run = FakeRun({f"POST broadcasts/{ID}/start": {}, LOOK: [broadcast("running"), finished]})
    session(run).go_on(CHECKED)

    assert run.calls[0][:2] == ("POST", f"broadcasts/{ID}/start")
    assert "spring: finished after 3 min 20 s" in capsys.readouterr().out


def test_finished_broadcast_is_not_sent_again(capsys: Capture) -> None:
    finished = broadcast("finished", {"sent": 4})
    run = FakeRun({LOOK: finished})
    session(run).go_on(finished)

    assert {call[0] for call in run.calls} == {"GET"}
    assert "nothing is sent now" in capsys.readouterr().err


def test_same_file_with_other_options_is_told(capsys: Capture) -> None:
    checked = CHECKED | {"id": "0123456789ab-cdef01"}
    earlier = broadcast("finished") | {"id": "0123456789ab-999999"}
    run = FakeRun({"GET broadcasts": {"broadcasts": [checked, broadcast("finished"), earlier]}})

    session(run).confirm_start(checked)
    assert "(0123456789ab-999999)" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("found", "told"),
    [
        (broadcast("cancelled", {"sent": 1, "unreleased": 3}), "spring: cancelled"),
        (broadcast("failed", reason="upload_changed"), "spring: failed: its file was replaced"),
        (broadcast("paused", reason="too_many_failures"), "spring: paused: too many messages failed"),
        (broadcast("refused", reason="invalid_rows"), "spring is refused: invalid_rows"),
        (CHECKED, "spring: checked, not started"),
    ],
)
def test_end_that_is_no_good_one(found: dict[str, Any], told: str) -> None:
    with pytest.raises(CommandError, match=told) as error:
        session(FakeRun({LOOK: [broadcast("running"), found]})).follow(ID)

    assert error.value.exit_code is ExitCode.FAILED


@pytest.mark.parametrize(
    ("errcode", "unknown", "commands"),
    [
        ("45009", 0, ["--results", "--retry"]),
        ("43101", 0, ["--results"]),
        ("45009", 2, ["--results", "--retry", "--retry"]),
    ],
)
def test_summary_tells_what_helps(capsys: Capture, errcode: str, unknown: int, commands: list[str]) -> None:
    counts = {"sent": 1, "failed": 3, "unknown": unknown, "errcodes": {errcode: 3}}
    session(FakeRun({LOOK: broadcast("finished", counts)})).follow(ID)

    lines = capsys.readouterr().out.splitlines()
    assert [["3", "failed"], ["3", errcode]] == [
        line.split()[:2] for line in lines if line.startswith("   3 ")
    ]
    assert [line.split()[2] for line in lines if line.startswith("wxn broadcast")] == commands


def test_lines_of_json_are_changes(capsys: Capture) -> None:
    running = broadcast("running", {"unreleased": 4})
    looks = [
        running | {"estimate": {"seconds": 9, "finishes_at": "2026-03-01T02:02:30.000Z"}},
        running | {"estimate": {"seconds": 8, "finishes_at": "2026-03-01T02:02:30.000Z"}},
        broadcast("running", {"sent": 2, "unreleased": 2}),
        broadcast("finished", {"sent": 4}),
    ]
    session(FakeRun({LOOK: looks}, as_json=True)).follow(ID)

    shown = capsys.readouterr()
    lines = [json.loads(line) for line in shown.out.splitlines()]
    assert [(line["state"], line["counts"]["sent"]) for line in lines] == [
        ("running", 0),
        ("running", 2),
        ("finished", 4),
    ]
    assert lines[-1] == looks[-1]
    assert shown.err == ""


def test_detached_is_looked_at_once(capsys: Capture) -> None:
    run = FakeRun({LOOK: broadcast("running")})
    Session(run, detach=True).follow(ID)

    assert len(run.calls) == 1
    assert "wxn broadcast --follow spring" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("state", "calls"),
    [
        ("paused", ["GET", "POST resume", "GET"]),
        ("running", ["GET", "POST resume", "GET"]),
        ("finished", ["GET", "GET"]),
    ],
)
def test_resume_by_state(state: str, calls: list[str]) -> None:
    run = FakeRun(
        {
            LOOK: [broadcast(state), broadcast("finished", {"sent": 4})],
            f"POST broadcasts/{ID}/resume": broadcast("running"),
        }
    )
    session(run).resume(ID)

    assert [f"{method} {path.partition(ID)[2].strip('/')}".strip() for method, path, *_ in run.calls] == calls


@pytest.mark.parametrize(
    ("refusal", "told"),
    [
        (problem("broadcast-state", state="finished"), "spring cannot be paused: finished."),
        (problem("unknown-broadcast", 404), "Refused (404)."),
    ],
)
def test_refused_change(refusal: ApiError, told: str) -> None:
    with pytest.raises(CommandError) as error:
        session(FakeRun({f"POST broadcasts/{ID}/pause": refusal})).control("pause", ID)

    assert error.value.message == told


def test_interruption_without_a_terminal(capsys: Capture) -> None:
    """It leaves the broadcast running."""
    run = FakeRun({LOOK: [broadcast("running"), KeyboardInterrupt()]})
    with pytest.raises(typer.Exit) as left:
        session(run).follow(ID)

    assert left.value.exit_code == ExitCode.INTERRUPTED
    assert "wxn broadcast --follow spring" in capsys.readouterr().err


def test_interruption_of_the_start() -> None:
    """Nobody knows whether it was started."""
    with pytest.raises(CommandError, match="may have been started") as error:
        session(FakeRun({f"POST broadcasts/{ID}/start": KeyboardInterrupt()})).go_on(CHECKED)

    assert error.value.exit_code is ExitCode.INTERRUPTED


def test_interruption_before_the_start() -> None:
    with pytest.raises(CommandError, match="Nothing was sent") as error:
        session(FakeRun({LOOK: KeyboardInterrupt()})).go_on(broadcast("checking"))

    assert error.value.exit_code is ExitCode.INTERRUPTED
