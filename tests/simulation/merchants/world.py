"""A platform and its merchants in virtual time.

WeChat is the simulator, the parameters are a fake whose reads may be behind its writes, and both fail. The
service is its own adapters and core, from the callback's door to the parameters; all is done in turn.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from random import Random
from typing import Any, Final, NamedTuple, TypeVar
from urllib.parse import parse_qsl, urlsplit

import pytest
from botocore.exceptions import ClientError, ReadTimeoutError

from functions.callback_events import platform as callback_events
from functions.callback_events.handler import PAUSES
from functions.token_refresh import platform as token_refresh
from local.simulator.calls import Call
from local.simulator.components import Component
from local.simulator.receipts import Callback, PushRequest
from local.simulator.wechat import WeChat
from tests.fakes.aws import Refusal
from tests.fakes.aws.ssm import FakeParameters
from tests.fakes.callback_keys import FakeCallbackKeys
from wechat_notify.aws import refresher as answers
from wechat_notify.aws.clients import Clients
from wechat_notify.aws.parameters import Accounts, ComponentCredentials, Credentials
from wechat_notify.aws.platform_parameters import PlatformParameters, Tickets
from wechat_notify.bootstrap import callback_events as parts_of_events
from wechat_notify.bootstrap import platform as parts_of_requests
from wechat_notify.bootstrap import token_refresh as parts_of_refresh
from wechat_notify.core.errors import StorageError, UnknownAccountError
from wechat_notify.core.platform.authorizations import Authorizations
from wechat_notify.core.platform.requests import PlatformRequests
from wechat_notify.core.platform.sources import ComponentCalls, ComponentTokens, MerchantTokens
from wechat_notify.core.tokens import refresher
from wechat_notify.core.tokens.refresher import TokenRefresher
from wechat_notify.core.tokens.token import AccessToken, TokenSource
from wechat_notify.wechat.callbacks.door import CallbackDoor, CallbackRequest
from wechat_notify.wechat.callbacks.events import events_of
from wechat_notify.wechat.platform import PlatformClient
from wechat_notify.wechat.session import HttpResponse, NoAnswer

T = TypeVar("T")

START: Final = 1_790_000_100.0
PATH: Final = "/wechat-notify/sim/accounts"
PLATFORM, APP_ID, SECRET = "platform", "wxplatform", "s" * 32
_KEYS: Final = ("token", "K" * 43)
_QUEUE_TIMEOUT: Final = 721
_MAX_RECEIVES: Final = 10
_DELAYS: Final = (0, 0, 1, 30, 400, 2000)
"""Seconds for which an event is on its way, retries of WeChat's and a backlog among them."""


class Mix(NamedTuple):
    """How likely each fault is at one request: to AWS, or to WeChat."""

    kill: float = 0.0
    lost: float = 0.0
    refused: float = 0.0
    outages: int = 0
    lag: float = 0.0


NO_FAULTS: Final = Mix()
MIX: Final = Mix(kill=0.003, lost=0.02, refused=0.01, outages=12, lag=3.0)
_OUTAGE: Final = 40.0
_REFUSALS: Final = (-1, 61004)


class Dead(BaseException):
    """The process was killed; whatever it still does comes to nothing."""


@dataclass(eq=False)
class Queued:
    """One event in the queue of callbacks."""

    due: float
    body: dict[str, Any]
    receives: int = 0


