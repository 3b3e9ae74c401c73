from __future__ import annotations

import inspect
import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from tests.fakes import OPENID
from wechat_notify import bootstrap
from wechat_notify.core.delivery.circuit import QuotaReset
from wechat_notify.core.delivery.ledger import Ledger
from wechat_notify.core.openid_hashes import OpenidHashes
from wechat_notify.settings import MalformedSettingError, MissingSettingError, Settings

ROOT = Path(__file__).parents[2]
VARIABLES = {
    "PARAMETER_PATH": "/wechat-notify/dev/accounts",
    "WECHAT_API_BASE": "https://wechat.test",
    "WECHAT_PAGES_BASE": "https://pages.wechat.test",
    "WECHAT_PROXY": "http://10.0.0.5:3128",
    "PARAMETER_KMS_KEY": "arn:aws:kms:eu-west-1:123456789012:key/1",
    "TOKEN_REFRESH_FUNCTION": "token_refresh",
    "CHECKED_FUNCTIONS": '{"stack-SendApiFunction-1": "send_api"}',
    "SEND_QUEUE_URL": "https://sqs.test/send",
    "DEAD_LETTER_QUEUE_URL": "https://sqs.test/dead",
    "CALLBACK_QUEUE_URL": "https://sqs.test/callbacks",
    "OPENID_HASH_SECRET": "arn:aws:secretsmanager:eu-west-1:123456789012:secret:keys",
    "LEDGER_TABLE": "ledger",
    "LEDGER_RETENTION_DAYS": "30",
    "LIST_SENT_MESSAGES": "true",
    "RECEIPTS": "false",
    "EVENT_BUS_NAME": "bus",
    "QUOTA_RESET": "00:00+08:00",
    "BROADCAST_BUCKET": "files",
    "BROADCAST_QUEUE_URL": "https://sqs.test/broadcast",
    "BROADCAST_STEP_QUEUE_URL": "https://sqs.test/steps",
    "BROADCAST_RATE_LIMIT": "100",
    "SCHEDULE_GROUP": "stack",
    "SCHEDULE_ROLE_ARN": "arn:aws:iam::123456789012:role/schedule",
    "SEND_QUEUE_ARN": "arn:aws:sqs:eu-west-1:123456789012:send",
    "BROADCAST_STEP_QUEUE_ARN": "arn:aws:sqs:eu-west-1:123456789012:steps",
    "EVENT_DEAD_LETTER_QUEUE_ARN": "arn:aws:sqs:eu-west-1:123456789012:events-dead",
    "API_URL": "https://api.test",
    "CANARY_PARAMETER": "/wechat-notify/dev/canary",
}
SETTINGS = [name for name, value in vars(Settings).items() if isinstance(value, property)]
PARTS = [name for name, part in vars(bootstrap).items() if hasattr(part, "cache_clear")]


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name, value in VARIABLES.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("TRACING", "Active")
    for part in PARTS:
        getattr(bootstrap, part).cache_clear()
    yield
    for part in PARTS:
        getattr(bootstrap, part).cache_clear()


def test_settings_from_their_variables() -> None:
    settings = Settings(VARIABLES)
    assert {name.upper(): getattr(settings, name) for name in SETTINGS} == {
        **VARIABLES,
        "CHECKED_FUNCTIONS": {"stack-SendApiFunction-1": "send_api"},
        "LEDGER_RETENTION_DAYS": 30,
        "LIST_SENT_MESSAGES": True,
        "RECEIPTS": False,
        "BROADCAST_RATE_LIMIT": 100.0,
        "QUOTA_RESET": QuotaReset(timezone(timedelta(hours=8))),
    }


@pytest.mark.parametrize("name", sorted(set(SETTINGS) - {"parameter_kms_key", "wechat_proxy"}))
@pytest.mark.parametrize("given", [{}, dict.fromkeys(VARIABLES, "")], ids=["absent", "empty"])
def test_missing_setting_is_named(name: str, given: dict[str, str]) -> None:
    with pytest.raises(MissingSettingError, match=name.upper()):
        getattr(Settings(given), name)


@pytest.mark.parametrize(
    ("value", "hours", "after_midnight"),
    [("00:00+00:00", 0.0, 0), ("23:59+14:00", 14.0, 86_340), ("06:30-03:30", -3.5, 23_400)],
)
def test_quota_reset(value: str, hours: float, after_midnight: float) -> None:
    reset = Settings({"QUOTA_RESET": value}).quota_reset
    assert reset == QuotaReset(timezone(timedelta(hours=hours)), after_midnight)


@pytest.mark.parametrize("value", ["0", "-1", "030", "1.5", " 30", "30 ", "٣٠", "100000"])
def test_wrong_retention(value: str) -> None:
    """The values of other settings are those of the template's parameters."""
    with pytest.raises(MalformedSettingError, match="LEDGER_RETENTION_DAYS"):
        Settings({"LEDGER_RETENTION_DAYS": value}).ledger_retention_days  # noqa: B018


def test_settings_are_read_when_asked() -> None:
    environ: dict[str, str] = {}
    settings = Settings(environ)
    environ["PARAMETER_PATH"] = "/a/b/"
    assert settings.parameter_path == "/a/b"


@pytest.mark.usefixtures("environment")
@pytest.mark.parametrize("name", PARTS)
def test_each_part_is_made_once(name: str) -> None:
    part = getattr(bootstrap, name)
    assert not inspect.signature(part).parameters
    assert part() is part()


@pytest.mark.usefixtures("environment")
def test_parts() -> None:
    first, second = bootstrap.id_factory()(), bootstrap.id_factory()()
    assert first != second
    assert (len(first), first[12]) == (32, "7")
    assert isinstance(bootstrap.openid_hasher(), OpenidHashes)  # nothing was read for it
    assert isinstance(bootstrap.settings(), Settings)
    wechat: Any = bootstrap.wechat()
    assert wechat._session._proxies["https"] == VARIABLES["WECHAT_PROXY"]


def test_import_without_environment_and_sdk() -> None:
    """Without credentials, so that every call to AWS ends just before a connection is made."""
    code = f"""
import gc, os, sys
import functions.send_api.handler as api, functions.send_queue.handler as queue
import functions.token_refresh.handler as refresh
assert not gc.isenabled()
from tests.fakes import FakeContext, load_event
from wechat_notify.telemetry import InvocationError
# The name botocore is there because powertools looks whether there is one.
assert not {{"boto3", "botocore.session"}} & sys.modules.keys()
os.environ |= {VARIABLES | {"AWS_DEFAULT_REGION": "eu-central-1", "AWS_EC2_METADATA_DISABLED": "true"}}
assert api.lambda_handler(load_event("send_api/send_template"), FakeContext())["statusCode"] == 503
assert gc.isenabled()
assert len(queue.lambda_handler(load_event("send_queue/sqs_batch"), FakeContext())["batchItemFailures"]) == 3
try:
    refresh.lambda_handler(load_event("token_refresh/schedule"), FakeContext())
except InvocationError as error:
    assert str(error) == "StorageError"
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
    assert "NoCredentialsError" in result.stdout


@pytest.mark.usefixtures("environment")
def test_ledger_of_a_function_without_the_hash_key(monkeypatch: pytest.MonkeyPatch) -> None:
    """Such as broadcast, which cancels messages and hashes nothing."""
    monkeypatch.delenv("OPENID_HASH_SECRET")
    assert isinstance(bootstrap.ledger(), Ledger)
    with pytest.raises(MissingSettingError, match="OPENID_HASH_SECRET"):
        bootstrap.openid_hasher()(OPENID)
