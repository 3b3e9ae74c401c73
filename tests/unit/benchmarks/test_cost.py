import dataclasses
import json
from pathlib import Path
from string import Formatter

import pytest
from samtranslator.yaml_helper import yaml_parse

from benchmarks import cost_page, figures
from benchmarks.cost import COLUMNS, DOORS, Assumptions, Measured, Model, Setting
from benchmarks.figures import Results
from benchmarks.prices import PRICES, QUOTAS, Price
from wechat_notify.core.delivery import batch

_BATCHES = (1, 10, 100)
_MEASURED = Measured(
    queue_cpu=dict.fromkeys(_BATCHES, 0.001),
    api_cpu=0.002,
    claim_bytes=400.0,
    sent_bytes=1024.0,
    puts=2.0,
    queue_log=1000.0,
    api_log=2000.0,
    request_bytes=750.0,
)
_GIVEN = Assumptions(
    wechat_seconds=0.1,
    table_seconds=0.01,
    queue_seconds=0.01,
    lambda_cpu=2.0,
    side_by_side=10,
    wire_overhead=250.0,
    access_log=0.0,
    log_overhead=0.0,
    accounts=10,
    token_age=50.0,
    peak=1.0,
)
_MODEL = Model(_MEASURED, _GIVEN)
_BATCHED = "SQS, producer sends ten at a time"


