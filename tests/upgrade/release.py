"""One release at work on AWS's services (moto) and a WeChat on the loopback.

::

    python tests/upgrade/release.py begin state.json              # work is begun, and left in every state
    python tests/upgrade/release.py finish state.json result.json # another release goes on with it

It runs the handlers of whichever release is on PYTHONPATH, and names nothing of the release but these, their
events, their environment and what is cached in ``bootstrap``: so that the same program drives older ones.
"""

from __future__ import annotations

import base64
import hashlib
import importlib
import json
import os
import socket
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final, Self
from unittest import mock

import boto3
from moto import mock_aws

Json = dict[str, Any]

REGION: Final = "eu-central-1"
PATH: Final = "/wechat-notify/upgrade/accounts"
QUEUES: Final = ("send", "broadcast", "steps", "callbacks", "dead", "callbacks-dead")
TABLE, BUCKET = "ledger", "files"
CALLBACK_TOKEN: Final = "callback-token-of-the-rehearsal"
OFFICIAL: Final = "gh_1"
HASH_KEY: Final = "a key of the rehearsal"
DAY: Final = 86400.0
MAX_ROUNDS: Final = 15
"""Rounds of all queues, a minute apart, in which the work must be over."""


def openid(name: str) -> str:
    """The receiver of the message with this id, by whom WeChat knows what to answer."""
    return f"o-{name}"


class Clock:
    """The time of the process, which is moved on."""

    def __init__(self, start: float | None = None) -> None:
        self._real = time.time
        self._shift = 0.0 if start is None else start - self._real()

    def __call__(self) -> float:
        return self._real() + self._shift

    def milliseconds(self) -> float:
        """The time as SQS counts it."""
        return 1000 * self()

    def pass_(self, seconds: float) -> None:
        """Move it on."""
        self._shift += seconds


class WeChat:
    """The endpoints that the service calls, with an answer for each receiver."""

    def __init__(self) -> None:
        self.posts: Counter[str] = Counter()
        """Messages that arrived, by receiver."""
        self.while_in_flight: Callable[[str], None] = lambda _: None
        self.all_well = False
        self._msgid = time.time_ns()  # of its own in each run
        wechat = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                wechat.answer(self, {"errcode": 0, "template_list": [], "data": []})

            def do_POST(self) -> None:
                sent = json.loads(self.rfile.read(int(self.headers.get("content-length", 0))) or b"{}")
                if "touser" in sent:
                    wechat.take(self, sent["touser"])
                else:
                    wechat.answer(self, {"errcode": 0, "quota": {}})

            def log_message(self, *_: object) -> None:
                """Nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})

    def take(self, request: BaseHTTPRequestHandler, touser: str) -> None:
        """A message arrives."""
        self.posts[touser] += 1
        self.while_in_flight(touser)
        kind = "" if self.all_well else touser.removeprefix("o-").partition("-")[0]
        if kind == "lost":
            request.close_connection = True
            request.connection.shutdown(socket.SHUT_RDWR)
            return
        errcode = {"refused": 40003, "held": 45009}.get(kind, 0)
        self._msgid += 1
        answer = {"errcode": errcode, "errmsg": "ok" if errcode == 0 else "refused"}
        self.answer(request, answer | ({"msgid": self._msgid} if errcode == 0 else {}))

    @staticmethod
    def answer(request: BaseHTTPRequestHandler, content: Json) -> None:
        """Answer with JSON."""
        body = json.dumps(content).encode()
        request.send_response(200)
        request.send_header("content-type", "application/json")
        request.send_header("content-length", str(len(body)))
        request.end_headers()
        request.wfile.write(body)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class Context:
    """Lambda's context."""

    aws_request_id = "c6af9ac6-7b61-4c9d-8d6e-1f2a3b4c5d6e"
    function_name = "function"
    memory_limit_in_mb = 768
    invoked_function_arn = f"arn:aws:lambda:{REGION}:123456789012:function:function"

    def get_remaining_time_in_millis(self) -> int:
        return 60_000


