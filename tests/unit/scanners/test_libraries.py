"""pip-audit's answers. Not every package index tells of vulnerabilities, so that one is planted here."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from scanners import libraries

LOCK = "libraries.txt"
VULNERABLE = {
    "name": "idna",
    "version": "3.6",
    "vulns": [{"id": "PYSEC-2024-60", "fix_versions": ["3.7"], "aliases": ["CVE-2024-3651"]}],
}
SOUND = {"name": "requests", "version": "2.34.2", "vulns": []}
UNKNOWN = {"name": "certifi", "skip_reason": "Dependency not found on PyPI and could not be audited"}


@pytest.fixture
def audited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["scanners.libraries", LOCK])

    def audited(packages: list[Any] | None, requirements: str = "idna\n") -> None:
        Path("libraries.in").write_text(requirements, encoding="utf-8")
        answer = None if packages is None else {"dependencies": packages}
        monkeypatch.setattr(libraries, "audit", lambda _: answer)
        libraries.main()

    return audited


def test_planted_vulnerability_fails(audited: Any) -> None:
    with pytest.raises(SystemExit, match=r"idna 3\.6: PYSEC-2024-60 \(CVE-2024-3651\)"):
        audited([VULNERABLE, SOUND, UNKNOWN])


@pytest.mark.parametrize("name", ["PYSEC-2024-60", "CVE-2024-3651"])
def test_vulnerability_is_excused_beside_its_package(audited: Any, name: str) -> None:
    audited([VULNERABLE], f"# excused: {name} no host name comes from outside\nidna\n")


def test_excuse_needs_a_reason(audited: Any) -> None:
    with pytest.raises(SystemExit):
        audited([VULNERABLE], "# excused: PYSEC-2024-60\nidna\n")


@pytest.mark.parametrize("packages", [None, [UNKNOWN]])
def test_without_an_index_it_is_left_out(
    audited: Any, capsys: pytest.CaptureFixture[str], packages: list[Any] | None
) -> None:
    audited(packages)

    assert "pip-audit is left out" in capsys.readouterr().out


@pytest.mark.parametrize("stdout", ["", "no JSON", None])
def test_nothing_answers(monkeypatch: pytest.MonkeyPatch, stdout: str | None) -> None:
    def run(command: list[str], *, timeout: float, **_: Any) -> Any:
        if stdout is None:
            raise subprocess.TimeoutExpired(command, timeout)
        return subprocess.CompletedProcess(command, 1, stdout)

    monkeypatch.setattr(subprocess, "run", run)
    assert libraries.audit(LOCK) is None


def test_answer_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    answer = {"dependencies": [SOUND]}
    done = subprocess.CompletedProcess([], 1, json.dumps(answer))
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: done)

    assert libraries.audit(LOCK) == answer
