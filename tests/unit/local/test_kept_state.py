"""The rules of what is kept; tests/e2e/test_stack.py has the emulator itself."""

from __future__ import annotations

import json
import stat
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from local.kept_state import KeptState, Services

VERSION = "1.0"


class Store(dict[str, Any]):
    def _scoped(self, key: str) -> tuple[str, str]:
        return "account", key


def resources(**kinds: str) -> dict[str, dict[str, str]]:
    return {
        name: {"ResourceType": kind, "PhysicalResourceId": f"physical-{name}"} for name, kind in kinds.items()
    }


class Emulator:
    """A stack with one resource of each kind that has data, as ministack's modules keep it."""

    def __init__(self, **changes: Any) -> None:
        own = resources(
            Ledger="AWS::DynamoDB::Table",
            Bucket="AWS::S3::Bucket",
            Queue="AWS::SQS::Queue",
            Key="AWS::SecretsManager::Secret",
            Refresh="AWS::Scheduler::Schedule",
        )
        for name in changes.get("without", []):
            del own[name]
        self.table: dict[str, Any] = {"pk_name": changes.get("key", "pk"), "sk_name": None, "items": {}}
        self.bucket: dict[str, Any] = {"objects": {}}
        self.queue: dict[str, Any] = {"messages": []}
        self.secret = changes.get("secret", "generated")
        self.version = {"SecretString": self.secret, "Stages": ["AWSCURRENT"]}
        self.parameters = Store()
        self.schedules = Store({"default/physical-Refresh": schedule("physical-Refresh", "rate(5 minutes)")})
        self.fired: dict[Any, float] = {}
        self.services = Services(
            cloudformation=SimpleNamespace(_stacks={"stack": {"_resources": own}}),
            dynamodb=SimpleNamespace(_tables={"physical-Ledger": self.table}, _set_item=self._set_item),
            persistence=SimpleNamespace(_json_default=None, _json_object_hook=None),
            s3=SimpleNamespace(_buckets={"physical-Bucket": self.bucket}),
            scheduler=SimpleNamespace(
                _schedules=self.schedules,
                _schedule_groups={"default", "teams"},
                _schedule_last_fired=self.fired,
            ),
            secretsmanager=SimpleNamespace(_secrets={"physical-Key": {"Versions": {"v": self.version}}}),
            sqs=SimpleNamespace(_queues={"physical-Queue": self.queue}),
            ssm=SimpleNamespace(_parameters=self.parameters, _parameter_history={}),
        )

    @staticmethod
    def _set_item(table: dict[str, Any], key: str, sort_key: str, item: object) -> None:
        table["items"].setdefault(key, {})[sort_key] = item


def schedule(name: str, expression: str) -> dict[str, Any]:
    return {"Name": name, "GroupName": "teams", "ScheduleExpression": expression}


def restarted(path: Path, before: Emulator, after: Emulator) -> dict[str, Any]:
    """End one emulator and fill another."""
    ending = KeptState(path, VERSION, before.services)
    ending.restore()
    ending.save()
    return KeptState(path, VERSION, after.services).restore()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "kept.json"


def full() -> Emulator:
    emulator = Emulator()
    emulator.table["items"]["message#1"] = {"__no_sort__": {"status": {"S": "sent"}}}
    emulator.bucket["objects"]["uploads/1"] = {"body": "x"}
    emulator.queue["messages"].append({"id": "1", "receive_count": 3})
    emulator.parameters["/a/credentials"] = {"Value": "s"}
    emulator.parameters["/a/access-token"] = {"Value": "t"}
    emulator.schedules["teams/daily"] = schedule("daily", "cron(0 9 * * ? *)")
    return emulator


def test_data_are_restored(path: Path) -> None:
    before, after = full(), Emulator()
    answer = restarted(path, before, after)
    assert answer == {
        "counts": {"ledger items": 1, "files": 1, "queued messages": 1, "parameters": 1, "schedules": 1},
        "problem": None,
    }
    assert (after.table, after.bucket, after.queue) == (before.table, before.bucket, before.queue)
    assert after.schedules == before.schedules


def test_access_tokens_are_not_kept(path: Path) -> None:
    after = Emulator()
    restarted(path, full(), after)
    assert list(after.parameters) == ["/a/credentials"]


def test_file_is_its_owners(path: Path) -> None:
    restarted(path, full(), Emulator())
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_generated_secrets_stay(path: Path) -> None:
    after = Emulator(secret="new")
    restarted(path, Emulator(secret="old"), after)
    assert after.version["SecretString"] == "old"


@pytest.mark.parametrize(
    ("expression", "fired", "fires_again"),
    [
        ("at(2026-01-01T00:00:00)", False, True),  # it came due meanwhile
        ("at(2026-01-01T00:00:00)", True, False),
        ("rate(1 hour)", False, False),  # from now on
    ],
)
def test_schedules_go_on(path: Path, *, expression: str, fired: bool, fires_again: bool) -> None:
    before, after = Emulator(), Emulator()
    before.schedules["teams/one"] = schedule("one", expression)
    if fired:
        before.fired["account", "teams/one"] = 1.0
    restarted(path, before, after)
    assert (("account", "teams/one") not in after.fired) is fires_again


@pytest.mark.parametrize(
    ("changes", "lost"),
    [({"without": ["Queue"]}, "Queue"), ({"without": ["Bucket"]}, "Bucket"), ({"key": "id"}, "Ledger")],
)
def test_lost_places_are_told(path: Path, changes: dict[str, Any], lost: str) -> None:
    """The file stays under another name."""
    problem = restarted(path, full(), Emulator(**changes))["problem"]
    (aside,) = path.parent.iterdir()
    assert f"no place any more for {lost}; the file is {aside.name} now" in problem
    assert json.loads(aside.read_text())["queues"]["Queue"]


@pytest.mark.parametrize(
    "content",
    ["", "{", "[]", '"text"', '{"format": 0, "emulator": "1.0"}', '{"format": 1, "emulator": "2.0"}'],
)
def test_unreadable_file_is_set_aside(path: Path, content: str) -> None:
    path.write_text(content)
    answer = KeptState(path, VERSION, Emulator().services).restore()
    (aside,) = path.parent.iterdir()
    assert "cannot be read" in answer["problem"]
    assert aside.name in answer["problem"]
    assert aside.read_text() == content


@pytest.mark.parametrize(
    ("part", "content"),
    [("tables", []), ("tables", {"Ledger": {}}), ("queues", {"Queue": 1}), ("parameters", {"/a": {}})],
)
def test_file_of_other_shape_is_set_aside(path: Path, part: str, content: object) -> None:
    """It must not keep the stack from starting, every time."""
    restarted(path, full(), Emulator())
    path.write_text(json.dumps(json.loads(path.read_text()) | {part: content}))
    answer = KeptState(path, VERSION, Emulator().services).restore()
    (aside,) = path.parent.iterdir()
    assert "cannot be read" in answer["problem"]
    assert aside.name in answer["problem"]


def test_nothing_is_saved_before_restore(path: Path) -> None:
    """The stack did not start, and the file has the data of the last one."""
    path.write_text("old")
    KeptState(path, VERSION, Emulator().services).save()
    assert path.read_text() == "old"


def test_failed_save_leaves_old_file(path: Path) -> None:
    restarted(path, full(), Emulator())
    emulator = full()
    kept = KeptState(path, VERSION, emulator.services)
    kept.restore()
    old = path.read_text()
    emulator.bucket["objects"]["uploads/2"] = object()
    with pytest.raises(TypeError):
        kept.save()
    assert [each.read_text() for each in path.parent.iterdir()] == [old]
