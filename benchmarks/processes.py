"""The processes of a run: the server on one core, workers on another, each subject in its own."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parents[1]
LAYER = ROOT / "layers" / "wechat_notify"

_MB_OF_A_CORE = 1769.0
"""Memory at which Lambda gives a whole core.
https://docs.aws.amazon.com/lambda/latest/dg/configuration-memory.html
"""
_PERIOD_US = 20_000
"""Microseconds in which a quota of CPU time counts."""


class Cores(NamedTuple):
    """Which core whom; None where there is only one for both."""

    client: int | None
    server: int | None

    @classmethod
    def found(cls) -> Cores:
        """The first and the last of those that this process may use."""
        cores = sorted(os.sched_getaffinity(0))
        return cls(cores[0], cores[-1]) if len(cores) > 1 else cls(None, None)


class Server:
    """The running server; ``addresses`` has its doors."""

    def __init__(self, process: subprocess.Popen[str], ca_file: str, cores: Cores) -> None:
        self._process = process
        self.ca_file = ca_file
        self.cores = cores
        assert process.stdout
        self.addresses: dict[str, str] = json.loads(process.stdout.readline())

    def stats(self) -> dict[str, float]:
        """CPU seconds, requests and bytes so far."""
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write("stats\n")
        self._process.stdin.flush()
        stats: dict[str, float] = json.loads(self._process.stdout.readline())
        return stats


@contextmanager
def serving() -> Iterator[Server]:
    """The server, in a process and on a core of its own."""
    cores = Cores.found()
    with TemporaryDirectory() as folder:
        ca_file = str(Path(folder) / "ca.pem")
        process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.server", ca_file],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        _pin(process.pid, cores.server)
        with process:
            try:
                yield Server(process, ca_file, cores)
            finally:
                process.stdin.close()  # type: ignore[union-attr]
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(5)
                process.kill()


def environment(server: Server, wechat: str = "wechat_tls", **more: str) -> dict[str, str]:
    """What the template and Lambda set, with everything outside of the process on the server."""
    return {
        "PATH": os.environ["PATH"],
        "HOME": os.environ.get("HOME", "/"),
        "LANG": "C.UTF-8",
        "BENCHMARK_CA_FILE": server.ca_file,
        "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "AKIAEXAMPLE",
        "AWS_SECRET_ACCESS_KEY": "example",
        "AWS_SESSION_TOKEN": "example" * 60,  # Lambda's credentials are temporary, and their token is long
        "AWS_ENDPOINT_URL": server.addresses["aws"],
        "AWS_EC2_METADATA_DISABLED": "true",
        "WECHAT_API_BASE": server.addresses[wechat],
        "PARAMETER_PATH": "/wechat-notify/bench/accounts-1",  # the server lists as many
        "POWERTOOLS_SERVICE_NAME": "wechat-notify-bench",
        "POWERTOOLS_METRICS_NAMESPACE": "WeChatNotify",  # for the naive handlers' metrics
        "POWERTOOLS_LOG_LEVEL": "INFO",
        "OPENID_HASH_KEY": "a key for benchmarks that is as long as the real one would be",
        "TOKEN_REFRESH_FUNCTION": "token-refresh",
        "SEND_QUEUE_URL": "https://sqs.us-east-1.amazonaws.com/111122223333/send",
        "DEAD_LETTER_QUEUE_URL": "https://sqs.us-east-1.amazonaws.com/111122223333/dead",
        "LEDGER_TABLE": "ledger",
        "LEDGER_RETENTION_DAYS": "30",
        "EVENT_BUS_NAME": "bus",
        "QUOTA_RESET": "00:00+08:00",
        **more,
    }


class Worker:
    """A subject in a process of its own, which does what it is told and says what it took."""

    def __init__(self, server: Server, subject: str, *, wechat: str = "wechat_tls", **options: Any) -> None:
        path = os.pathsep.join((str(ROOT), str(LAYER)))
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.worker", subject, json.dumps(options)],
            cwd=ROOT,
            env=environment(server, wechat, PYTHONPATH=path),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        _pin(self._process.pid, server.cores.client)
        self._subject = subject

    @property
    def pid(self) -> int:
        """The process."""
        return self._process.pid

    def call(self, method: str, **arguments: Any) -> Any:
        """What one of the subject's methods returns."""
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(json.dumps([method, arguments]) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self._subject} died in {method}")
        return json.loads(line)

    def close(self) -> None:
        """End the process."""
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.close()
        self._process.stdout.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(5)
        self._process.kill()
        self._process.wait()