class Release:
    """The handlers of the release on PYTHONPATH, with the services that they find."""

    def __init__(self, wechat: WeChat) -> None:
        self.wechat = wechat
        services = ("dynamodb", "sqs", "ssm", "s3", "events", "scheduler", "secretsmanager")
        self.aws: dict[str, Any] = {
            name: boto3.client(name, region_name=REGION)  # type: ignore[call-overload] # any of them
            for name in services
        }
        self.urls: dict[str, str] = {}
        self._make()

    def _make(self) -> None:
        keys = [("pk", "S"), ("listed", "S"), ("created_at", "N"), ("receipt_key", "S")]
        self.aws["dynamodb"].create_table(
            TableName=TABLE,
            BillingMode="PAY_PER_REQUEST",
            KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": name, "AttributeType": kind} for name, kind in keys],
            GlobalSecondaryIndexes=[
                {
                    "IndexName": "listed",
                    "KeySchema": [
                        {"AttributeName": "listed", "KeyType": "HASH"},
                        {"AttributeName": "created_at", "KeyType": "RANGE"},
                    ],
                    "Projection": {"ProjectionType": "ALL"},
                },
                {
                    "IndexName": "receipts",
                    "KeySchema": [{"AttributeName": "receipt_key", "KeyType": "HASH"}],
                    "Projection": {"ProjectionType": "KEYS_ONLY"},
                },
            ],
        )
        for name in QUEUES:
            made = self.aws["sqs"].create_queue(QueueName=name, Attributes={"VisibilityTimeout": "30"})
            self.urls[name] = made["QueueUrl"]
        self.aws["s3"].create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
        self.aws["events"].create_event_bus(Name="bus")
        self.aws["scheduler"].create_schedule_group(Name="stack")
        self.aws["secretsmanager"].create_secret(Name="openid-hash-key", SecretString=HASH_KEY)
        os.environ |= {
            "PARAMETER_PATH": PATH,
            "WECHAT_API_BASE": self.wechat.url,
            "OPENID_HASH_KEY": HASH_KEY,  # as the release before secrets has it
            "OPENID_HASH_SECRET": "openid-hash-key",
            "TOKEN_REFRESH_FUNCTION": "token-refresh",
            "LEDGER_TABLE": TABLE,
            "LEDGER_RETENTION_DAYS": "30",
            "LIST_SENT_MESSAGES": "true",
            "RECEIPTS": "true",
            "EVENT_BUS_NAME": "bus",
            "QUOTA_RESET": "00:00+08:00",
            "DEAD_LETTER_QUEUE_URL": self.urls["dead"],
            "CALLBACK_QUEUE_URL": self.urls["callbacks"],
            "BROADCAST_BUCKET": BUCKET,
            "BROADCAST_QUEUE_URL": self.urls["broadcast"],
            "BROADCAST_STEP_QUEUE_URL": self.urls["steps"],
            "BROADCAST_RATE_LIMIT": "100",
            "SCHEDULE_GROUP": "stack",
            "SCHEDULE_ROLE_ARN": "arn:aws:iam::123456789012:role/schedule",
            "SEND_QUEUE_ARN": f"arn:aws:sqs:{REGION}:123456789012:send",
            "BROADCAST_STEP_QUEUE_ARN": f"arn:aws:sqs:{REGION}:123456789012:steps",
            "EVENT_DEAD_LETTER_QUEUE_ARN": f"arn:aws:sqs:{REGION}:123456789012:dead",
        }

    def invoke(self, function: str, event: Json, queue: str = "send") -> Json:
        """Invoke a function in a new process, as far as its memory goes."""
        os.environ["SEND_QUEUE_URL"] = self.urls[queue]
        for name, module in list(sys.modules.items()):
            if name.startswith("wechat_notify.bootstrap"):
                for part in vars(module).values():
                    if hasattr(part, "cache_clear"):
                        part.cache_clear()
        handler = importlib.import_module(f"functions.{function}.handler")
        answer: Json = handler.lambda_handler(event, Context())
        return json.loads(json.dumps(answer))  # type: ignore[no-any-return] # as Lambda hands it back

    # ------------------------------------------------------------------------------ what callers do

    def call(
        self, function: str, route: str, body: object = None, headers: Json | None = None, **path: str
    ) -> tuple[int, Json]:
        """Call the HTTP API; the status and the parsed body of the answer."""
        method, pattern = route.split(" ", 1)
        pattern = f"/v1/accounts/{{account}}/{pattern}"
        path.setdefault("account", "shop")
        event = {
            "version": "2.0",
            "routeKey": f"{method} {pattern}",
            "rawPath": pattern.format(**path),
            "rawQueryString": "",
            "headers": {"content-type": "application/json", **(headers or {})},
            "requestContext": {
                "http": {"method": method, "path": pattern.format(**path)},
                "requestId": "request-1",
            },
            "pathParameters": path,
            "isBase64Encoded": False,
            **({"body": json.dumps(body)} if body is not None else {}),
        }
        answer = self.invoke(function, event)
        return answer["statusCode"], json.loads(answer.get("body") or "{}")

    def post(self, name: str, *, account: str = "shop", queued: bool = False, **more: Any) -> int:
        """Hand a message over by HTTP, under its name as the id."""
        headers = {"idempotency-key": name} | ({"prefer": "respond-async"} if queued else {})
        headers |= {"x-expires-at": more["expires"]} if "expires" in more else {}
        status, _ = self.call("send_api", "POST messages", message(name), headers, account=account)
        return status

    def look(self, name: str, account: str = "shop") -> tuple[int, str]:
        """The status of the answer, and that of the message."""
        status, answer = self.call("send_api", "GET messages/{id}", id=name, account=account)
        return status, str(answer.get("status"))

    def enqueue(self, body: str, queue: str = "send") -> None:
        """Put a body on a queue, as a producer, the bus or Scheduler does."""
        self.aws["sqs"].send_message(QueueUrl=self.urls[queue], MessageBody=body)

    def receipt(self, msgid: int, name: str) -> None:
        """WeChat tells of a message that it was delivered."""
        timestamp, nonce = str(int(time.time())), "415670741"
        signed = "".join(sorted((CALLBACK_TOKEN, timestamp, nonce)))
        text = (
            f"<xml><ToUserName>{OFFICIAL}</ToUserName><FromUserName>{openid(name)}</FromUserName>"
            f"<CreateTime>{timestamp}</CreateTime><MsgType>event</MsgType>"
            f"<Event>TEMPLATESENDJOBFINISH</Event><MsgID>{msgid}</MsgID><Status>success</Status></xml>"
        )
        event = {
            "version": "2.0",
            "routeKey": "POST /v1/callbacks/{account}",
            "pathParameters": {"account": "shop"},
            "queryStringParameters": {
                "timestamp": timestamp,
                "nonce": nonce,
                "signature": hashlib.sha1(signed.encode()).hexdigest(),  # noqa: S324 - WeChat's
            },
            "requestContext": {"requestId": "request-1", "http": {"method": "POST"}},
            "headers": {"content-type": "text/xml"},
            "isBase64Encoded": False,
            "body": text,
        }
        assert self.invoke("callback", event)["statusCode"] == 200

    # ------------------------------------------------------------------------------- what Lambda does

    def deliver(self, queue: str, function: str, batch: int = 10) -> int:
        """Hand what is visible on a queue to its function; the number of messages."""
        sqs, url, delivered = self.aws["sqs"], self.urls[queue], 0
        while True:
            received = sqs.receive_message(
                QueueUrl=url,
                MaxNumberOfMessages=batch,
                MessageAttributeNames=["All"],
                AttributeNames=["All"],
            ).get("Messages", [])
            if not received:
                return delivered
            records = [
                {
                    "messageId": each["MessageId"],
                    "receiptHandle": each["ReceiptHandle"],
                    "body": each["Body"],
                    "attributes": each["Attributes"],
                    "messageAttributes": {
                        name: {"stringValue": value["StringValue"], "dataType": value["DataType"]}
                        for name, value in each.get("MessageAttributes", {}).items()
                    },
                }
                for each in received
            ]
            failed = self.invoke(function, {"Records": records}, queue)["batchItemFailures"]
            kept = {each["itemIdentifier"] for each in failed}
            for each in received:
                if each["MessageId"] not in kept:
                    sqs.delete_message(QueueUrl=url, ReceiptHandle=each["ReceiptHandle"])
            delivered += len(received)

    def round(self) -> None:
        """Everything that is due, once."""
        self.deliver("send", "send_queue")
        self.deliver("steps", "broadcast", 1)
        self.deliver("broadcast", "send_queue")
        self.deliver("callbacks", "callback_events")

    # ------------------------------------------------------------------------------ what is there

    def queued(self, name: str) -> list[Json]:
        """The messages of a queue, delayed ones and those in flight too; they are gone then."""
        from moto.sqs.models import sqs_backends  # noqa: PLC0415 - SQS itself shows no delayed message

        queue = sqs_backends["123456789012"][REGION].queues[name]
        return [
            {
                "body": each.body,
                "attributes": {
                    key: {name: value[name] for name in ("DataType", "StringValue")}
                    for key, value in each.message_attributes.items()
                },
            }
            for each in queue._messages
        ]

    def state(self, clock: Clock) -> Json:
        """Everything that is stored, and on its way."""
        items = self.aws["dynamodb"].scan(TableName=TABLE)["Items"]
        objects = self.aws["s3"].list_objects_v2(Bucket=BUCKET).get("Contents", [])
        parameters = self.aws["ssm"].get_parameters_by_path(Path=PATH, Recursive=True, WithDecryption=True)
        schedules = self.aws["scheduler"].list_schedules(GroupName="stack")["Schedules"]
        return {
            "at": round(clock(), 3),
            "items": sorted(items, key=lambda item: str(item["pk"])),
            "queues": {name: self.queued(name) for name in QUEUES},
            "parameters": {each["Name"]: each["Value"] for each in parameters["Parameters"]},
            "objects": {
                each["Key"]: base64.b64encode(
                    self.aws["s3"].get_object(Bucket=BUCKET, Key=each["Key"])["Body"].read()
                ).decode()
                for each in objects
            },
            "schedules": {
                each["Name"]: self.aws["scheduler"].get_schedule(GroupName="stack", Name=each["Name"])[
                    "Target"
                ]["Input"]
                for each in schedules
            },
            "posts": dict(self.wechat.posts),
        }

    def store(self, state: Json) -> None:
        """Put back what another release has left."""
        for item in state["items"]:
            self.aws["dynamodb"].put_item(TableName=TABLE, Item=item)
        for name, messages in state["queues"].items():
            for each in messages:
                self.aws["sqs"].send_message(
                    QueueUrl=self.urls[name], MessageBody=each["body"], MessageAttributes=each["attributes"]
                )
        for name, value in state["parameters"].items():
            self.aws["ssm"].put_parameter(Name=name, Value=value, Type="SecureString")
        for key, content in state["objects"].items():
            self.aws["s3"].put_object(Bucket=BUCKET, Key=key, Body=base64.b64decode(content))
        self.wechat.posts.update(state["posts"])


