"""Every kind of message through every door, counted at the other end: ``python -m local.demo``.

Starts a stack of its own on free ports, so that it does not meet one that is up, and ends it again. The
exit status is 0 only if WeChat (the simulator) accepted exactly the messages it should have, each once.
"""

from __future__ import annotations

import json
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from rich.console import Console
from rich.table import Table

from local.processes import LocalStackError
from local.stack import Settings, Stack, State, ending_on_signals

QUEUED: Final = 1_000
_ALL_SECONDS: Final = 30
# How long an unwanted second copy gets to show up.
_SETTLE_SECONDS: Final = 0.5
_POLL_SECONDS: Final = 0.1

Message = dict[str, Any]


def examples() -> list[Message]:
    """One message of each kind; the first three are the examples of WeChat's own documentation."""
    keywords = ["339208499", "2015-01-05, 12:30", "Tencent WeChat Headquarters"]
    return [
        {
            "kind": "subscription",
            "touser": "OPENID",
            "template_id": "KUcVbWfpjR2nX8mQy5tLs0aZ7dGhEoTi3vBrN6wCxMk",
            "page": "http://weixin.qq.com/download",
            "miniprogram": {"appid": "xiaochengxuappid12345", "pagepath": "index?foo=bar"},
            "client_msg_id": "MSG_000001",
            "data": {
                "keyword1": {"value": "巧克力"},
                "keyword2": {"value": "39.8元"},
                "keyword3": {"value": "2014年9月22日"},
            },
        },
        {
            "kind": "one_time_subscription",
            "touser": "OPENID",
            "template_id": "TEMPLATE_ID",
            "miniprogram": {"appid": "xiaochengxuappid12345", "pagepath": "index?foo=bar"},
            "scene": "1000",
            "title": "订阅通知",
            "data": {"content": {"value": "您好!", "color": "#FF0000"}},
        },
        {
            "kind": "mini_program_template",
            "touser": "OPENID",
            "template_id": "TEMPLATE_ID",
            "page": "index",
            "form_id": "FORMID",
            "data": {
                **{f"keyword{number}": {"value": value} for number, value in enumerate(keywords, 1)},
                "keyword4": {"value": "No. 397, Xingang Zhonglu, Haizhu District, Guangzhou"},
            },
            "emphasis_keyword": "keyword1.DATA",
        },
        {
            "kind": "mini_program_subscription",
            "touser": "OPENID",
            "template_id": "TEMPLATE_ID",
            "page": "index?foo=bar",
            "miniprogram_state": "formal",
            "lang": "zh_CN",
            "data": {"phrase3": {"value": "审核通过"}, "date2": {"value": "2019-12-25 09:42"}},
        },
        {
            "kind": "template",
            "touser": "OPENID",
            "template_id": "TEMPLATE_ID",
            "url": "http://weixin.qq.com/download",
            "data": {"keyword1": {"value": "巧克力"}, "keyword2": {"value": "39.8元"}},
        },
    ]


def addressed(message: Message, touser: str) -> Message:
    """The message for this receiver; a form's id is good for one message only."""
    return {**message, "touser": touser, **({"form_id": touser} if "form_id" in message else {})}


def call_api(
    state: State,
    method: str,
    path: str,
    body: bytes | None = None,
    headers: Mapping[str, str] | None = None,
) -> Any:
    """Call the API as a client of AWS does, signed with SigV4; the ``requests`` response."""
    import requests  # noqa: PLC0415 - with boto3, when the stack is up and has imported it already
    from botocore.auth import SigV4Auth  # noqa: PLC0415
    from botocore.awsrequest import AWSRequest  # noqa: PLC0415
    from botocore.credentials import Credentials  # noqa: PLC0415

    url = state.api_url + path
    request = AWSRequest(method, url, data=body, headers=dict(headers or {}))
    keys = Credentials(state.access_key_id, state.secret_access_key)
    SigV4Auth(keys, "execute-api", state.region).add_auth(request)
    with requests.Session() as session:
        session.trust_env = False  # the host's proxies do not reach the loopback interface
        return session.request(method, url, data=body, headers=dict(request.headers), timeout=30)


