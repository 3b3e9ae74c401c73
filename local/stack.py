"""The whole service on this machine: ``python -m local.stack up``.

template.yaml runs on an AWS emulator and talks to a WeChat simulator, both children of this process and
reachable from this machine only. ``.local/stack.json`` holds the addresses while the stack is up.

Environment variables
---------------------
EMULATOR_PORT, SIMULATOR_PORT
    Where the two listen (4566 and 8066); 0 takes a free port.
WECHAT_API_BASE
    A server to send to in place of the simulator, with WECHAT_APP_ID and WECHAT_APP_SECRET.
RUNTIME_PYTHON
    The interpreter for the functions; python3.13 where there is one.
FRESH
    1 forgets what earlier stacks have kept.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import functools
import json
import os
import re
import secrets
import shutil
import signal
import socket
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

from local import docs
from local.kept_state import PATH as RESTORE
from local.processes import ROOT, Child, LocalStackError, worker_python

if TYPE_CHECKING:
    from local.cloudformation.deployment import Deployment

HOST: Final = "127.0.0.1"
REGION: Final = "us-east-1"
ACCOUNT: Final = "demo"
STAGE: Final = "local"
STACK_NAME: Final = "wechat-notify"
STATE_FOLDER: Final = ROOT / ".local"

# The emulator's own root key; it knows no other secret for it.
_ROOT_KEY: Final = "test"
_START_SECONDS: Final = 20
_AES_KEY: Final = 43
_POLL_SECONDS: Final = 0.02


@dataclass(frozen=True)
class Settings:
    """What may be chosen about a stack. Port 0 is any free port."""

    emulator_port: int = 0
    simulator_port: int = 0
    wechat_api_base: str | None = None
    app_id: str = "wx0123456789abcdef"
    app_secret: str = ""
    fresh: bool = False

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Settings:
        """Read the variables that the module's docstring lists."""
        base = environment.get("WECHAT_API_BASE", "").rstrip("/")
        if base and not re.fullmatch(r"https?://[^/?#\s]+(/[^?#\s]*)?", base):
            raise LocalStackError(f"WECHAT_API_BASE={base} is not an address such as http://127.0.0.1:9000")
        return cls(
            _port(environment, "EMULATOR_PORT", 4566),
            _port(environment, "SIMULATOR_PORT", 8066),
            base or None,
            environment.get("WECHAT_APP_ID") or cls.app_id,
            environment.get("WECHAT_APP_SECRET", ""),
            environment.get("FRESH", "") not in {"", "0"},
        )


def _port(environment: Mapping[str, str], name: str, default: int) -> int:
    text = environment.get(name) or str(default)
    if not text.isascii() or not text.isdigit() or int(text) > 65535:  # noqa: PLR2004 - the highest port
        raise LocalStackError(f"{name}={text} is not a port")
    return int(text)


@dataclass(frozen=True)
class CallbackKey:
    """The keys of an account's callbacks, as its parameter has them."""

    token: str
    encoding_aes_key: str