@pytest.mark.parametrize(
    ("setting", "seconds"),
    [
        # Two waves of ten, each of 100 ms for WeChat, 2 x 10 ms for the table, 2 ms of CPU.
        (Setting(batch=20, memory=1769), pytest.approx(0.244)),
        # An eighth of a core: the 2 ms of each message take 16, a hundred of them more than ten waves of 136.
        (Setting(batch=100, memory=1769 // 8), pytest.approx(1.601, abs=0.002)),
        # More memory than a core needs does not make it faster.
        (Setting(memory=1769), pytest.approx(0.122)),
        (Setting(memory=10_240), pytest.approx(0.122)),
    ],
)
def test_seconds_of_a_batch(setting: Setting, seconds: object) -> None:
    assert _MODEL.batch_seconds(setting) == seconds


def test_million_from_the_queue() -> None:
    bill = _MODEL.bill(_BATCHED, Setting(batch=10, memory=1769))

    assert bill.items["door"] == 0
    # A tenth of a request each to send, to receive and to delete.
    assert bill.items["SQS"] == pytest.approx(0.3 * 0.40)
    # 100,000 invocations of 122 ms.
    gb_seconds = 100_000 * 0.122 * 1769 / 1024
    assert bill.items["Lambda"] == pytest.approx(0.02 + gb_seconds * 0.0000133334)
    # Two writes of up to 1 KB, a tenth of a read; a kilobyte with DynamoDB's 100 bytes on top, for a month.
    assert bill.items["ledger"] == pytest.approx(2 * 0.625 + 0.1 * 0.125 + 1.124e9 / 2**30 * 0.25)
    assert bill.items["logs"] == pytest.approx(1e9 / 2**30 * 0.53)
    assert bill.items["data out"] == pytest.approx(1e9 / 2**30 * 0.09)
    assert bill.total == pytest.approx(sum(bill.items.values()))
    assert bill.largest == "ledger"


def test_more_than_a_kilobyte_costs_twice() -> None:
    larger = Model(dataclasses.replace(_MEASURED, sent_bytes=1025.0), _GIVEN)
    more = larger.bill(_BATCHED, Setting()).items["ledger"] - _MODEL.bill(_BATCHED, Setting()).items["ledger"]
    assert more == pytest.approx(0.625, abs=0.001)


def test_what_doors_add() -> None:
    totals = {door: _MODEL.bill(door, Setting()).items for door in DOORS}
    assert {tuple(items) for items in totals.values()} == {COLUMNS}
    assert min(dollars for items in totals.values() for dollars in items.values()) >= 0
    assert totals["event bus"]["door"] == totals["Scheduler"]["door"] == 1.0
    assert totals["SQS, producer sends one at a time"]["SQS"] == pytest.approx(1.2 * 0.40)
    assert totals["HTTP, respond-async"]["SQS"] == pytest.approx(1.2 * 0.50)
    assert totals["HTTP, the caller waits"]["SQS"] == 0
    third_write = totals["HTTP, respond-async"]["ledger"] - totals["HTTP, the caller waits"]["ledger"]
    assert third_write == pytest.approx(0.625 - 0.9 * 0.125)


def test_prices_are_in_the_list_only() -> None:
    free = {name: Price(price.name, 0.0, price.unit, price.source) for name, price in PRICES.items()}
    model = Model(_MEASURED, _GIVEN, free)
    assert all(model.bill(door, Setting()).total == 0 for door in DOORS)
    assert sum(model.fixed().values()) == 0


def test_day_and_its_quotas() -> None:
    demand = _MODEL.demand(86_400_000.0, Setting(batch=10, memory=1769))

    assert demand.rate == 1000
    assert demand.concurrency == pytest.approx(100 * 0.122)
    assert demand.ssm == pytest.approx(12.2 * 10 / 50)
    assert demand.writes == 2000
    assert demand.reads == pytest.approx(122)
    assert demand.first()[0] is QUOTAS["writes"]
    assert demand.first()[1] == pytest.approx(0.5)
    # Few messages read few tokens.
    assert _MODEL.demand(864.0, Setting()).ssm == pytest.approx(0.01)


def test_month_adds_tokens_and_fixed_costs() -> None:
    setting = Setting(batch=10, memory=1769)
    demand = _MODEL.demand(86_400_000.0, setting)
    messages = 30 * 86.4 * _MODEL.bill(_BATCHED, setting).total
    tokens = demand.ssm * 30 * 86_400 / 1e6 * 3.00
    assert demand.dollars == pytest.approx(messages + tokens + sum(_MODEL.fixed().values()))


def test_assumptions_are_those_of_the_service() -> None:
    resources = yaml_parse((Path(__file__).parents[3] / "template.yaml").read_text("utf-8"))["Resources"]
    found = [each for each in resources.values() if each["Type"] == "AWS::CloudWatch::Alarm"]
    alarms = [each["Properties"] for each in found if "Condition" not in each]  # the canary is sent by choice
    metrics = [str(alarm).count("MetricName") for alarm in alarms]
    assert Assumptions().alarms == len(alarms)
    assert Assumptions().alarm_metrics == sum(metrics)
    assert Assumptions().side_by_side == batch._WORKER_THREADS


@pytest.mark.parametrize(
    ("door", "own"), [("HTTP, the caller waits", 1.0), ("HTTP, respond-async", 1.1), (_BATCHED, 0.1)]
)
def test_lambda_logs_every_invocation(door: str, own: float) -> None:
    more = Model(_MEASURED, dataclasses.replace(_GIVEN, log_overhead=1000.0)).bill(door, Setting(batch=10))
    added = more.items["logs"] - _MODEL.bill(door, Setting(batch=10)).items["logs"]
    assert added == pytest.approx(own * 1e9 / 2**30 * 0.53)


@pytest.mark.parametrize(("language", "path"), cost_page.PAGES.items(), ids=cost_page.PAGES)
def test_page_shows_the_last_results(language: cost_page.Language, path: Path) -> None:
    page = cost_page.render(Model(cost_page.from_results(figures.load())), language)
    assert path.read_text(encoding="utf-8") == page, "make cost renews it"


def test_pages_have_the_same_figures() -> None:
    texts = [Path(cost_page.__file__).with_name(f"cost_page_{language}.md") for language in cost_page.PAGES]
    english, chinese = (
        sorted((field or "", form or "") for _, field, form, _ in Formatter().parse(text.read_text("utf-8")))
        for text in texts
    )
    assert english == chinese


def test_results_come_back_as_written() -> None:
    document = json.loads(figures.LATEST.read_text(encoding="utf-8"))
    assert Results.from_json(document).as_json() == document
