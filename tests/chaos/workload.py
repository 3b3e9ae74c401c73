"""What goes wrong how often, and the messages that are handed over while it does."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from tests import fakes
from tests.chaos.wechat import marked

ACCOUNTS = ("shop", "clinic", "school", "museum")
QUOTA_ACCOUNT, QUOTA_KIND = "shop", "subscription"
QUOTA_PATH = "/cgi-bin/message/subscribe/bizsend"
KINDS = (
    "subscription",
    "one_time_subscription",
    "mini_program_template",
    "mini_program_subscription",
    "template",
)
TEMPLATE, NO_TEMPLATE = "TEMPLATE_ID", "NOBODYS_TEMPLATE_ID"
CANARY = "CanaryOfSecrets"
"""In every app secret and in every openid."""
_CLOUD_CALL = {"template_id": "templateId", "form_id": "formId"}
_OWN_WORDS = {"kind", "expires_at", "delivery"}


@dataclass(frozen=True)
class Mix:
    """The probability of everything that goes wrong: of a call's, unless it says otherwise.

    ``silent`` is the part of the timeouts in which the client's own clock ends the wait; in the others
    WeChat's side closes the connection without a word.
    """

    timeout_before: float = 0.02
    timeout_after: float = 0.01
    silent: float = 0.2
    reset: float = 0.01
    status: float = 0.02
    busy: float = 0.03
    template: float = 0.001
    odd: float = 0.002
    """Half an answer, a page instead of one, a redirect, an answer byte by byte: each."""
    token: float = 0.1
    """Of calls to the token endpoint, which are few."""
    messages_an_epoch: int = 2_500
    """After so many messages the tokens of all accounts are rejected."""
    delivered_twice: float = 0.02
    """Of what the queue hands out."""
    killed: float = 0.005
    """Of invocations."""
    ledger_throttled: float = 0.02
    parameters_throttled: float = 0.01
    storage: float = 0.001
    """Of calls to the ledger and the queues that fail for good, half of them after they had their effect."""
    answer_lost: float = 0.002
    """Of calls to the ledger that are repeated because the answer to the first was lost."""
    quota: bool = True


class Door(StrEnum):
    """How a message is handed over."""

    QUEUE = "queue"
    SYNC = "sync"
    ASYNC = "async"


class Fate(StrEnum):
    """What is planted in a message itself."""

    NONE = "none"
    NO_TEMPLATE = "40037"
    REFUSED = "43101"
    INVALID = "invalid"
    UNKNOWN_ACCOUNT = "unknown account"


@dataclass(slots=True)
class Handed:
    """One message as it is handed over; below, what its producer was told."""

    number: int
    account: str
    body: dict[str, Any]
    door: Door
    fate: Fate
    id: str | None
    """The producer's own; None where the service gives it one."""
    at_least_once: bool
    expires_at: float | None
    cancel_after: float | None
    twice: bool
    """Its producer puts it on the queue twice."""

    acknowledged: bool = False
    cancelled: bool = False
    statuses: list[int] = field(default_factory=list)

    @property
    def envelope(self) -> str:
        """The body of the queue's message."""
        envelope = {"account": self.account, "message": self.body}
        if self.id is not None:
            envelope["id"] = self.id
        if self.number % 3:
            return json.dumps(envelope)
        event = {"detail-type": "WeChat Message Requested", "source": "orders", "detail": envelope}
        return json.dumps({"version": "0", "id": f"event-{self.number}", **event})

    def wire(self) -> dict[str, Any]:
        """What WeChat is to get, in the words of its documentation."""
        spelled = {cloud: name for name, cloud in _CLOUD_CALL.items()}
        return {spelled.get(name, name): value for name, value in self.body.items() if name not in _OWN_WORDS}


def messages(count: int, rng: random.Random, now: float) -> Iterator[Handed]:
    """The messages of a run, in the order in which they are handed over."""
    for number in range(count):
        yield _message(number, count, rng, now)


def _message(number: int, count: int, rng: random.Random, now: float) -> Handed:
    kind = rng.choice(KINDS)
    fate = rng.choices(tuple(Fate), (0.99, 0.002, 0.004, 0.002, 0.002))[0]
    door = rng.choices(tuple(Door), (0.65, 0.22, 0.13))[0]
    keyed = rng.random() < (0.5 if door is Door.QUEUE else 0.7)
    # So few people that some have two messages on their way at a time.
    person = f"o{CANARY}{rng.randrange(1 + count // 20):012d}"
    body = fakes.body(kind, "errcode-43101" if fate is Fate.REFUSED else person, marked(number))
    body["template_id"] = NO_TEMPLATE if fate is Fate.NO_TEMPLATE else TEMPLATE
    if kind == "mini_program_template":
        # As a prepay_id it carries three messages, so that a second copy is not refused for the form's sake.
        body["form_id"] = f"prepay{number}"
        if rng.random() < 0.3:
            body = {_CLOUD_CALL.get(name, name): value for name, value in body.items()}
    if fate is Fate.INVALID:
        body["nobodys_field"] = 1
    at_least_once = rng.random() < 0.1
    if at_least_once:
        body["delivery"] = "at_least_once"
    expires_at = now + rng.uniform(-600, 1200) if rng.random() < 0.02 else None
    if expires_at is not None:
        body["expires_at"] = datetime.fromtimestamp(expires_at, UTC).isoformat()
    cancel = door is not Door.SYNC and keyed and rng.random() < 0.05
    return Handed(
        number,
        "nobody" if fate is Fate.UNKNOWN_ACCOUNT else rng.choice(ACCOUNTS),
        body,
        door,
        fate,
        f"order-{number}" if keyed else None,
        at_least_once,
        expires_at,
        rng.uniform(0, 2) if cancel else None,
        door is Door.QUEUE and keyed and rng.random() < 0.02,
    )


def unreadable(count: int) -> list[str]:
    """Bodies for the queue that nobody can read."""
    shapes = (
        '{{"account": "shop", {0}',
        "not JSON {0}",
        '{{"account": "shop", "message": {{}}, "id": {0}}}',
        "[{0}]",
    )
    return [shapes[number % len(shapes)].format(number) for number in range(count)]
