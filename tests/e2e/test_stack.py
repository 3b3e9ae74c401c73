"""Starting and stopping: nothing is left behind, and what is in the way is named."""

import io
import json
import os
import signal
import socket
import stat
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from local.demo import addressed, examples, post_message
from local.processes import ROOT
from local.stack import Settings, Stack, State
from tests.e2e.conftest import Service, eventually

Up = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def up(tmp_path: Path) -> Iterator[Up]:
    """Start ``make up`` on free ports, with temporary and state files in the test's folder."""
    (tmp_path / "temp").mkdir()
    with ExitStack() as started:

        def start(**environment: str) -> subprocess.Popen[str]:
            ports = {"EMULATOR_PORT": "0", "SIMULATOR_PORT": "0"}
            kept = {k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "WECHAT_"))}
            command = [sys.executable, "-m", "local.stack", "up", "--state-file", str(state_of(tmp_path))]
            process = subprocess.Popen(  # noqa: S603 - this project's own command
                command,
                cwd=ROOT,
                env={**kept, **ports, "TMPDIR": str(tmp_path / "temp"), **environment},
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                start_new_session=True,
            )
            started.enter_context(ended(process))
            return process

        yield start


@contextmanager
def ended(process: subprocess.Popen[Any]) -> Iterator[None]:
    with process:
        try:
            yield
        finally:
            process.kill()


def state_of(tmp_path: Path) -> Path:
    return tmp_path / "state/stack.json"


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


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_up_until_told_to_end(up: Up, tmp_path: Path, number: signal.Signals) -> None:
    process = up()
    state_file = state_of(tmp_path)
    assert eventually(state_file.exists)
    assert stat.S_IMODE(state_file.stat().st_mode) == 0o600
    content = json.loads(state_file.read_text())
    assert list(content) == [field.name for field in fields(State)]
    state = State(**content)
    assert post_message(state, examples()[0]).status_code == 200
    groups = groups_of_children(process.pid)
    assert len(groups) == 2

    process.send_signal(number)
    output, errors = process.communicate(timeout=20)
    assert process.returncode == 0, errors
    assert state.api_url in output
    assert not state_file.exists()
    assert_nothing_is_left(groups, tmp_path)


def test_children_follow_a_killed_parent(up: Up, tmp_path: Path) -> None:
    process = up()
    assert eventually(state_of(tmp_path).exists)
    groups = groups_of_children(process.pid)
    process.kill()
    process.communicate()
    assert_nothing_is_left(groups, tmp_path)


def test_interrupted_while_it_starts(up: Up, tmp_path: Path) -> None:
    process = up()
    groups = eventually(lambda: groups_of_children(process.pid) - {process.pid})
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=20)
    assert (process.returncode, errors) == (0, "")
    assert not state_of(tmp_path).exists()
    assert_nothing_is_left(groups, tmp_path)


@pytest.mark.parametrize("variable", ["EMULATOR_PORT", "SIMULATOR_PORT"])
def test_taken_port(up: Up, variable: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        process = up(**{variable: str(port)})
        _, errors = process.communicate(timeout=20)
    assert process.returncode == 1
    assert len(errors.splitlines()) == 1
    assert f"{variable}={port}" in errors


def test_up_twice(up: Up, tmp_path: Path) -> None:
    first = up()
    assert eventually(state_of(tmp_path).exists)
    second = up()
    _, errors = second.communicate(timeout=20)
    assert second.returncode == 1
    assert len(errors.splitlines()) == 1
    assert "up already" in errors
    assert first.poll() is None
    assert state_of(tmp_path).exists()


def test_hosts_aws_configuration_plays_no_part(up: Up, tmp_path: Path) -> None:
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
        assert post_message(stack.state, addressed(examples()[0], touser)).status_code == 200
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


def test_demo() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "local.demo"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1,009 accepted, 2 refused, 0 duplicate; 1 token refresh" in " ".join(done.stdout.split())


def test_demo_interrupted(tmp_path: Path) -> None:
    (tmp_path / "temp").mkdir()
    process = subprocess.Popen(
        [sys.executable, "-m", "local.demo"],
        cwd=ROOT,
        env={**os.environ, "TMPDIR": str(tmp_path / "temp")},
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    )
    with ended(process):
        groups = eventually(lambda: groups_of_children(process.pid) - {process.pid})
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 130
    assert_nothing_is_left(groups, tmp_path)
