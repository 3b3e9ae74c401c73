"""What a million messages cost, from stated prices and from what the benchmark measured.

``python -m benchmarks.cost`` renews ``docs/cost.md``. Free tiers, volume discounts and saving plans are
left out: they make it cheaper than this.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from benchmarks.figures import Results

_ROOT = Path(__file__).resolve().parents[1]
RESULTS = _ROOT / "benchmarks" / "results" / "latest.json"
PAGE = _ROOT / "docs" / "cost.md"

MILLION = 1e6
_GB = 2.0**30
_KB = 1024
_DAY = 86400.0
_MONTH_DAYS = 30
_MB_OF_A_CORE = 1769.0

REGION = "us-east-1"
STATED = "2026-11"


class Price(NamedTuple):
    """Dollars for one unit, and the page that says so."""

    name: str
    dollars: float
    unit: str
    source: str


PRICES = {
    "lambda_second": Price("Lambda, arm64", 0.0000133334, "GB-second", "aws.amazon.com/lambda/pricing"),
    "lambda_request": Price("Lambda, invocations", 0.20, "million", "aws.amazon.com/lambda/pricing"),
    "sqs": Price(
        "SQS, standard queue (64 KB a request)", 0.40, "million requests", "aws.amazon.com/sqs/pricing"
    ),
    "sqs_fair": Price(
        "SQS, in addition for messages with a group (fair queue)",
        0.10,
        "million requests",
        "aws.amazon.com/sqs/pricing",
    ),
    "write": Price(
        "DynamoDB on demand, writes of 1 KB", 0.625, "million", "aws.amazon.com/dynamodb/pricing/on-demand"
    ),
    "read": Price(
        "DynamoDB on demand, reads of 4 KB", 0.125, "million", "aws.amazon.com/dynamodb/pricing/on-demand"
    ),
    "stored": Price("DynamoDB, storage", 0.25, "GB-month", "aws.amazon.com/dynamodb/pricing/on-demand"),
    "http": Price("HTTP API", 1.00, "million requests", "aws.amazon.com/api-gateway/pricing"),
    "event": Price("EventBridge, custom events", 1.00, "million", "aws.amazon.com/eventbridge/pricing"),
    "firing": Price(
        "EventBridge Scheduler", 1.00, "million invocations", "aws.amazon.com/eventbridge/pricing"
    ),
    "logs": Price("CloudWatch Logs, taken in", 0.50, "GB", "aws.amazon.com/cloudwatch/pricing"),
    "logs_kept": Price("CloudWatch Logs, kept", 0.03, "GB-month", "aws.amazon.com/cloudwatch/pricing"),
    "metric": Price(
        "CloudWatch, metrics of one's own", 0.30, "metric-month", "aws.amazon.com/cloudwatch/pricing"
    ),
    "alarm": Price("CloudWatch, alarms", 0.10, "alarm-month", "aws.amazon.com/cloudwatch/pricing"),
    "out": Price("data to the internet", 0.09, "GB", "aws.amazon.com/ec2/pricing/on-demand"),
    "kms": Price(
        "KMS, requests (each read of a SecureString)", 3.00, "million", "aws.amazon.com/kms/pricing"
    ),
    "secret": Price("Secrets Manager", 0.40, "secret-month", "aws.amazon.com/secrets-manager/pricing"),
    "parameter": Price(
        "Parameter Store, standard parameters, default throughput",
        0.0,
        "request",
        "aws.amazon.com/systems-manager/pricing",
    ),
}


@dataclass(frozen=True)
class Measured:
    """What the benchmark found, in seconds and bytes; CPU by the batch's size."""

    queue_cpu: Mapping[int, float]
    queue_cpu_bare: Mapping[int, float]
    api_cpu: float
    api_cpu_bare: float
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
    log_retention_days: int = 30
    wire_overhead: float = 250.0
    access_log: float = 450.0
    log_overhead: float = 350.0
    accounts: int = 10
    metrics_an_account: int = 6
    metrics_anyway: int = 13
    alarms: int = 10
    token_age: float = 45.0
    peak: float = 5.0


