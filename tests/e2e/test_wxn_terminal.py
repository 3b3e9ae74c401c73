"""``wxn broadcast`` as a person runs it: questions, progress, Ctrl-C, narrow screens."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from rich.cells import cell_len

from tests.e2e.conftest import CommandLine, Service
from tests.e2e.terminal import Terminal, command_line
from tests.e2e.test_broadcasts import MESSAGE
from tests.e2e.test_teams_api import Team

Start = Callable[..., Terminal]
LATER = timedelta(hours=1)


@pytest.fixture
def message(tmp_path: Path) -> Path:
    file = tmp_path / "message.json"
    file.write_text(json.dumps(MESSAGE))
    return file


@pytest.fixture
def recipients(tmp_path: Path, touser: str) -> Path:
    return write_recipients(tmp_path / "recipients.csv", touser)


def write_recipients(file: Path, touser: str) -> Path:
    """Ten rows that are sent, and one of a recipient whom nobody may write to."""
    rows = [f"{touser}-{number},茶叶礼盒" for number in range(10)]
    file.write_text("\n".join(["openid,gift", *rows, "errcode-43101,花"]) + "\n")
    return file


@pytest.fixture
def paused(service: Service) -> Iterator[str]:
    """The id of a broadcast that would begin in an hour, and was paused."""
    team = Team(service, service.state.account)
    starts_at = (datetime.now(UTC) + LATER).isoformat()
    request = {"message": MESSAGE, "recipients": [{"openid": "later", "gift": "花"}], "starts_at": starts_at}
    broadcast_id = team.call("POST", "broadcasts", request, status=201)["id"]
    team.call("POST", f"broadcasts/{broadcast_id}/pause")
    yield broadcast_id
    team.call("POST", f"broadcasts/{broadcast_id}/cancel")


@pytest.fixture(scope="module")
def followed(wxn: CommandLine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Terminal]:
    """A broadcast on its way to its end while the other tests run; its id is ``to-the-end``."""
    folder = tmp_path_factory.mktemp("followed")
    (folder / "message.json").write_text(json.dumps(MESSAGE))
    recipients = write_recipients(folder / "recipients.csv", "followed")
    command = ["broadcast", str(recipients), "--message", str(folder / "message.json"), "--id", "to-the-end"]
    terminal = Terminal(command_line(*command), wxn.folder)
    terminal.until("[y/N]")
    terminal.type("y")
    yield terminal
    terminal.close()


def state_of(service: Service, broadcast_id: str) -> str:
    return str(Team(service, service.state.account).call("GET", f"broadcasts/{broadcast_id}")["state"])


@pytest.mark.usefixtures("followed")
def test_killed_command_continues(terminal: Start, service: Service, recipients: Path, message: Path) -> None:
    """The same command follows the same broadcast without a question; Ctrl-C can pause it."""
    starts_at = (datetime.now(UTC) + LATER).isoformat()
    command = ["broadcast", str(recipients), "--message", str(message), "--starts-at", starts_at, "--yes"]
    first = terminal(*command)
    first.until("waits for its start")
    first.kill()

    second = terminal(*command[:-1])
    second.until("waits for its start")
    second.until("to come 11")
    assert any(line.endswith(" 0%") for line in second.lines)
    assert not second.shows("[y/N]")
    second.press_ctrl_c()
    second.until("pause it")
    second.type("p")
    assert second.exit_code() == 130
    assert second.shows("Paused.")
    broadcast_id = second.lines[0].removeprefix("Broadcast ")
    assert state_of(service, broadcast_id) == "paused"


def test_answer_no_sends_nothing(
    terminal: Start, service: Service, recipients: Path, message: Path, touser: str
) -> None:
    """In a terminal of 20 columns, where the question is broken between words."""
    narrow = terminal("broadcast", str(recipients), "--message", str(message), "--id", touser, columns=20)
    narrow.until("[y/N]")
    start = narrow.lines.index("Send 11 messages")
    assert narrow.lines[start + 1 : start + 4] == [
        "with the account",
        "demo of the stack on",
        "this machine?",
    ]
    assert "thing1: 茶叶礼盒" in "\n".join(narrow.lines)
    narrow.type("n")

    assert narrow.exit_code() == 1
    assert narrow.shows("Nothing was sent.")
    assert state_of(service, touser) == "checked"


def test_resume_in_chinese(terminal: Start, service: Service, paused: str) -> None:
    """A second Ctrl-C leaves it running."""
    columns = 20
    screen = terminal("broadcast", "--resume", paused, "--lang", "zh", columns=columns)
    screen.until("等待在")
    screen.until("待发送 1")
    screen.press_ctrl_c()
    screen.until("彻底取消")
    screen.press_ctrl_c()

    assert screen.exit_code() == 130
    assert screen.shows(f"群发会自行继续。查看进度：wxn broadcast --follow {paused}")
    assert max(map(cell_len, screen.lines)) <= columns
    assert state_of(service, paused) == "running"


def test_terminated_command_shows_the_cursor(terminal: Start, paused: str) -> None:
    screen = terminal("broadcast", "--resume", paused)
    screen.until("to come 1")
    screen.terminate()

    assert screen.exit_code() == 143
    assert screen.written.rindex(b"\x1b[?25h") > screen.written.rindex(b"\x1b[?25l")


def test_pipe_has_no_control_sequences(
    wxn: CommandLine, paused: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither the list nor an error, though the variables are those of a terminal."""
    monkeypatch.setenv("TERM", "xterm-256color")
    shown = wxn("broadcast", "--list").stdout + wxn("broadcast", "--follow", "unknown").stderr

    assert paused in shown
    assert "error: Not found (404)." in shown
    assert "\x1b" not in shown


def test_followed_to_its_end(followed: Terminal, wxn: CommandLine, tmp_path: Path) -> None:
    """Its summary, and its results, which are downloaded once."""
    assert followed.exit_code() == 0
    for told in ("to-the-end: finished", "10   delivered", "1   43101", "wxn broadcast --results to-the-end"):
        assert followed.shows(told)

    file = tmp_path / "results.csv"
    download = ["broadcast", "--results", "to-the-end", "--output", str(file)]
    assert wxn(*download).exit_code == 0
    rows = csv.DictReader(file.read_text("utf-8-sig").splitlines())
    assert [row["status"] for row in rows] == ["delivered"] * 10 + ["failed"]
    assert "exists" in wxn(*download).stderr
