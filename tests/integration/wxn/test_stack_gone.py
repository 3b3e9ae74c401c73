"""A stack that was killed, and whose addresses are still in its file."""

import json
from pathlib import Path

import pytest

from tests.unit.wxn import command_line

STATE = {
    "api_url": "http://127.0.0.1:9",
    "region": "us-east-1",
    "account": "demo",
    "access_key_id": "a",
    "secret_access_key": "hidden-key",
}


def test_nothing_listens_at_its_address(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("urllib3.util.retry.Retry.sleep", lambda *_: None)
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".local").mkdir()
    (tmp_path / ".local/stack.json").write_text(json.dumps(STATE))
    ran = command_line.run(monkeypatch, capsys, "quota")

    assert "does not answer" in ran.err
    assert "hidden-key" not in ran.err
    assert ran.code == 4
