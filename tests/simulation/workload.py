"""What is asked of the service: messages of every kind through every door, and some that are no good.

Producers send in bursts. Each message carries a marker in its text, by which WeChat's log of acceptances
tells it from all others whatever its id.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from random import Random
from typing import Any

from tests import fakes
from tests.fakes.stable_token import local_day
from tests.simulation import wechat
from tests.simulation.scenarios import SCENARIO_ACCOUNTS, Scenarios
from tests.simulation.wechat import SUBSCRIPTION, Window
from tests.simulation.world.faults import OUTAGE
from tests.simulation.world.invocations import DEAD, Invocation
from tests.simulation.world.setting import CANARY, MIDNIGHT, PATH
from tests.simulation.world.world import World

ACCOUNTS = ("shop-a", "shop-b", "shop-c", "shop-d", "shop-e")
PATHS = {
    "subscription": SUBSCRIPTION,
    "one_time_subscription": wechat.ONE_TIME,
    "mini_program_template": wechat.MINI_PROGRAM_TEMPLATE,
    "mini_program_subscription": wechat.MINI_PROGRAM_SUBSCRIPTION,
    "template": wechat.TEMPLATE,
}
KINDS = tuple(PATHS)
ALL_ACCOUNTS = ACCOUNTS + SCENARIO_ACCOUNTS
QUOTA_ACCOUNT, QUOTA_KIND = "shop-a", "subscription"
PERMISSION_ACCOUNT, PERMISSION_KIND = "shop-c", "one_time_subscription"
SECRET_ACCOUNT = "shop-d"
"""Whose secret is wrong for a while, just after its token was replaced."""
MAX_HELD = 300
"""Messages that wait for the quota at most: each comes by every quarter of an hour."""
_MAX_TRIES = 8
_PATIENCE = 60.0


@dataclass(slots=True)
class Ask:
    """One message as its owner wants it sent, whatever way and however often it is handed over."""

    number: int
    account: str
    kind: str
    openid: str
    id: str | None
    at_least_once: bool = False
    expires_at: float | None = None
    good: bool = True
    """Whether the service can take it: the account is known and the body keeps the rules."""
    by_http: bool = False
    doors: int = 1
    other_body: bool = False
    """Its id may belong to another message."""
    stored: list[str] = field(default_factory=list)
    """The ids of its messages on the queue."""
    keys: list[str] = field(default_factory=list)
    """The ledger's keys under which its entry may stand."""
    statuses: list[int] = field(default_factory=list)
    told: list[str] = field(default_factory=list)
    """The bodies of HTTP's answers, where somebody goes by them."""
    taken: bool = False
    """Whether the service has said that it will see to it."""
    cancelled: bool = False

    @property
    def marker(self) -> str:
        return f"m{self.number}"

    def message(self) -> dict[str, Any]:
        """The message as the doors take it."""
        return fakes.body(self.kind, self.openid, self.marker, template_id=f"template-{self.kind}")

    def body(self) -> dict[str, Any]:
        """WeChat's own fields."""
        return {name: value for name, value in self.message().items() if name != "kind"}

    def wishes(self) -> dict[str, Any]:
        """What it asks of the service itself."""
        wishes: dict[str, Any] = {}
        if self.at_least_once:
            wishes["delivery"] = "at_least_once"
        if self.expires_at is not None:
            wishes["expires_at"] = datetime.fromtimestamp(self.expires_at, UTC).isoformat()
        return wishes


def key_of(account: str, message_id: str) -> str:
    """Where the ledger keeps an entry."""
    return f"message#{account}#{message_id}"


