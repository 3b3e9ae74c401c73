"""Starting and stopping: nothing is left behind, and what is in the way is named."""

import io
import json
import os
import signal
import socket
import stat
import subprocess
import sys
import threading
import zipfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import fields
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from botocore.config import Config

from local.aws_session import session
from local.client import call_api, post_json, post_message
from local.examples import addressed, examples
from local.processes import ROOT
from local.settings import Settings
from local.stack import Stack
from local.state_file import State
from tests.e2e.conftest import ACCEPTED, Service, eventually, post_until_taken

Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start a command of this project on free ports, with its temporary files in the test's folder."""
    (tmp_path / "temp").mkdir()
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "WECHAT_"))}
    ports = {"EMULATOR_PORT": "0", "SIMULATOR_PORT": "0"}
    with ExitStack() as started:

        def run(*command: str, **environment: str) -> subprocess.Popen[str]:
            process = subprocess.Popen(  # noqa: S603 - this project's own command
                [sys.executable, "-m", *command],
                cwd=ROOT,
                env={**kept, **ports, "TMPDIR": str(tmp_path / "temp"), **environment},
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                start_new_session=True,
            )
            started.enter_context(process)
            started.callback(process.kill)
            return process

        yield run


@pytest.fixture
def up(start: Start, tmp_path: Path) -> Start:
    """Start ``make up``, with its state file in the test's folder."""
    return partial(start, "local", "up", "--state-file", str(state_of(tmp_path)))


def state_of(tmp_path: Path) -> Path:
    return tmp_path / ".local/stack.json"  # where wxn looks for it


def state_in(tmp_path: Path) -> State | None:
    """The addresses of a stack that is up, else None."""
    path = state_of(tmp_path)
    return State(**json.loads(path.read_text())) if path.exists() else None


def up_in(up: Start, tmp_path: Path) -> tuple[subprocess.Popen[str], State]:
    """A stack that is up, whatever an earlier one has left of its state file."""
    process = up()

    def found() -> State | None:
        state = state_in(tmp_path)
        return state if state is not None and state.pid == process.pid else None

    state = eventually(found)
    assert state, process.communicate(timeout=20)
    return process, state


def client(state: State, service: str) -> Any:
    return session().client(
        service,
        region_name=state.region,
        endpoint_url=state.aws_endpoint_url,
        aws_access_key_id=state.access_key_id,
        aws_secret_access_key=state.secret_access_key,
        config=Config(proxies={}),
    )


def output_of(state: State, key: str) -> str:
    (stack,) = client(state, "cloudformation").describe_stacks(StackName=state.stack_name)["Stacks"]
    return next(str(output["OutputValue"]) for output in stack["Outputs"] if output["OutputKey"] == key)


def fill(state: State) -> None:
    """An account, a schedule, a file and a message that waits."""
    post_json(f"{state.simulator_url}/_sim/apps", app_id="wxsecond", secret="s" * 32)
    path = output_of(state, "ParameterPath")
    app = {"type": "app", "app_id": "wxsecond", "app_secret": "s" * 32}
    for account, value in {"second": json.dumps(app), "broken": "not JSON", "odd": '{"app_id": 1}'}.items():
        name = f"{path}/{account}/credentials"
        client(state, "ssm").put_parameter(Name=name, Type="SecureString", Value=value)
    client(state, "scheduler").create_schedule(
        Name="far-away",
        GroupName=state.schedule_group,
        ScheduleExpression="at(2099-01-01T00:00:00)",
        FlexibleTimeWindow={"Mode": "OFF"},
        Target={"Arn": output_of(state, "SendQueueArn"), "RoleArn": state.schedule_role_arn, "Input": "{}"},
    )
    bucket = output_of(state, "BroadcastBucketName")
    client(state, "s3").put_object(Bucket=bucket, Key="demo/uploads/kept", Body=b"\xff\x00")
    client(state, "sqs").send_message(QueueUrl=state.send_queue_url, MessageBody="later", DelaySeconds=900)


def assert_filled(state: State) -> None:
    schedules = client(state, "scheduler").list_schedules(GroupName=state.schedule_group)["Schedules"]
    assert [schedule["Name"] for schedule in schedules] == ["far-away"]
    bucket = output_of(state, "BroadcastBucketName")
    assert (
        client(state, "s3").get_object(Bucket=bucket, Key="demo/uploads/kept")["Body"].read() == b"\xff\x00"
    )
    name = "ApproximateNumberOfMessagesDelayed"
    answer = client(state, "sqs").get_queue_attributes(QueueUrl=state.send_queue_url, AttributeNames=[name])
    assert answer["Attributes"][name] == "1"