class MerchantWorld:
    """WeChat, the parameters, and one process of the service.

    ``refresh_tokens`` has those that WeChat gave, in order; ``came_with`` the one that came with an access
    token; ``used_early`` the merchants whose access token was stored while that was not.
    """

    def __init__(self, seed: int | str, mix: Mix, span: float) -> None:
        self.mix = mix
        self.now = START
        self.chance = Random(f"{seed}/merchants")
        self.kills = 0
        self.dropped: list[str] = []
        self.queue: list[Queued] = []
        self.refresh_tokens: list[str] = []
        self.came_with: dict[str, str] = {}
        self.used_early: list[str] = []
        self.parameters = FakeParameters(lambda: self.now, lambda: self.mix.lag)
        self.outages = [START + self.chance.uniform(0, span) for _ in range(mix.outages)]
        self.wechat = WeChat(
            clock=lambda: self.now, wait=lambda _: None, rng=Random(f"{seed}/wechat"), notify=self._pushed
        )
        callback = Callback("http://127.0.0.1:1/v1/callbacks/components/platform", *_KEYS)
        self.component = Component(APP_ID, SECRET, callback)
        self.wechat.components.all[APP_ID] = self.component
        keys = FakeCallbackKeys()
        keys.store(PLATFORM, APP_ID, _KEYS)
        self._door = CallbackDoor(keys, now=lambda: self.now)
        credentials = {"type": "component", "app_id": APP_ID, "app_secret": SECRET}
        self.parameters.values[f"{PATH}/{PLATFORM}/credentials"] = json.dumps(credentials)
        self._start()

    def _start(self) -> None:
        """Begin a process, which knows nothing but what is stored."""
        self._is_dead = False
        aws = Clients(
            lambda _: _Parameters(self),
            clock=lambda: self.now,
            sleep=self._sleep,
            jitter=self.chance.uniform,
            now=lambda: self.now,
        )
        self._store, self.tickets = PlatformParameters(aws, PATH), Tickets(aws, PATH)
        self._api = PlatformClient(_Session(self))  # type: ignore[arg-type] # as far as it is used
        accounts = Accounts(aws, PATH, self._source)
        self.refresher = TokenRefresher(accounts, now=lambda: self.now)
        self._calls = ComponentCalls(self._store, self.refresher)
        self.authorizations = Authorizations(
            self._store, accounts, self._api, self._calls, now=lambda: self.now
        )

    def _source(self, account: str, credentials: Credentials, stored: AccessToken | None) -> TokenSource:
        def now() -> float:
            return self.now

        if isinstance(credentials, ComponentCredentials):
            return ComponentTokens(credentials.component(account), stored, self._store, self._api, now=now)
        merchant = credentials.merchant(account)  # type: ignore[union-attr] # there is no app
        return MerchantTokens(merchant, stored, self._store, self._api, self._calls, now=now)

    def _sleep(self, seconds: float) -> None:
        self.now += seconds

    @contextmanager
    def standing(self) -> Iterator[None]:
        """Have the functions use this world's parts, one account at a time."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(refresher, "ThreadPoolExecutor", lambda _: nullcontext(_InTurn))
            patch.setattr(parts_of_events, "tickets", lambda: self.tickets)
            patch.setattr(parts_of_refresh, "authorizations", lambda: self.authorizations)
            requests = PlatformRequests(
                self, now=lambda: self.now, sleep=self._sleep, jitter=self.chance.uniform
            )
            patch.setattr(parts_of_requests, "platform_requests", lambda: requests)
            yield

    # ---- the functions

    def schedule(self) -> None:
        """The scheduled run of token_refresh; what is wrong with the store or the process ends it."""
        self._live(lambda: self.refresher.refresh_all(lambda: 100.0))

    def ask(self, account: str) -> AccessToken | None:
        """A sender's question, whose stored token was rejected; its new token."""
        stored = self.stored(account, "access-token")
        rejected = AccessToken(**{**stored, "permissions": None}).digest if stored else None
        result = self._live(lambda: self.refresher.replace(account, rejected))
        return result.token if result else None

    def ask_platform(self, component: str, request: str, **fields: str | int) -> dict[str, Any]:
        """The function token_refresh, as callback_events invokes it."""
        event = json.loads(json.dumps({"component": component, "request": request, **fields}))
        told = json.loads(json.dumps(token_refresh.answer(event, {})))
        return answers._of_platform(component, told)

    def work_off(self) -> None:
        """Handle the callbacks that are due, in any order."""
        due = [each for each in self.queue if each.due <= self.now]
        self.chance.shuffle(due)
        for queued in due:
            self.queue.remove(queued)
            self._handle(queued)

    def _handle(self, queued: Queued) -> None:
        def act() -> bool:
            for event in events_of(queued.body["fields"]):
                if callback_events.act(PLATFORM, queued.body, event) == "failed":
                    self.dropped.append(queued.body["merchant"])
            return True

        if self._live(act):
            return
        queued.receives += 1
        if queued.receives == _MAX_RECEIVES:
            self.dropped.append(queued.body.get("merchant", PLATFORM))
            return
        pause = PAUSES[queued.receives - 1] if queued.receives <= len(PAUSES) else _QUEUE_TIMEOUT
        self.queue.append(Queued(self.now + pause, queued.body, queued.receives))

    def _live(self, work: Callable[[], T]) -> T | None:
        """What a process does; None where it was killed, or the store has no such account or no answer."""
        try:
            return work()
        except (StorageError, UnknownAccountError):
            return None
        except Dead:
            self.kills += 1
            self._start()
            return None

    # ---- WeChat and AWS

    def _pushed(self, request: PushRequest) -> None:
        """WeChat's push, through the door and into the queue; at times twice."""
        given = CallbackRequest(dict(parse_qsl(urlsplit(request.url).query)), request.body)
        fields = self._door.open(PLATFORM, given)
        assert fields is not None
        merchant = {"merchant": fields["AuthorizerAppid"]} if "AuthorizerAppid" in fields else {}
        for _ in range(self.chance.choice((1, 1, 2)) if self.mix != NO_FAULTS else 1):
            delay = self.chance.choice(_DELAYS) if self.mix != NO_FAULTS else 0
            self.queue.append(Queued(self.now + delay, {"account": PLATFORM, "fields": fields, **merchant}))

    def stored(self, account: str, name: str) -> Any:
        """A parameter as it is stored, whatever a read shows; None where there is none."""
        return json.loads(self.parameters.values.get(f"{PATH}/{account}/{name}", "null"))

    def request(self, effect: Callable[[], T], lost: Callable[[], T]) -> T:
        """One request: the process may end before it and after it, and its answer may be lost."""
        self._may_be_killed()
        answer = effect()
        self._may_be_killed()
        return lost() if self.chance.random() < self.mix.lost else answer

    def _may_be_killed(self) -> None:
        self._is_dead = self._is_dead or self.chance.random() < self.mix.kill
        if self._is_dead:
            raise Dead