@dataclass(frozen=True)
class Setting:
    """How the stack is deployed; the template's defaults."""

    batch: int = 10
    memory: int = 512
    ledger: bool = True


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
COLUMNS = ("door", "SQS", "Lambda", "ledger", "logs", "data out")


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
        known = self.measured.queue_cpu if setting.ledger else self.measured.queue_cpu_bare
        cpu = _at(known, setting.batch) * given.lambda_cpu / _share(setting.memory)
        waves = math.ceil(setting.batch / given.side_by_side)
        one = given.wechat_seconds + (2 * given.table_seconds if setting.ledger else 0.0) + cpu
        return _billed(max(setting.batch * cpu, waves * one))

    def call_seconds(self, setting: Setting) -> float:
        """Seconds for which one call of the API is billed while the caller waits."""
        given = self.assumptions
        measured = self.measured.api_cpu if setting.ledger else self.measured.api_cpu_bare
        cpu = measured * given.lambda_cpu / _share(setting.memory)
        waits = given.wechat_seconds + (2 * given.table_seconds if setting.ledger else 0.0)
        return _billed(waits + cpu)

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
                cpu = self.measured.api_cpu_bare * given.lambda_cpu / _share(setting.memory)
                seconds = cpu + given.queue_seconds + (given.table_seconds if setting.ledger else 0.0)
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
        if setting.ledger:
            units = _units(self.measured.claim_bytes) + (self.measured.puts - 1) * _units(
                self.measured.sent_bytes
            )
            if kind == "async":
                units += _units(self.measured.claim_bytes)
            # Circuits: one read of an account's item a batch, unless that was read within the second.
            looks = 1 if kind == "http" else 1 / setting.batch
            bill.add("ledger", looks * self.price("read"))
            # DynamoDB adds 100 bytes to each item that it stores.
            stored = MILLION * (self.measured.sent_bytes + 100) / _GB * given.retention_days / _MONTH_DAYS
            bill.add("ledger", units * self.price("write") + stored * self.price("stored"))
        sent = MILLION * (self.measured.request_bytes + given.wire_overhead) / _GB
        bill.add("data out", sent * self.price("out"))
        return bill

    def fixed(self) -> dict[str, float]:
        """Dollars a month, whether anything is sent or not."""
        given = self.assumptions
        # Five pollers, each asking for 20 s; with a maximum concurrency Lambda does not reduce them.
        polls = 5 * _DAY / 20 * _MONTH_DAYS / MILLION
        metrics = given.metrics_anyway + given.accounts * given.metrics_an_account
        # token_refresh reads each account's two parameters every five minutes.
        decrypted = given.accounts * 2 * _DAY / 300 * _MONTH_DAYS / MILLION
        return {
            "pollers of the idle queue": polls * self.price("sqs"),
            f"{metrics} metrics ({given.accounts} accounts)": metrics * self.price("metric"),
            f"{given.alarms} alarms": given.alarms * self.price("alarm"),
            "the openid hash key": self.price("secret"),
            "token_refresh, every 5 minutes": decrypted * self.price("kms")
            + _DAY
            / 300
            * _MONTH_DAYS
            * (self.price("lambda_request") / MILLION + 0.5 * self.price("lambda_second")),
        }

    def demand(self, a_day: float, setting: Setting) -> Demand:
        """What so many messages a day, through the queue, ask of everything."""
        given = self.assumptions
        rate = given.peak * a_day / _DAY
        concurrency = rate / setting.batch * self.batch_seconds(setting)
        processes = max(1.0, concurrency)
        units = _units(self.measured.claim_bytes) + (self.measured.puts - 1) * _units(
            self.measured.sent_bytes
        )
        reads = self._token_reads(rate, processes)
        usual = rate / given.peak
        decrypted = self._token_reads(usual, max(1.0, concurrency / given.peak)) * _DAY * _MONTH_DAYS
        return Demand(
            a_day=a_day,
            rate=rate,
            concurrency=concurrency,
            ssm=reads,
            writes=rate * units if setting.ledger else 0.0,
            # A message needs its account's circuits, and a process reads those once a second at most.
            reads=min(rate, processes * given.accounts) if setting.ledger else 0.0,
            dollars=self.bill("SQS, producer sends ten at a time", setting).total
            * a_day
            * _MONTH_DAYS
            / MILLION
            + decrypted * self.price("kms") / MILLION
            + sum(self.fixed().values()),
        )

    def _token_reads(self, rate: float, processes: float) -> float:
        """Tokens read a second: by each process once it meets the account, and then when it is old."""
        return min(rate, processes * self.assumptions.accounts / self.assumptions.token_age)

    def _invoke(self, bill: Bill, seconds: float, messages: float, memory: int) -> None:
        requests = self.price("lambda_request") / messages
        time = MILLION / messages * seconds * memory / _KB * self.price("lambda_second")
        bill.add("Lambda", requests + time)

    def _log(self, bill: Bill, size: float) -> None:
        kept = self.price("logs_kept") * self.assumptions.log_retention_days / _MONTH_DAYS
        bill.add("logs", MILLION * size / _GB * (self.price("logs") + kept))