def message(name: str) -> Json:
    """The body of the message with this id."""
    return {
        "kind": "template" if name != "lost" else "subscription",
        "touser": openid(name),
        "template_id": "T-1",
        "data": {"thing1": {"value": "礼盒"}},
    }


@contextmanager
def standing(start: float | None = None) -> Iterator[tuple[Release, Clock]]:
    """A release between the services."""
    clock, real = Clock(start), time.time
    os.environ |= {
        "AWS_ACCESS_KEY_ID": "AKIAREHEARSAL",
        "AWS_SECRET_ACCESS_KEY": "rehearsal",
        "AWS_DEFAULT_REGION": REGION,
        "AWS_REGION": REGION,
        "POWERTOOLS_SERVICE_NAME": "rehearsal",
        "POWERTOOLS_LOG_LEVEL": os.environ.get("LEVEL", "CRITICAL"),
        "POWERTOOLS_METRICS_DISABLED": "true",
    }
    time.time = clock
    try:
        # Its delays and visibility timeouts go by another clock otherwise.
        with (
            WeChat() as wechat,
            mock_aws(),
            mock.patch("moto.sqs.models.unix_time", clock),
            mock.patch("moto.sqs.models.unix_time_millis", clock.milliseconds),
        ):
            yield Release(wechat), clock
    finally:
        time.time = real


