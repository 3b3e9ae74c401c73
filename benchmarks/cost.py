"""What a million messages cost, from stated prices and from what the benchmark measured.

Free tiers, volume discounts and saving plans are left out: they make it cheaper than this.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from benchmarks.prices import PRICES, QUOTAS, Price, Quota

MB_OF_A_CORE = 1769.0
"""Memory at which Lambda gives a whole core.
https://docs.aws.amazon.com/lambda/latest/dg/configuration-memory.html
"""
MONTH_DAYS = 30
_MILLION = 1e6
_GB = 2.0**30
_KB = 1024
_DAY = 86400.0


@dataclass(frozen=True)
class Measured:
    """What the benchmark found, in seconds and bytes; CPU by the batch's size."""

    queue_cpu: Mapping[int, float]
    api_cpu: float
    claim_bytes: float
    sent_bytes: float
    puts: float
    queue_log: float
    api_log: float
    request_bytes: float


@dataclass(frozen=True)
class Assumptions:
    """What nobody measured here; the page says each of them."""

    wechat_seconds: float = 0.080
    table_seconds: float = 0.006
    queue_seconds: float = 0.010
    lambda_cpu: float = 1.5
    side_by_side: int = 20
    retention_days: int = 30
    listed_bytes: float = 160.0
    people_bytes: float = 90.0
    queues: int = 4
    log_retention_days: int = 30
    wire_overhead: float = 250.0
    access_log: float = 450.0
    log_overhead: float = 350.0
    accounts: int = 10
    metrics_an_account: int = 6
    metrics_anyway: int = 17
    alarms: int = 37
    alarm_metrics: int = 71
    token_age: float = 45.0
    peak: float = 5.0


@dataclass(frozen=True)
class Setting:
    """How the stack is deployed; the template's defaults."""

    batch: int = 10
    memory: int = 768


@dataclass
class Bill:
    """Dollars a million messages, by what they are for."""

    items: dict[str, float] = field(default_factory=dict)

    def add(self, name: str, dollars: float) -> None:
        """One more charge."""
        self.items[name] = self.items.get(name, 0.0) + dollars

    @property
    def total(self) -> float:
        """All of it."""
        return sum(self.items.values())

    @property
    def largest(self) -> str:
        """What it is most for."""
        return max(self.items, key=lambda name: self.items[name])


DOORS = {
    "HTTP, the caller waits": "http",
    "HTTP, respond-async": "async",
    "SQS, producer sends ten at a time": "sqs_batched",
    "SQS, producer sends one at a time": "sqs",
    "event bus": "bus",
    "Scheduler": "scheduler",
}
COLUMNS = ("door", "SQS", "Lambda", "ledger", "lists", "people", "logs", "data out")