@dataclass(frozen=True)
class State:
    """The content of stack.json: all that a client needs."""

    pid: int
    stack_name: str
    api_url: str
    aws_endpoint_url: str
    region: str
    send_queue_url: str
    dead_letter_queue_url: str
    token_refresh_function: str
    event_bus_name: str
    schedule_group: str
    schedule_role_arn: str
    account: str
    wechat_api_base: str
    simulator_url: str | None
    access_key_id: str
    secret_access_key: str

    def write(self, path: Path) -> None:
        """Put the file in its place in one step, readable by its owner only."""
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(prefix=path.name, dir=path.parent)  # mode 0600
        try:
            with os.fdopen(descriptor, "w") as file:
                json.dump(asdict(self), file, indent=2)
                file.write("\n")
            Path(name).replace(path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise


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
        self._seed_account(app_secret)
        if simulator_url is not None:
            self._introduce_accounts(simulator_url)
        self._refresh_token(wechat_api_base, must_succeed=simulator is not None)

        outputs = self.deployment.outputs
        (api, _), *_rest = self.deployment.resources("AWS::ApiGatewayV2::Api")
        self.state = State(
            pid=os.getpid(),
            stack_name=self.deployment.stack_name,
            # Without the stage: the API has $default only, which AWS does not put into the URL either.
            api_url=f"{self._endpoint}/_aws/execute-api/{self.deployment.physical_ids[api]}",
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
        self.set_callback(ACCOUNT, settings.app_id)
        docs.publish(self.state.api_url, self._temp)
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

    def _introduce_accounts(self, simulator_url: str) -> None:
        """Tell the simulator, which begins anew, of the apps of the accounts that were kept."""
        ssm = self.client("ssm")
        pages = ssm.get_paginator("get_parameters_by_path").paginate(
            Path=self.deployment.outputs["ParameterPath"], Recursive=True, WithDecryption=True
        )
        for parameter in (found for page in pages for found in page["Parameters"]):
            path, _, name = parameter["Name"].rpartition("/")
            account = path.rpartition("/")[2]
            if name != "credentials" or account == ACCOUNT:
                continue
            try:
                credentials = json.loads(parameter["Value"])
                app = {"app_id": credentials["app_id"], "secret": credentials["app_secret"]}
                _post_json(f"{simulator_url}/_sim/apps", app)
            except (ValueError, LookupError, TypeError, urllib.error.HTTPError):
                self._report(
                    f"The credentials of account {account} are not those of an app at the simulator."
                )

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

    def _seed_account(self, app_secret: str) -> None:
        credentials = {"type": "app", "app_id": self._settings.app_id, "app_secret": app_secret}
        self.client("ssm").put_parameter(
            Name=f"{self.deployment.outputs['ParameterPath']}/{ACCOUNT}/credentials",
            Type="SecureString",
            Value=json.dumps(credentials),
            Overwrite=True,
        )

    def set_callback(self, account: str, app_id: str, **options: str) -> CallbackKey:
        """Have the simulator push the receipts of an app's messages to the account's callback address."""
        key = CallbackKey(secrets.token_hex(16), secrets.token_hex(22)[:_AES_KEY])
        stored = {"app_id": app_id, "mode": options.get("mode", "secure"), "keys": [asdict(key)]}
        self.client("ssm").put_parameter(
            Name=f"{self.deployment.outputs['ParameterPath']}/{account}/callback",
            Type="SecureString",
            Value=json.dumps(stored),
            Overwrite=True,
        )
        if self.state.simulator_url:
            url = f"{self.state.api_url}/v1/callbacks/{account}"
            order = {"app_id": app_id, "url": url, **asdict(key), **options}
            from local.client import post_json  # noqa: PLC0415 - it imports this module

            post_json(f"{self.state.simulator_url}/_sim/callbacks", **order)
        return key

    def add_component(self, name: str, **callback: object) -> str:
        """A third-party platform under this name, to which the simulator pushes a ticket; its appid.

        ``callback`` are more fields of its callback parameter.
        """
        from local.client import post_json  # noqa: PLC0415 - it imports this module

        app_id, secret = f"wx{name}", secrets.token_hex(16)
        key = asdict(CallbackKey(secrets.token_hex(16), secrets.token_hex(22)[:_AES_KEY]))
        self._store(
            name,
            credentials={"type": "component", "app_id": app_id, "app_secret": secret},
            callback={"app_id": app_id, "keys": [key], **callback},
        )
        url = f"{self.state.api_url}/v1/callbacks/components/{name}"
        orders = f"{self.state.simulator_url}/_sim/components"
        post_json(orders, component=app_id, secret=secret, url=url, **key)
        post_json(f"{orders}/ticket", component=app_id)
        return app_id

    def add_account_with_consents(self, name: str) -> None:
        """An account under this name that sends nothing without a consent, here as at the simulator."""
        from local.client import post_json  # noqa: PLC0415 - it imports this module

        app_id, secret = f"wx{name}", secrets.token_hex(16)
        post_json(f"{self.state.simulator_url}/_sim/apps", app_id=app_id, secret=secret, consents=True)
        app = {"type": "app", "app_id": app_id, "app_secret": secret}
        self._store(name, credentials={**app, "consents": "enforce"})

    def _store(self, account: str, **parameters: object) -> None:
        for part, value in parameters.items():
            self.client("ssm").put_parameter(
                Name=f"{self.deployment.outputs['ParameterPath']}/{account}/{part}",
                Type="SecureString",
                Value=json.dumps(value),
                Overwrite=True,
            )

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


# ------------------------------------------------------------------------------------- command line


@contextlib.contextmanager
def ending_on_signals() -> Iterator[None]:
    """End the block on the first SIGINT, SIGTERM or SIGHUP; later ones do not disturb its tidying up."""
    numbers = [signal.SIGINT, signal.SIGTERM]
    # The terminal's window was closed; under nohup that means nothing.
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        numbers.append(signal.SIGHUP)

    def end(*_: object) -> None:
        for number in numbers:
            signal.signal(number, signal.SIG_IGN)
        raise KeyboardInterrupt

    for number in numbers:
        signal.signal(number, end)
    with contextlib.suppress(KeyboardInterrupt):
        yield


def up(state_file: Path) -> None:
    """Keep a stack up until Ctrl-C or SIGTERM."""
    began = time.monotonic()
    settings = Settings.from_environment(os.environ)
    say = functools.partial(print, flush=True)
    kept_file = state_file.with_name("kept.json")
    with ending_on_signals(), Stack(settings, state_file, kept_file, say) as stack:
        print(summary(stack.state, state_file, time.monotonic() - began), flush=True)
        with tail(state_file):
            while True:
                stack.check()
                time.sleep(0.5)


@contextlib.contextmanager
def tail(state_file: Path) -> Iterator[None]:
    """Show what happens in the stack, a line for each request, message and event (``wxn tail``)."""
    # It speaks the terminal's language, and follows this stack whatever else its variables name.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("WXN_")}
    path = os.pathsep.join([str(ROOT), str(ROOT / "cli")])
    # It looks for .local/stack.json from where it runs.
    folder = state_file.resolve().parent.parent
    child = Child("wxn tail", ["wxn", "tail"], environment | {"PYTHONPATH": path}, folder=folder, shows=True)
    child.start()
    try:
        yield
    finally:
        child.stop()


def summary(state: State, state_file: Path, seconds: float) -> str:
    """What a person wants to know when the stack is up."""
    wechat = f"{state.wechat_api_base}"
    if state.simulator_url:
        wechat += "   (simulator; open it in a browser to see the messages arrive)"
    rows = {
        "HTTP API": state.api_url,
        "Its page": f"{state.aws_endpoint_url}/docs",
        "Account": state.account,
        "Send queue": state.send_queue_url,
        "Event bus": state.event_bus_name,
        "Schedules": f"group {state.schedule_group}, role {state.schedule_role_arn}",
        "AWS": f"{state.aws_endpoint_url}   (region {state.region})",
        "Keys": f"{state.access_key_id}  {state.secret_access_key}",
        "WeChat": wechat,
        "Logs": f"CloudWatch log groups /aws/lambda/{state.stack_name}/…; below as they come (wxn tail)",
        "In a file": os.path.relpath(state_file),
    }
    message = {
        "kind": "subscription",
        "touser": "openid-1",
        "template_id": "9Aw5ZV1j9xdWTFEkqCpZ7mIBbSC34khK55OtzUPl0rU",
        "page": "index",
        "miniprogram_state": "formal",
        "lang": "zh_CN",
        "data": {"date2": {"value": "2026年12月1日"}, "thing1": {"value": "TIT会议室"}},
    }
    table = "\n".join(f"  {name:<11}{value}" for name, value in rows.items())
    return f"""
WeChat Notify is up after {seconds:.1f} s. Ctrl-C stops it.

{table}

A first message:

  curl --aws-sigv4 aws:amz:{state.region}:execute-api \\
    --user {state.access_key_id}:{state.secret_access_key} \\
    --header 'Content-Type: application/json' \\
    --data '{json.dumps(message, ensure_ascii=False)}' \\
    {state.api_url}/v1/accounts/{state.account}/messages

Or an example, in a second terminal:

  .venv/bin/wxn trigger subscription
"""


def main() -> None:
    """Run the command line; a reason to stop is one line on standard error and exit status 1."""
    parser = argparse.ArgumentParser(prog="local.stack", description="WeChat Notify on this machine")
    parser.add_argument("command", choices=["up"], help="start, stay in front, stop on Ctrl-C")
    parser.add_argument("--state-file", type=Path, default=STATE_FOLDER / "stack.json")
    arguments = parser.parse_args()
    try:
        up(arguments.state_file)
        print("Stopped.")
    except LocalStackError as error:
        sys.exit(f"local stack: {error}")


if __name__ == "__main__":
    main()
