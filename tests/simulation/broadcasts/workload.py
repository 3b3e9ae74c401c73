"""Broadcasts as people make them: files with bad rows and duplicates, paces, pauses, second thoughts.

Each row carries a marker in its text, by which WeChat's log of acceptances tells it from all others.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from random import Random
from typing import Any

from tests.simulation.broadcasts.world import ACCOUNT, BroadcastWorld
from tests.simulation.wechat import SUBSCRIPTION, Window
from tests.simulation.world.faults import OUTAGE
from tests.simulation.world.setting import CANARY

VALID, INVALID, DUPLICATE = "valid", "invalid", "duplicate"
OK = 200
SPAN = 300.0
"""Seconds in which the broadcasts begin."""


@dataclass
class Ask:
    """One broadcast as its owner wants it, and what he was told."""

    id: str
    rate: float
    kind: str = "csv"
    by_id: bool = False
    expires_at: float | None = None
    rows: list[str] = field(default_factory=list)
    """What each row is: valid, invalid or a duplicate."""
    lines: list[str] = field(default_factory=list)
    own_ids: list[str] = field(default_factory=list)
    created: bool = False
    changes: list[tuple[str, float]] = field(default_factory=list)
    """Pauses, resumes and cancellations that were answered, and from when on they count."""

    def marker(self, row: int) -> str:
        """What its message's text is."""
        return f"{self.id}-{row}"

    def message_id(self, row: int) -> str:
        """Its message's id."""
        return f"{self.id}:{self.own_ids[row - 1] if self.by_id else row}"

    @property
    def content(self) -> bytes:
        """The recipients' file."""
        if self.kind == "jsonl":
            return "".join(f"{line}\n" for line in self.lines).encode()
        header = "openid,text,id" if self.by_id else "openid,text"
        return "\n".join([header, *self.lines]).encode()

    def request(self) -> dict[str, Any]:
        """The body of the request for it."""
        message = {
            "kind": "subscription",
            "touser": "{{openid}}",
            "template_id": "template-subscription",
            "data": {"thing1": {"value": "{{text}}"}},
        }
        body: dict[str, Any] = {"message": message, "upload": self.id, "messages_per_second": self.rate}
        if self.expires_at is not None:
            body["expires_at"] = datetime.fromtimestamp(self.expires_at, UTC).isoformat()
        return body

    def add(self, chance: Random, openids: list[str]) -> None:
        """Add a row: mostly a good one."""
        row = len(self.rows) + 1
        openid, text, own_id = f"o{CANARY}{self.id}{row:018d}", self.marker(row), f"c{row}"
        what, draw = VALID, chance.random()
        if draw < 0.1:
            what, text = INVALID, "x" * 21
        elif draw < 0.15:
            what, openid = INVALID, ""
        elif draw < 0.25 and openids:
            what, openid = DUPLICATE, chance.choice(openids)
        elif draw < 0.3 and self.by_id and VALID in self.rows:
            what, own_id = INVALID, self.own_ids[self.rows.index(VALID)]
        if what == VALID:
            openids.append(openid)
        self.rows.append(what)
        self.own_ids.append(own_id)
        columns = {"openid": openid, "text": text, **({"id": own_id} if self.by_id else {})}
        self.lines.append(json.dumps(columns) if self.kind == "jsonl" else ",".join(columns.values()))


