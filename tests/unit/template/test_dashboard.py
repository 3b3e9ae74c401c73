"""The dashboard, the saved queries and the documents against what the functions really tell."""

import json
import re
from collections.abc import Iterator
from itertools import combinations
from typing import Any

import pytest

from tests.unit.alarms.cloudwatch import metrics_of
from tests.unit.template.activity import Told, whole_day
from tests.unit.template.conftest import FUNCTIONS, ROOT, Node, Stack, deployed
from wechat_notify.core.outcomes import ErrorClass

# https://docs.aws.amazon.com/lambda/latest/dg/monitoring-metrics-types.html
# https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-available-cloudwatch-metrics.html
# https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-metrics.html
# https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/metrics-dimensions.html
# https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/CloudWatch-Logs-Monitoring-CloudWatch-Metrics.html
OF_AWS: dict[str, tuple[set[str], list[set[str]]]] = {
    "AWS/Lambda": (
        {"Errors", "Throttles", "Invocations", "Duration", "ConcurrentExecutions"},
        [{"FunctionName"}],
    ),
    "AWS/SQS": (
        {
            "ApproximateAgeOfOldestMessage",
            "ApproximateNumberOfMessagesVisible",
            "ApproximateNumberOfMessagesDelayed",
            "ApproximateNumberOfMessagesNotVisible",
            "NumberOfMessagesSent",
            "NumberOfMessagesDeleted",
        },
        [{"QueueName"}],
    ),
    "AWS/ApiGateway": ({"Count", "4xx", "5xx", "Latency"}, [{"ApiId"}]),
    "AWS/DynamoDB": (
        {"ConsumedWriteCapacityUnits", "ConsumedReadCapacityUnits"},
        [{"TableName"}, {"TableName", "GlobalSecondaryIndexName"}],
    ),
    "AWS/Logs": ({"IncomingBytes"}, [{"LogGroupName"}]),
}
# https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/CloudWatch-Dashboard-Body-Structure.html
WIDGET = {"type", "x", "y", "width", "height", "properties"}
PROPERTIES = {
    "text": {"markdown"},
    "log": {"title", "region", "view", "query"},
    "metric": {"title", "region", "view", "stat", "period", "metrics", "setPeriodToTimeRange"},
}
RENDERING = {"id", "expression", "label", "stat", "period", "visible", "yAxis", "region"}
# https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/CWL_AnalyzeLogData-discoverable-fields.html
DISCOVERED = {"@timestamp", "@message", "@log", "@type", "@initDuration", "@maxMemoryUsed"}
WORDS = {
    "fields",
    "filter",
    "stats",
    "sort",
    "limit",
    "by",
    "as",
    "asc",
    "desc",
    "and",
    "or",
    "in",
    "like",
} | {
    *("ispresent", "count", "latest", "max", "pct", "bin"),
}
PLACEHOLDERS = {"MESSAGE-ID", "ACCOUNT", "REPORT"}


@pytest.fixture(scope="module")
def told() -> Iterator[Told]:
    with pytest.MonkeyPatch.context() as monkeypatch:
        yield whole_day(monkeypatch)


def widgets(stack: Stack | None = None) -> list[Node]:
    found: list[Node] = json.loads((stack or deployed())["Dashboard"]["DashboardBody"])["widgets"]
    return found


def shown() -> Iterator[tuple[str, str, dict[str, str], Node]]:
    """Each metric: namespace, name, dimensions, options; a search and a formula has an empty namespace."""
    for widget in widgets():
        for metric in widget["properties"].get("metrics", []):
            *names, options = metric if isinstance(metric[-1], dict) else [*metric, {}]
            if "expression" in options:
                yield "", "", {}, options
            else:
                namespace, name, *rest = names
                yield namespace, name, dict(zip(rest[::2], rest[1::2], strict=True)), options


SEARCH = re.compile(
    r"SEARCH\('(?:\{WeChatNotify,([\w,]+)\} |Namespace=\"WeChatNotify\" )(.+?)', '(\w+)', (\d+)\)"
)


def searched() -> Iterator[tuple[str, set[str], dict[str, str]]]:
    """Each search: the metric, its whole set of dimensions (empty: any), and the values that it asks for."""
    for _, _, _, options in shown():
        if "SEARCH" not in options.get("expression", ""):
            continue
        match = SEARCH.search(options["expression"])
        assert match, options
        asked = dict(re.findall(r'(\w+)="([^"]+)"', match[2]))
        yield asked.pop("MetricName"), set((match[1] or "").split(",")) - {""}, asked


