"""``python -m benchmarks.cost_page`` renews docs/cost.md and docs/zh/cost.md from the last results."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final, Literal

from benchmarks import figures
from benchmarks.cost import COLUMNS, DOORS, MB_OF_A_CORE, MONTH_DAYS, Measured, Model, Setting
from benchmarks.cost_names import NAMES_ZH
from benchmarks.figures import Results
from benchmarks.prices import PRICES, QUOTAS, REGION, STATED

Language = Literal["en", "zh"]

_DOCS = Path(__file__).parents[1] / "docs"
PAGES: Final[Mapping[Language, Path]] = {"en": _DOCS / "cost.md", "zh": _DOCS / "zh" / "cost.md"}
_BATCHED = "SQS, producer sends ten at a time"
_MEMORIES = (128, 256, 512, 768, 1024, 1769)


def from_results(results: Results) -> Measured:
    """What the model needs of a run; raises ``KeyError`` where it is not there."""

    def value(section: str, case: str) -> float:
        if found := results.find(section, case):
            return found.value().median
        raise KeyError(f"{section}: {case}")

    return Measured(
        queue_cpu={
            size: value("handlers", f"send_queue, CPU a message in batches of {size}") / 1e6
            for size in (1, 10, 100)
        },
        api_cpu=value("handlers", "send_api, CPU a call") / 1e6,
        claim_bytes=value("sizes", "the ledger's item when it is claimed"),
        sent_bytes=value("sizes", "the ledger's item when it is sent"),
        puts=value("sizes", "writes to the ledger a message"),
        queue_log=value("sizes", "log of send_queue a message, in batches of 10"),
        api_log=value("sizes", "log of send_api a call"),
        request_bytes=value("sizes", "a request to WeChat"),
    )


def render(model: Model, language: Language) -> str:
    """Make the page, of its text and of tables; the figures are the same in both languages."""
    return _Page(model, language).render()


class _Page:
    def __init__(self, model: Model, language: Language) -> None:
        self._model = model
        self._language = language
        self._usual = Setting()

    def render(self) -> str:
        given, found = self._model.assumptions, self._model.measured
        bill = self._model.bill(_BATCHED, self._usual)
        text = Path(__file__).with_name(f"cost_page_{self._language}.md").read_text(encoding="utf-8")
        return text.format(
            given=given,
            found=found,
            region=REGION,
            stated=STATED,
            month_days=MONTH_DAYS,
            core_mb=MB_OF_A_CORE,
            batch=self._usual.batch,
            memory=self._usual.memory,
            total=bill.total,
            largest=self._said(bill.largest),
            share=bill.items[bill.largest],
            cpu=self._said(", ").join(
                self._said("{batch}: {cpu:.0f}", batch=size, cpu=1e6 * seconds)
                for size, seconds in sorted(found.queue_cpu.items())
            ),
            api_cpu=1e6 * found.api_cpu,
            wechat_ms=1000 * given.wechat_seconds,
            table_ms=1000 * given.table_seconds,
            queue_ms=1000 * given.queue_seconds,
            by_door=self._by_door(),
            by_memory=self._by_memory(),
            fixed=self._fixed(),
            by_day=self._by_day(),
            prices=self._prices(),
            quotas=self._said("; ").join(
                self._said(
                    "{quota} {most:,.0f} {unit}",
                    quota=self._said(each.name),
                    most=each.most,
                    unit=self._said(each.unit),
                )
                for each in QUOTAS.values()
            ),
        )

    def _said(self, name: str, **figures: object) -> str:
        """Return a name in the page's language, with figures in the place of its braces."""
        return (name if self._language == "en" else NAMES_ZH[name]).format(**figures)

    def _by_door(self) -> str:
        bills = {door: self._model.bill(door, self._usual) for door in DOORS}
        rows = [
            [self._said(door), *(_dollars(bill.items[name]) for name in COLUMNS), f"**{bill.total:.2f}**"]
            for door, bill in bills.items()
        ]
        return _table(["", *map(self._said, COLUMNS), self._said("**$ a million**")], rows)

    def _by_memory(self) -> str:
        model, rows = self._model, []
        for batch in model.measured.queue_cpu:
            settings = [Setting(batch, memory) for memory in _MEMORIES]
            cells = [
                f"{model.bill(_BATCHED, each).total:.2f} ({1000 * model.batch_seconds(each):,.0f})"
                for each in settings
            ]
            rows.append([self._said("batches of {batch}", batch=batch), *cells])
        calls = [model.bill("HTTP, the caller waits", Setting(memory=memory)).total for memory in _MEMORIES]
        rows.append([self._said("HTTP"), *map(_dollars, calls)])
        return _table(["", *(f"{memory} MB" for memory in _MEMORIES)], rows)

    def _fixed(self) -> str:
        given, fixed = self._model.assumptions, self._model.fixed()
        figures = {
            "queues": given.queues,
            "metrics": self._model.metrics,
            "accounts": given.accounts,
            "alarms": given.alarms,
            "alarm_metrics": given.alarm_metrics,
        }
        rows = [[self._said(name, **figures), f"{dollars:.2f}"] for name, dollars in fixed.items()]
        rows.append([self._said("**together**"), f"**{sum(fixed.values()):.2f}**"])
        return _table(["", self._said("$ a month")], rows)

    def _by_day(self) -> str:
        demands = [self._model.demand(a_day, self._usual) for a_day in (1e4, 1e6, 1e8)]
        rows = {
            "WeChat calls a second": [_rate(each.rate) for each in demands],
            "concurrent executions": [_rate(each.concurrency) for each in demands],
            "SSM reads a second": [_rate(each.ssm) for each in demands],
            "DynamoDB write units a second": [_rate(each.writes) for each in demands],
            "DynamoDB read units a second": [_rate(each.reads) for each in demands],
            "dollars a month": [f"{each.dollars:,.2f}" for each in demands],
            "the quota that bites first": [
                self._said(
                    "{quota}: {used:.3g} % of {most:,.0f} {unit}",
                    quota=self._said(quota.name),
                    used=100 * used,
                    most=quota.most,
                    unit=self._said(quota.unit),
                )
                for quota, used in (each.first() for each in demands)
            ],
        }
        return _table(
            ["", *(f"{each.a_day:,.0f}" for each in demands)],
            [[self._said(name), *cells] for name, cells in rows.items()],
        )

    def _prices(self) -> str:
        rows = [
            [
                self._said(each.name),
                f"{each.dollars:.10g}",
                self._said(each.unit),
                f"aws.amazon.com/{each.source}/pricing",
            ]
            for each in PRICES.values()
        ]
        what = self._said("what ({region}, {stated})", region=REGION, stated=STATED)
        return _table([what, *map(self._said, ("$", "for one", "page"))], rows)


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _dollars(amount: float) -> str:
    return f"{amount:.2f}" if amount else "–"


def _rate(amount: float) -> str:
    return f"{amount:,.0f}" if amount >= 100 else f"{amount:.2g}"  # noqa: PLR2004 - three digits


def write(results: Results) -> None:
    """Renew the pages."""
    model = Model(from_results(results))
    for language, path in PAGES.items():
        path.write_text(render(model, language), encoding="utf-8")


if __name__ == "__main__":
    write(figures.load())
