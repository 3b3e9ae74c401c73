"""The whole service on this machine.

template.yaml runs on an AWS emulator and talks to a WeChat simulator, both children of this process and
reachable from this machine only. ``.local/stack.json`` holds the addresses while the stack is up.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import secrets
import shutil
import socket
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

from local import docs
from local.accounts import ACCOUNT, Accounts
from local.kept_state import PATH as RESTORE
from local.processes import ROOT, Child, LocalStackError, worker_python
from local.settings import Settings
from local.state_file import State

if TYPE_CHECKING:
    from local.cloudformation.deployment import Deployment

HOST: Final = "127.0.0.1"
REGION: Final = "us-east-1"
STAGE: Final = "local"
STACK_NAME: Final = "wechat-notify"
STATE_FOLDER: Final = ROOT / ".local"

# The emulator's own root key; it knows no other secret for it.
_ROOT_KEY: Final = "test"
_START_SECONDS: Final = 20
_POLL_SECONDS: Final = 0.02


class Stack:
    """The emulator, the simulator and the deployed template; a context manager.

    Parameters
    ----------
    settings
        Ports and the WeChat server.
    state_file
        Where to leave the addresses while the stack is up; None leaves them nowhere.
    kept_file
        What keeps the stack's data while it is down, in the folder of the state file; None keeps nothing.
    report
        Hears of each step and of what went wrong without ending the stack.
    """

    state: State
    deployment: Deployment
    accounts: Accounts

    def __init__(
        self,
        settings: Settings,
        state_file: Path | None = None,
        kept_file: Path | None = None,
        report: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._settings = settings
        self._state_file = state_file
        self._kept_file = kept_file
        self._report = report
        self._children: list[Child] = []
        self._stack = contextlib.ExitStack()
        self._making_client = threading.Lock()

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as started:
            self._start(started)
            self._stack = started.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def check(self) -> None:
        """Raise LocalStackError if a process of the stack has ended."""
        for child in self._children:
            child.check()

    def client(self, service: str, access_key_id: str = _ROOT_KEY, secret_access_key: str = _ROOT_KEY) -> Any:
        """A boto3 client that calls the emulator; without keys, as root of the account."""
        import botocore.config  # noqa: PLC0415 - imported while the children start

        from local.aws_session import session  # noqa: PLC0415

        with self._making_client:  # a session makes one at a time
            return session().client(
                service,
                region_name=REGION,
                endpoint_url=self._endpoint,
                aws_access_key_id=access_key_id,
                aws_secret_access_key=secret_access_key,
                # The host's proxies do not reach the loopback interface.
                config=botocore.config.Config(proxies={}),
            )

    # ------------------------------------------------------------------------------------- starting

    def _start(self, started: contextlib.ExitStack) -> None:
        settings = self._settings
        lock = None
        if self._state_file is not None:
            lock = _lock(self._state_file.parent, started)
            # Of a stack that was killed.
            self._state_file.unlink(missing_ok=True)
        listener = started.enter_context(_listen(settings.emulator_port, "EMULATOR_PORT"))
        with contextlib.ExitStack() as probing:  # taken ports are told of before anything is started
            if settings.wechat_api_base is None:
                probing.enter_context(_listen(settings.simulator_port, "SIMULATOR_PORT"))
        python = worker_python(STATE_FOLDER, self._report)

        self._report("Starting the emulator of AWS and the simulator of WeChat (2 s)")
        app_secret = settings.app_secret or secrets.token_hex(16)
        if settings.fresh and self._kept_file is not None:
            self._kept_file.unlink(missing_ok=True)
        emulator = self._start_emulator(started, listener, python, lock)
        simulator = self._start_simulator(started, app_secret) if settings.wechat_api_base is None else None
        self._import_late()
        self._wait(emulator, lambda: _answers(f"{self._endpoint}/_ministack/health"))
        simulator_url = self._wait(simulator, lambda: _announced(simulator.output())) if simulator else None
        wechat_api_base = simulator_url or settings.wechat_api_base
        assert wechat_api_base is not None  # noqa: S101 # nosec B101 # one of the two was chosen above

        self._report("Deploying template.yaml (3 s)")
        self._deploy(wechat_api_base)
        if self._kept_file is not None:
            self._restore()
        keys = self._create_user()
        outputs = self.deployment.outputs
        (api, _), *_rest = self.deployment.resources("AWS::ApiGatewayV2::Api")
        # Without the stage: the API has $default only, which AWS does not put into the URL either.
        api_url = f"{self._endpoint}/_aws/execute-api/{self.deployment.physical_ids[api]}"
        self.accounts = Accounts(self.client("ssm"), outputs["ParameterPath"], api_url, simulator_url)
        credentials = {"type": "app", "app_id": settings.app_id, "app_secret": app_secret}
        self.accounts.store(ACCOUNT, credentials=credentials)
        if simulator_url is not None:
            self.accounts.introduce(self._report)
        self._refresh_token(wechat_api_base, must_succeed=simulator is not None)

        self.state = State(
            pid=os.getpid(),
            stack_name=self.deployment.stack_name,
            api_url=api_url,
            aws_endpoint_url=self._endpoint,
            region=REGION,
            send_queue_url=outputs["SendQueueUrl"],
            dead_letter_queue_url=outputs["DeadLetterQueueUrl"],
            token_refresh_function=outputs["TokenRefreshFunctionName"],
            event_bus_name=outputs["EventBusName"],
            schedule_group=outputs["ScheduleGroupName"],
            schedule_role_arn=outputs["ScheduleRoleArn"],
            account=ACCOUNT,
            wechat_api_base=wechat_api_base,
            simulator_url=simulator_url,
            access_key_id=keys["AccessKeyId"],
            secret_access_key=keys["SecretAccessKey"],
        )
        self.accounts.set_callback(ACCOUNT, settings.app_id)
        docs.publish(api_url, self._temp)
        if self._state_file is not None:
            started.callback(self._state_file.unlink, missing_ok=True)
            self.state.write(self._state_file)

    def _start_emulator(
        self, started: contextlib.ExitStack, listener: socket.socket, python: Path, lock: int | None
    ) -> Child:
        port = listener.getsockname()[1]
        self._endpoint = f"http://{HOST}:{port}"
        # The emulator's temporary files, its workers' among them, and the document that it serves. It
        # removes the folder itself, too, for the case that this process cannot.
        temp = Path(tempfile.gettempdir(), f"wechat-notify-{secrets.token_hex(4)}")
        started.callback(shutil.rmtree, temp, ignore_errors=True)
        temp.mkdir(mode=0o700)
        self._temp = temp
        environment = {
            # All of it: the functions inherit the emulator's environment.
            "PATH": os.defpath,
            "LANG": "C.UTF-8",
            "TZ": "UTC",
            "TMPDIR": str(temp),
            "STATE_DIR": str(temp / "state"),
            "AUTH": "true",  # IAM policies are enforced
            "BIND_HOST": HOST,
            "GATEWAY_PORT": str(port),
            "MINISTACK_HOST": HOST,
            "MINISTACK_REGION": REGION,
            "LOG_LEVEL": "WARNING",
            # It would look for containers of its own to remove.
            "DOCKER_HOST": f"unix://{temp}/none",
            # Servers for other services, on ports of their own.
            "IOT_MTLS_ENABLED": "0",
            "SFTP_ENABLED": "0",
        }
        command = ["local.emulator", "--fd", str(listener.fileno()), "--worker-python", str(python)]
        command += ["--temp", str(temp)]
        if self._state_file is not None:
            command += ["--state-file", str(self._state_file.resolve())]
        if self._kept_file is not None:
            command += ["--keep", str(self._kept_file.resolve())]
        child = self._child(started, "emulator", command, environment)
        # The lock too: the emulator may outlive this process, and writes the kept file last.
        child.start(pass_fds=[listener.fileno(), *([] if lock is None else [lock])])
        listener.close()
        return child

    def _start_simulator(self, started: contextlib.ExitStack, app_secret: str) -> Child:
        port, app_id = self._settings.simulator_port, self._settings.app_id
        command = ["local.simulator", "--host", HOST, "--port", str(port), "--app", f"{app_id}={app_secret}"]
        environment = {"PATH": os.defpath, "LANG": "C.UTF-8", "TZ": "UTC", "PYTHONUNBUFFERED": "1"}
        child = self._child(started, "simulator", command, environment)
        child.start()
        return child

    def _child(
        self, started: contextlib.ExitStack, name: str, command: list[str], environment: Mapping[str, str]
    ) -> Child:
        child = Child(name, command, environment)
        started.callback(child.stop)
        self._children.append(child)
        return child

    @staticmethod
    def _import_late() -> None:
        """Import what takes half a second while the children do the same."""
        import boto3  # noqa: F401, PLC0415
        import samtranslator.translator.translator  # noqa: F401, PLC0415

    def _wait(self, child: Child, ready: Callable[[], Any]) -> Any:
        deadline = time.monotonic() + _START_SECONDS
        while not (answer := ready()):
            child.check()
            if time.monotonic() > deadline:
                raise LocalStackError(
                    f"the {child.name} did not start in {_START_SECONDS} s:\n{child.output()}"
                )
            time.sleep(_POLL_SECONDS)
        return answer

    # ------------------------------------------------------------------------------------- deploying

    def _deploy(self, wechat_api_base: str) -> None:
        from local.cloudformation.deploy import deploy  # noqa: PLC0415 - imports boto3

        self.deployment = deploy(
            self.client,
            REGION,
            ROOT / "template.yaml",
            STACK_NAME,
            {
                "Stage": STAGE,
                "WeChatApiBase": wechat_api_base,
                "WeChatPagesBase": wechat_api_base,
                "Architecture": "x86_64",
                # The emulator has no CodeDeploy: CloudFormation moves the aliases.
                "GradualDeployment": "false",
                # Every concurrent execution is a process; a laptop has few cores for them.
                "MaximumConcurrency": "2",
                "BroadcastConcurrency": "2",
                "Receipts": "true",
                # A line for each message of the queue.
                "LogLevel": "DEBUG",
            },
        )

    def _restore(self) -> None:
        """Give the stack the data that was kept, before anything uses it."""
        answer = _post_json(self._endpoint + RESTORE, {})
        counts = ", ".join(f"{count:,} {kind}" for kind, count in answer["counts"].items() if count)
        if counts:
            self._report(f"Kept from last time: {counts} (FRESH=1 begins without); the simulator begins anew")
        if answer["problem"] is not None:
            self._report(f"Not all was kept from last time: {answer['problem']}.")

    def _create_user(self) -> dict[str, Any]:
        """An administrator with keys of their own: only an IAM user's signatures are really checked."""
        iam = self.client("iam")
        iam.create_user(UserName="local")
        everything = {"Effect": "Allow", "Action": "*", "Resource": "*"}
        iam.put_user_policy(
            UserName="local",
            PolicyName="administrator",
            PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [everything]}),
        )
        return dict(iam.create_access_key(UserName="local")["AccessKey"])

    def _refresh_token(self, wechat_api_base: str, *, must_succeed: bool) -> None:
        self._report("Fetching the first access token")
        name = self.deployment.outputs["TokenRefreshFunctionName"]
        answer = self.client("lambda").invoke(FunctionName=name, Payload=b"{}")
        payload = answer["Payload"].read().decode()
        ssm = self.client("ssm")
        token = f"{self.deployment.outputs['ParameterPath']}/{ACCOUNT}/access-token"
        with contextlib.suppress(ssm.exceptions.ParameterNotFound):
            ssm.get_parameter(Name=token)
            return
        problem = f"no access token from {wechat_api_base} for {self._settings.app_id}: {_reason(payload)}"
        if must_succeed:
            raise LocalStackError(problem)
        self._report(f"{problem}\nMessages will fail until there is one (WECHAT_APP_ID, WECHAT_APP_SECRET).")


