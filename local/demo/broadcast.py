"""A broadcast from a file with bad rows: its function is killed, it is paused and resumed, and counted.

Nothing here waits for the other doors: they are used while the broadcast goes on.
"""

from __future__ import annotations

import csv
import json
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from local.client import accepted, call_api, http
from local.stack import Stack
from local.worker_faults import PATH as KILL

ROWS: Final = 2_000
# Rows are released by the minute: at this pace some are left for after the pause.
PER_SECOND: Final = 32
PREFIX: Final = "guest-"
# Seconds that a step of a killed function takes to come again here; the template has it at 130.
_COMES_AGAIN_AFTER: Final = 5
_IN_THE_MIDDLE: Final = 200
# How long nothing may come during the pause.
_QUIET_SECONDS: Final = 1.5
_STEP_SECONDS: Final = 60
_POLL_SECONDS: Final = 0.25
# Recipients that the simulator refuses: not subscribed, not following, unknown.
_REFUSED: Final = {10: "errcode-43101", 20: "errcode-43004", 30: "errcode-40003"}
# Recipients whose message the simulator accepts, and whose receipt says that it did not arrive.
_BLOCKED: Final = {40: "receipt-user-block-40", 60: "receipt-system-failed-60"}
_SEND_PATH: Final = "/cgi-bin/message/subscribe/bizsend"
_MESSAGE: Final = {
    "kind": "subscription",
    "touser": "{{openid}}",
    "template_id": "J5tWfHcX2mNq8sVbKpLr0aZ7dGhEoTi3vBrN6wCxMkU",
    "data": {"thing1": {"value": "{{gift}}"}},
}


@dataclass
class Recipients:
    """A file of recipients, and what is to become of its rows."""

    lines: list[str] = field(default_factory=lambda: ["openid,gift"])
    sent: list[str] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)

    def add(self, line: str, status: str) -> None:
        """Add one row."""
        self.lines.append(line)
        self.counts[status] += 1

    @property
    def content(self) -> bytes:
        """The file as it is uploaded."""
        return ("\n".join(self.lines) + "\n").encode()


def recipients() -> Recipients:
    """A file as teams have them: most rows are fine, some are not, and some are listed twice."""
    found = Recipients()
    bad_rows = _bad_rows()
    for number in range(1, ROWS + 1):
        openid = f"{PREFIX}{number:04}"
        if number in _REFUSED:
            found.add(f"{_REFUSED[number]},茶叶礼盒", "failed")
        elif number in _BLOCKED:
            found.sent.append(_BLOCKED[number])
            found.add(f"{_BLOCKED[number]},茶叶礼盒", "undelivered")
        elif number % 100 == 50:  # noqa: PLR2004 - here and there
            found.add(next(bad_rows), "invalid")
        elif number % 125 == 0:
            found.add(f"{found.sent[-1]},茶叶礼盒", "duplicate")
        else:
            found.sent.append(openid)
            found.add(f"{openid},茶叶礼盒", "delivered")
    return found


def _bad_rows() -> Iterator[str]:
    number = 0
    while True:
        number += 1
        yield ",茶叶礼盒"  # no openid
        yield f"{PREFIX}long-{number},{'茶' * 21}"  # a thing has 20 characters at most
        yield f"{PREFIX}short-{number}"  # a cell is missing


