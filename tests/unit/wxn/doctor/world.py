"""A healthy stack, in which a test plants one trouble.

boto3's own clients are used, with its checks of requests; in the place of the network there is a table of
answers, which are checked against AWS's model too. So neither can be of a form that AWS does not have.
"""

import io
import json
import threading
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from functools import cache
from typing import Any
from uuid import NAMESPACE_OID, uuid5

from botocore.awsrequest import AWSResponse
from botocore.compat import HTTPHeaders
from botocore.response import StreamingBody
from botocore.validate import validate_parameters

from local.aws_session import session
from tests.unit.wxn.fakes import FakeApi
from wxn.api import Api
from wxn.doctor.context import Context
from wxn.doctor.queues import MAPPINGS
from wxn.stacks import Stack

NOW = datetime(2026, 3, 1, 8, 0, tzinfo=UTC)
PATH = "/wechat-notify/prod/accounts"
TOPIC = "arn:aws:sns:eu-west-1:123456789012:alarms"
QUEUES = (
    *("SendQueue", "BroadcastQueue", "BroadcastStepQueue", "CallbackQueue"),
    *("DeadLetterQueue", "EventDeadLetterQueue", "CallbackDeadLetterQueue"),
)
FUNCTIONS = (
    *("SendApi", "SendQueue", "TeamApi", "TemplateSync", "Broadcast", "SendBroadcast", "TokenRefresh"),
    *("Callback", "CallbackEvents"),
)
ALARMS = ("DeadLetterAlarm", "TokenRefreshMissingAlarm")
COMPOSITE = "MessagesDoNotFlowAlarm"
UUIDS = {str(uuid5(NAMESPACE_OID, name)): name for name in MAPPINGS}
Asked = Mapping[str, Any]
Answer = Mapping[str, Any] | Exception


class RefusedError(Exception):
    """An answer of AWS that is an error."""

    def __init__(self, code: str, message: str = "", headers: Mapping[str, str] | None = None) -> None:
        super().__init__(code)
        self.error = {"Code": code, "Message": message}
        self.headers = dict(headers or {})