class Quota(NamedTuple):
    """A default quota of AWS in one account and region."""

    name: str
    most: float
    unit: str


QUOTAS = {
    "ssm": Quota("Parameter Store, default throughput", 40, "reads/s"),
    "concurrency": Quota("Lambda, concurrent executions", 1000, "executions"),
    "writes": Quota("DynamoDB, a new table's writes (40,000 once it has grown)", 4000, "units/s"),
    "reads": Quota("DynamoDB, a new table's reads", 12_000, "units/s"),
    "rate": Quota("HTTP API, requests (this stack's own limit is 1,000)", 10_000, "requests/s"),
}


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
        used = {name: getattr(self, name) / quota.most for name, quota in QUOTAS.items() if name != "rate"}
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
    return min(1.0, memory / _MB_OF_A_CORE)


def _at(known: Mapping[int, float], batch: int) -> float:
    """The CPU of a message in a batch of this size, or of the nearest size that was measured."""
    nearest = min(known, key=lambda size: abs(math.log(size / batch)))
    return known[nearest]


def from_results(results: Results) -> Measured:
    """What the model needs of a run; raises ``KeyError`` where it is not there."""

    def value(section: str, case: str, subject: str = "wechat_notify") -> float:
        found = results.find(section, case)
        if found is None:
            raise KeyError(f"{section}: {case}")
        return found.value(subject).median

    bare = "wechat_notify, without ledger"

    def by_batch(subject: str) -> dict[int, float]:
        sizes = {
            size: ("handlers", f"send_queue, CPU a message in batches of {size}") for size in (10, 100, 1000)
        }
        sizes[1] = ("growth", "batch of 1, CPU a message")
        return {size: value(*where, subject) / 1e6 for size, where in sizes.items()}

    return Measured(
        queue_cpu=by_batch("wechat_notify"),
        queue_cpu_bare=by_batch(bare),
        api_cpu=value("handlers", "send_api, CPU a call") / 1e6,
        api_cpu_bare=value("handlers", "send_api, CPU a call", bare) / 1e6,
        claim_bytes=value("sizes", "the ledger's item when it is claimed"),
        sent_bytes=value("sizes", "the ledger's item when it is sent"),
        puts=value("sizes", "writes to the ledger a message"),
        queue_log=value("sizes", "log of send_queue a message, in batches of 10"),
        api_log=value("sizes", "log of send_api a call"),
        request_bytes=value("sizes", "a request to WeChat"),
    )


def render(model: Model) -> str:
    """The page."""
    return "\n".join([*_page(model), ""])


def _page(model: Model) -> Iterable[str]:
    yield "# What it costs"
    yield ""
    yield "<!-- Generated by `make cost` (and `make bench`) from benchmarks/cost.py: edit that, not this. -->"
    yield ""
    yield (
        f"Dollars in {REGION}, prices as stated in {STATED}. Free tiers, volume discounts and saving plans "
        "are left out. CPU, item sizes and log lines come from the last benchmark (`docs/performance.md`)."
    )
    usual = Setting()
    bill = model.bill("SQS, producer sends ten at a time", usual)
    yield ""
    yield (
        f"**In one line:** a million messages from SQS cost ${bill.total:.2f} with the ledger and "
        f"${model.bill('SQS, producer sends ten at a time', Setting(ledger=False)).total:.2f} without; "
        f"the largest part: {bill.largest}."
    )
    yield from _by_door(model, usual)
    yield from _by_size(model)
    yield from _http_by_memory(model)
    yield from _fixed(model)
    yield from _scale(model, usual)
    yield from _prices()
    yield from _assumptions(model)


