"""Messages through every door: each kind over HTTP, a thousand through SQS, the event bus, Scheduler."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import parse_qs, urlencode, urlsplit

from local.client import accepted, call_api, get_json, http, post_json, post_message
from local.examples import addressed, examples
from local.settings import Settings
from local.stack import Stack

QUEUED: Final = 1_000
_ALL_SECONDS: Final = 30
# The list of what arrived is long while a broadcast goes on.
_POLL_SECONDS: Final = 0.25


@dataclass(frozen=True)
class Row:
    """One line of the report."""

    door: str
    messages: int
    sent: int
    refused: int
    seconds: float


class Doors:
    """The steps, and what is expected of them."""

    def __init__(self, stack: Stack, say: Callable[[str], None]) -> None:
        self._stack = stack
        self._state = stack.state
        self._say = say
        self.expected: list[str] = []
        """The receivers that are to get a message."""
        self.problems: list[str] = []
        self.rows: list[Row] = []

    def run(self) -> None:
        """Go through the other doors."""
        began = time.monotonic()
        due = self._schedule()
        self._post_twice()
        self._post_refused()
        self._post_for_a_merchant()
        self._post_undelivered()
        self._use_consent_up()
        self._post_async()
        self._put_event()
        self._enqueue()
        self._await(lambda: len(self._accepted("schedule-")), 1, due)
        self._row("Scheduler", 1, "schedule-", began)
        self._cancel()

    # ---------------------------------------------------------------------------------------- doors

    def post_first(self) -> None:
        """Send one message of each kind over HTTP."""
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
        self._want_status(answer.headers.get("Location", ""), "delivered")
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

    def _post_undelivered(self) -> None:
        """Two that WeChat accepts; its receipts say that one of them has arrived."""
        for touser, reason in (("receipt-1", None), ("receipt-user-block-1", "user block")):
            status = "undelivered" if reason else "delivered"
            began = time.monotonic()
            answer = post_message(self._state, addressed(examples()[4], self._expect(touser)))
            self._want(answer, 200, f"a message that is {status}")
            path = f"/v1/accounts/{self._state.account}/messages/{answer.json().get('id')}"
            self._want_status(path, status)
            told = call_api(self._state, "GET", path).json().get("reason")
            if told != reason:
                self.problems.append(f"the reason of {path} is {told}, not {reason}")
            self._row(f"HTTP, {status} as its receipt says", 1, touser, began)

    def _post_for_a_merchant(self) -> None:
        """A merchant authorizes a third-party platform, and is an account from then on."""
        began = time.monotonic()
        component, merchant = self._stack.accounts.add_component("platform"), "wxmerchant"
        path = "/v1/accounts/platform/authorization-link?redirect_uri=https%3A%2F%2Fexample.com"
        found: list[Any] = []

        def is_there() -> bool:
            """Until the platform's first ticket is stored, there is no link."""
            found.append(call_api(self._state, "GET", path))
            return bool(found[-1].status_code == HTTPStatus.OK)

        self._await(is_there, 1)
        self._want(found[-1], 200, "the page on which a merchant authorizes a platform")
        if found[-1].status_code != HTTPStatus.OK:
            return
        code = parse_qs(urlsplit(found[-1].json()["desktop"]).query)["pre_auth_code"][0]
        order = {"component": component, "app_id": merchant, "pre_auth_code": code}
        post_json(f"{self._state.simulator_url}/_sim/components/authorize", **order)
        message = addressed(examples()[0], self._expect("merchant-1"))

        def is_sent() -> bool:
            found.append(post_message(self._state, message, merchant))
            return bool(found[-1].status_code != HTTPStatus.NOT_FOUND)

        self._await(is_sent, 1)
        self._want(found[-1], 200, "a message of a merchant")
        self._row("HTTP, for a merchant of a platform", 1, "merchant-", began)

    def _use_consent_up(self) -> None:
        """A person confirms on WeChat's page; one message goes out, and the next one is not even tried."""
        began = time.monotonic()
        account, touser, message = "club", self._expect("consent-1"), examples()[1]
        self._stack.accounts.add_with_consents(account)
        query = urlencode(
            {
                "scene": message["scene"],
                "template_id": message["template_id"],
                "redirect_url": f"{self._state.api_url}/v1/consents/confirm",
            }
        )
        link = call_api(self._state, "GET", f"/v1/accounts/{account}/consents/links?{query}")
        self._want(link, 200, "a link to a confirmation page")
        if link.status_code != HTTPStatus.OK:
            return
        form = {"Content-Type": "application/x-www-form-urlencoded"}
        page = http("POST", link.json()["url"], b"decision=confirm&openid=" + touser.encode(), form)
        self._want(page, 302, "the button of the confirmation page")
        back = http("GET", page.headers.get("Location", ""), headers={"Accept": "application/json"})
        self._want(back, 200, "the confirmation")
        answers = [post_message(self._state, addressed(message, touser), account) for _ in range(2)]
        self._want(answers[0], 200, "a message with a consent")
        self._want(answers[1], 422, "a message without a consent")
        arrived = [each for each in self._arrived(account) if each["errcode"] != 0]
        if arrived:
            self.problems.append(f"the message without a consent was sent: {arrived}")
        self._row("HTTP, a consent is used up", 2, touser, began)

    def _arrived(self, account: str) -> list[dict[str, Any]]:
        found = get_json(f"{self._state.simulator_url}/_sim/messages?limit=10&app_id=wx{account}")
        return list(found["messages"])

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
        self.expected.append(touser)
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
        return [touser for touser in accepted(self._state) if touser.startswith(prefix)]

    def _await(self, count: Callable[[], int], wanted: int, due: datetime | None = None) -> None:
        wait = (due - datetime.now(UTC)).total_seconds() if due else 0
        deadline = time.monotonic() + max(wait, 0) + _ALL_SECONDS
        while count() < wanted and time.monotonic() < deadline:
            self._stack.check()
            time.sleep(_POLL_SECONDS)

    def _row(self, door: str, messages: int, prefix: str, began: float) -> None:
        sent = len(self._accepted(prefix))
        self.rows.append(Row(door, messages, sent, messages - sent, time.monotonic() - began))


def _errcodes(found: Mapping[str, Any]) -> set[int | None]:
    return {change.get("errcode") for change in found["timeline"]}