class Broadcast:
    """The steps, and what is expected of them."""

    def __init__(self, stack: Stack, say: Callable[[str], None]) -> None:
        self._stack = stack
        self._state = stack.state
        self._say = say
        self._recipients = recipients()
        self._path = f"/v1/accounts/{stack.state.account}/broadcasts"
        self.problems: list[str] = []
        self.columns: dict[str, Counter[str]] = {"The file": self._recipients.counts}
        """Counts of rows by what became of them, by who says so."""

    @property
    def expected(self) -> list[str]:
        """The recipients that are to get a message."""
        return self._recipients.sent

    def begin(self) -> None:
        """Start it, kill its function in the middle of a step, and pause it when the step was done again."""
        self._say(f"Broadcast: {ROWS:,} rows from a file, {PER_SECOND} messages per second")
        self._without_patience(self._create_and_kill)
        began = time.monotonic()
        if self._until(lambda found: found["counts"]["waiting"] > 0):
            seconds = time.monotonic() - began
            self._say(f"Broadcast: the step came again and was done after {seconds:.0f} s")
        self._call("POST", f"{self._path}/demo/pause")
        self._say("Broadcast: paused; what is on its queue already still goes out")

    def end(self) -> None:
        """See that the pause holds, resume, and count."""
        counts = self._look_up()["counts"]
        left = counts["unreleased"]
        wanted = len(self._recipients.sent) - left
        self._await(lambda: self._arrived() >= wanted)
        time.sleep(_QUIET_SECONDS)
        found, arrived = self._look_up(), self._arrived()
        if not left or (found["state"], found["counts"]["unreleased"], arrived) != ("paused", left, wanted):
            self.problems.append(f"the pause: {arrived} of {wanted} messages arrived, {left} rows are left")
        self._say(f"Broadcast: {arrived:,} messages arrived, {left:,} rows wait for the end of the pause")
        self._call("POST", f"{self._path}/demo/resume")
        self._say("Broadcast: resumed")
        self._until(lambda found: found["state"] == "finished")
        self._count()

    def _create_and_kill(self) -> None:
        upload = self._call("POST", f"/v1/accounts/{self._state.account}/uploads", status=201)
        http("PUT", upload["url"], self._recipients.content).raise_for_status()
        body = {"message": _MESSAGE, "upload": upload["id"], "messages_per_second": PER_SECOND}
        self._call("POST", self._path, body, status=202)
        self._await(lambda: self._on_queue() >= _IN_THE_MIDDLE)
        function = self._stack.deployment.physical_ids["BroadcastFunction"]
        order = json.dumps({"function": function}).encode()
        answer = http("POST", self._state.aws_endpoint_url + KILL, order)
        if answer.json()["killed"] != 1:
            self.problems.append(f"the function was not running when it was to be killed: {answer.text}")
        rows = self._on_queue()
        self._say(f"Broadcast: killed its function in the middle of a step, {rows:,} rows are on the queue")

    def _without_patience(self, action: Callable[[], None]) -> None:
        """Do something while a step that was lost comes again soon: a demo has no two minutes for it."""
        sqs, url = self._client("sqs"), self._stack.deployment.physical_ids["BroadcastStepQueue"]
        answer = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["VisibilityTimeout"])
        seconds = answer["Attributes"]["VisibilityTimeout"]
        self._say(f"Broadcast: a step that is lost comes again after {_COMES_AGAIN_AFTER} s, not {seconds} s")
        sqs.set_queue_attributes(QueueUrl=url, Attributes={"VisibilityTimeout": str(_COMES_AGAIN_AFTER)})
        try:
            action()
        finally:
            sqs.set_queue_attributes(QueueUrl=url, Attributes={"VisibilityTimeout": seconds})

    def _count(self) -> None:
        found = self._look_up()
        rows = self._results()
        self.columns |= {
            "The API": Counter(
                {name: count for name, count in found["counts"].items() if name != "errcodes" and count}
            ),
            "The results": Counter(row["status"] for row in rows),
            "WeChat": Counter(sent=self._arrived()),  # it counts what it has accepted
        }
        wechat = {"WeChat": Counter(sent=len(self._recipients.sent))}
        for who, counts in self.columns.items():
            wanted = wechat.get(who, self._recipients.counts)
            if counts != wanted:
                self.problems.append(f"{who} counts {dict(counts)}, not {dict(wanted)}")
        if [row["row"] for row in rows] != [str(number) for number in range(1, ROWS + 1)]:
            self.problems.append("the results do not have one line for each row")

    def _results(self) -> list[dict[str, str]]:
        url = self._call("GET", f"{self._path}/demo/results")["url"]
        return list(csv.DictReader(http("GET", url).content.decode("utf-8-sig").splitlines()))

    # ------------------------------------------------------------------------------------- looking

    def _look_up(self) -> dict[str, Any]:
        return self._call("GET", f"{self._path}/demo")

    def _call(self, method: str, path: str, body: object = None, status: int = 200) -> dict[str, Any]:
        content = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/json", "Idempotency-Key": "demo"} if body else {}
        answer = call_api(self._state, method, path, content, headers)
        if answer.status_code != status:
            self.problems.append(f"{method} {path}: HTTP status {answer.status_code}: {answer.text}")
        answered: dict[str, Any] = answer.json()
        return answered

    def _arrived(self) -> int:
        """The count of its messages that WeChat has accepted."""
        wanted = set(self._recipients.sent)
        return sum(openid in wanted for openid in accepted(self._state, _SEND_PATH))

    def _on_queue(self) -> int:
        names = [f"ApproximateNumberOfMessages{which}" for which in ("", "Delayed", "NotVisible")]
        url = self._stack.deployment.physical_ids["BroadcastQueue"]
        answer = self._client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=names)
        return sum(int(number) for number in answer["Attributes"].values())

    def _client(self, service: str) -> Any:
        return self._stack.client(service, self._state.access_key_id, self._state.secret_access_key)

    def _until(self, is_so: Callable[[dict[str, Any]], bool]) -> bool:
        found: dict[str, Any] = {}

        def look() -> bool:
            found.update(self._look_up())
            return is_so(found)

        if self._await(look):
            return True
        self.problems.append(f"the broadcast does not go on: {found}")
        return False

    def _await(self, is_so: Callable[[], bool]) -> bool:
        """Wait for something that comes in the time of a chunk and the looks after it."""
        deadline = time.monotonic() + 2 * _STEP_SECONDS
        while time.monotonic() < deadline:
            if is_so():
                return True
            self._stack.check()
            time.sleep(_POLL_SECONDS)
        return False