class Workload:
    """So many messages, and the owners who ask for them."""

    def __init__(self, world: World, messages: int) -> None:
        self.world = world
        self.messages = messages
        self.asks: list[Ask] = []
        self.unreadable: list[str] = []
        self.last_at = world.start
        self.callers = 0
        """Requests of the HTTP API that are still to be answered or repeated."""
        self.outstanding = messages
        self.held: list[tuple[Window, list[Ask]]] = []
        """Messages that wait for the end of a refusal, and that refusal."""
        self.obedient: list[Ask] = []
        """Those whose callers repeat them as they are told, until they are told not to."""
        self._chance = Random(f"{world.seed}/workload")
        self._openids = max(20, messages // 3)
        self._set_up()
        self.scenarios.prepare()

    def _set_up(self) -> None:
        world = self.world
        for account in ALL_ACCOUNTS:
            secret = f"{account}-SECRET-{CANARY}-0123456789"
            app = world.wechat.add(account, secret)
            credentials = {"type": "app", "app_id": app.app_id, "app_secret": secret}
            world.parameters.values[f"{PATH}/{account}/credentials"] = json.dumps(credentials)
        world.wechat.epoch_every = min(10_000, max(50, self.messages // 4))
        span = 120.0 + self.messages * 0.06
        bursts = max(3, self.messages // 1500)
        pair = self.messages / len(ACCOUNTS) / len(KINDS)
        today = local_day(world.start)
        world.wechat.quotas[QUOTA_ACCOUNT, SUBSCRIPTION, today] = max(
            3, int(pair * 0.6), int(pair) - MAX_HELD
        )
        world.wechat.windows.append(
            Window(
                PERMISSION_ACCOUNT,
                PATHS[PERMISSION_KIND],
                world.start + span * 0.3,
                world.start + span * 0.3 + min(900.0, span / 3),
                48001,
            )
        )
        wrong_since = world.start + span * 0.5
        world.wechat.token_windows.append(
            Window(SECRET_ACCOUNT, "*", wrong_since, wrong_since + min(900.0, span / 4), 40125)
        )
        world.scheduler.at(
            wrong_since + 1, lambda: world.wechat.revoke_token(world.wechat.app_of(SECRET_ACCOUNT))
        )
        world.wechat.epochs.append((wrong_since + 1, SECRET_ACCOUNT, "revoked"))
        times = sorted(self._chance.uniform(0, span) for _ in range(bursts))
        sizes = [self.messages // bursts] * bursts
        sizes[0] += self.messages - sum(sizes)
        for at, size in zip(times, sizes, strict=True):
            world.scheduler.at(world.start + 1 + at, partial(self._burst, size))
        self.last_at = world.start + 1 + times[-1] + 5
        for service in ("dynamodb", "ssm", "sqs") if self.messages else ():
            since = world.start + 1 + self._chance.choice(times) + self._chance.uniform(0, 2)
            world.outages[service].append((since, since + 8, OUTAGE))
        for number in range(self._openids):
            if self._chance.random() < 0.01:
                errcode = self._chance.choice((43101, 40003))
                for account in ACCOUNTS:
                    world.wechat.refused_openids[self._openid(account, number)] = errcode
        if world.reset > MIDNIGHT:
            path = PATHS[QUOTA_KIND]
            world.wechat.windows.append(Window(QUOTA_ACCOUNT, path, MIDNIGHT + 480, MIDNIGHT + 840, 45011))
        self.scenarios = Scenarios(self, span)
        self.last_at = max(self.last_at, world.start + span)

    def begin(self) -> None:
        """Keep the tokens fresh until everything is over."""
        self.world.keep_tokens_fresh(self.wanted)

    def wanted(self) -> bool:
        """Whether something is left to be done."""
        return not self.over

    @property
    def over(self) -> bool:
        """Whether nothing is left to be done."""
        world = self.world
        return not (
            self.outstanding
            or self.callers
            or world.queue.messages
            or world.send_queue.running
            or world.send_api.running
        )

    def _openid(self, account: str, number: int) -> str:
        return f"o{CANARY}{account[-1]}{number:020d}"

    def _burst(self, size: int) -> None:
        chance, scheduler = self._chance, self.world.scheduler
        account = chance.choice(ACCOUNTS) if chance.random() < 0.3 else None
        for _ in range(size):
            self._one(
                account if account and chance.random() < 0.8 else chance.choice(ACCOUNTS), scheduler.now
            )

    def _one(self, account: str, now: float) -> None:
        chance, world = self._chance, self.world
        self.outstanding -= 1
        number = len(self.asks)
        draw = chance.random()
        if draw < 0.003:
            self._unreadable(number)
            return
        ask = Ask(
            number,
            account,
            chance.choice(KINDS),
            self._openid(account, chance.randrange(self._openids)),
            None,
        )
        self.asks.append(ask)
        draw = chance.random()
        if draw < 0.1:
            ask.at_least_once = True
        elif draw < 0.13:
            ask.expires_at = now + chance.choice((-5.0, 2.0, 60.0, 600.0, 3000.0, 86_400.0))
        draw = chance.random()
        if draw < 0.003:
            ask.account, ask.good = f"nobody-{number % 7}", False
        elif draw < 0.008:
            ask.good = False
        elif draw < 0.011:
            world.wechat.refused_markers[ask.marker] = 47003
        if chance.random() < 0.8:
            ask.id = (
                f"order-{number}"
                if chance.random() < 0.9
                else f"order-of-a-customer-with-a-long-name-{number}"
            )
        draw = chance.random()
        if draw < 0.9:
            self._to_queue(ask, chance.random() < 0.06)
        else:
            self._to_api(ask, wait=draw < 0.96)
        if ask.id is None:
            return
        draw = chance.random()
        if draw < 0.01:  # the same message through two doors
            ask.doors += 1
            self._delayed_copy(lambda: self._to_api(ask, wait=chance.random() < 0.5))
        elif draw < 0.015:
            self._reuse_id(ask)
        elif draw < 0.03:
            self._delayed_copy(lambda: self._cancel(ask, 5))

    def _delayed_copy(self, action: Callable[[], None]) -> None:
        self.outstanding += 1

        def act() -> None:
            self.outstanding -= 1
            action()

        after = self._chance.choice((0.0, 0.05, 0.3, 2.0, 20.0))
        self.world.scheduler.at(self.world.scheduler.now + after, act)

    def _reuse_id(self, ask: Ask) -> None:
        """Somebody else's message under an id that is taken: whoever comes first has it."""
        other = Ask(len(self.asks), ask.account, ask.kind, ask.openid, ask.id, good=ask.good)
        self.asks.append(other)
        ask.other_body = other.other_body = True
        self._to_queue(other, as_event=False)

    def _unreadable(self, number: int) -> None:
        body = self._chance.choice(
            (
                f"not JSON {number}",
                json.dumps({"account": "shop-a", "number": number}),
                f'{{"account": "shop-a", "account": "shop-b", "message": {number}}}',
            )
        )
        self.unreadable.append(body)
        self.world.queue.put(body)

    def _message(self, ask: Ask) -> dict[str, Any]:
        message = ask.message()
        if not ask.good and ask.account in ALL_ACCOUNTS:
            message["data"] = {"thing1": {"value": ask.openid}}
            message["no_such_field"] = ask.openid
        return message

    # ------------------------------------------------------------ the queue

    ask = Ask

    @staticmethod
    def path(kind: str) -> str:
        """The endpoint for a kind."""
        return PATHS[kind]

    def _to_queue(self, ask: Ask, as_event: bool, group: str | None = None) -> None:  # noqa: FBT001 - drawn
        envelope: dict[str, Any] = {"account": ask.account, "message": self._message(ask), **ask.wishes()}
        if ask.id is not None:
            envelope["id"] = ask.id
        group = group or (ask.account if self._chance.random() < 0.7 else None)
        if as_event:
            event_id = f"event-{ask.number}"
            body = {
                "id": event_id,
                "detail-type": "WeChat Message Requested",
                "source": "orders",
                "detail": envelope,
            }
            ask.stored.append(self.world.queue.put(json.dumps(body)))
            message_id = ask.id or event_id
            if self._chance.random() < 0.1:  # EventBridge delivers at least once
                self.world.queue.put(json.dumps(body))
                ask.doors += 1
        else:
            stored = self.world.queue.put(json.dumps(envelope), group=group)
            ask.stored.append(stored)
            message_id = ask.id or stored
        ask.taken = True
        ask.keys.append(key_of(ask.account, message_id))

    # ------------------------------------------------------------ the HTTP API

    def _to_api(self, ask: Ask, *, wait: bool) -> None:
        self.callers += 1
        event = self.begin_post(ask, wait=wait)
        self._call(ask, event, _MAX_TRIES if ask.id is not None else 1)

    def begin_post(self, ask: Ask, *, wait: bool) -> dict[str, Any]:
        """The event of a POST, which is about to be made."""
        ask.by_http = True
        if ask.id is not None:
            self._note_key(ask, ask.id)
        message = {**self._message(ask), **ask.wishes()}
        return fakes.api_event(
            "POST", ask.account, ask.id, message, wait=wait, request_id=f"request-{ask.number}"
        )

    def request(
        self, event: dict[str, Any], subject: Any, then: Callable[[Any], None], skew: float | None = None
    ) -> None:
        """Make a request until it is let in; ``then`` is told its answer, and None where the process died."""
        world = self.world

        def ended(_: Invocation, answer: Any) -> None:
            if answer is DEAD:
                then(None)
            else:
                world.seen("an HTTP answer", f"{answer['headers']} {answer['body']}")
                then(answer)

        if world.send_api.invoke(event, ended, subject, skew=skew) is None:  # API Gateway: 503
            again = partial(self.request, event, subject, then, skew)
            world.scheduler.at(world.scheduler.now + 0.5, again)

    def _call(self, ask: Ask, event: dict[str, Any], tries: int) -> None:
        world = self.world

        def then(answer: Any) -> None:
            self.read(ask, answer)
            status = ask.statuses[-1]
            again = status in {500, 503} or (
                status in {409, 429, 502} and '"retryable": true' in answer["body"]
            )
            if not again or tries <= 1:
                self.callers -= 1
                return
            wait = min(_PATIENCE, float(answer["headers"].get("Retry-After", 1) if answer else 1))
            wait *= 1 + self._chance.random()
            world.scheduler.at(world.scheduler.now + wait, lambda: self._call(ask, event, tries - 1))

        self.request(event, ask, then)

    def read(self, ask: Ask, answer: dict[str, Any] | None) -> None:
        """Note what the answer to a POST says of its message."""
        if answer is None:
            ask.statuses.append(500)
            return
        ask.statuses.append(answer["statusCode"])
        ask.taken = ask.taken or answer["statusCode"] in {200, 202}
        body = json.loads(answer["body"])
        if "id" in body:
            self._note_key(ask, body["id"])

    @staticmethod
    def _note_key(ask: Ask, message_id: str) -> None:
        key = key_of(ask.account, message_id)
        if key not in ask.keys:
            ask.keys.append(key)

    @staticmethod
    def event_about(method: str, ask: Ask) -> dict[str, Any]:
        """The event of a request about a message that was handed over."""
        return fakes.api_event(method, ask.account, ask.id, request_id=f"{method}-{ask.number}")

    def _cancel(self, ask: Ask, tries: int) -> None:
        self.callers += 1

        def then(answer: Any) -> None:
            self.callers -= 1
            status = answer["statusCode"] if answer else 503
            ask.cancelled = ask.cancelled or status == 200
            if status in {404, 503} and tries > 1:
                self._delayed_copy(lambda: self._cancel(ask, tries - 1))

        self.request(self.event_about("DELETE", ask), "a DELETE", then)
