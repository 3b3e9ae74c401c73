"""Lambda: the real handlers and the real core in sandboxes, each of which can die with all that it knows."""

from __future__ import annotations

import io
import itertools
import json
import logging
import threading
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import pytest
from aws_lambda_powertools import Logger

from functions.send_api import handler as send_api
from functions.send_queue import handler as send_queue
from functions.token_refresh import handler as token_refresh
from tests.chaos.aws import Aws, DeadLetters, Parameters, Queue, Table
from tests.chaos.wechat import number_in
from tests.chaos.workload import CANARY
from tests.fakes import Core, FakeContext, hashes
from wechat_notify import bootstrap
from wechat_notify.aws import refresher
from wechat_notify.bootstrap import token_refresh as token_refresh_parts
from wechat_notify.core.errors import RefresherBusyError, StorageError
from wechat_notify.core.messages.identifiers import new_id
from wechat_notify.core.tokens import access_tokens
from wechat_notify.core.tokens.access_tokens import AccessTokens
from wechat_notify.core.tokens.refresher import TokenRefresher
from wechat_notify.core.tokens.token import AccessToken, Grant
from wechat_notify.telemetry import Telemetry
from wechat_notify.wechat.client import WeChatClient
from wechat_notify.wechat.connections import Limits
from wechat_notify.wechat.session import HttpResponse, HttpSession, NoAnswer

LIMITS = Limits(connect=0.8, read=0.4, answer=0.5)
"""Real seconds, of real sockets. By the service's clock they are as long as the real ones or longer, and
within what it plans for."""
_MAX_INVOKE = 6.0
"""Seconds for which a sender waits for the refresher's answer."""
_FUNCTIONS: dict[str, tuple[Any, float]] = {
    "send_queue": (send_queue, 67.0),
    "send_api": (send_api, 29.0),
    "token_refresh": (token_refresh, 120.0),
}
"""The modules of their handlers, and their timeouts as the template has them."""
_numbers = itertools.count()


class Killed(BaseException):
    """The process is gone: no ``except Exception`` may stop it on its way out."""


class Crashed(Exception):  # noqa: N818 - it happened to somebody else
    """An invocation came to no answer."""


@dataclass(frozen=True, slots=True)
class Invocation:
    """When an invocation began and ended; ``blind``: it could not read the circuits."""

    began: float
    ended: float
    blind: bool


class _Session(HttpSession):
    """The client's own session, and the moments before and after at which a sandbox can die."""

    def __init__(self, url: str, sandbox: Sandbox) -> None:
        super().__init__(url, LIMITS)
        self._sandbox = sandbox

    def post(self, path: str, body: bytes) -> HttpResponse | NoAnswer:
        self._sandbox.reached()
        answer = super().post(path, body)
        if isinstance(answer, NoAnswer):
            self._sandbox.unanswered(body, answer.reason)
        else:
            self._sandbox.reached()
        return answer


class _PoolOfABatch(Executor):
    """Threads that end with the batch: a sandbox that dies leaves none behind."""

    def map(self, fn: Callable[..., Any], *iterables: Iterable[Any], **_: Any) -> Iterator[Any]:
        with ThreadPoolExecutor(10) as pool:
            return iter(list(pool.map(fn, *iterables)))


class Sandbox(Core):
    """One process: connections, tokens, circuits, and the end of them all."""

    def __init__(self, lambdas: Lambda) -> None:
        aws, clock = lambdas.aws, lambdas.aws.clock
        self._lambdas = lambdas
        self._clock = clock
        self._lock = threading.Lock()
        self._steps_left = 0
        self._deadline = 0.0
        self.dead = False
        self.stopped = False
        name = f"chaos-{next(_numbers)}"
        self.telemetry = Telemetry(Logger(service=name, stream=lambdas.log, utc=True, use_rfc3339=True))
        logging.getLogger(name).propagate = False  # pytest would keep every line once more
        self._session = _Session(lambdas.url, self)
        self.client = WeChatClient(self._session)
        self.table, queue = Table(aws, self.reached), Queue(aws, self.reached)
        parameters = Parameters(aws, self.reached, self._source)
        jitter = aws.rng.uniform
        self.token_refresher = TokenRefresher(parameters, now=clock.now)
        super().__init__(
            clock,
            table=self.table,
            tokens=AccessTokens(parameters, self, now=clock.now, sleep=self._sleep, jitter=jitter),
            wechat=self.client,
            queue=queue,
            dead_letters=DeadLetters(aws, self.reached),
            writer=lambdas.new_id,
            keyed_hash=lambdas.openid_hash,
            jitter=jitter,
            pool=_PoolOfABatch(),
        )

    def begin(self, seconds: float, steps: int | None) -> FakeContext:
        """Start an invocation that ends after so many seconds, or with its death after so many steps."""
        self._deadline = self._clock.now() + seconds
        self._steps_left = steps or -1
        self.table.blind = False
        return _Context(self._clock.now, self._deadline)

    def reached(self) -> None:
        """A place where the process can die."""
        with self._lock:
            self._steps_left -= 1
            self.stopped = self.stopped or self._clock.now() > self._deadline
            self.dead = self.dead or self.stopped or self._steps_left == 0
        if self.dead:
            raise Killed

    def unanswered(self, body: bytes, reason: str) -> None:
        """Note why there was no answer, for whichever message it was."""
        number = number_in(body.decode())
        if number is not None:
            self._lambdas.unanswered[number].append(reason)

    def ask(self, account: str, rejected: str | None) -> AccessToken:
        """Invoke the refresher, as ``aws.refresher`` does."""
        self.reached()
        began = self._clock.now()
        answer = self._lambdas.refresh(account, rejected)
        self.reached()
        if self._clock.now() - began > _MAX_INVOKE:
            raise RefresherBusyError(account)
        return refresher._token(account, answer)

    def drop(self) -> None:
        """Forget the process; the operating system closes its connections."""
        self._session.close()

    def _sleep(self, seconds: float) -> None:
        self.reached()
        self._clock.sleep(seconds)

    def _source(self, account: str) -> _Source:
        return _Source(self._lambdas, self.client, f"wx-{account}")


