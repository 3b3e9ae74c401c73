import json
from pathlib import Path
from typing import Any

import pytest

from tests.unit.wxn.fakes import FakeRun
from wxn.api import ApiError
from wxn.commands.schedules import delete, list_schedules, put, show
from wxn.errors import CommandError, ExitCode

MESSAGE = {"kind": "template", "touser": "oA", "template_id": "T", "data": {"thing1": {"value": "a"}}}
NEWS = {
    "name": "news",
    "cron": "0 9 ? * MON *",
    "time_zone": "Asia/Shanghai",
    "enabled": True,
    "message": MESSAGE,
}
HOURLY = {"name": "hourly", "rate": "1 hour", "enabled": False, "broadcast": {"name": "b"}}
GONE = ApiError(404, {"type": "/docs/problems.md#unknown-schedule"})


def message_options() -> dict[str, Any]:
    return {"kind": "template", "to": "oA", "template": "T", "data": ["thing1=a"]}


def test_put_message_of_options(capsys: pytest.CaptureFixture[str]) -> None:
    run = FakeRun({"PUT schedules/news": NEWS})

    put(run, "news", cron="0 9 ? * MON *", time_zone="Asia/Shanghai", disabled=True, **message_options())

    body = {"cron": "0 9 ? * MON *", "time_zone": "Asia/Shanghai", "enabled": False, "message": MESSAGE}
    assert run.calls[0][:3] == ("PUT", "schedules/news", body)
    assert capsys.readouterr().out.startswith("replaced  news\n")


def test_put_message_of_file(tmp_path: Path) -> None:
    path = tmp_path / "message.json"
    path.write_text(json.dumps(MESSAGE))
    run = FakeRun({"PUT schedules/news": NEWS})

    put(run, "news", str(path), at="2027-01-01T09:00:00")

    assert run.calls[0][2] == {"at": "2027-01-01T09:00:00", "message": MESSAGE}


def test_put_broadcast(tmp_path: Path) -> None:
    path = tmp_path / "broadcast.json"
    path.write_text('{"name": "b"}')
    run = FakeRun({"PUT schedules/hourly": HOURLY})

    put(run, "hourly", rate="1 hour", broadcast=str(path))

    assert run.calls[0][2] == {"rate": "1 hour", "broadcast": {"name": "b"}}


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({}, "A schedule needs one of --at, --cron and --rate."),
        ({"at": "t", "rate": "1 hour"}, "A schedule needs one of --at, --cron and --rate."),
        (
            {"rate": "1 hour", "broadcast": "b", "kind": "template"},
            "--broadcast stands in the place of a message.",
        ),
        ({"rate": "1 hour", "broadcast": "b", "file": "f"}, "--broadcast stands in the place of a message."),
        ({"rate": "1 hour"}, "There is no message to send."),
    ],
)
def test_wrong_put(options: dict[str, Any], told: str) -> None:
    with pytest.raises(CommandError) as caught:
        put(FakeRun({}), "news", **options)

    assert (caught.value.message, caught.value.exit_code) == (told, ExitCode.USAGE)


def test_put_several_messages(tmp_path: Path) -> None:
    path = tmp_path / "messages.jsonl"
    path.write_text(f"{json.dumps(MESSAGE)}\n" * 2)

    with pytest.raises(CommandError) as caught:
        put(FakeRun({}), "news", str(path), rate="1 hour")

    assert "holds 2 messages" in caught.value.message


@pytest.mark.parametrize("name", ["", "a b", "x/y", "x" * 65])
def test_impossible_names(name: str) -> None:
    with pytest.raises(CommandError) as caught:
        show(FakeRun({}), name)

    assert caught.value.exit_code is ExitCode.USAGE


def test_show_message_and_next_times(capsys: pytest.CaptureFixture[str]) -> None:
    show(FakeRun({"GET schedules/news": NEWS}), "news")

    out = capsys.readouterr().out
    (times,) = (line for line in out.splitlines() if line.startswith("Next"))
    assert times.count(" 09:00") == 3
    assert json.loads(out[out.index("{") :]) == MESSAGE


def test_show_schedule_of_unknown_zone(capsys: pytest.CaptureFixture[str]) -> None:
    show(FakeRun({"GET schedules/news": {**NEWS, "time_zone": "Mars/Olympus"}}), "news")

    assert "Next" not in capsys.readouterr().out


def test_show_disabled_broadcast(capsys: pytest.CaptureFixture[str]) -> None:
    show(FakeRun({"GET schedules/hourly": HOURLY}), "hourly")

    out = capsys.readouterr().out
    assert "every 1 hour" in out
    assert "never: disabled" in out


def test_show_unknown_schedule() -> None:
    with pytest.raises(CommandError) as caught:
        show(FakeRun({"GET schedules/x": GONE}), "x")

    assert "wxn schedule list" in caught.value.next_step


def test_list(capsys: pytest.CaptureFixture[str]) -> None:
    """A schedule that fires once may remove itself between the two calls."""
    names = {"schedules": [{"name": "news"}, {"name": "once"}, {"name": "hourly"}], "next": None}
    answers = {"schedules/news": NEWS, "schedules/once": GONE, "schedules/hourly": HOURLY}
    run = FakeRun({"GET schedules": names, **{f"GET {path}": answer for path, answer in answers.items()}})

    list_schedules(run)

    rows = [line.split()[0] for line in capsys.readouterr().out.splitlines()[2:]]
    assert rows == ["news", "hourly"]


def test_list_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    answer = {"account": "shop", "schedules": [{"name": "news"}], "next": "cursor"}
    run = FakeRun({"GET schedules": answer}, as_json=True)

    list_schedules(run, limit=1)

    assert json.loads(capsys.readouterr().out) == answer
    assert len(run.calls) == 1


def test_delete(capsys: pytest.CaptureFixture[str]) -> None:
    delete(FakeRun({"DELETE schedules/news": {"name": "news"}}), "news")

    assert capsys.readouterr().out == "deleted  news\n"
