"""The command line itself: languages, wrong usage, stacks that cannot be used, pipes."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.unit.wxn import command_line
from tests.unit.wxn.command_line import Ran, Wxn, write_state
from wxn.language import choose

CLI = Path(__file__).parents[3] / "cli"


@pytest.fixture
def wxn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Wxn:
    """Runs it in an empty folder, which is the home too, with no variable of AWS."""
    for name in [name for name in os.environ if name.startswith(("AWS_", "WXN_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str, **environment: str) -> Ran:
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        return command_line.run(monkeypatch, capsys, *arguments)

    return run


def in_a_process(folder: Path, *command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    return subprocess.run(  # noqa: S603 - this project's own command
        command,
        cwd=folder,
        env={**kept, "PYTHONPATH": str(CLI), "COLUMNS": "80", **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["quotta"], "There is no command quotta. Did you mean quota?\n→ Read wxn --help."),
        (["holds", "releas"], "There is no command releas. Did you mean release?\n→ Read wxn holds --help."),
        (["holds", "release"], "ID is missing.\n→ Read wxn holds release --help."),
        (["quota", "--jsn"], "There is no option --jsn. Did you mean --json?"),
        (["tail", "--since"], "--since needs a value."),
        (["tail", "--only", "x"], "--only x: it is one of request, message, event, log."),
        (["trigger", "-1"], "Write -- before a negative number."),
        (["quota", "more"], "unexpected extra argument"),
        (["broadcast", "--rate", "nan"], "--rate nan: it is a number."),
        (["quota", "--lang", "fr"], "--lang fr: it is one of en, zh."),
    ],
)
def test_wrong_usage(wxn: Wxn, arguments: list[str], told: str) -> None:
    done = wxn(*arguments)

    assert told in done.err
    assert (done.code, done.out) == (2, "")


def test_wrong_usage_as_json(wxn: Wxn) -> None:
    error = json.loads(wxn("quotta", "--json").err)["error"]

    assert error["exit_code"] == 2
    assert error["next"] == "Read wxn --help."


@pytest.mark.parametrize(
    ("arguments", "environment", "language"),
    [
        (["quota"], {}, "en"),
        (["quota", "--lang", "zh"], {}, "zh"),
        (["quota", "--lang=zh"], {}, "zh"),
        (["quota", "--lang", "en"], {"LC_ALL": "zh_CN.UTF-8"}, "en"),
        (["explain", "--", "--lang", "zh"], {}, "en"),
        (["quota"], {"LC_ALL": "zh_CN.UTF-8"}, "zh"),
        (["quota"], {"LC_ALL": "", "LANG": "zh_CN.UTF-8"}, "zh"),
        (["quota"], {"LC_MESSAGES": "C", "LANG": "zh_CN.UTF-8"}, "en"),
    ],
)
def test_language(arguments: list[str], environment: dict[str, str], language: str) -> None:
    assert choose(arguments, environment) == language


def test_chinese(tmp_path: Path) -> None:
    done = in_a_process(tmp_path, sys.executable, "-m", "wxn", "quotta", LC_ALL="zh_CN.UTF-8")

    assert "没有名为 quotta 的命令。您是否想用 quota？" in done.stderr


def test_no_stack(wxn: Wxn) -> None:
    done = wxn("quota")

    assert "There is no stack to work on." in done.err
    assert "make up" in done.err.splitlines()[-1]
    assert (done.code, done.out) == (3, "")


@pytest.mark.parametrize(
    ("environment", "told"),
    [
        ({}, "There are no AWS credentials."),
        ({"AWS_REGION": ""}, "No AWS region is set."),
        ({"AWS_PROFILE": "missing"}, "The config profile (missing) could not be found"),
    ],
)
def test_aws_not_configured(wxn: Wxn, environment: dict[str, str], told: str) -> None:
    nothing = {"AWS_EC2_METADATA_DISABLED": "true", "AWS_REGION": "eu-west-1"}
    done = wxn("quota", "--stack", "x", "--account", "shop", **(nothing | environment))

    assert told in done.err
    assert done.code == 3


@pytest.mark.parametrize("content", ["{", "[]", '{"api_url": "http://127.0.0.1:9"}'])
def test_unreadable_state_file(wxn: Wxn, tmp_path: Path, content: str) -> None:
    (tmp_path / ".local").mkdir()
    (tmp_path / ".local/stack.json").write_text(content)
    done = wxn("quota")

    assert "cannot be read" in done.err
    assert done.code == 3


@pytest.mark.parametrize(
    ("arguments", "redirection", "code"),
    [
        ("trigger", ">/dev/full", 1),
        ("trigger --json", ">/dev/full", 1),
        ("--help", ">/dev/full", 1),
        ("trigger", "| true", 0),
        ("trigger --json", "| true", 0),
        ("quotta", "2>/dev/full", 2),
        ("quotta --json", "2>/dev/full", 2),
        ("quotta", "2>&-", 2),
        ("trigger", ">&-", 0),
        ("send -", "<&-", 2),
    ],
)
def test_stream_that_does_not_work(tmp_path: Path, arguments: str, redirection: str, code: int) -> None:
    done = in_a_process(
        tmp_path,
        "/bin/bash",
        "-c",
        f"{sys.executable} -m wxn {arguments} {redirection}; exit ${{PIPESTATUS[0]}}",
    )

    assert done.returncode == code
    assert "Unforeseen" not in done.stderr
    assert "Traceback" not in done.stderr


def test_argument_that_is_no_text(tmp_path: Path) -> None:
    """Bytes of another character set than the terminal's."""
    write_state(tmp_path)
    done = in_a_process(tmp_path, "/bin/bash", "-c", f"{sys.executable} -m wxn status $'\\xff'")

    assert "Use UTF-8" in done.stderr
    assert done.returncode == 2


ALL_HELP = """
import typer.main
from typer.testing import CliRunner
from wxn.app import app

def walk(command, path):
    print(CliRunner().invoke(app, [*path, "--help"], prog_name="wxn").stdout)
    for name, below in getattr(command, "commands", {}).items():
        walk(below, [*path, name])

walk(typer.main.get_command(app), [])
"""


def test_help_is_not_cut(tmp_path: Path) -> None:
    """A Chinese text that is too long for its column would end in an ellipsis."""
    variables = {"LC_ALL": "zh_CN.UTF-8", "PYTHONIOENCODING": "utf-8"}
    done = in_a_process(tmp_path, sys.executable, "-c", ALL_HELP, **variables)

    assert "wxn holds release" in done.stdout
    assert [line for line in done.stdout.splitlines() if "…" in line] == []


def test_pipe_that_closes(tmp_path: Path) -> None:
    done = in_a_process(tmp_path, "/bin/bash", "-c", f"{sys.executable} -m wxn --help | true")

    assert "Traceback" not in done.stderr
    assert "Exception" not in done.stderr


@pytest.mark.parametrize("columns", ["20", "40"])
def test_narrow_terminal(wxn: Wxn, columns: str) -> None:
    done = wxn("--help", COLUMNS=columns)

    assert done.code == 0
    assert max(map(len, done.out.splitlines())) <= int(columns)
