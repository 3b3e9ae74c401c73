from __future__ import annotations

import json
import stat
from dataclasses import asdict, fields
from pathlib import Path

import pytest

from local.demo import addressed, differences, examples
from local.processes import LocalStackError, locked_requirements
from local.stack import Settings, State, summary


def test_settings_without_an_environment() -> None:
    settings = Settings.from_environment({})
    assert (settings.emulator_port, settings.simulator_port) == (4566, 8066)
    assert settings.wechat_api_base is None


def test_settings_from_the_environment() -> None:
    settings = Settings.from_environment(
        {
            "EMULATOR_PORT": "0",
            "SIMULATOR_PORT": "65535",
            "WECHAT_API_BASE": "https://api.weixin.qq.com/",
            "WECHAT_APP_ID": "wx1",
            "WECHAT_APP_SECRET": "s",
        }
    )
    assert settings == Settings(0, 65535, "https://api.weixin.qq.com", "wx1", "s")


@pytest.mark.parametrize("port", ["x", "-1", "65536", "1.5", "²"])
def test_what_is_not_a_port(port: str) -> None:
    with pytest.raises(LocalStackError, match=f"SIMULATOR_PORT={port}"):
        Settings.from_environment({"SIMULATOR_PORT": port})


@pytest.fixture
def state() -> State:
    return State(**{f.name: f"<{f.name}>" for f in fields(State)})


def test_the_state_file_is_its_owners(tmp_path: Path, state: State) -> None:
    path = tmp_path / "new/stack.json"
    state.write(path)
    assert json.loads(path.read_text()) == asdict(state)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(path.parent.iterdir()) == [path]


def test_the_summary_has_the_addresses(tmp_path: Path, state: State) -> None:
    text = summary(state, tmp_path / "stack.json", 1.25)
    for value in (state.api_url, state.account, state.send_queue_url, state.aws_endpoint_url):
        assert value in text


def test_reads_the_entries_of_a_lock_file() -> None:
    lock = """\
# by a tool
Boto3==1.2 \\
    --hash=sha256:aa \\
    --hash=sha256:bb
cffi==2 ; platform_python_implementation != 'PyPy' \\
    --hash=sha256:cc
typing_extensions==4 \\
    --hash=sha256:dd
"""
    entries = dict(locked_requirements(lock))
    assert set(entries) == {"boto3", "cffi", "typing-extensions"}
    assert entries["boto3"].count("--hash") == 2
    assert entries["typing-extensions"].endswith("sha256:dd")


@pytest.mark.parametrize(
    ("expected", "accepted", "dead", "found"),
    [
        (["a", "b"], ["b", "a"], 0, []),
        (["a", "b"], ["a"], 0, ["1 messages missing: b"]),
        (["a"], ["a", "a"], 0, ["1 messages twice or unexpected: a"]),
        (["a"], ["a", "x"], 2, ["1 messages twice or unexpected: x", "2 messages in the dead letter queue"]),
    ],
)
def test_the_demo_counts_exactly(
    expected: list[str], accepted: list[str], dead: int, found: list[str]
) -> None:
    assert differences(expected, accepted, dead) == found


def test_a_form_id_is_used_once() -> None:
    for message in examples():
        one, other = addressed(message, "o1"), addressed(message, "o2")
        assert one["touser"] == "o1"
        assert ("form_id" in one) == (message["kind"] == "mini_program_template")
        assert "form_id" not in one or one["form_id"] != other["form_id"]


@pytest.mark.parametrize(
    "base", ["notaurl", "ftp://127.0.0.1", "http://", "http://127.0.0.1?x", "127.0.0.1:80"]
)
def test_a_server_that_is_no_address_is_told_at_once(base: str) -> None:
    with pytest.raises(LocalStackError, match="WECHAT_API_BASE"):
        Settings.from_environment({"WECHAT_API_BASE": base})