def _reason(payload: str) -> str:
    """Why a refresh failed, as token_refresh words it; all of its answer where it says something else."""
    with contextlib.suppress(ValueError, LookupError, TypeError):
        failure = json.loads(payload)["failed"][0]
        return f"{failure['errmsg'] or failure['class']} ({failure['hint']['en']})"
    return payload


def _lock(folder: Path, started: contextlib.ExitStack) -> int:
    folder.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(folder, os.O_RDONLY)
    started.callback(os.close, descriptor)
    try:
        # The folder itself, so that there is no lock file to leave behind.
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise LocalStackError(
            "the local stack is up already, or just ending (make up runs elsewhere)"
        ) from None
    return descriptor


@contextlib.contextmanager
def _listen(port: int, variable: str) -> Iterator[socket.socket]:
    with socket.socket() as listener:
        # A port that was in use a moment ago may be taken again, one that is in use may not.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((HOST, port))
            listener.listen(128)
        except OSError as error:
            raise LocalStackError(f"{variable}={port}: {error.strerror}; choose another port") from None
        yield listener


# Without the host's proxies.
_OPENER: Final = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def _answers(url: str) -> bool:
    try:
        with _OPENER.open(url, timeout=1):
            return True
    except (urllib.error.URLError, OSError):
        return False


def _post_json(url: str, content: object) -> Any:
    request = urllib.request.Request(  # noqa: S310 - an address of this stack
        url, json.dumps(content).encode(), {"Content-Type": "application/json"}
    )
    with _OPENER.open(request, timeout=60) as answer:
        return json.loads(answer.read() or b"null")


def _announced(output: str) -> str | None:
    line, complete, _ = output.partition("\n")
    with contextlib.suppress(json.JSONDecodeError, KeyError, TypeError):
        if complete:
            return str(json.loads(line)["url"])
    return None