def openid_hash(state: State, key: str) -> Any:
    post_until_taken(state, examples()[0], key=key)
    return call_api(state, "GET", f"/v1/accounts/demo/messages/{key}").json()["openid_hash"]


def processes() -> dict[int, tuple[int, int]]:
    """Parent and process group of every process."""
    listed = subprocess.run(
        ["/bin/ps", "-A", "-o", "pid=,ppid=,pgid="], capture_output=True, text=True, check=True
    )
    rows = (map(int, line.split()) for line in listed.stdout.splitlines())
    return {pid: (parent, group) for pid, parent, group in rows}


def groups_of_children(parent: int) -> set[int]:
    return {group for of_parent, group in processes().values() if of_parent == parent}


def assert_nothing_is_left(groups: set[int], tmp_path: Path) -> None:
    assert groups
    assert eventually(lambda: groups.isdisjoint({group for _, group in processes().values()}))
    assert eventually(lambda: list((tmp_path / "temp").iterdir()) == []), list((tmp_path / "temp").iterdir())


def told_in_one_line(process: subprocess.Popen[str]) -> str:
    """What a process that fails says of it."""
    _, errors = process.communicate(timeout=20)
    assert (process.returncode, len(errors.splitlines())) == (1, 1)
    return errors


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_up_until_told_to_end(up: Start, tmp_path: Path, number: signal.Signals) -> None:
    process = up()
    state_file = state_of(tmp_path)
    assert eventually(state_file.exists)
    assert stat.S_IMODE(state_file.stat().st_mode) == 0o600
    content = json.loads(state_file.read_text())
    assert list(content) == [field.name for field in fields(State)]
    state = State(**content)
    assert post_until_taken(state, examples()[0]).status_code == 200
    groups = eventually(lambda: (found := groups_of_children(process.pid)) and len(found) == 3 and found)
    assert groups

    process.send_signal(number)
    output, errors = process.communicate(timeout=20)
    assert process.returncode == 0, errors
    assert state.api_url in output
    assert not state_file.exists()
    assert_nothing_is_left(groups, tmp_path)


def test_children_follow_a_killed_parent(up: Start, tmp_path: Path) -> None:
    process = up()
    assert eventually(state_of(tmp_path).exists)
    groups = groups_of_children(process.pid)
    process.kill()
    process.communicate()
    assert_nothing_is_left(groups, tmp_path)
    assert not state_of(tmp_path).exists()


def test_messages_are_shown(up: Start, tmp_path: Path) -> None:
    """A line for each as it comes, of the queue too."""
    process = up()
    lines: list[str] = []
    assert process.stdout is not None
    reader = threading.Thread(target=lines.extend, args=[process.stdout], daemon=True)
    reader.start()
    state = eventually(lambda: state_in(tmp_path))
    queued = post_message(state, examples()[0], headers={"Prefer": "respond-async"}).json()["id"]
    shown = eventually(lambda: [line for line in lines if "send_queue" in line and queued in line])
    assert [line for line in shown if "sent" in line], lines
    process.send_signal(signal.SIGINT)
    process.wait(20)
    reader.join(20)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_data_outlives_a_stack(up: Start, tmp_path: Path, number: signal.Signals) -> None:
    """Messages, accounts, schedules, files and queues are there again; after SIGKILL, too."""
    process, state = up_in(up, tmp_path)
    groups = groups_of_children(process.pid)
    sent = post_until_taken(state, examples()[0], key="kept").json()
    assert sent["status"] == "sent"
    fill(state)
    process.send_signal(number)
    process.communicate(timeout=20)
    assert_nothing_is_left(groups, tmp_path)

    process, state = up_in(up, tmp_path)
    assert call_api(state, "GET", "/v1/accounts/demo/messages/kept").json()["status"] in ACCEPTED
    again = post_until_taken(state, examples()[0], key="kept")
    assert (again.json(), again.headers["Idempotent-Replayed"]) == (sent, "true")
    hashes = {openid_hash(state, key) for key in ("kept", "new")}
    assert len(hashes) == 1
    assert post_until_taken(state, examples()[0], account="second").json()["status"] == "sent"
    assert_filled(state)
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=20)
    for account in ("broken", "odd"):
        assert f"The credentials of account {account} are not" in output


