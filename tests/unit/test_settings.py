from __future__ import annotations

import inspect
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fakes import OPENID
from wechat_notify import bootstrap
from wechat_notify.settings import MissingSettingError, Settings

ROOT = Path(__file__).parents[2]
VARIABLES = {
    "PARAMETER_PATH": "/wechat-notify/dev/accounts",
    "WECHAT_API_BASE": "https://wechat.test",
    "TOKEN_REFRESH_FUNCTION": "token_refresh",
    "SEND_QUEUE_URL": "https://sqs.test/send",
    "DEAD_LETTER_QUEUE_URL": "https://sqs.test/dead",
    "OPENID_HASH_KEY": "a key for tests",
}
SETTINGS = [name for name, value in vars(Settings).items() if isinstance(value, property)]
PARTS = [name for name, part in vars(bootstrap).items() if hasattr(part, "cache_clear")]


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name, value in VARIABLES.items():
        monkeypatch.setenv(name, value)
    for part in PARTS:
        getattr(bootstrap, part).cache_clear()
    yield
    for part in PARTS:
        getattr(bootstrap, part).cache_clear()


def test_settings_come_from_their_variables() -> None:
    settings = Settings(VARIABLES)
    assert {name.upper(): getattr(settings, name) for name in SETTINGS} == {
        **VARIABLES,
        "OPENID_HASH_KEY": b"a key for tests",
    }


@pytest.mark.parametrize("name", SETTINGS)
@pytest.mark.parametrize("given", [{}, dict.fromkeys(VARIABLES, "")], ids=["absent", "empty"])
def test_a_setting_that_is_missing_is_named(name: str, given: dict[str, str]) -> None:
    with pytest.raises(MissingSettingError, match=name.upper()):
        getattr(Settings(given), name)


def test_a_slash_at_the_end_of_the_path_is_dropped() -> None:
    assert Settings({"PARAMETER_PATH": "/a/b/"}).parameter_path == "/a/b"


def test_settings_are_read_when_they_are_asked_for() -> None:
    environ: dict[str, str] = {}
    settings = Settings(environ)
    environ["WECHAT_API_BASE"] = "https://wechat.test"
    assert settings.wechat_api_base == "https://wechat.test"


@pytest.mark.usefixtures("environment")
@pytest.mark.parametrize("name", PARTS)
def test_each_part_is_made_once_and_calls_nobody(name: str) -> None:
    part = getattr(bootstrap, name)
    assert not inspect.signature(part).parameters
    assert part() is part()


@pytest.mark.usefixtures("environment")
def test_the_parts_do_what_they_are_for() -> None:
    first, second = bootstrap.message_id()(), bootstrap.message_id()()
    assert first != second
    assert (len(first), first[12]) == (32, "7")
    assert OPENID not in bootstrap.openid_hash()(OPENID)
    assert isinstance(bootstrap.settings(), Settings)


def test_importing_the_handlers_needs_no_environment_and_loads_no_aws_client() -> None:
    code = """
import sys
import functions.send_api.handler, functions.send_queue.handler, functions.token_refresh.handler
sys.exit(sorted({"boto3", "botocore.session"} & sys.modules.keys()) or 0)
"""
    path = os.pathsep.join(["layers/wechat_notify", "."])
    result = subprocess.run(  # noqa: S603 - this interpreter
        [sys.executable, "-c", code],
        check=False,
        cwd=ROOT,
        env={"PYTHONPATH": path},
        capture_output=True,
        text=True,
    )
    assert (result.returncode, result.stderr) == (0, "")