def test_body_has_the_documented_form() -> None:
    body = json.loads(deployed()["Dashboard"]["DashboardBody"])
    assert body.keys() == {"periodOverride", "widgets"}
    for widget in body["widgets"]:
        assert widget.keys() == WIDGET
        assert widget["properties"].keys() <= PROPERTIES[widget["type"]]
        assert 1 <= widget["width"] <= 24
        assert widget["x"] + widget["width"] <= 24
        assert widget["properties"].get("region", "eu-west-1") == "eu-west-1"
        assert len(widget["properties"].get("metrics", [])) <= 500
    for *_, options in shown():
        assert options.keys() <= RENDERING


def test_no_widget_covers_another() -> None:
    fields = [
        {
            (column, row)
            for column in range(widget["x"], widget["x"] + widget["width"])
            for row in range(widget["y"], widget["y"] + widget["height"])
        }
        for widget in widgets()
    ]
    assert not [1 for one, other in combinations(fields, 2) if one & other]


def test_metrics_are_emitted(told: Told) -> None:
    """Those that are read by name, those that are searched, and those of the alarms."""
    for namespace, name, dimensions, _ in shown():
        if namespace == "WeChatNotify":
            assert (name, frozenset(dimensions)) in told.dimensions
            assert dimensions["service"] == "wechat-notify-dev"
    for name, schema, asked in searched():
        assert asked["service"] == "wechat-notify-dev"
        emitted = {names for each, names in told.dimensions if each == name}
        assert any(asked.keys() <= names for names in emitted)
        assert not schema or frozenset(schema) in emitted
    for alarm in deployed(CanarySchedule="rate(15 minutes)").of_type("AWS::CloudWatch::Alarm").values():
        for namespace, name, pairs in metrics_of(alarm):
            if namespace == "WeChatNotify":
                assert (name, frozenset(dict(pairs))) in told.dimensions


def test_all_that_is_emitted_is_shown(told: Told) -> None:
    on_it = {name for namespace, name, _, _ in shown() if namespace == "WeChatNotify"}
    assert on_it | {name for name, *_ in searched()} == {name for name, _ in told.dimensions}


def test_all_metrics_of_the_code_were_emitted(told: Told) -> None:
    """Or the comparison would miss one: each name that stands in a call has to be among those of the day."""
    named = set()
    for folder in ("functions", "layers/wechat_notify/wechat_notify"):
        for file in (ROOT / folder).rglob("*.py"):
            named |= set(re.findall(r'\.(?:count|measure)\("([A-Z]\w+)"', file.read_text("utf-8")))
    assert len(named) > 15
    assert named <= {name for name, _ in told.dimensions}


@pytest.mark.parametrize("page", ["docs/operations.md", "docs/zh/operations.md"])
def test_documents_name_all_metrics(told: Told, page: str) -> None:
    text = (ROOT / page).read_text("utf-8")
    section = re.split(r"^## (?:Metrics|指标)$", text, flags=re.MULTILINE)[1].split("\n## ")[0]
    documented: dict[str, set[str]] = {}
    for row in re.findall(r"^\| (`[A-Z].*)$", section, re.MULTILINE):
        names, dimensions, *_ = re.split(r"\s*\|\s*", row)
        for name in re.findall(r"`(\w+)`", names):
            documented[name] = set(re.findall(r"`(\w+)`", dimensions))
    emitted: dict[str, set[str]] = {}
    for name, names in told.dimensions:
        emitted.setdefault(name, set()).update(names - {"service"})
    assert emitted.pop("ColdStart") == {"function_name"}
    assert "`ColdStart`" in section
    assert documented == emitted


def test_each_class_of_failures_is_shown() -> None:
    classes = [asked["class"] for name, _, asked in searched() if name == "MessagesFailed"]
    assert sorted(classes) == sorted({*ErrorClass, "none"} - {"success"})


def test_metrics_of_aws_are_known() -> None:
    for namespace, name, dimensions, _ in shown():
        if namespace and namespace != "WeChatNotify":
            names, sets = OF_AWS[namespace]
            assert name in names
            assert set(dimensions) in sets


def test_every_function_and_queue_is_shown() -> None:
    by_name: dict[str, set[str]] = {}
    for _, name, dimensions, _ in shown():
        for value in dimensions.values():
            by_name.setdefault(name, set()).add(value)
    for name in ("Errors", "Throttles", "ConcurrentExecutions", "Duration", "Invocations"):
        assert by_name[name] == {f"<{function}>" for function in FUNCTIONS}
    queues = {f"<{name}.QueueName>" for name in deployed().of_type("AWS::SQS::Queue")}
    assert by_name["ApproximateNumberOfMessagesVisible"] == queues
    assert by_name["ApproximateNumberOfMessagesNotVisible"] == by_name["ApproximateAgeOfOldestMessage"]