def begin(clock: Clock, release: Release) -> Json:
    """Have work left in every state."""
    for account in ("shop", "bank"):
        token = {
            "value": f"57_{account}",
            "expires_at": clock() + 3650 * DAY,
            "obtained_at": clock(),
            "forced_day": "",
            "forced_count": 0,
        }
        given = {"type": "app", "app_id": f"wx-{account}", "app_secret": "of-nobody"}
        for name, value in (("credentials", given), ("access-token", token)):
            release.aws["ssm"].put_parameter(
                Name=f"{PATH}/{account}/{name}", Value=json.dumps(value), Type="SecureString"
            )
    keys = {"app_id": "wx-shop", "mode": "plain", "keys": [{"token": CALLBACK_TOKEN}]}
    release.aws["ssm"].put_parameter(
        Name=f"{PATH}/shop/callback", Value=json.dumps(keys), Type="SecureString"
    )
    release.invoke("template_sync", {"account": "shop"})

    claimed: list[Json] = []

    def keep(touser: str) -> None:
        if touser == openid("claimed"):
            key = {"pk": {"S": "message#shop#claimed"}}
            claimed.append(release.aws["dynamodb"].get_item(TableName=TABLE, Key=key)["Item"])

    release.wechat.while_in_flight = keep
    for name in ("sent", "delivered", "receipted", "refused", "lost", "claimed"):
        release.post(name)
    release.post("held", account="bank")
    for name in ("queued", "cancelled"):
        assert release.post(name, queued=True) == 202
    release.call("send_api", "DELETE messages/{id}", id="cancelled")
    # A message of the bank that meets its open circuit, so that a copy of it is parked.
    release.enqueue(json.dumps({"account": "bank", "id": "parked", "message": message("parked")}))
    outcomes = {
        name: release.aws["dynamodb"].get_item(TableName=TABLE, Key={"pk": {"S": f"message#shop#{name}"}})
        for name in ("delivered", "receipted")
    }
    msgids = {name: int(found["Item"]["outcome"]["M"]["msgid"]["N"]) for name, found in outcomes.items()}
    release.receipt(msgids["delivered"], "delivered")
    clock.pass_(5)
    release.deliver("callbacks", "callback_events")
    release.receipt(msgids["receipted"], "receipted")
    _park(release)
    # The forms of a queue body: the least there can be, and the bus's whole event.
    release.enqueue(json.dumps({"account": "shop", "id": "plain", "message": message("plain")}))
    requested = {"account": "shop", "id": "bus", "message": message("bus")}
    event = {"id": "e-1", "source": "shop", "detail-type": "WeChat Message Requested", "detail": requested}
    release.enqueue(json.dumps({"version": "0", "time": "2026-01-01T00:00:00Z", **event}))
    assert release.call(
        "team_api",
        "PUT schedules/{name}",
        {"cron": "0 9 * * ? *", "message": message("weekly")},
        name="weekly",
    )[0] in {200, 201}
    _broadcast(release, clock)
    for item in claimed[:1]:  # as its function left it
        release.aws["dynamodb"].put_item(TableName=TABLE, Item=item)
    return release.state(clock)


