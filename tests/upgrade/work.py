"""Work that one release begins and another one finishes.

::

    begin state.json               # work is begun, and left in every state
    finish state.json result.json  # another release goes on with it
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Final

from tests.upgrade.release import (
    CALLBACK_TOKEN,
    PATH,
    QUEUES,
    TABLE,
    Json,
    Release,
    message,
    openid,
    standing,
)
from tests.upgrade.wechat import Clock

DAY: Final = 86400.0
MAX_ROUNDS: Final = 15
"""Rounds of all queues, five minutes apart, in which the work must be over."""


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