def _by_door(model: Model, usual: Setting) -> Iterable[str]:
    yield ""
    yield "## A million messages, by door"
    yield ""
    yield (
        f"Batches of {usual.batch}, {usual.memory} MB. The product always has its ledger; "
        "the sum without it shows what it costs."
    )
    yield ""
    yield f"| | {' | '.join(COLUMNS)} | **$ a million** | without ledger | largest part |"
    yield "|---" * (len(COLUMNS) + 4) + "|"
    for door in DOORS:
        bill = model.bill(door, usual)
        bare = model.bill(door, Setting(usual.batch, usual.memory, ledger=False))
        items = " | ".join(_dollars(bill.items[name]) for name in COLUMNS)
        yield f"| {door} | {items} | **{bill.total:.2f}** | {bare.total:.2f} | {bill.largest} |"


_MEMORIES = (128, 256, 512, 1024, 1769)


def _by_size(model: Model) -> Iterable[str]:
    for ledger in (True, False):
        yield ""
        yield f"## By batch and memory, {'with' if ledger else 'without'} the ledger"
        yield ""
        yield (
            "Dollars a million from SQS, sent ten at a time; in brackets the milliseconds that are billed "
            "for a batch. Batches beyond the template's `BatchSize` say what larger ones would bring."
            if ledger
            else "The same."
        )
        yield ""
        yield f"| batch | {' | '.join(f'{memory} MB' for memory in _MEMORIES)} |"
        yield "|---" * (len(_MEMORIES) + 1) + "|"
        for batch in (1, 10, 100, 1000):
            cells = []
            for memory in _MEMORIES:
                setting = Setting(batch, memory, ledger)
                total = model.bill("SQS, producer sends ten at a time", setting).total
                cells.append(f"{total:.2f} ({1000 * model.batch_seconds(setting):,.0f})")
            yield f"| {batch:,} | {' | '.join(cells)} |"


def _http_by_memory(model: Model) -> Iterable[str]:
    yield ""
    yield "## The HTTP doors, by memory"
    yield ""
    yield "Dollars a million calls; the queue's own function behind `respond-async` has as much memory."
    yield ""
    yield f"| | {' | '.join(f'{memory} MB' for memory in _MEMORIES)} |"
    yield "|---" * (len(_MEMORIES) + 1) + "|"
    for door, kind in DOORS.items():
        if kind in {"http", "async"}:
            for ledger in (True, False):
                totals = [
                    model.bill(door, Setting(memory=memory, ledger=ledger)).total for memory in _MEMORIES
                ]
                name = door if ledger else f"{door}, without the ledger"
                yield f"| {name} | {' | '.join(map(_dollars, totals))} |"


def _fixed(model: Model) -> Iterable[str]:
    fixed = model.fixed()
    yield ""
    yield "## Whether anything is sent or not"
    yield ""
    yield "| | $ a month |"
    yield "|---|---|"
    for name, dollars in fixed.items():
        yield f"| {name} | {dollars:.2f} |"
    yield f"| **together** | **{sum(fixed.values()):.2f}** |"


def _scale(model: Model, usual: Setting) -> Iterable[str]:
    given = model.assumptions
    demands = [model.demand(a_day, usual) for a_day in (1e4, 1e6, 1e8)]
    yield ""
    yield "## Messages a day"
    yield ""
    yield (
        f"Through the queue, batches of {usual.batch}, {usual.memory} MB, {given.accounts} accounts. "
        f"Rates are those of the busiest hour, {given.peak:.0f} times the day's average; "
        f"the price is for {_MONTH_DAYS} days."
    )
    yield ""
    yield f"| | {' | '.join(f'{demand.a_day:,.0f}' for demand in demands)} |"
    yield "|---" * (len(demands) + 1) + "|"
    rows = {
        "WeChat calls a second": [_rate(demand.rate) for demand in demands],
        "concurrent executions": [_rate(demand.concurrency) for demand in demands],
        "SSM reads a second": [_rate(demand.ssm) for demand in demands],
        "DynamoDB write units a second": [_rate(demand.writes) for demand in demands],
        "DynamoDB read units a second": [_rate(demand.reads) for demand in demands],
        "dollars a month": [f"{demand.dollars:,.2f}" for demand in demands],
    }
    for name, cells in rows.items():
        yield f"| {name} | {' | '.join(cells)} |"
    firsts = [demand.first() for demand in demands]
    yield (
        "| the quota that bites first | "
        + " | ".join(
            f"{quota.name}: {100 * used:.3g} % of {quota.most:,.0f} {quota.unit}" for quota, used in firsts
        )
        + " |"
    )
    yield ""
    yield (
        "`MaximumConcurrency` (10 in the template) is the stack's own brake, and has to be at least the "
        "concurrent executions above. WeChat's own quotas are by account and not in this table."
    )


