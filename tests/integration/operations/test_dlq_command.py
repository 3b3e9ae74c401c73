"""The command line of the dead letter tool: wrong usage, its own client, on its own, and Ctrl-C."""

import ast
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from operations import dlq
from tests.integration.operations.conftest import Run, Sqs, redrive_policy
from tests.integration.raw_server import Connection, RawServer, Request, json_answer

SCRIPT = Path(dlq.__file__)
DEAD = ["--queue-url", "https://sqs/1/dead"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "{list,redrive}"),
        (["list"], "--queue-url"),
        (["redrive", *DEAD], "--to"),
        (["list", "--queue-url", "https://sqs/1/dead.fifo"], "FIFO"),
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


@pytest.mark.parametrize("command", ["list", "redrive"])
def test_queue_with_dead_letters(sqs: Sqs, run: Run, command: str) -> None:
    """The two addresses the wrong way round would put the live queue among the dead letters."""
    sqs.real.set_queue_attributes(QueueUrl=sqs.dlq, Attributes=redrive_policy(sqs.target))
    sqs.put("a")
    ran = run(command)
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
    done = start("dlq.py", "redrive", "--help", folder=tmp_path)
    out, _ = done.communicate(timeout=20)
    assert done.returncode == 0
    assert "--dry-run" in out


def start(*arguments: str, folder: Path = SCRIPT.parents[1]) -> subprocess.Popen[str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "PYTHON"))}
    keys = {"AWS_ACCESS_KEY_ID": "k", "AWS_SECRET_ACCESS_KEY": "s", "AWS_DEFAULT_REGION": "eu-west-1"}
    return subprocess.Popen(  # noqa: S603 - our own interpreter
        [sys.executable, *arguments],
        cwd=folder,
        env=inherited | keys,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


class Hanging:
    """An SQS of two messages whose second receive is answered late, or never."""

    def __init__(self) -> None:
        self.received = threading.Event()
        self.answers = threading.Event()
        self.server = RawServer(self._script)

    def _script(self, connection: Connection) -> None:
        number = 0
        while request := connection.read_request():
            name = operation(request)
            number += name == "ReceiveMessage"
            if name == "ReceiveMessage" and number > 1:
                self.received.set()
                self.answers.wait(10)
            connection.write(json_answer(**self._answer(name, number, request)))

    def _answer(self, name: str, number: int, request: Request) -> dict[str, Any]:
        if name == "GetQueueAttributes":
            counts = ("", "NotVisible", "Delayed")
            return {"Attributes": {f"ApproximateNumberOfMessages{which}": "0" for which in counts}}
        if name == "ReceiveMessage":
            attributes = {"ApproximateReceiveCount": "1", "SentTimestamp": "1"}
            message = {"MessageId": f"m{number}", "ReceiptHandle": f"handle {number}", "Body": "b"}
            return {"Messages": [message | {"Attributes": attributes}]}
        return {"Successful": [{"Id": entry["Id"]} for entry in json.loads(request.body)["Entries"]]}

    def visible_again(self) -> list[str]:
        last = self.server.requests[-1]
        assert operation(last) == "ChangeMessageVisibilityBatch"
        entries = json.loads(last.body)["Entries"]
        assert [entry["VisibilityTimeout"] for entry in entries] == [0] * len(entries)
        return [entry["ReceiptHandle"] for entry in entries]


def operation(request: Request) -> str:
    return request.headers["x-amz-target"].removeprefix("AmazonSQS.")


@pytest.fixture
def _ctrl_c_is_heard() -> Iterator[None]:
    """Whoever runs in the background was told to ignore it, and so would be whom the test starts."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("_ctrl_c_is_heard")
@pytest.mark.parametrize("twice", [False, True])
def test_ctrl_c_hides_nothing(*, twice: bool) -> None:
    """And what SQS hands out meanwhile, for which the first Ctrl-C waits and the second does not."""
    sqs = Hanging()
    with sqs.server as server:
        url = f"{server.url}/1/dead"
        done = start(str(SCRIPT), "list", "--queue-url", url, "--endpoint-url", server.url)
        assert sqs.received.wait(20)
        done.send_signal(signal.SIGINT)
        assert done.stderr
        said = done.stderr.readline() + done.stderr.readline()  # or two could be one to it
        if twice:
            done.send_signal(signal.SIGINT)
        else:
            sqs.answers.set()
        out, err = done.communicate(timeout=20)
        sqs.answers.set()
    assert done.returncode == 130
    assert out == ""
    assert said == "about 0 messages there\nwaiting for SQS; Ctrl-C once more does not wait\n"
    assert err == "interrupted\n"
    assert sqs.visible_again() == (["handle 1"] if twice else ["handle 1", "handle 2"])