class Model:
    """Prices, measurements and assumptions together."""

    def __init__(
        self,
        measured: Measured,
        assumptions: Assumptions | None = None,
        prices: Mapping[str, Price] = PRICES,
    ) -> None:
        self.measured = measured
        self.assumptions = assumptions or Assumptions()
        self._prices = prices

    def price(self, name: str) -> float:
        """Dollars for one unit."""
        return self._prices[name].dollars

    def batch_seconds(self, setting: Setting) -> float:
        """Seconds for which one batch is billed: whichever lasts longer, its CPU or its waiting."""
        given = self.assumptions
        cpu = _at(self.measured.queue_cpu, setting.batch) * given.lambda_cpu / _share(setting.memory)
        waves = math.ceil(setting.batch / given.side_by_side)
        one = given.wechat_seconds + 2 * given.table_seconds + cpu
        return _billed(max(setting.batch * cpu, waves * one))

    def call_seconds(self, setting: Setting) -> float:
        """Seconds for which one call of the API is billed while the caller waits."""
        given = self.assumptions
        return _billed(given.wechat_seconds + 2 * given.table_seconds + self._call_cpu(setting))

    def _call_cpu(self, setting: Setting) -> float:
        return self.measured.api_cpu * self.assumptions.lambda_cpu / _share(setting.memory)

    def bill(self, door: str, setting: Setting) -> Bill:
        """What a million messages cost that come through one door; nothing fixed is in it."""
        bill = Bill(dict.fromkeys(COLUMNS, 0.0))
        given, kind = self.assumptions, DOORS[door]
        if kind in {"http", "async"}:
            bill.add("door", self.price("http"))
            self._log(bill, self.measured.api_log + given.access_log + given.log_overhead)
            if kind == "http":
                seconds = self.call_seconds(setting)
            else:
                seconds = self._call_cpu(setting) + given.queue_seconds + given.table_seconds
            self._invoke(bill, seconds, 1, setting.memory)
        elif kind == "bus":
            bill.add("door", self.price("event"))
        elif kind == "scheduler":
            bill.add("door", self.price("firing"))
        if kind != "http":
            each = self.price("sqs") + (self.price("sqs_fair") if kind == "async" else 0.0)
            sends = 0.1 if kind == "sqs_batched" else 1.0
            # Lambda's pollers receive and delete ten at a time at most, whatever the batch is.
            taken = 2 / min(10, setting.batch)
            bill.add("SQS", each * (sends + taken))
            self._invoke(bill, self.batch_seconds(setting), setting.batch, setting.memory)
            self._log(bill, self.measured.queue_log + given.log_overhead / setting.batch)
        units = self._units_a_message() + (_units(self.measured.claim_bytes) if kind == "async" else 0)
        # Circuits: one read of an account's item a batch, unless that was read within the second.
        looks = 1 if kind == "http" else 1 / setting.batch
        # DynamoDB adds 100 bytes to each item that it stores.
        stored = _MILLION * (self.measured.sent_bytes + 100) / _GB * given.retention_days / MONTH_DAYS
        bill.add("ledger", looks * self.price("read"))
        bill.add("ledger", units * self.price("write") + stored * self.price("stored"))
        # One write of the index for each, where messages that were sent are listed.
        listed = _MILLION * (given.listed_bytes + 100) / _GB * given.retention_days / MONTH_DAYS
        bill.add("lists", self.price("write") + listed * self.price("stored"))
        # And one of the index by receiver, with which a person is erased.
        people = _MILLION * (given.people_bytes + 100) / _GB * given.retention_days / MONTH_DAYS
        bill.add("people", self.price("write") + people * self.price("stored"))
        sent = _MILLION * (self.measured.request_bytes + given.wire_overhead) / _GB
        bill.add("data out", sent * self.price("out"))
        return bill

    @property
    def metrics(self) -> int:
        """Metrics of all accounts together."""
        given = self.assumptions
        return given.metrics_anyway + given.accounts * given.metrics_an_account

    def fixed(self) -> dict[str, float]:
        """Dollars a month, whether anything is sent or not. In braces stand the figures of a name."""
        given = self.assumptions
        # Five pollers a queue, each asking for 20 s; with a maximum concurrency Lambda does not reduce them.
        polls = given.queues * 5 * _DAY / 20 * MONTH_DAYS / _MILLION
        # token_refresh reads each account's two parameters every five minutes.
        decrypted = given.accounts * 2 * _DAY / 300 * MONTH_DAYS / _MILLION
        return {
            "pollers of {queues} idle queues": polls * self.price("sqs"),
            "{metrics} metrics ({accounts} accounts)": self.metrics * self.price("metric"),
            "{alarms} alarms on {alarm_metrics} metrics": given.alarm_metrics * self.price("alarm"),
            "an alarm on alarms": self.price("composite"),
            "the dashboard": self.price("dashboard"),
            "the key of the alarms' topic": self.price("key"),
            "the openid hash key": self.price("secret"),
            "token_refresh, every 5 minutes": decrypted * self.price("kms")
            + _DAY
            / 300
            * MONTH_DAYS
            * (self.price("lambda_request") / _MILLION + 0.5 * self.price("lambda_second")),
        }

    def demand(self, a_day: float, setting: Setting) -> Demand:
        """What so many messages a day, through the queue, ask of everything."""
        given = self.assumptions
        rate = given.peak * a_day / _DAY
        concurrency = rate / setting.batch * self.batch_seconds(setting)
        processes = max(1.0, concurrency)
        reads = self._token_reads(rate, processes)
        usual = rate / given.peak
        decrypted = self._token_reads(usual, max(1.0, concurrency / given.peak)) * _DAY * MONTH_DAYS
        return Demand(
            a_day=a_day,
            rate=rate,
            concurrency=concurrency,
            ssm=reads,
            writes=rate * self._units_a_message(),
            # A message needs its account's circuits, and a process reads those once a second at most.
            reads=min(rate, processes * given.accounts),
            dollars=self.bill("SQS, producer sends ten at a time", setting).total
            * a_day
            * MONTH_DAYS
            / _MILLION
            + decrypted * self.price("kms") / _MILLION
            + sum(self.fixed().values()),
        )

    def _units_a_message(self) -> float:
        """Write units: a message's first write, and the later ones, which are larger."""
        later = self.measured.puts - 1
        return _units(self.measured.claim_bytes) + later * _units(self.measured.sent_bytes)

    def _token_reads(self, rate: float, processes: float) -> float:
        """Tokens read a second: by each process once it meets the account, and then when it is old."""
        return min(rate, processes * self.assumptions.accounts / self.assumptions.token_age)

    def _invoke(self, bill: Bill, seconds: float, messages: float, memory: int) -> None:
        requests = self.price("lambda_request") / messages
        time = _MILLION / messages * seconds * memory / _KB * self.price("lambda_second")
        bill.add("Lambda", requests + time)

    def _log(self, bill: Bill, size: float) -> None:
        kept = self.price("logs_kept") * self.assumptions.log_retention_days / MONTH_DAYS
        bill.add("logs", _MILLION * size / _GB * (self.price("logs") + kept))


@dataclass(frozen=True)
class Demand:
    """What is asked of each quota in the busiest hour, and what a month costs."""

    a_day: float
    rate: float
    concurrency: float
    ssm: float
    writes: float
    reads: float
    dollars: float

    def first(self) -> tuple[Quota, float]:
        """The quota that is used most, and how much of it."""
        used = {name: getattr(self, name) / quota.most for name, quota in QUOTAS.items()}
        name = max(used, key=lambda each: used[each])
        return QUOTAS[name], used[name]


def _units(size: float) -> int:
    """Write units of an item."""
    return math.ceil(size / _KB)


def _billed(seconds: float) -> float:
    """Lambda bills whole milliseconds; a float's last digits are none."""
    return math.ceil(round(1000 * seconds, 6)) / 1000


def _share(memory: float) -> float:
    """Of a core; Python's threads share one, so that more memory than a core's brings nothing."""
    return min(1.0, memory / MB_OF_A_CORE)


def _at(known: Mapping[int, float], batch: int) -> float:
    """The CPU of a message in a batch of this size, or of the nearest size that was measured."""
    nearest = min(known, key=lambda size: abs(math.log(size / batch)))
    return known[nearest]
