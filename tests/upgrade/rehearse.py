"""Rehearse an upgrade from a release to the working tree, and a rollback: ``make rehearse FROM=<commit>``.

The release's own code runs, from a worktree that is removed afterwards. ``--record`` keeps what the release
has left as the fixture of ``test_upgrade.py``, under the commit's name.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, Final

from samtranslator.yaml_helper import yaml_parse

from tests.upgrade.verdict import problems

ROOT: Final = Path(__file__).parents[2]
_PROGRAM: Final = ROOT / "tests/upgrade/release.py"


def run(tree: Path, *arguments: str) -> None:
    """Run the program with a release's code; raises ``CalledProcessError`` with its output shown."""
    subprocess.run(
        [sys.executable, "-P", str(_PROGRAM), *arguments],
        cwd=tree,
        env={**os.environ, "PYTHONPATH": f"{tree}:{tree / 'layers/wechat_notify'}"},
        stdout=subprocess.DEVNULL,
        check=True,
    )


def goes_on(state: Path, tree: Path) -> dict[str, Any]:
    """The result of a release that goes on with what another has left."""
    with tempfile.TemporaryDirectory() as folder:
        result = Path(folder, "result.json")
        run(tree, "finish", str(state), str(result))
        found: dict[str, Any] = json.loads(result.read_text("utf-8"))
        return found


def _git(*arguments: str) -> str:
    done = subprocess.run(["git", "-C", str(ROOT), *arguments], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def record(tree: Path, folder: Path) -> None:
    """Keep what a release leaves, and the indexes of its table."""
    folder.mkdir(exist_ok=True)
    run(tree, "begin", str(folder / "state.json"))
    table = yaml_parse((tree / "template.yaml").read_text("utf-8"))["Resources"]["Ledger"]["Properties"]
    indexes = [each["IndexName"] for each in table["GlobalSecondaryIndexes"]]
    (folder / "template.json").write_text(json.dumps({"indexes": indexes}) + "\n", "utf-8")


def main() -> int:
    """Say of both ways what is wrong; the exit code."""
    parser = argparse.ArgumentParser(description="Rehearse an upgrade and a rollback.")
    parser.add_argument("release", metavar="COMMIT", help="the release to come from and to go back to")
    parser.add_argument("--record", action="store_true", help="keep the release's state as a fixture")
    options = parser.parse_args()
    commit = _git("rev-parse", "--short", options.release)
    wrong = []
    with tempfile.TemporaryDirectory() as temporary:
        tree = Path(temporary, "release")
        _git("worktree", "add", "--detach", str(tree), commit)
        try:
            if options.record:
                record(tree, ROOT / "tests/upgrade" / commit)
            for way, before, after in (("upgrade from", tree, ROOT), ("rollback to", ROOT, tree)):
                state = Path(temporary, "state.json")
                run(before, "begin", str(state))
                found = problems(json.loads(state.read_text("utf-8")), goes_on(state, after))
                print(f"{way} {commit}: {'; '.join(found) or 'nothing lost, nothing sent twice'}")
                wrong += found
        finally:
            _git("worktree", "remove", "--force", str(tree))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