@contextmanager
def workers(
    server: Server, subjects: Mapping[str, str], *, wechat: str = "wechat_tls", **options: Any
) -> Iterator[dict[str, Worker]]:
    """A worker for each subject."""
    made: dict[str, Worker] = {}
    try:
        for name, subject in subjects.items():
            made[name] = Worker(server, subject, wechat=wechat, **options)
        yield made
    finally:
        for worker in made.values():
            worker.close()


def interleaved(
    made: Mapping[str, Worker], rounds: int, method: str, told: Mapping[str, Any]
) -> dict[str, list[Any]]:
    """Let each worker do it once a round, beginning with another one each time; a warm-up comes first."""
    found: dict[str, list[Any]] = {name: [] for name in made}
    names = list(made)
    for index in range(-1, rounds):
        shift = index % len(names)
        for name in (*names[shift:], *names[:shift]):
            answer = made[name].call(method, **told)
            if index >= 0:
                found[name].append(answer)
    return found


def values(found: Mapping[str, Sequence[Mapping[str, float]]], field: str) -> dict[str, list[float]]:
    """One field of what the workers answered, for each of them."""
    return {name: [answer[field] for answer in answers] for name, answers in found.items()}


# ---------------------------------------------------------------- as little CPU as a small function has


@contextmanager
def limited(pid: int, megabytes: float) -> Iterator[str]:
    """As much CPU as Lambda gives to a function of so much memory; says how that is done."""
    share = megabytes / _MB_OF_A_CORE
    group = _cgroup(pid, share)
    if group is None:
        with _duty_cycle(pid, share):
            yield "stopped and continued by signals"
        return
    folder, version = group
    try:
        yield f"cgroup v{version} quota, {share * _PERIOD_US:.0f} of each {_PERIOD_US} µs"
    finally:
        (folder.parent / "cgroup.procs").write_text(str(pid))
        folder.rmdir()


def _cgroup(pid: int, share: float) -> tuple[Path, int] | None:
    """A new group with the quota and the process, and cgroup's version; None where groups cannot be made."""
    quota = max(1000, round(share * _PERIOD_US))
    unified = Path("/sys/fs/cgroup/cgroup.controllers").exists()
    parent = Path("/sys/fs/cgroup") if unified else Path("/sys/fs/cgroup/cpu")
    folder = parent / f"benchmarks-{os.getpid()}"
    try:
        folder.mkdir()
    except OSError:
        return None
    try:
        if unified:
            (folder / "cpu.max").write_text(f"{quota} {_PERIOD_US}")
        else:
            (folder / "cpu.cfs_period_us").write_text(str(_PERIOD_US))
            (folder / "cpu.cfs_quota_us").write_text(str(quota))
        (folder / "cgroup.procs").write_text(str(pid))
    except OSError:
        folder.rmdir()
        return None
    return folder, 2 if unified else 1


@contextmanager
def _duty_cycle(pid: int, share: float) -> Iterator[None]:
    """Stop the process whenever it has used more than its share, until it has not."""
    done = threading.Event()

    def used() -> float:
        threads = Path(f"/proc/{pid}/task").glob("*/schedstat")
        return sum(int(file.read_text().split()[0]) for file in threads) / 1e9

    def hold() -> None:
        began, before, running = time.monotonic(), used(), True
        while not done.wait(0.001):
            allowed = share * (time.monotonic() - began)
            over = used() - before > allowed + share * _PERIOD_US / 1e6
            if over is running:
                os.kill(pid, signal.SIGSTOP if running else signal.SIGCONT)
                running = not running
        os.kill(pid, signal.SIGCONT)

    holding = threading.Thread(target=hold)
    holding.start()
    try:
        yield
    finally:
        done.set()
        holding.join()


def _pin(pid: int, core: int | None) -> None:
    if core is not None:
        os.sched_setaffinity(pid, {core})