class _InTurn:
    """The threads of a run: one account after the other."""

    @staticmethod
    def map(work: Callable[[Any], T], accounts: Iterable[Any]) -> list[T]:
        return [work(account) for account in accounts]


class _Parameters:
    """boto3's client of SSM."""

    def __init__(self, world: MerchantWorld) -> None:
        self._world = world

    def __getattr__(self, name: str) -> Callable[..., Any]:
        method = getattr(self._world.parameters, name)

        def call(**request: Any) -> Any:
            return self._world.request(lambda: self._answer(method, request), self._lost)

        return call

    def close(self) -> None:
        """There are no connections."""

    def _answer(self, method: Callable[..., Any], request: dict[str, Any]) -> Any:
        world = self._world
        if world.mix != NO_FAULTS and any(since <= world.now < since + _OUTAGE for since in world.outages):
            raise ClientError({"Error": {"Code": "ThrottlingException"}}, method.__name__)
        if method.__name__ == "put_parameter":
            self._note(request["Name"], request["Value"])
        try:
            return method(**request)
        except Refusal as refusal:
            raise ClientError({"Error": {"Code": str(refusal)}}, method.__name__) from None

    def _note(self, name: str, value: str) -> None:
        account, _, parameter = name.removeprefix(f"{PATH}/").partition("/")
        if parameter == "access-token":
            token, values = json.loads(value)["value"], self._world.parameters.values
            given, stored = self._world.refresh_tokens, values.get(f"{PATH}/{account}/refresh-token")
            if stored is None or given.index(stored) < given.index(self._world.came_with[token]):
                self._world.used_early.append(account)

    @staticmethod
    def _lost() -> Any:
        raise ReadTimeoutError(endpoint_url="ssm")


class _Session:
    """The connections to WeChat."""

    def __init__(self, world: MerchantWorld) -> None:
        self._world = world

    def post(self, path: str, body: bytes) -> HttpResponse | NoAnswer:
        """The simulator's answer, or none."""
        return self._world.request(
            lambda: self._answer(path, body), lambda: NoAnswer("ReadTimeout", may_have_arrived=True)
        )

    def _answer(self, path: str, body: bytes) -> HttpResponse | NoAnswer:
        world, url = self._world, urlsplit(path)
        world.now += 0.1
        if world.chance.random() < world.mix.refused:
            errcode = world.chance.choice(_REFUSALS)
            return HttpResponse(200, json.dumps({"errcode": errcode, "errmsg": "refused"}).encode())
        told = world.wechat.handle(Call("POST", url.path, dict(parse_qsl(url.query)), body)).payload
        granted = told.get("authorization_info", told)
        if "authorizer_access_token" in granted:
            world.refresh_tokens.append(granted["authorizer_refresh_token"])
            world.came_with[granted["authorizer_access_token"]] = granted["authorizer_refresh_token"]
        return HttpResponse(200, json.dumps(told).encode())