@dataclass(frozen=True, slots=True)
class _Source:
    lambdas: Lambda
    client: WeChatClient
    app_id: str

    def fetch(self, *, force: bool) -> Grant:
        return self.client.fetch_token(self.app_id, self.lambdas.secrets[self.app_id], force=force)


class _Context(FakeContext):
    def __init__(self, now: Callable[[], float], deadline: float) -> None:
        super().__init__()
        self._now = now
        self._deadline = deadline

    def get_remaining_time_in_millis(self) -> int:
        return int((self._deadline - self._now()) * 1000)


class Lambda:
    """The service's functions, their warm sandboxes, and what the invocations came to."""

    def __init__(self, aws: Aws, url: str, secrets: dict[str, str]) -> None:
        self.aws = aws
        self.url = url
        self.secrets = secrets
        self.log = io.StringIO()
        """All that the sandboxes write, metrics included."""
        self.invocations: list[Invocation] = []
        self.unanswered: defaultdict[int, list[str]] = defaultdict(list)
        """By message: why there was no answer."""
        self.asked_in_vain: Counter[str] = Counter()
        """Questions for a token, by account, that were answered with none."""
        self.failed: list[str] = []
        """Invocations that ended with an error, though nobody killed them."""
        self.openid_hash = hashes(CANARY.encode())
        self._warm: defaultdict[str, list[Sandbox]] = defaultdict(list)
        self._running = threading.local()
        self._refreshing = threading.Lock()
        self._lock = threading.Lock()

    def new_id(self) -> str:
        """An id as the service makes them."""
        return new_id(self.aws.clock.now, self.aws.rng.getrandbits)

    def invoke(self, function: str, event: dict[str, Any], dies_within: int) -> Any:
        """What a function answers; raises ``Crashed`` where it has none.

        Parameters
        ----------
        function
            Its folder.
        event
            What it is given.
        dies_within
            The steps among which a sandbox that is to die does so.
        """
        aws = self.aws
        module, seconds = _FUNCTIONS[function]
        with self._lock:
            sandbox = self._warm[function].pop() if self._warm[function] else None
        sandbox = sandbox or Sandbox(self)
        to_die = aws.rng.random() < aws.mix.killed
        began = aws.clock.now()
        context = sandbox.begin(seconds, aws.rng.randint(1, dies_within) if to_die else None)
        outer = getattr(self._running, "sandbox", None)
        self._running.sandbox = sandbox
        try:
            answer = module.lambda_handler(event, context)
            sandbox.reached()  # its answer may get lost as well
        except Killed:
            aws.struck["stopped at their timeout" if sandbox.stopped else "killed"] += 1
            raise Crashed(function) from None
        except Exception as error:  # noqa: BLE001 - Lambda goes on with the sandbox, and so does this
            if str(error) != "StorageError":  # which was planted
                self.failed.append(f"{function}: {error}")
            raise Crashed(function) from None
        finally:
            self._running.sandbox = outer
            self.invocations.append(Invocation(began, aws.clock.now(), sandbox.table.blind))
            if sandbox.dead:
                sandbox.drop()
            else:
                with self._lock:
                    self._warm[function].append(sandbox)
        return answer

    def refresh(self, account: str | None = None, rejected: str | None = None) -> dict[str, Any]:
        """The refresher's answer, to a sender or to the schedule.

        Raises
        ------
        RefresherBusyError
            One at a time runs.
        StorageError
            It came to no answer.
        """
        name = account or ""
        if not self._refreshing.acquire(blocking=False):
            raise RefresherBusyError(name)
        try:
            event = {"account": account, "rejected": rejected} if account else {}
            answer = self.invoke("token_refresh", event, dies_within=6)
        except Crashed:
            self.asked_in_vain[name] += 1
            raise StorageError("ask for a token", "FunctionError") from None
        finally:
            self._refreshing.release()
        self.asked_in_vain[name] += answer.get("result") == "failed"
        told: dict[str, Any] = json.loads(json.dumps(answer))
        return told

    def lend(self, patch: pytest.MonkeyPatch) -> None:
        """Let ``bootstrap`` hand out the parts of the sandbox that is running, on the service's clock."""
        for name in ("telemetry", "dispatcher", "ledger", "batch_sender"):
            patch.setattr(bootstrap, name, lambda name=name: getattr(self._running.sandbox, name))
        patch.setattr(token_refresh_parts, "token_refresher", lambda: self._running.sandbox.token_refresher)
        patch.setattr(bootstrap, "openid_hasher", lambda: self.openid_hash)
        patch.setattr(bootstrap, "id_factory", lambda: self.new_id)
        patch.setattr(bootstrap, "event_bus", lambda: self.aws.bus)
        clock = SimpleNamespace(time=self.aws.clock.now)
        patch.setattr("functions.token_refresh.handler.time", clock)
        patch.setattr(access_tokens, "MAX_LOCK_WAIT", access_tokens.MAX_LOCK_WAIT / self.aws.clock.speed)
        patch.setenv("POWERTOOLS_SERVICE_NAME", "chaos")
        patch.setattr("sys.stdout", self.log)

    def close(self) -> None:
        """End all sandboxes."""
        for sandboxes in self._warm.values():
            for sandbox in sandboxes:
                sandbox.drop()
        self._warm.clear()
