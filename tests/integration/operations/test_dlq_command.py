"""The command line of the dead letter tool: wrong usage, its own client, and on its own."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from operations import dlq
from tests.integration.operations.conftest import Run, Sqs, redrive_policy

SCRIPT = Path(dlq.__file__)
DEAD = ["--queue-url", "https://sqs/1/dead"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "{list,redrive}"),
        (["list"], "--queue-url"),
        (["redrive", *DEAD], "--to"),
        (["list", "--queue-url", "https://sqs/1/dead.fifo"], "FIFO"),
        (["redrive", *DEAD, "--to", "https://sqs/1/send.fifo"], "FIFO"),
        (["redrive", *DEAD, "--to", "https://sqs/1/dead/"], "itself"),
        (["list", *DEAD, "--limit", "0"], "1 to 100000"),
        (["list", *DEAD, "--limit", "100001"], "1 to 100000"),
        (["list", *DEAD, "--endpoint-url", "nonsense"], "not the address of a server"),
    ],
)
def test_wrong_usage_calls_nothing(
    sqs: Sqs, capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    with pytest.raises(SystemExit) as stop:
        dlq.main(arguments, sqs)
    assert stop.value.code == 2
    assert sqs.calls == []
    assert said in capsys.readouterr().err.splitlines()[-1]


def test_queue_with_dead_letters(sqs: Sqs, run: Run) -> None:
    """The two addresses the wrong way round would put the live queue among the dead letters."""
    sqs.real.set_queue_attributes(QueueUrl=sqs.dlq, Attributes=redrive_policy(sqs.target))
    sqs.put("a")
    ran = run("redrive")
    assert ran.code == 2
    assert "it is not one" in ran.err
    assert {name for name, _ in sqs.calls} == {"get_queue_attributes"}


def test_missing_queue_is_one_line(sqs: Sqs, run: Run) -> None:
    sqs.put("a")
    sqs.target += "-none"
    ran = run("redrive")
    first, last = ran.err.splitlines()
    assert ran.code == 1
    assert first == "about 1 messages there"
    assert "NonExistentQueue" in last


@pytest.mark.usefixtures("aws")
def test_makes_its_own_client(sqs: Sqs, capsys: pytest.CaptureFixture[str]) -> None:
    sqs.put("a")
    assert dlq.main(["list", "--queue-url", sqs.dlq]) == 0
    assert "1 messages read" in capsys.readouterr().out


IRELAND, BEIJING = "https://sqs.eu-west-1.amazonaws.com", "https://sqs.cn-north-1.amazonaws.com.cn"
LOOPBACK = "http://127.0.0.1:9"


@pytest.mark.parametrize(
    ("queue_at", "options", "region", "endpoint"),
    [
        (IRELAND, [], "eu-west-1", IRELAND),
        (BEIJING, [], "cn-north-1", BEIJING),
        (BEIJING, ["--region", "us-east-1"], "us-east-1", "https://sqs.us-east-1.amazonaws.com"),
        (LOOPBACK, [], "eu-central-1", "https://sqs.eu-central-1.amazonaws.com"),
        (LOOPBACK, ["--endpoint-url", LOOPBACK], "eu-central-1", LOOPBACK),
    ],
)
@pytest.mark.usefixtures("aws")
def test_region_is_the_queues(queue_at: str, options: list[str], region: str, endpoint: str) -> None:
    made = dlq._client(dlq._parser().parse_args(["list", "--queue-url", f"{queue_at}/1/dead", *options]))
    assert (made.meta.region_name, made.meta.endpoint_url) == (region, endpoint)


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        ([], 2, "--queue-url does not tell the region: give --region, such as --region eu-west-1"),
        (["--profile", "none"], 1, "The config profile (none) could not be found"),
    ],
)
@pytest.mark.usefixtures("aws")
def test_missing_region_or_profile(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    *,
    options: list[str],
    code: int,
    said: str,
) -> None:
    for name in ("AWS_DEFAULT_REGION", "AWS_REGION", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    assert dlq.main(["list", "--queue-url", f"{LOOPBACK}/1/dead", *options]) == code
    assert capsys.readouterr().err == f"error: {said}\n"


def test_needs_boto3_and_no_move_task() -> None:
    tree = ast.parse(SCRIPT.read_text())
    names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module or "." for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert {name.split(".")[0] for name in names} - sys.stdlib_module_names == {"boto3", "botocore"}
    assert "message_move_task" not in SCRIPT.read_text()


def test_runs_on_its_own(tmp_path: Path) -> None:
    copied = tmp_path / "dlq.py"
    copied.write_text(SCRIPT.read_text())
    command = [sys.executable, "dlq.py", "redrive", "--help"]
    done = subprocess.run(command, cwd=tmp_path, env={}, capture_output=True, text=True, check=True)  # noqa: S603
    assert "--dry-run" in done.stdout
