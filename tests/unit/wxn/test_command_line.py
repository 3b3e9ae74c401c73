"""The command line itself, as its own process: languages, wrong usage, pipes."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

CLI = Path(__file__).parents[3] / "cli"


def wxn(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return run(folder, "-m", "wxn", *arguments, **environment)


def run(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    return subprocess.run(  # noqa: S603 - this project's own command
        [sys.executable, *arguments],
        cwd=folder,
        env={**kept, "PYTHONPATH": str(CLI), "LC_ALL": "C.UTF-8", "COLUMNS": "80", **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )


def shell(folder: Path, command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603
        ["/bin/bash", "-c", command],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(CLI)},
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
        (["holds", "release"], "hold is missing.\n→ Read wxn holds release --help."),
        (["quota", "--jsn"], "There is no option --jsn. Did you mean --json?"),
        (["tail", "--since"], "--since needs a value."),
        (["tail", "--only", "x"], "--only x: it is one of request, message, event, log."),
        (["trigger", "-1"], "Write -- before a negative number."),
        (["quota", "more"], "unexpected extra argument"),
        (["broadcast", "--rate", "nan"], "--rate nan: it is a number."),
        (["quota", "--lang", "fr"], "--lang fr: it is one of en, zh."),
    ],
)
def test_wrong_usage(tmp_path: Path, arguments: list[str], told: str) -> None:
    done = wxn(tmp_path, *arguments)

    assert told in done.stderr
    assert (done.returncode, done.stdout) == (2, "")


def test_wrong_usage_as_json(tmp_path: Path) -> None:
    error = json.loads(wxn(tmp_path, "quotta", "--json").stderr)["error"]

    assert error["exit_code"] == 2
    assert error["next"] == "Read wxn --help."


@pytest.mark.parametrize(
    ("arguments", "environment"),
    [
        (["quotta", "--lang", "zh"], {}),
        (["quotta", "--lang=zh"], {}),
        (["quotta"], {"LC_ALL": "zh_CN.UTF-8"}),
        (["quotta"], {"LC_ALL": "", "LANG": "zh_CN.UTF-8"}),
    ],
)
def test_chinese(tmp_path: Path, arguments: list[str], environment: dict[str, str]) -> None:
    assert "没有名为 quotta 的命令。您是否想用 quota？" in wxn(tmp_path, *arguments, **environment).stderr


def test_no_stack(tmp_path: Path) -> None:
    done = wxn(tmp_path, "quota")

    assert "There is no stack to work on." in done.stderr
    assert "make up" in done.stderr.splitlines()[-1]
    assert (done.returncode, done.stdout) == (3, "")


@pytest.mark.parametrize(
    ("environment", "told"),
    [
        ({}, "There are no AWS credentials."),
        ({"AWS_REGION": ""}, "No AWS region is set."),
        ({"AWS_PROFILE": "missing"}, "The config profile (missing) could not be found"),
    ],
)
def test_aws_not_configured(tmp_path: Path, environment: dict[str, str], told: str) -> None:
    nothing = {"HOME": str(tmp_path), "AWS_EC2_METADATA_DISABLED": "true", "AWS_REGION": "eu-west-1"}
    done = wxn(tmp_path, "quota", "--stack", "x", "--account", "shop", **(nothing | environment))

    assert told in done.stderr
    assert done.returncode == 3


@pytest.mark.parametrize("content", ["{", "[]", '{"api_url": "http://127.0.0.1:9"}'])
def test_unreadable_state_file(tmp_path: Path, content: str) -> None:
    (tmp_path / ".local").mkdir()
    (tmp_path / ".local/stack.json").write_text(content)
    done = wxn(tmp_path, "quota")

    assert "cannot be read" in done.stderr
    assert done.returncode == 3


def write_state(folder: Path) -> None:
    """Name a stack that nobody runs: nothing listens at its address."""
    addresses = {"api_url": "http://127.0.0.1:9", "aws_endpoint_url": "http://127.0.0.1:9"}
    state = {
        "region": "us-east-1",
        "account": "demo",
        "access_key_id": "a",
        "secret_access_key": "hidden-key",
    }
    (folder / ".local").mkdir()
    (folder / ".local/stack.json").write_text(json.dumps(addresses | state))


def test_stack_that_is_gone(tmp_path: Path) -> None:
    """A file that a killed stack left behind."""
    write_state(tmp_path)
    done = wxn(tmp_path, "quota")

    assert "does not answer" in done.stderr
    assert "hidden-key" not in done.stderr
    assert done.returncode == 4


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
    done = shell(tmp_path, f"{sys.executable} -m wxn {arguments} {redirection}; exit ${{PIPESTATUS[0]}}")

    assert done.returncode == code
    assert "Unforeseen" not in done.stderr
    assert "Traceback" not in done.stderr


def test_argument_that_is_no_text(tmp_path: Path) -> None:
    """Bytes of another character set than the terminal's."""
    write_state(tmp_path)
    done = shell(tmp_path, f"{sys.executable} -m wxn status $'\\xff'")

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
    done = run(tmp_path, "-c", ALL_HELP, LC_ALL="zh_CN.UTF-8", PYTHONIOENCODING="utf-8")

    assert "wxn holds release" in done.stdout
    assert [line for line in done.stdout.splitlines() if "…" in line] == []


def test_pipe_that_closes(tmp_path: Path) -> None:
    done = shell(tmp_path, f"{sys.executable} -m wxn --help | true")

    assert "Traceback" not in done.stderr
    assert "Exception" not in done.stderr


@pytest.mark.parametrize("columns", ["20", "40"])
def test_narrow_terminal(tmp_path: Path, columns: str) -> None:
    done = wxn(tmp_path, "--help", COLUMNS=columns)

    assert done.returncode == 0
    assert max(map(len, done.stdout.splitlines())) <= int(columns)
