"""The session of a page, with pages of which each shows something wrong."""

import os
import sys
import time
from pathlib import Path

import pytest

from tests.documents import session
from tests.documents.blocks import ROOT, blocks

ENVIRONMENT = {
    "PATH": f"{session.STAND_INS}{os.pathsep}{os.defpath}",
    "LC_CTYPE": "C.UTF-8",
    "PYTHONPATH": str(ROOT / "cli"),
    "DOCUMENTS_PYTHON": sys.executable,
}


def page_of(*fences: tuple[str, str]) -> str:
    """A page of fenced blocks, each by its first line, with the comment before it, and its text."""
    return "\n".join(f"{start}\n{text}\n```\n" for start, text in fences)


def shown(command: str, output: str, language: str = "text") -> str:
    return page_of(("```sh", command), (f"```{language}", output))


RIGHT = {
    "variables carry over": page_of(("```sh", "name=shop"), ("```sh", "echo $name"), ("```text", "shop")),
    "elision in a line": shown("echo sent in 5 ms", "sent in … ms"),
    "elision of lines": shown("seq 5", "1\n…\n5"),
    "columns of any width": shown("printf 'a   b\\n───────\\n'", "a  b\n────"),
    "exit code": page_of(("<!-- exit 3 -->\n```sh", "echo no; (exit 3)"), ("```text", "no")),
    "file": page_of(
        ("<!-- file rows.csv -->\n```csv", "openid"), ("```sh", "cat rows.csv"), ("```text", "openid")
    ),
    "left alone": page_of(("<!-- not run: no such host -->\n```sh", "false")),
    "JSON with a volatile field": shown("""echo '{"msgid": 7, "a": 1}'""", '{"msgid": 1, "a": 1}', "json"),
    "JSON with more fields": shown("""echo '{"a": 1, "b": 2}'""", '{"a": 1, "…": "…"}', "json"),
    "JSON with more elements": shown("echo '[1, 2, 3]'", '[1, "…"]', "json"),
    "Python": page_of(("```python", "print(1 + 1)"), ("```text", "2")),
    "stack in AWS": page_of(("```sh", "wxn quota --stack prod")),
    "stack in AWS by its variable": page_of(("```sh", "export WXN_STACK=prod\nwxn quota")),
    "make target": page_of(("```sh", "make help")),
}
WRONG = {
    "failing command": page_of(("```sh", "false\necho done")),
    "failing command in a pipe": page_of(("```sh", "false | cat")),
    "unknown command": page_of(("```sh", "wxnn quota")),
    "variable that was never set": page_of(("```sh", 'echo "$QUEUE"')),
    "other text": shown("echo held", "sent"),
    "more text": shown("seq 2", "1"),
    "other value in JSON": shown("""echo '{"a": 1}'""", '{"a": 2}', "json"),
    "other type of a volatile field": shown("""echo '{"msgid": "7"}'""", '{"msgid": 1}', "json"),
    "unknown field in JSON": shown("""echo '{"a": 1, "b": 2}'""", '{"a": 1}', "json"),
    "missing field in JSON": shown("echo '{}'", '{"a": 1, "…": "…"}', "json"),
    "text in the place of JSON": shown("echo sent", "{}", "json"),
    "other exit code": page_of(("<!-- exit 3 -->\n```sh", "false")),
    "success in the place of a failure": page_of(("<!-- exit 3 -->\n```sh", "true")),
    "failing Python": page_of(("```python", "raise SystemExit(1)")),
    "unknown option for a stack in AWS": page_of(("```sh", "wxn quota --stack prod --everything")),
    "unknown command for a stack in AWS": page_of(("```sh", "wxn quotas --stack prod")),
    "unknown make target": page_of(("```sh", "make demonstration")),
    "unknown variable of make": page_of(("```sh", "make demo ENVIRONMENT=staging")),
    "installation from nowhere": page_of(("```sh", "pipx install ./client")),
}


def differences(page: str, folder: Path) -> list[str]:
    session.checkout(folder)
    return session.run(list(blocks(page, "page.md")), folder, ENVIRONMENT)


@pytest.mark.parametrize("page", RIGHT.values(), ids=RIGHT)
def test_right_page_passes(page: str, tmp_path: Path) -> None:
    assert differences(page, tmp_path) == []


@pytest.mark.parametrize("page", WRONG.values(), ids=WRONG)
def test_wrong_page_is_found(page: str, tmp_path: Path) -> None:
    (difference,) = differences(page, tmp_path)
    assert difference.startswith("page.md:")


def test_first_failing_block_is_named(tmp_path: Path) -> None:
    page = page_of(("```sh", "true"), ("```sh", "false"), ("```sh", "true"))
    assert differences(page, tmp_path) == ["page.md:5: exit code 1\n"]


def test_commands_leave_no_process(tmp_path: Path) -> None:
    (difference,) = differences(shown("sleep 60 & echo $!", "0"), tmp_path)
    command = Path("/proc", difference.split()[-1], "cmdline")
    for _ in range(500):
        if not command.exists() or not command.read_bytes():
            return
        time.sleep(0.01)
    pytest.fail("it is still there")
