import json
import stat
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from local.state_file import State
from local.summary import summary

FIELDS: dict[str, Any] = {field.name: f"<{field.name}>" for field in fields(State)}
STATE = State(**FIELDS)


def test_state_file_is_its_owners(tmp_path: Path) -> None:
    path = tmp_path / "new/stack.json"
    STATE.write(path)
    assert json.loads(path.read_text()) == asdict(STATE)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(path.parent.iterdir()) == [path]


def test_summary_has_the_addresses(tmp_path: Path) -> None:
    text = summary(STATE, tmp_path / "stack.json", 1.25)
    for value in (STATE.api_url, STATE.account, STATE.send_queue_url, STATE.aws_endpoint_url):
        assert value in text
