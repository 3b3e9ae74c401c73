"""A world with receipts: WeChat's pushes, the public address, its queue and the function that settles."""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass, field
from functools import partial
from random import Random
from typing import Any, Final, Protocol
from urllib.parse import parse_qsl, urlsplit

from local.simulator.receipts import FAILURES, Callback, Event, Receipt, request_of
from tests.fakes.aws.sqs import FakeSqs
from tests.simulation import wechat
from tests.simulation.wechat import Accepted
from tests.simulation.world import setting
from tests.simulation.world.faults import FAULTY, Mix
from tests.simulation.world.functions import Function
from tests.simulation.world.invocations import DEAD, Invocation
from tests.simulation.world.mapping import Mapping
from tests.simulation.world.setting import CANARY, PATH
from tests.simulation.world.world import World

ACCOUNTS: Final = ("shop-a", "shop-b")
"""WeChat numbers the messages of both alike."""
CALLBACKS: Final = "https://sqs/callbacks"
WITH_RECEIPTS: Final = (wechat.TEMPLATE, wechat.SUBSCRIPTION, wechat.MINI_PROGRAM_SUBSCRIPTION)
_VISIBILITY: Final = 721.0
"""Seconds, as the template has them, like the functions' timeouts and the batch's size here."""
_RECEIVES: Final = 10
_REPEATS: Final = 3
_REPEATED_AFTER: Final = 5.0
_LATE: Final = 300.0
_OTHERS: Final = 0.1
"""Receipts of messages that other programs have sent, for each of the service's own."""


@dataclass
class Pushed:
    """The receipts of one message that WeChat has taken."""

    accepted: Accepted
    status: str
    taken: bool = False
    """The address has answered that it has it."""
    given_up: bool = False
    pushes: list[float] = field(default_factory=list)


class Delivery(Protocol):
    """What became of the pushes of one event."""

    taken: bool
    given_up: bool
    pushes: list[float]