class World(Stack):
    """A stack in which all is well.

    ``answers`` are AWS's by action (such as ``sqs:GetQueueAttributes``), ``metrics`` CloudWatch's values by
    the value of the last dimension and the metric's name, and ``api`` the service's by method and path.
    ``actions`` are those that were asked for; what hangs waits for ``released``.
    """

    current: "World"

    def __init__(self) -> None:
        super().__init__("wechat-notify", region="eu-west-1")
        World.current = self
        self.actions: list[str] = []
        self.metrics: dict[tuple[str, str], list[float]] = {}
        self.stored = {"shop": {"credentials": hours_ago(1000), "access-token": hours_ago(1)}}
        self.queue_counts = {name: {"": 0, "NotVisible": 0, "Delayed": 0} for name in QUEUES}
        self.refreshed: dict[str, Any] = {
            "refreshed": [],
            "unchanged": ["shop"],
            "not_stored": [],
            "failed": [],
        }
        self.callback: dict[str, Any] = {"result": "callback_check", "addresses": ["203.0.113.10"]}
        self.callback_log: list[tuple[datetime, str]] = [(hours_ago(0.1), "START RequestId: 1")]
        self.schedules: list[dict[str, Any]] = [schedule("shop.news")]
        self.stack_schedules = {"RefreshSchedule": "ENABLED", "TemplateSyncSchedule": "ENABLED"}
        self.concurrency: dict[str, int] = {"TokenRefreshFunction": 1}
        self.mappings: dict[str, dict[str, Any]] = {name: {"State": "Enabled"} for name in MAPPINGS}
        self.alarms = {name: alarm(name) for name in ALARMS}
        self.composite = alarm(COMPOSITE)
        self.subscriptions = [subscription(f"{TOPIC}:1")]
        self.stack_status = "CREATE_COMPLETE"
        self.missing: set[str] = set()
        self.stack_parameters = {"Stage": "prod", "AlarmTopicArn": TOPIC}
        self.table_status = "ACTIVE"
        self.released = threading.Event()
        self.now: Callable[[], datetime] = lambda: NOW
        self.answers: dict[str, Answer | Callable[[Asked], Answer]] = {
            "sts:GetCallerIdentity": {"Account": "123456789012"},
            "cloudformation:DescribeStacks": self._described,
            "cloudformation:ListStackResources": lambda _: {
                "StackResourceSummaries": [
                    r for r in resources() if r["LogicalResourceId"] not in self.missing
                ]
            },
            "lambda:GetFunctionConcurrency": self._concurrency,
            "lambda:GetEventSourceMapping": lambda asked: self.mappings[UUIDS[asked["UUID"]]],
            "lambda:Invoke": self._invoked,
            "dynamodb:DescribeTable": lambda _: {"Table": {"TableStatus": self.table_status}},
            "ssm:DescribeParameters": self._parameters,
            "cloudwatch:GetMetricData": self._metric_data,
            "cloudwatch:DescribeAlarms": self._described_alarms,
            "sqs:GetQueueAttributes": self._queue,
            "scheduler:GetSchedule": self._stack_schedule,
            "scheduler:ListSchedules": lambda _: {"Schedules": self.schedules},
            "logs:FilterLogEvents": self._log_lines,
            "sns:ListSubscriptionsByTopic": lambda _: {"Subscriptions": self.subscriptions},
        }
        self.api: dict[str, Any] = {
            "GET quota": {"kinds": [quota("template"), quota("subscription")]},
            "GET holds": {"holds": []},
            "GET messages": {"messages": []},
            "GET templates": {
                "synced_at": {"subscription": iso(hours_ago(3)), "template": iso(hours_ago(3))},
                "templates": [
                    {"id": "T-template", "family": "template"},
                    {"id": "T-sub", "family": "subscription"},
                ],
            },
            "GET broadcasts": {"broadcasts": []},
        }

    def client(self, service: str, **_limits: int) -> Any:
        return _client(service)

    @property
    def api_url(self) -> str:
        return "https://api.test"

    def context(self, account: str | None = None) -> Context:
        return Context(self, account, api=self.api_of, now=self.now, sleep=lambda _: None)

    def api_of(self, _account: str) -> Api:
        return FakeApi(self.api)

    def _described_alarms(self, asked: Asked) -> dict[str, Any]:
        """Those of the kinds that were asked for: an alarm on alarms is left out where nobody names it."""
        kinds = asked.get("AlarmTypes", ["MetricAlarm"])
        found = {"MetricAlarm": list(self.alarms.values()), "CompositeAlarm": [self.composite]}
        return {f"{kind}s": found[kind] for kind in kinds}

    def _described(self, _asked: Asked) -> dict[str, Any]:
        stack = {
            "StackName": self.name,
            "CreationTime": hours_ago(1000),
            "StackStatus": self.stack_status,
            "Outputs": [{"OutputKey": "ParameterPath", "OutputValue": PATH}],
            "Parameters": [
                {"ParameterKey": name, "ParameterValue": value}
                for name, value in self.stack_parameters.items()
            ],
        }
        return {"Stacks": [stack]}

    def _invoked(self, asked: Asked) -> dict[str, Any]:
        is_check = json.loads(asked["Payload"]).get("request") == "callback_check"
        return {"StatusCode": 200, "Payload": payload(self.callback if is_check else self.refreshed)}

    def _concurrency(self, asked: Asked) -> dict[str, Any]:
        reserved = self.concurrency.get(asked["FunctionName"].removeprefix("id-"))
        return {} if reserved is None else {"ReservedConcurrentExecutions": reserved}

    def _parameters(self, asked: Asked) -> dict[str, Any]:
        assert asked["ParameterFilters"][0]["Values"] == [PATH]
        found = [
            {"Name": f"{PATH}/{account}/{part}", "LastModifiedDate": at}
            for account, parts in self.stored.items()
            for part, at in parts.items()
        ]
        return {"Parameters": found}

    def _log_lines(self, asked: Asked) -> dict[str, Any]:
        assert asked["logGroupName"] == "id-CallbackLogGroup"
        told = ((round(at.timestamp() * 1000), line) for at, line in self.callback_log)
        lines = [{"message": line, "timestamp": at} for at, line in told]
        since = [line for line in lines if line["timestamp"] >= asked["startTime"]]
        read = int(asked.get("nextToken", "0"))  # one line a page
        more = {"nextToken": str(read + 1)} if read + 1 < len(since) else {}
        return {"events": since[read : read + 1], **more}

    def _metric_data(self, asked: Asked) -> dict[str, Any]:
        results = []
        for query in asked["MetricDataQueries"]:
            metric = query["MetricStat"]["Metric"]
            values = self.metrics.get((metric["Dimensions"][-1]["Value"], metric["MetricName"]), [])
            times = [hours_ago((number + 1) / 12) for number in range(len(values))]
            results.append({"Id": query["Id"], "Timestamps": times, "Values": values})
        return {"MetricDataResults": results}

    def _queue(self, asked: Asked) -> dict[str, Any]:
        counts = self.queue_counts[asked["QueueUrl"].rpartition("/")[2]]
        return {"Attributes": {f"ApproximateNumberOfMessages{name}": str(n) for name, n in counts.items()}}

    def _stack_schedule(self, asked: Asked) -> Answer:
        state = self.stack_schedules.get(asked["Name"].removeprefix("id-"))
        if state is None:
            return RefusedError("ResourceNotFoundException")
        return {
            "State": state,
            "ScheduleExpression": "rate(5 minutes)",
            "FlexibleTimeWindow": {"Mode": "OFF"},
            "Target": {
                "Arn": "arn:function",
                "RoleArn": "arn:aws:iam::123456789012:role/refresh",
                "Input": "{}",
            },
        }