def _prices() -> Iterable[str]:
    yield ""
    yield "## Prices"
    yield ""
    yield f"| what ({REGION}, {STATED}) | $ | for one | page |"
    yield "|---|---|---|---|"
    for price in PRICES.values():
        yield f"| {price.name} | {price.dollars:.10g} | {price.unit} | {price.source} |"
    yield ""
    yield (
        "Default quotas: "
        + "; ".join(f"{each.name} {each.most:,.0f} {each.unit}" for each in QUOTAS.values())
        + "."
    )


def _assumptions(model: Model) -> Iterable[str]:
    given, found = model.assumptions, model.measured
    yield ""
    yield "## What it reckons with"
    yield ""
    cpu = ", ".join(f"{size}: {1e6 * seconds:.0f}" for size, seconds in sorted(found.queue_cpu.items()))
    bare = ", ".join(f"{size}: {1e6 * seconds:.0f}" for size, seconds in sorted(found.queue_cpu_bare.items()))
    yield f"- Measured: CPU of a queued message by batch (µs) {cpu}; without the ledger {bare}."
    call, bare_call = 1e6 * found.api_cpu, 1e6 * found.api_cpu_bare
    yield f"- Measured: CPU of a call of the API {call:.0f} µs; without the ledger {bare_call:.0f}."
    yield (
        f"- Measured: ledger items of {found.claim_bytes:.0f} and {found.sent_bytes:.0f} bytes, "
        f"{found.puts:.3g} writes a message; {found.queue_log:.0f} bytes of log a queued message, "
        f"{found.api_log:.0f} a call; "
        f"{found.request_bytes:.0f} bytes of request."
    )
    yield (
        f"- Assumed: WeChat answers in {1000 * given.wechat_seconds:.0f} ms, DynamoDB in "
        f"{1000 * given.table_seconds:.0f}, SQS in {1000 * given.queue_seconds:.0f}; a core of Lambda's is "
        f"{given.lambda_cpu} times slower than one of the benchmark's, and "
        f"{_MB_OF_A_CORE:.0f} MB get a whole one."
    )
    yield (
        f"- {given.side_by_side} messages of a batch go side by side; a batch lasts as long as its CPU "
        "or its waiting, whichever is longer. Some of the CPU comes before and after the waiting, so that "
        "with little memory it lasts longer than that, by up to a quarter: cents a million."
    )
    yield (
        f"- TLS, TCP and IP add {given.wire_overhead:.0f} bytes to a request, Lambda's own lines "
        f"{given.log_overhead:.0f} to the log of an invocation, "
        f"API Gateway's {given.access_log:.0f} to a call's."
    )
    yield (
        f"- The ledger keeps a message for {given.retention_days} days, CloudWatch its lines for "
        f"{given.log_retention_days}."
    )
    yield f"- Each process reads each account's token every {given.token_age:.0f} s."
    yield (
        "- An account's circuits are read once a batch in the dollars, and at most once a second by each "
        "process and account in the quotas."
    )
    yield "- A run of token_refresh takes a second at 512 MB. Cold starts are left out."
    yield (
        "- The surcharge for fair queues is taken on every request of a message with a group: those of "
        "`respond-async`. Producers who set one themselves pay it too."
    )
    yield (
        "- Prices and default quotas are what AWS's pages and those that quote them said. The newest are "
        "worth a second look: DynamoDB's (halved in November 2024) and the surcharge for fair queues."
    )


def _dollars(amount: float) -> str:
    return f"{amount:.2f}" if amount else "–"


def _rate(amount: float) -> str:
    return f"{amount:,.0f}" if amount >= 100 else f"{amount:.2g}"  # noqa: PLR2004 - three digits


def write(page: Path = PAGE, results: Path = RESULTS) -> None:
    """Renew the page."""
    measured = from_results(Results.from_json(json.loads(results.read_text(encoding="utf-8"))))
    page.write_text(render(Model(measured)), encoding="utf-8")


if __name__ == "__main__":
    write()