class ReceiptWorld(World):
    """Everything, from one seed."""

    def __init__(self, seed: int | str, mix: Mix = FAULTY, *, thorough: bool = True) -> None:
        super().__init__(seed, mix, thorough=thorough)
        self.dead_callbacks = FakeSqs(lambda: self.scheduler.now, "dead-callbacks")
        self.callbacks = FakeSqs(
            lambda: self.scheduler.now,
            "callbacks",
            dead_letters=self.dead_callbacks,
            receives_most=_RECEIVES,
            visibility_timeout=_VISIBILITY,
        )
        self.queues[CALLBACKS] = self.callbacks
        self.callback = Function(self, "callback", "functions.callback.handler", 10.0, 50)
        self.callback_events = Function(
            self, "callback-events", "functions.callback_events.handler", 120.0, 10
        )
        self.callback.points_most, self.callback_events.points_most = 6, 30
        self.functions += [self.callback, self.callback_events]
        allowed = setting.loops_allowed(setting.template(), "CallbackEventsFunction")
        mapping = Mapping(self, self.callback_events, self.callbacks, loops_allowed=allowed, batch_size=100)
        self.callbacks.on_arrival = mapping.kick
        self.pushed: dict[str, list[Pushed]] = defaultdict(list)
        """By the message's marker."""
        self.outstanding = 0
        """Pushes that are still to be made."""
        self._pushes = Random(f"{seed}/pushes")
        self._keys: dict[str, Callback] = {}
        for account in ACCOUNTS:
            self._add(account)
        self.wechat.on_accepted = self._accepted

    def _add(self, account: str) -> None:
        secret = f"{account}-SECRET-{CANARY}-0123456789"
        app = self.wechat.add(account, secret)
        token, key = f"token-{CANARY}-{account}", f"{CANARY}{account.replace('-', '')}".ljust(43, "A")
        callback = self._keys[account] = Callback(f"https://api/v1/callbacks/{account}", token, key)
        stored = {
            "app_id": app.app_id,
            "keys": [{"token": token, "encoding_aes_key": callback.encoding_aes_key}],
        }
        credentials = {"type": "app", "app_id": app.app_id, "app_secret": secret}
        self.parameters.values[f"{PATH}/{account}/credentials"] = json.dumps(credentials)
        self.parameters.values[f"{PATH}/{account}/callback"] = json.dumps(stored)

    def environment_of(self, _invocation: Invocation) -> dict[str, str]:
        """All functions know of receipts."""
        return {"RECEIPTS": "true", "CALLBACK_QUEUE_URL": CALLBACKS}

    def hash_keys(self, at: float) -> list[bytes]:
        """Rotated once in five minutes, and none is forgotten while its messages may have receipts."""
        number = int(at - self.start) // 300
        return [f"key {each} for simulations".encode() for each in range(number, -1, -1)]

    @property
    def at_rest(self) -> bool:
        """True if nothing is left to be done."""
        running = any(function.running for function in self.functions if function is not self.token_refresh)
        return not (self.outstanding or running or self.queue.messages or self.callbacks.messages)

    def _accepted(self, accepted: Accepted) -> None:
        """Push the receipts of a message in due time, which may be before the answer to the send."""
        if accepted.path not in WITH_RECEIPTS:
            return
        chance = self._pushes
        status = "success" if chance.random() < 0.7 else chance.choice(list(FAILURES.values()))
        pushed = Pushed(accepted, status)
        self.pushed[accepted.marker].append(pushed)
        receipt = Receipt(
            f"wx-{accepted.account}",
            accepted.openid,
            accepted.path,
            str(accepted.body["template_id"]),
            accepted.msgid,
            status,
        )
        draw = chance.random()
        after = 0.0 if draw < 0.2 else chance.uniform(0.2, 5) if draw < 0.9 else chance.uniform(5, _LATE)
        times = 2 if chance.random() < 0.2 else 1
        for _ in range(times):
            self.push_after(after, accepted.account, receipt, pushed)
        if chance.random() < _OTHERS:
            others = Receipt(
                receipt.app_id, f"o{CANARY}another", wechat.TEMPLATE, "", chance.randrange(1, 10**9)
            )
            self.push_after(after, accepted.account, others, Pushed(accepted, "of others"))

    def push_after(self, seconds: float, account: str, event: Event, pushed: Delivery) -> None:
        """Push an event in so many seconds, and again where it is not taken."""
        self.outstanding += 1
        self.scheduler.at(self.scheduler.now + seconds, partial(self._push, account, event, pushed))

    def _push(self, account: str, told: Event, pushed: Delivery) -> None:
        """Make the request; what is repeated is the same one."""
        pushed.pushes.append(self.scheduler.now)
        request = request_of(self._keys[account], told, int(self.scheduler.now), self._pushes)
        query = dict(parse_qsl(urlsplit(request.url).query))
        event = {
            "routeKey": "POST /v1/callbacks/{account}",
            "pathParameters": {"account": account},
            "queryStringParameters": query,
            "requestContext": {"requestId": "push", "http": {"method": "POST"}},
            "headers": {"content-type": "text/xml"},
            "body": request.body.decode(),
        }
        self._ask(event, pushed, _REPEATS)

    def _ask(self, event: dict[str, Any], pushed: Delivery, repeats: int) -> None:
        def ended(_: Invocation, answer: Any) -> None:
            if answer is not DEAD and (answer["statusCode"], answer["body"]) == (200, "success"):
                pushed.taken = True
                self.outstanding -= 1
                return
            again()

        def again() -> None:
            if not repeats:
                pushed.given_up = True
                self.outstanding -= 1
                return
            when = self.scheduler.now + _REPEATED_AFTER
            self.scheduler.at(when, partial(self._ask, event, pushed, repeats - 1))

        if self.callback.invoke(event, ended) is None:
            again()
