"""A stack that was killed, and whose addresses are still in its file."""

from pathlib import Path

import pytest

from tests.unit.wxn import command_line


def test_nothing_listens_at_its_address(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("urllib3.util.retry.Retry.sleep", lambda *_: None)
    monkeypatch.chdir(tmp_path)
    command_line.write_state(tmp_path)
    ran = command_line.run(monkeypatch, capsys, "quota")

    assert "does not answer" in ran.err
    assert "hidden-key" not in ran.err
    assert ran.code == 4
