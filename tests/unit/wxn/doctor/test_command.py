"""What the command prints, and its exit code."""

import json
from datetime import UTC, datetime

import pytest
import typer

from tests.unit.wxn.doctor.world import World, schedule
from wxn.api import Api
from wxn.commands.doctor import doctor
from wxn.run import Run


class WorldRun(Run):
    """A run of the command on a world whose clock is the machine's."""

    def __init__(self, world: World, *, as_json: bool = False) -> None:
        super().__init__(as_json=as_json)
        self._world = self.stack = world

    def api_of(self, account: str) -> Api:
        return self._world.api_of(account)


@pytest.fixture
def world() -> World:
    """Healthy now: the command takes the time from the machine."""
    world, now = World(), datetime.now(UTC)
    world.now = lambda: datetime.now(UTC)
    world.stored = {"shop": {"credentials": now, "access-token": now}}
    world.api["GET templates"] = {"synced_at": {}, "templates": []}
    return world


def test_healthy_stack(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    doctor(WorldRun(world))

    printed = capsys.readouterr().out
    assert printed.splitlines()[:2] == ["This machine", "  keys, clock and network  ok"]
    assert printed.endswith("Nothing was found.\n")


def test_finding_with_its_next_step(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    world.queue_counts["DeadLetterQueue"][""] = 3

    with pytest.raises(typer.Exit) as ended:
        doctor(WorldRun(world))

    printed = capsys.readouterr().out
    assert "  dead letters  problem: dead-letters\n" in printed
    assert printed.splitlines()[-4:] == [
        "problem dead-letters",
        "  3 messages are in DeadLetterQueue.",
        "  → Read them (wxn dlq list), mend the cause, and send them again: wxn dlq redrive",
        "  docs/operations.md#dead-letters",
    ]
    assert ended.value.exit_code == 1


def test_note_is_no_failure(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    world.schedules.append(schedule("shop.old", "DISABLED"))

    doctor(WorldRun(world))

    assert "note schedule-disabled (shop)\n  The schedule old does not fire.\n" in capsys.readouterr().out


def test_json(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    world.schedules.append(schedule("shop.old", "DISABLED"))

    doctor(WorldRun(world, as_json=True))

    printed = json.loads(capsys.readouterr().out)
    (finding,) = printed["findings"]
    assert {name: finding[name] for name in ("name", "severity", "account", "subject")} == {
        "name": "schedule-disabled",
        "severity": "note",
        "account": "shop",
        "subject": "old",
    }
    assert {"name": "schedules", "status": "problem"} in printed["checks"]
