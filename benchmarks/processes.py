"""The processes of a run: the server on one core, each subject in a process of its own on another."""

from __future__ import annotations

import gc
import json
import multiprocessing
import os
import signal
import subprocess  # nosec B404 # no shell is started
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.cost import MB_OF_A_CORE
from benchmarks.trust import trust

ROOT = Path(__file__).resolve().parents[1]
_CORES = sorted(os.sched_getaffinity(0))
CLIENT_CORE, _SERVER_CORE = _CORES[0], _CORES[-1]
_SLICE = 0.02
"""Seconds in which a quota of CPU time counts."""


class Server:
    """The running server; ``addresses`` has its doors."""

    def __init__(self, process: subprocess.Popen[str], ca_file: str) -> None:
        assert process.stdin  # nosec B101 # for the type checker
        assert process.stdout  # nosec B101 # for the type checker
        self._ask, self._answers = process.stdin, process.stdout
        self.ca_file = ca_file
        self.addresses: dict[str, str] = json.loads(self._answers.readline())

    def stats(self) -> dict[str, float]:
        """Requests, bytes and items so far."""
        self._ask.write("stats\n")
        self._ask.flush()
        stats: dict[str, float] = json.loads(self._answers.readline())
        return stats


@contextmanager
def serving() -> Iterator[Server]:
    """The server, in a process and on a core of its own."""
    with TemporaryDirectory() as folder:
        ca_file = str(Path(folder) / "ca.pem")
        command = [sys.executable, "-m", "benchmarks.server", ca_file]
        with subprocess.Popen(  # nosec B603 # no shell; the command is this code's own
            command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as process:
            os.sched_setaffinity(process.pid, {_SERVER_CORE})
            try:
                yield Server(process, ca_file)
            finally:
                process.kill()


def environment(server: Server, wechat: str = "wechat_tls", aws: str = "aws") -> dict[str, str]:
    """What the template and Lambda set, with everything outside of the process on the server."""
    return {
        "PATH": os.environ["PATH"],
        "HOME": os.environ.get("HOME", "/"),
        "LANG": "C.UTF-8",
        "BENCHMARK_CA_FILE": server.ca_file,
        "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "AKIAEXAMPLE",
        "AWS_SECRET_ACCESS_KEY": "example",  # nosec B105 # a name, not a secret
        "AWS_SESSION_TOKEN": "example" * 60,  # Lambda's credentials are temporary, and their token is long
        "AWS_ENDPOINT_URL": server.addresses[aws],
        "AWS_EC2_METADATA_DISABLED": "true",
        "WECHAT_API_BASE": server.addresses[wechat],
        "PARAMETER_PATH": "/wechat-notify/bench",
        "POWERTOOLS_SERVICE_NAME": "wechat-notify-bench",
        "POWERTOOLS_METRICS_NAMESPACE": "WeChatNotify",
        "POWERTOOLS_LOG_LEVEL": "INFO",
        "OPENID_HASH_SECRET": "arn:aws:secretsmanager:us-east-1:111122223333:secret:OpenidHashKey-abcdef",
        "TOKEN_REFRESH_FUNCTION": "token-refresh",  # nosec B105 # a name, not a secret
        "SEND_QUEUE_URL": "https://sqs.us-east-1.amazonaws.com/111122223333/send",
        "DEAD_LETTER_QUEUE_URL": "https://sqs.us-east-1.amazonaws.com/111122223333/dead",
        "LEDGER_TABLE": "ledger",
        "LEDGER_RETENTION_DAYS": "30",
        "LIST_SENT_MESSAGES": "true",
        "RECEIPTS": "false",
        "EVENT_BUS_NAME": "bus",
        "QUOTA_RESET": "00:00+08:00",
    }


class Worker:
    """A subject in a process of its own, which does what it is told and says what it took."""

    def __init__(self, subject: type, given: Mapping[str, str]) -> None:
        spawn = multiprocessing.get_context("spawn")
        self._pool = ProcessPoolExecutor(1, spawn, _begin, (subject, dict(given)))
        self.pid = self._pool.submit(os.getpid).result()

    def call(self, method: str, **arguments: Any) -> Any:
        """What one of the subject's methods returns."""
        return self._pool.submit(_call, method, arguments).result()

    def close(self) -> None:
        """End the process."""
        self._pool.shutdown()


_subject: Any = None


def _begin(subject: type, given: dict[str, str]) -> None:
    """Begin a worker: what it prints goes nowhere."""
    global _subject  # noqa: PLW0603 - a worker has one
    os.sched_setaffinity(0, {CLIENT_CORE})
    os.environ.clear()
    os.environ.update(given)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    warnings.simplefilter("ignore")  # Powertools' of metrics that it has flushed already
    trust(given["BENCHMARK_CA_FILE"])
    _subject = subject()


def _call(method: str, arguments: dict[str, Any]) -> Any:
    return getattr(_subject, method)(**arguments)


def measured(call: Callable[[Any], object], items: Iterable[Any], each: int = 1) -> dict[str, float]:
    """CPU seconds (all threads, the kernel's part included) and wall seconds of one of a call's ``each``."""
    given = list(items)
    gc.collect()
    wall, cpu = time.perf_counter(), time.process_time()
    for item in given:
        call(item)
    count = each * len(given)
    return {"cpu": (time.process_time() - cpu) / count, "wall": (time.perf_counter() - wall) / count}


@contextmanager
def workers(server: Server, subjects: Mapping[str, type], **doors: str) -> Iterator[dict[str, Worker]]:
    """A worker for each subject."""
    with ExitStack() as stack:
        made = {name: Worker(subject, environment(server, **doors)) for name, subject in subjects.items()}
        for worker in made.values():
            stack.callback(worker.close)
        yield made


def interleaved(
    made: Mapping[str, Worker], rounds: int, method: str, *, megabytes: float = 0.0, **told: Any
) -> dict[str, list[Any]]:
    """Let each worker do it once a round, beginning with another one each time; a warm-up comes first.

    With ``megabytes`` they have as much CPU as Lambda gives to a function of so much memory.
    """
    found: dict[str, list[Any]] = {name: [] for name in made}
    names = list(made)
    for index in range(-1, rounds):
        shift = index % len(names)
        for name in (*names[shift:], *names[:shift]):
            share = megabytes / MB_OF_A_CORE if megabytes and index >= 0 else 1.0
            with _limited(made[name].pid, share):
                answer = made[name].call(method, **told)
            if index >= 0:
                found[name].append(answer)
    return found


@contextmanager
def _limited(pid: int, share: float) -> Iterator[None]:
    """Stop the process in each slice of time in which it has used its share of a core.

    As with a quota of a cgroup, which only root can set, what it does not use is lost.
    """
    if share >= 1:
        yield
        return
    clock = ~pid << 3 | 2  # its CPU time, as clock_getcpuclockid(3) numbers it
    done = threading.Event()

    def hold() -> None:
        end, begun, running = time.monotonic() + _SLICE, time.clock_gettime(clock), True
        while not done.wait(0.001):
            used = time.clock_gettime(clock)
            if time.monotonic() >= end:
                end, begun = end + _SLICE, min(used, begun + share * _SLICE)
            over = used - begun > share * _SLICE
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