class Workload:
    """Some broadcasts, and what their owners do."""

    def __init__(self, world: BroadcastWorld, broadcasts: int, rows: int, *, troubled: bool = True) -> None:
        self.world = world
        self.asks: list[Ask] = []
        self.told: Counter[int] = Counter()
        """The statuses of the API's answers."""
        self.last_at = world.start + SPAN
        self._chance = Random(f"{world.seed}/broadcasts")
        self.troubled = troubled
        self._begun = False
        for number in range(broadcasts):
            self.asks.append(self._ask(number, rows))

    @property
    def over(self) -> bool:
        """Whether nothing is left to be done."""
        return self._begun and self.world.scheduler.now > self.last_at and self.world.at_rest

    def begin(self) -> None:
        """Let the owners begin."""
        world, chance = self.world, self._chance
        world.keep_tokens_fresh(lambda: not self.over)
        self._begun = True
        if self.troubled:
            self._plan_trouble()
        for ask in self.asks:
            world.bucket.put_object(Bucket="", Key=f"{ACCOUNT}/uploads/{ask.id}", Body=ask.content)
            at = world.start + chance.uniform(1, SPAN / 2)
            world.scheduler.at(at, partial(self._create, ask))
            for openid, what in zip(ask.lines, ask.rows, strict=True):
                if what == VALID and chance.random() < 0.05:
                    world.wechat.refused_openids[openid.partition(",")[0]] = 43101
            draw = chance.random()
            if draw < 0.6:
                seconds = chance.uniform(10, 300)
                pause = partial(self._pause, ask, seconds)
                pause = partial(self._in_step, pause) if chance.random() < 0.5 else pause
                world.scheduler.at(at + chance.uniform(20, 150), pause)
            elif draw < 0.75:
                world.scheduler.at(at + chance.uniform(1, 200), partial(self._change, ask, "cancel"))

    def _plan_trouble(self) -> None:
        """Services that take hardly any request for a while; now and then WeChat refuses all messages."""
        world, chance = self.world, self._chance
        for service in ("dynamodb", "s3", "sqs"):
            since = world.start + chance.uniform(1, SPAN)
            world.outages[service].append((since, since + 8, OUTAGE))
        if chance.random() < 0.3:
            since = world.start + chance.uniform(1, SPAN)
            refused = Window(ACCOUNT, SUBSCRIPTION, since, since + chance.uniform(20, 200), 48001)
            world.wechat.windows.append(refused)

    def _ask(self, number: int, rows: int) -> Ask:
        chance = self._chance
        ask = Ask(
            "abcdefgh"[number], round(chance.uniform(0.1, 0.9), 2), chance.choice(("csv", "csv", "jsonl"))
        )
        ask.by_id = chance.random() < 0.3
        openids: list[str] = []
        for _ in range(chance.randrange(rows // 2, rows + 1)):
            ask.add(chance, openids)
        if not openids:
            ask.add(Random(1), openids)
        if chance.random() < 0.2:
            ask.expires_at = self.world.start + chance.uniform(200, 400)
        return ask

    def _create(self, ask: Ask) -> None:
        def answered(status: int, _: dict[str, Any]) -> None:
            self.told[status] += 1
            ask.created = status in {201, 202}

        self.world.call("POST broadcasts", answered, ask.request(), ask.id)

    def _in_step(self, action: Callable[[], None]) -> None:
        """Do something while a step is under way, or when there is none any more."""
        scheduler = self.world.scheduler
        if self.world.broadcast.running or self.world.at_rest:
            scheduler.at(scheduler.now + self._chance.uniform(0, 0.3), action)
        else:
            self.last_at = max(self.last_at, scheduler.now + 2)
            scheduler.at(scheduler.now + 0.05, partial(self._in_step, action))

    def _pause(self, ask: Ask, seconds: float) -> None:
        def resume() -> None:
            self._change(ask, "resume")

        def answered(status: int) -> None:
            if status == OK:
                when = self.world.scheduler.now + seconds
                self.last_at = max(self.last_at, when + 1)
                self.world.scheduler.at(when, resume)

        self._change(ask, "pause", answered)

    def _change(self, ask: Ask, change: str, then: Callable[[int], None] = lambda _: None) -> None:
        if change == "resume":  # it may go on at once, whatever becomes of the answer
            ask.changes.append((change, self.world.scheduler.now))

        def answered(status: int, _: dict[str, Any]) -> None:
            self.told[status] += 1
            if status == OK and change != "resume":
                ask.changes.append((change, self.world.scheduler.now))
            then(status)

        self.world.call(f"POST broadcasts/{{id}}/{change}", answered, id=ask.id)
