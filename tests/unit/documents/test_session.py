"""The session of a page, with pages of which each shows something wrong."""

import os
import time
from pathlib import Path

import pytest

from tests.documents import session
from tests.documents.blocks import blocks

ENVIRONMENT = {"PATH": f"{session.STAND_INS}{os.pathsep}{os.defpath}", "LC_CTYPE": "C.UTF-8"}

RIGHT = {
    "variables carry over": "```sh\nname=shop\n```\n\ntext\n\n```sh\necho $name\n```\n\n```text\nshop\n```\n",
    "elision in a line": "```sh\necho sent in 5 ms\n```\n```text\nsent in … ms\n```\n",
    "elision of lines": "```sh\nseq 5\n```\n```text\n1\n…\n5\n```\n",
    "columns of any width": "```sh\nprintf 'a   b\\n───────\\n'\n```\n```text\na  b\n────\n```\n",
    "exit code": "<!-- exit 3 -->\n\n```sh\necho no; (exit 3)\n```\n\n```text\nno\n```\n",
    "file": '<!-- file rows.csv -->\n\n```csv\nopenid\n```\n\n```sh\ncat rows.csv\n```\n```text\nopenid\n```\n',
    "left alone": "<!-- not run: no such host -->\n\n```sh\nfalse\n```\n",
    "JSON with a volatile field": '```sh\necho \'{"msgid": 7, "a": 1}\'\n```\n```json\n{"msgid": 1, "a": 1}\n```\n',
    "JSON with more fields": '```sh\necho \'{"a": 1, "b": 2}\'\n```\n```json\n{"a": 1, "…": "…"}\n```\n',
    "JSON with more elements": '```sh\necho "[1, 2, 3]"\n```\n```json\n[1, "…"]\n```\n',
    "Python": "```python\nprint(1 + 1)\n```\n```text\n2\n```\n",
    "make target": "```sh\nmake help\n```\n",
}
WRONG = {
    "failing command": "```sh\nfalse\necho done\n```\n",
    "failing command in a pipe": "```sh\nfalse | cat\n```\n",
    "unknown command": "```sh\nwxnn quota\n```\n",
    "variable that was never set": '```sh\necho "$QUEUE"\n```\n',
    "other text": "```sh\necho held\n```\n```text\nsent\n```\n",
    "more text": "```sh\nseq 2\n```\n```text\n1\n```\n",
    "other value in JSON": "```sh\necho '{\"a\": 1}'\n```\n```json\n{\"a\": 2}\n```\n",
    "other type of a volatile field": "```sh\necho '{\"msgid\": \"7\"}'\n```\n```json\n{\"msgid\": 1}\n```\n",
    "unknown field in JSON": "```sh\necho '{\"a\": 1, \"b\": 2}'\n```\n```json\n{\"a\": 1}\n```\n",
    "missing field in JSON": "```sh\necho '{}'\n```\n```json\n{\"a\": 1, \"…\": \"…\"}\n```\n",
    "text in the place of JSON": "```sh\necho sent\n```\n```json\n{}\n```\n",
    "other exit code": "<!-- exit 3 -->\n\n```sh\nfalse\n```\n",
    "success in the place of a failure": "<!-- exit 3 -->\n\n```sh\ntrue\n```\n",
    "failing Python": "```python\nraise SystemExit(1)\n```\n",
    "unknown make target": "```sh\nmake demonstration\n```\n",
    "unknown variable of make": "```sh\nmake demo ENVIRONMENT=staging\n```\n",
    "installation from nowhere": "```sh\npipx install ./client\n```\n",
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
    page = "```sh\ntrue\n```\n\n```sh\nfalse\n```\n\n```sh\ntrue\n```\n"
    assert differences(page, tmp_path) == ["page.md:5: exit code 1\n"]


def test_commands_leave_no_process(tmp_path: Path) -> None:
    page = "```sh\nsleep 60 & echo $!\n```\n```text\n0\n```\n"
    (difference,) = differences(page, tmp_path)
    command = Path("/proc", difference.split()[-1], "cmdline")
    for _ in range(500):
        if not command.exists() or not command.read_bytes():
            return
        time.sleep(0.01)
    pytest.fail("it is still there")