def _park(release: Release) -> None:
    """Deliver what is on the send queue until the bank's message is parked, and nothing else."""
    sqs, url = release.aws["sqs"], release.urls["send"]
    received = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, AttributeNames=["All"])["Messages"]
    for each in received:
        if json.loads(each["Body"]).get("id") == "parked":
            record = {
                "messageId": each["MessageId"],
                "receiptHandle": each["ReceiptHandle"],
                "body": each["Body"],
                "attributes": each["Attributes"],
                "messageAttributes": {},
            }
            assert release.invoke("send_queue", {"Records": [record]}) == {"batchItemFailures": []}
            sqs.delete_message(QueueUrl=url, ReceiptHandle=each["ReceiptHandle"])


def _broadcast(release: Release, clock: Clock) -> None:
    """Have a broadcast released, and none of its messages sent."""
    rows = [{"openid": openid(f"row-{number}"), "gift": "礼盒"} for number in range(3)]
    told = {
        "kind": "template",
        "template_id": "T-1",
        "data": {"thing1": {"value": "{{gift}}"}},
    }
    status, answer = release.call(
        "team_api",
        "POST broadcasts",
        {"message": told, "recipients": rows},
        {"idempotency-key": "campaign"},
    )
    assert status in {201, 202}, answer
    for _ in range(MAX_ROUNDS):
        release.deliver("steps", "broadcast", 1)
        if len(release.queued("broadcast")) == len(rows):
            return
        _, answer = release.call("team_api", "GET broadcasts/{id}", id="campaign")
        if answer["state"] == "ready":
            release.call("team_api", "POST broadcasts/{id}/start", {}, id="campaign")
        clock.pass_(5)
    raise AssertionError(f"the broadcast did not begin: {answer}")