def post_message(
    state: State, message: object, account: str | None = None, headers: Mapping[str, str] | None = None
) -> Any:
    """POST a message to the API."""
    body = message if isinstance(message, bytes) else json.dumps(message).encode()
    path = f"/v1/accounts/{account or state.account}/messages"
    return call_api(state, "POST", path, body, {"Content-Type": "application/json", **(headers or {})})


def get_json(url: str) -> Any:
    """What the simulator's control API answers."""
    import requests  # noqa: PLC0415

    with requests.Session() as session:
        session.trust_env = False
        return session.get(url, timeout=10).json()


def post_json(url: str, **order: object) -> None:
    """Give the simulator an order."""
    import requests  # noqa: PLC0415

    with requests.Session() as session:
        session.trust_env = False
        session.post(url, json=order, timeout=10).raise_for_status()


@dataclass(frozen=True)
class Row:
    """One line of the report."""

    door: str
    messages: int
    sent: int
    refused: int
    seconds: float


class Demo:
    """The steps, and what is expected of them."""

    def __init__(self, stack: Stack, say: Callable[[str], None]) -> None:
        self._stack = stack
        self._state = stack.state
        self._say = say
        self._expected: list[str] = []
        self.problems: list[str] = []
        self.rows: list[Row] = []

    def run(self) -> None:
        """Go through every door and compare what arrived."""
        began = time.monotonic()
        due = self._schedule()
        self._post()
        self._post_twice()
        self._post_refused()
        self._post_async()
        self._put_event()
        self._enqueue()
        self._await(lambda: len(self._accepted("schedule-")), 1, due)
        self._row("Scheduler", 1, "schedule-", began)
        self._cancel()
        time.sleep(_SETTLE_SECONDS)
        dead = self._dead_letters()
        self.problems += differences(self._expected, self._accepted(""), dead)

    # ---------------------------------------------------------------------------------------- doors

    def _post(self) -> None:
        began = time.monotonic()
        for message in examples():
            touser = self._expect(f"http-{message['kind']}")
            answer = post_message(self._state, addressed(message, touser))
            self._want(answer, 200, f"{message['kind']} over HTTP")
        self._row("HTTP, one of each kind", len(examples()), "http-", began)

    def _post_twice(self) -> None:
        began = time.monotonic()
        message = addressed(examples()[1], self._expect("twice-1"))
        headers = {"Idempotency-Key": "demo-twice"}
        answers = [post_message(self._state, message, headers=headers) for _ in range(2)]
        for answer in answers:
            self._want(answer, 200, "a message under an Idempotency-Key")
        if answers[0].json() != answers[1].json() or "Idempotent-Replayed" not in answers[1].headers:
            self.problems.append(f"the repeated message was not answered as before: {answers[1].text}")
        self._want_status(f"/v1/accounts/{self._state.account}/messages/demo-twice", "sent")
        self._row("HTTP, twice under one Idempotency-Key", 1, "twice-", began)

    def _post_async(self) -> None:
        began = time.monotonic()
        message = addressed(examples()[4], self._expect("async-1"))
        answer = post_message(self._state, message, headers={"Prefer": "respond-async"})
        self._want(answer, 202, "a message with respond-async")
        self._want_status(answer.headers.get("Location", ""), "sent")
        self._row("HTTP, respond-async", 1, "async-", began)

    def _cancel(self) -> None:
        began = time.monotonic()
        message = examples()[2]
        # From here on messages of this kind wait for the next day.
        url = f"{self._state.simulator_url}/_sim/quotas"
        post_json(url, app_id=Settings.app_id, path="/cgi-bin/message/wxopen/template/send", daily=0)
        headers = {"Prefer": "respond-async"}
        answer = post_message(self._state, addressed(message, "cancelled-1"), headers=headers)
        self._want(answer, 202, "a message that is to wait")
        location = answer.headers.get("Location", "")
        self._want_status(location, "queued", lambda found: 45009 in _errcodes(found))  # noqa: PLR2004
        self._want(call_api(self._state, "DELETE", location), 200, "cancelling a message that waits")
        self._want_status(location, "cancelled")
        self.rows.append(Row("HTTP, held (45009) and cancelled", 1, 0, 1, time.monotonic() - began))

    def _post_refused(self) -> None:
        began = time.monotonic()
        message = examples()[0]
        answer = post_message(self._state, addressed(message, ""))
        self._want(answer, 422, "an invalid message over HTTP")
        if not answer.json().get("errors"):
            self.problems.append("the invalid message was refused without naming a field")
        self.rows.append(Row("HTTP, invalid", 1, 0, 1, time.monotonic() - began))

        began = time.monotonic()
        # The simulator answers such an openid with that errcode: the user refused.
        answer = post_message(self._state, addressed(message, "errcode-43101"))
        self._want(answer, 422, "a message that WeChat refuses")
        if answer.json().get("errcode") != 43101:  # noqa: PLR2004 - WeChat's code
            self.problems.append(f"WeChat's refusal 43101 came back as {answer.text}")
        self.rows.append(Row("HTTP, refused by WeChat (43101)", 1, 0, 1, time.monotonic() - began))

    def _enqueue(self) -> None:
        self._say(f"Sending {QUEUED:,} messages through SQS")
        began = time.monotonic()
        sqs = self._client("sqs")
        kinds = examples()
        for start in range(0, QUEUED, 10):
            entries = []
            for number in range(start, start + 10):
                touser = self._expect(f"sqs-{number:04}")
                message = addressed(kinds[number % len(kinds)], touser)
                body = {"id": f"demo-{touser}", "account": self._state.account, "message": message}
                entries.append({"Id": touser, "MessageBody": json.dumps(body)})
            sqs.send_message_batch(QueueUrl=self._state.send_queue_url, Entries=entries)
        self._await(lambda: len(self._accepted("sqs-")), QUEUED)
        self._row("SQS", QUEUED, "sqs-", began)

    def _schedule(self) -> datetime:
        # Scheduler knows whole seconds.
        due = (datetime.now(UTC) + timedelta(seconds=3)).replace(microsecond=0)
        message = addressed(examples()[3], self._expect("schedule-1"))
        body = {
            "id": "demo-<aws.scheduler.scheduled-time>",
            "account": self._state.account,
            "message": message,
        }
        self._client("scheduler").create_schedule(
            Name="demo",
            GroupName=self._state.schedule_group,
            ScheduleExpression=f"at({due:%Y-%m-%dT%H:%M:%S})",
            FlexibleTimeWindow={"Mode": "OFF"},
            ActionAfterCompletion="DELETE",
            Target={
                "Arn": self._stack.deployment.outputs["SendQueueArn"],
                "RoleArn": self._state.schedule_role_arn,
                "Input": json.dumps(body),
            },
        )
        self._say(f"Scheduled one message for {due:%H:%M:%S} UTC")
        return due

    def _put_event(self) -> None:
        began = time.monotonic()
        message = addressed(examples()[0], self._expect("event-1"))
        entry = {
            "Source": "demo",
            "DetailType": "WeChat Message Requested",
            "Detail": json.dumps({"account": self._state.account, "message": message}),
            "EventBusName": self._state.event_bus_name,
        }
        self._client("events").put_events(Entries=[entry])
        self._await(lambda: len(self._accepted("event-")), 1)
        self._row("Event bus", 1, "event-", began)

    # ------------------------------------------------------------------------------------- counting

    def _client(self, service: str) -> Any:
        return self._stack.client(service, self._state.access_key_id, self._state.secret_access_key)

    def _expect(self, touser: str) -> str:
        self._expected.append(touser)
        return touser

    def _want(self, answer: Any, status: int, what: str) -> None:
        if answer.status_code != status:
            self.problems.append(f"{what}: HTTP status {answer.status_code}, not {status}: {answer.text}")

    def _want_status(
        self, location: str, status: str, also: Callable[[Any], bool] = lambda _found: True
    ) -> None:
        """Look a message up until it is as it should be."""
        found: dict[str, Any] = {}

        def is_so() -> bool:
            found.update(call_api(self._state, "GET", location).json())
            return found["status"] == status and also(found)

        self._await(is_so, 1)
        if not is_so():
            self.problems.append(f"{location} is not {status}: {found}")

    def _accepted(self, prefix: str) -> list[str]:
        """The receivers, of those whose openid starts so, of the messages that WeChat accepted."""
        arrived = get_json(f"{self._state.simulator_url}/_sim/messages?limit=10000")["messages"]
        tousers = [json.loads(m["body"])["touser"] for m in arrived if m["accepted"]]
        return [touser for touser in tousers if touser.startswith(prefix)]

    def _await(self, count: Callable[[], int], wanted: int, due: datetime | None = None) -> None:
        wait = (due - datetime.now(UTC)).total_seconds() if due else 0
        deadline = time.monotonic() + max(wait, 0) + _ALL_SECONDS
        while count() < wanted and time.monotonic() < deadline:
            self._stack.check()
            time.sleep(_POLL_SECONDS)

    def _row(self, door: str, messages: int, prefix: str, began: float) -> None:
        sent = len(self._accepted(prefix))
        self.rows.append(Row(door, messages, sent, messages - sent, time.monotonic() - began))

    def _dead_letters(self) -> int:
        attributes = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        answer = self._client("sqs").get_queue_attributes(
            QueueUrl=self._state.dead_letter_queue_url, AttributeNames=attributes
        )
        return sum(int(number) for number in answer["Attributes"].values())


