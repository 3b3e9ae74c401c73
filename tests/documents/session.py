"""A page's commands, run by one bash as a reader would run them, with the outputs that the page shows."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Final

from tests.documents.blocks import ROOT, Block
from tests.documents.outputs import same_output

STAND_INS: Final = Path(__file__).with_name("stand_ins")
_SECONDS: Final = 120
_MARK: Final = "\x1e"
"""Printed before each block; in no output."""


def run(
    page: Sequence[Block],
    folder: Path,
    environment: Mapping[str, str],
    names: Mapping[str, str] = MappingProxyType({}),
) -> list[str]:
    """Run the blocks of a page; return what went otherwise than the page says.

    Parameters
    ----------
    page
        Its blocks.
    folder
        Where they run, made by ``checkout``.
    environment
        The variables of the session.
    names
        Words of what is printed, and those that the page has in their place.
    """
    script = folder / ".session.sh"
    script.write_text("set -euo pipefail\n" + "".join(_commands(page)), "utf-8")
    # A file: a pipe would be open for as long as a command in the background.
    printed = folder / ".session.txt"
    with (
        printed.open("wb") as output,
        subprocess.Popen(  # noqa: S603 - what the project's own documents say
            ["bash", script.name],  # noqa: S607 - the machine's
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        ) as bash,
    ):
        try:
            bash.wait(_SECONDS)
        except subprocess.TimeoutExpired:
            return [f"{page[0].place}: the page's commands are not over after {_SECONDS} s"]
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(bash.pid, signal.SIGKILL)
    text = printed.read_text("utf-8")
    for word, shown in names.items():
        text = text.replace(word, shown)
    outputs = dict(_outputs(text))
    return list(_differences(page, outputs, bash.returncode))


def checkout(folder: Path) -> None:
    """Make a folder look like a checkout of the project, in which commands may leave files."""
    for part in ROOT.iterdir():
        if not part.name.startswith("."):
            (folder / part.name).symlink_to(part)
    (folder / ".venv").symlink_to(sys.prefix)
    # Its progress would be shown, as the output is no terminal.
    (folder / ".curlrc").write_text("silent\nshow-error\n")


def variables(folder: Path, language: str) -> dict[str, str]:
    """The variables of a session in a folder, in which commands are found as on a reader's machine."""
    aws = shutil.which("aws", path=f"{ROOT}/.venv-docs/bin{os.pathsep}{os.environ['PATH']}")
    assert aws, "the aws command is not installed: make docs"
    return {
        "PATH": os.pathsep.join([str(STAND_INS), os.defpath]),
        "HOME": str(folder),
        "TMPDIR": str(folder),
        "LC_CTYPE": "C.UTF-8",
        "LC_MESSAGES": "zh_CN.UTF-8" if language == "zh" else "C.UTF-8",
        "PYTHONPATH": str(ROOT / "cli"),
        # For the stand-ins.
        "DOCUMENTS_AWS": aws,
        "DOCUMENTS_PYTHON": sys.executable,
    }


def _commands(page: Sequence[Block]) -> Iterator[str]:
    for number, block in enumerate(page):
        if block.file is not None:
            yield f"cat > {block.file} <<'END_OF_FILE'\n{block.text}END_OF_FILE\n"
        if not block.runs:
            continue
        yield f"printf '{_MARK}%s\\n' {number}\n"
        text = block.text
        if block.language == "python":
            text = f".venv/bin/python - <<'END_OF_FILE'\n{text}END_OF_FILE\n"
        if block.exit_code == 0:
            yield text
        else:
            yield f"code=0; {{\n{text}}} || code=$?\n"
            yield f'[ "$code" = {block.exit_code} ] || {{ echo "exit code $code"; exit 1; }}\n'


def _outputs(printed: str) -> Iterator[tuple[int, str]]:
    for part in printed.split(_MARK)[1:]:
        number, _, output = part.partition("\n")
        yield int(number), output


def _differences(page: Sequence[Block], outputs: Mapping[int, str], exit_code: int) -> Iterator[str]:
    if exit_code != 0:
        last = max(outputs, default=0)
        yield f"{page[last].place}: exit code {exit_code}\n{outputs.get(last, '')}"
        return
    numbers = {id(block): number for number, block in enumerate(page)}
    for block in page:
        if block.output_of is None or not block.output_of.runs:
            continue
        printed = outputs[numbers[id(block.output_of)]]
        if not same_output(block.text, printed, as_json=block.language == "json"):
            yield f"{block.place}: shown\n{block.text}printed\n{printed}"