def finish(release: Release, clock: Clock, state: Json) -> Json:
    """Go on with what another release has left, a day later, until nothing is left to be done."""
    release.store(state)
    release.wechat.all_well = True
    clock.pass_(2 * DAY)  # holds of used-up quotas are over, and leases
    for scheduled in state["schedules"].values():
        release.enqueue(scheduled.replace("<aws.scheduler.scheduled-time>", "2026-12-01T09:00:00Z"))
    broadcast: Json = {}
    waiting: dict[str, int] = {}
    for _ in range(MAX_ROUNDS):
        release.round()
        _, broadcast = release.call("team_api", "GET broadcasts/{id}", id="campaign")
        waiting = {name: len(release.queued(name)) for name in QUEUES}
        if broadcast.get("state") == "finished" and not sum(
            waiting[name] for name in ("send", "broadcast", "steps", "callbacks")
        ):
            break
        clock.pass_(300)
    names = [item["pk"]["S"].split("#", 2) for item in state["items"]]
    messages = [(key[1], key[2]) for key in names if key[0] == "message"] + [
        ("shop", "plain"),
        ("shop", "bus"),
        ("bank", "parked"),
    ]
    repeats = {name: release.post(name, account=account) for account, name in sorted(set(messages))}
    return {
        "messages": {f"{account}/{name}": release.look(name, account) for account, name in messages},
        "repeats": repeats,
        "posts": dict(release.wechat.posts),
        "broadcast": broadcast,
        "holds": release.call("team_api", "GET holds", account="bank")[1],
        "listed": release.call("team_api", "GET messages")[0],
        "templates": release.call("team_api", "GET templates")[0],
        "queues": waiting,
    }


def main() -> int:
    """Begin, or finish."""
    command, state, *more = sys.argv[1:]
    if command == "begin":
        with standing() as (release, clock):
            found = begin(clock, release)
        Path(state).write_text(
            json.dumps(found, indent=1, ensure_ascii=False, sort_keys=True) + "\n", "utf-8"
        )
    else:
        given = json.loads(Path(state).read_text("utf-8"))
        with standing(given["at"]) as (release, clock):
            result = finish(release, clock, given)
        Path(more[0]).write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n", "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