def _errcodes(found: Mapping[str, Any]) -> set[int | None]:
    return {change.get("errcode") for change in found["timeline"]}


def differences(expected: Iterable[str], accepted: Iterable[str], dead_letters: int) -> list[str]:
    """What is wrong with the messages that were accepted, by their receivers; nothing if all is well."""
    wanted, got = Counter(expected), Counter(accepted)
    found = []
    for what, touser in (("missing", wanted - got), ("twice or unexpected", got - wanted)):
        if touser:
            some = ", ".join(sorted(touser)[:5])
            found.append(f"{touser.total()} messages {what}: {some}{', …' if len(touser) > 5 else ''}")  # noqa: PLR2004
    if dead_letters:
        found.append(f"{dead_letters} messages in the dead letter queue")
    return found


def report(console: Console, demo: Demo, stats: Mapping[str, Any], seconds: float) -> None:
    """Print the table and the verdict."""
    table = Table(title="What went where", title_justify="left")
    table.add_column("Door")
    for name in ("Messages", "Sent", "Refused", "Seconds"):
        table.add_column(name, justify="right")
    for row in demo.rows:
        table.add_row(
            row.door, f"{row.messages:,}", f"{row.sent:,}", f"{row.refused:,}", f"{row.seconds:.1f}"
        )
    console.print(table)
    calls = Counter[str]()
    for app in stats["by_app"].values():
        calls.update(app["token_calls"])
    counts = ", ".join(f"{stats[name]:,} {name}" for name in ("accepted", "refused", "duplicate"))
    refreshes = f"{calls.total()} token refresh{'es' if calls.total() != 1 else ''}"
    console.print(f"WeChat saw {stats['arrived']:,} messages: {counts}; {refreshes}.")
    for problem in demo.problems:
        console.print(f"[red]wrong:[/] {problem}", highlight=False)
    verdict = "[red]Not all as it should be" if demo.problems else "[green]Every message arrived exactly once"
    console.print(f"{verdict}[/] ({seconds:.1f} s).")


def main() -> None:
    """Run the demo; the exit status is 0 if all is as it should be, 1 if not, 130 after Ctrl-C."""
    console = Console()
    began = time.monotonic()
    status = 130
    try:
        with ending_on_signals(), Stack(Settings(), report=console.print) as stack:
            demo = Demo(stack, console.print)
            demo.run()
            stats = get_json(f"{stack.state.simulator_url}/_sim/stats")
            report(console, demo, stats, time.monotonic() - began)
            status = 1 if demo.problems else 0
    except LocalStackError as error:
        sys.exit(f"demo: {error}")
    sys.exit(status)


if __name__ == "__main__":
    main()