def hours_ago(hours: float) -> datetime:
    return NOW - timedelta(hours=hours)


def iso(at: datetime) -> str:
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def payload(answer: object) -> StreamingBody:
    content = json.dumps(answer).encode()
    return StreamingBody(io.BytesIO(content), len(content))


def schedule(name: str, state: str = "ENABLED") -> dict[str, Any]:
    return {"Name": name, "State": state}


def alarm(name: str, state: str = "OK") -> dict[str, Any]:
    return {
        "AlarmName": f"id-{name}",
        "AlarmDescription": f"About {name}",
        "StateValue": state,
        "StateUpdatedTimestamp": hours_ago(1),
        "ActionsEnabled": True,
        "AlarmActions": [TOPIC],
    }


def subscription(arn: str) -> dict[str, Any]:
    return {"SubscriptionArn": arn, "Protocol": "email", "TopicArn": TOPIC}


def quota(kind: str, *, used: int = 10) -> dict[str, Any]:
    return {"kind": kind, "wechat": {"daily_limit": 1000, "used": used, "remain": 1000 - used}}


def resources() -> list[dict[str, Any]]:
    queues = {name: f"https://sqs.eu-west-1.amazonaws.com/123456789012/{name}" for name in QUEUES}
    others = [
        "Ledger",
        "ScheduleGroup",
        "RefreshSchedule",
        "TemplateSyncSchedule",
        "AlarmTopic",
        COMPOSITE,
        *ALARMS,
    ]
    others += [f"{function}{part}" for function in FUNCTIONS for part in ("Function", "LogGroup")]
    physical = queues | {name: uuid for uuid, name in UUIDS.items()} | {name: f"id-{name}" for name in others}
    common = {
        "ResourceType": "AWS::Any::Thing",
        "LastUpdatedTimestamp": hours_ago(1000),
        "ResourceStatus": "CREATE_COMPLETE",
    }
    return [
        {"LogicalResourceId": name, "PhysicalResourceId": id_, **common} for name, id_ in physical.items()
    ]


@cache
def _client(service: str) -> Any:
    """One for all tests: making a client takes longer than a whole examination."""
    client = session().client(service, "eu-west-1", aws_access_key_id="key", aws_secret_access_key="secret")
    # The parameters as they were given; what arrives at before-call has been made a request of HTTP.
    client.meta.events.register(
        "before-parameter-build", lambda params, context, **_: context.update(asked=params)
    )
    client.meta.events.register(
        "before-call", lambda model, context, **_: _answer(service, model, context["asked"])
    )
    return client


def _answer(service: str, model: Any, asked: Asked) -> tuple[AWSResponse, dict[str, Any]]:
    action = f"{service}:{model.name}"
    World.current.actions.append(action)
    answer = World.current.answers[action]
    headers = {"date": format_datetime(World.current.now())}
    if callable(answer):
        answer = answer(asked)
    if isinstance(answer, RefusedError):
        parsed: dict[str, Any] = {"Error": answer.error}
        headers |= answer.headers
    elif isinstance(answer, Exception):
        raise answer
    else:
        validate_parameters(answer, model.output_shape)
        parsed = dict(answer)
    parsed["ResponseMetadata"] = {"HTTPStatusCode": 400 if "Error" in parsed else 200, "HTTPHeaders": headers}
    return AWSResponse("", parsed["ResponseMetadata"]["HTTPStatusCode"], HTTPHeaders(), None), parsed