@pytest.mark.parametrize(("fresh", "told"), [("0", 1), ("1", 0)])
def test_unreadable_data_are_set_aside(up: Start, tmp_path: Path, *, fresh: str, told: int) -> None:
    """Unless they are not wanted anyway."""
    folder = state_of(tmp_path).parent
    folder.mkdir()
    (folder / "kept.json").write_text('{"format": 1, ')
    process, _ = up_in(partial(up, FRESH=fresh), tmp_path)
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=20)
    lines = [line for line in output.splitlines() if "cannot be read" in line]
    aside = [path for path in folder.iterdir() if path.name != "kept.json"]
    assert (len(lines), len(aside)) == (told, told)
    assert all(path.name in lines[0] and path.read_text() == '{"format": 1, ' for path in aside)


@pytest.mark.parametrize(("command", "code"), [("up", 0), ("demo", 130)])
def test_interrupted_while_it_starts(
    start: Start, up: Start, tmp_path: Path, *, command: str, code: int
) -> None:
    process = up() if command == "up" else start("local.demo")
    groups = eventually(lambda: groups_of_children(process.pid) - {process.pid})
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=20)
    assert (process.returncode, errors) == (code, "")
    assert not state_of(tmp_path).exists()
    assert_nothing_is_left(groups, tmp_path)


@pytest.mark.parametrize("variable", ["EMULATOR_PORT", "SIMULATOR_PORT"])
def test_taken_port(up: Start, variable: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = str(other.getsockname()[1])
        assert f"{variable}={port}" in told_in_one_line(up(**{variable: port}))


def test_up_twice(up: Start, tmp_path: Path) -> None:
    first = up()
    assert eventually(state_of(tmp_path).exists)
    assert "up already" in told_in_one_line(up())
    assert first.poll() is None
    assert state_of(tmp_path).exists()


def test_hosts_aws_configuration_plays_no_part(up: Start, tmp_path: Path) -> None:
    process = up(
        AWS_PROFILE="absent",
        AWS_ENDPOINT_URL="http://127.0.0.1:1",
        AWS_ACCESS_KEY_ID="x",
        HTTP_PROXY="http://127.0.0.1:1",
        PYTHONPATH=str(tmp_path),
    )
    assert eventually(state_of(tmp_path).exists), process.communicate()


def test_another_wechat_server(service: Service, touser: str) -> None:
    ssm, path = service.client("ssm"), service.stack.deployment.outputs["ParameterPath"]
    stored = ssm.get_parameter(Name=f"{path}/demo/credentials", WithDecryption=True)["Parameter"]["Value"]
    app = json.loads(stored)
    settings = Settings(
        wechat_api_base=service.state.wechat_api_base, app_id=app["app_id"], app_secret=app["app_secret"]
    )
    with Stack(settings) as stack:
        assert stack.state.simulator_url is None
        assert stack.state.wechat_api_base == service.state.simulator_url
        assert post_until_taken(stack.state, addressed(examples()[0], touser)).status_code == 200
    assert service.arrives(touser)


def test_silent_wechat_server_is_told() -> None:
    """It does not end the stack."""
    said: list[str] = []
    nobody = "http://127.0.0.1:1"
    with Stack(Settings(wechat_api_base=nobody), report=said.append) as stack:
        assert f"no access token from {nobody}" in said[-1]
        stack.check()
        assert post_message(stack.state, examples()[0]).status_code >= 500


def test_functions_see_nothing_of_the_host(service: Service) -> None:
    code = """
import importlib.util
import os

def lambda_handler(event, context):
    found = [name for name in ("ministack", "pytest", "pydantic", "boto3") if importlib.util.find_spec(name)]
    return {"environment": dict(os.environ), "found": found}
"""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("look.py", code)
    role = service.client("iam").get_role(RoleName=service.stack.deployment.physical_ids["SendApiRole"])
    service.client("lambda").create_function(
        FunctionName="look",
        Role=role["Role"]["Arn"],
        Runtime="python3.13",
        Handler="look.lambda_handler",
        Code={"ZipFile": archive.getvalue()},
    )
    answer = json.loads(service.client("lambda").invoke(FunctionName="look")["Payload"].read())
    assert answer["found"] == ["pydantic", "boto3"]
    environment = answer["environment"]
    assert environment["PATH"] == os.defpath
    of_the_host = {name for name, value in environment.items() if os.environ.get(name) == value}
    assert of_the_host <= {"LANG", "LC_CTYPE", "TZ", "PATH"}


def test_demo(start: Start) -> None:
    process = start("local.demo")
    output, errors = process.communicate(timeout=240)
    assert process.returncode == 0, output + errors
    assert "2,978 accepted, 5 refused, 0 duplicate; 2 token refreshes" in " ".join(output.split())