def test_formulas_name_metrics_that_are_there() -> None:
    for widget in widgets():
        metrics = [metric[-1] for metric in widget["properties"].get("metrics", [])]
        ids = [options["id"] for options in metrics if isinstance(options, dict) and "id" in options]
        assert len(set(ids)) == len(ids)
        for options in metrics:
            formula = options.get("expression", "") if isinstance(options, dict) else ""
            if formula and "SEARCH" not in formula:
                assert set(re.findall(r"\b[a-z][a-z0-9]*\b", formula)) <= set(ids)


# Queries


def queries() -> dict[str, tuple[str, list[str]]]:
    """Each saved query and each one of the dashboard: its text and its log groups."""
    found = {
        definition["Name"].removeprefix("stack/"): (
            definition["QueryString"],
            [group.strip("<>") for group in definition["LogGroupNames"]],
        )
        for definition in deployed().of_type("AWS::Logs::QueryDefinition").values()
    }
    for widget in widgets():
        if widget["type"] == "log":
            text = widget["properties"]["query"]
            groups = re.findall(r"SOURCE '<(\w+)>' \| ", text)
            found[widget["properties"]["title"]] = (re.sub(r"SOURCE '<\w+>' \| ", "", text), groups)
    return found


def read_fields(query: str) -> set[str]:
    text = re.sub(r'"[^"]*"|/[^/\n]+/|#[^\n]*', "", query)
    aliases = set(re.findall(r"\bas (\w+)", text))
    names = set(re.findall(r"(?<![\w@.])@?[A-Za-z_][\w.]*", text))
    return names - aliases - WORDS


def paths(value: Any, path: str = "") -> Iterator[str]:
    """The fields of a line as Logs Insights names them, such as ``errors.0``."""
    entries = (
        value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else []
    )
    yield path
    for name, inner in entries:
        yield from paths(inner, f"{path}.{name}".lstrip("."))


def written(told: Told, group: str) -> list[Node]:
    """The lines of a log group; send_broadcast has send_queue's code, the API's line is the template's."""
    if group == "ApiLogGroup":
        stage = deployed().only("AWS::ApiGatewayV2::Stage")
        line: Node = json.loads(stage["AccessLogSettings"]["Format"])
        return [line]
    return told.lines["SendQueueLogGroup" if group == "SendBroadcastLogGroup" else group]


def test_enough_queries() -> None:
    assert len(deployed().of_type("AWS::Logs::QueryDefinition")) >= 8


@pytest.mark.parametrize("name", queries())
def test_queries_read_what_is_written(told: Told, name: str) -> None:
    """Their fields are in lines of their groups, and the texts that they look for are values there."""
    query, groups = queries()[name]
    assert set(groups) <= deployed().of_type("AWS::Logs::LogGroup").keys()
    lines = [line for group in groups for line in written(told, group)]
    assert lines
    fields = {path for line in lines for path in paths(line)}
    assert read_fields(query) - fields - DISCOVERED == set()
    values = {value for line in lines for value in line.values() if isinstance(value, str)}
    sought = set(re.findall(r'"([^"]*)"', re.sub(r"#[^\n]*", "", query)))
    assert sought - values - PLACEHOLDERS == set()


def test_every_group_with_lines_of_a_message_is_read() -> None:
    """And every function's by the query for errors."""
    _, groups = queries()["errors"]
    assert set(groups) == {f"{name.removesuffix('Function')}LogGroup" for name in FUNCTIONS}


def test_misspelt_field_is_noticed(told: Told) -> None:
    fields = {path for line in told.lines["SendQueueLogGroup"] for path in paths(line)}
    assert read_fields('fields errcodes | filter x.y = "a" # b') == {"errcodes", "x.y"}
    assert "errcodes" not in fields


@pytest.mark.parametrize("partition", ["aws", "aws-cn", "aws-us-gov"])
def test_all_of_it_is_in_every_partition(partition: str) -> None:
    stack = Stack(partition=partition)
    assert widgets(stack)
    assert len(stack.of_type("AWS::Logs::QueryDefinition")) == len(
        deployed().of_type("AWS::Logs::QueryDefinition")
    )
    source = (ROOT / "template.yaml").read_text("utf-8")
    section = source.partition("# --- dashboard")[2].partition("\nOutputs:")[0]
    assert not re.search(r'"region": "(?!\$\{AWS::Region\})', section)
