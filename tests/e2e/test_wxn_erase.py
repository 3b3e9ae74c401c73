"""``wxn erase`` against the stack: nothing of the person is left, and all of the others is."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from local.client import http
from local.examples import addressed, examples
from tests.e2e.conftest import CommandLine, Deployed, Service, eventually
from tests.e2e.test_broadcasts import MESSAGE, becomes, results
from tests.e2e.test_teams_api import Team
from wechat_notify.core.openid_hashes import hash_openid
from wxn import dead_letters

Json = dict[str, Any]


@pytest.fixture
def team(service: Service, touser: str) -> Team:
    account = f"erasing-{touser[-12:]}"
    service.add_account(account)
    return Team(service, account)


@pytest.fixture(autouse=True)
def _queues_are_asked_quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dead_letters, "_WAIT_SECONDS", 0)


def stored(service: Service) -> str:
    """All that is stored: tables, objects, queues, schedules."""
    dynamodb, s3, sqs, scheduler = map(service.client, ("dynamodb", "s3", "sqs", "scheduler"))
    found = [dynamodb.scan(TableName=name)["Items"] for name in dynamodb.list_tables()["TableNames"]]
    for bucket in s3.list_buckets()["Buckets"]:
        objects = s3.list_objects_v2(Bucket=bucket["Name"]).get("Contents", [])
        keys = [{"Bucket": bucket["Name"], "Key": each["Key"]} for each in objects]
        found += [s3.get_object(**key)["Body"].read().decode("latin-1") for key in keys]
    for url in sqs.list_queues()["QueueUrls"]:
        received = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, VisibilityTimeout=0)
        found.append(sorted(message["Body"] for message in received.get("Messages", [])))
    for listed in scheduler.list_schedules()["Schedules"]:
        schedule = scheduler.get_schedule(Name=listed["Name"], GroupName=listed["GroupName"])
        found.append(schedule["Target"].get("Input"))
    return json.dumps(found, default=str)


def hash_of(openid: str, deployed: Deployed) -> str:
    key = deployed.deployment.physical_ids["OpenidHashKey"]
    secret = deployed.client("secretsmanager").get_secret_value(SecretId=key)["SecretString"]
    return hash_openid(openid, secret.encode())


def puts_everywhere(team: Team, deployed: Deployed, person: str, other: str) -> None:
    """Something of both in every place."""
    service = team.service
    for openid in (person, other):
        team.send(f"{openid[-1]}-4711", openid)
        message = addressed(examples()[0], openid)
        team.call(
            "PUT", f"schedules/for-{openid[-1]}", {"cron": "0 9 ? * MON *", "message": message}, status=201
        )
        for queue in ("DeadLetterQueue", "EventDeadLetterQueue", "CallbackDeadLetterQueue"):
            url = deployed.deployment.physical_ids[queue]
            service.client("sqs").send_message(QueueUrl=url, MessageBody=f"unreadable, for {openid}")
    team.send(f"id-{person}", person)
    rows = [{"openid": person, "gift": "a < b"}, {"openid": other, "gift": "花"}]
    broadcast = {"message": MESSAGE, "recipients": rows}
    team.call("PUT", "schedules/both", {"cron": "0 9 ? * MON *", "broadcast": broadcast}, status=201)
    upload = team.call("POST", "uploads", {}, status=201)
    content = f"openid,gift\r\n{person},茶叶\r\n{other},花\r\n".encode()
    assert http("PUT", upload["url"], content).status_code == 200


def test_person_is_erased_everywhere(wxn: CommandLine, team: Team, deployed: Deployed, touser: str) -> None:
    person, other = f"{touser}-p", f"{touser}-o"
    rows = [{"openid": person, "gift": "茶"}, {"openid": other, "gift": "花"}]
    request: Json = {"message": MESSAGE, "recipients": rows}
    sent = team.call("POST", "broadcasts", request, status=201)["id"]
    later = {**request, "starts_at": (datetime.now(UTC) + timedelta(days=1)).isoformat()}
    waiting = team.call("POST", "broadcasts", later, status=201)["id"]
    puts_everywhere(team, deployed, person, other)
    assert eventually(lambda: len(team.call("GET", "messages?status=sent")["messages"]) == 5)
    becomes(team, waiting, "running")
    an_hour_later(deployed, f"message#{team.account}#id-{person}")

    command = ("erase", person, "--account", team.account, "--json")
    before = stored(team.service)
    preview = json.loads(wxn(*command, "--dry-run").stdout)
    assert preview["logs_until"] > datetime.now(UTC).date().isoformat()
    unchanged = stored(team.service)
    for name in (hash_of(person, deployed), f"unreadable, for {person}"):
        assert unchanged.count(name) == before.count(name) > 0
    places = {each["place"] for each in preview["found"]}
    letters = {"dead letters", "undelivered firings", "undelivered callbacks"}
    assert places == {"messages", "schedules", *letters, "files of broadcasts"}

    first = wxn(*command, "--yes")
    left = json.loads(first.stdout)["left"]
    assert first.exit_code == 1
    assert left
    assert {each["name"].split("/")[2] for each in left} >= {waiting}
    assert {each["place"] for each in left} == {"files of broadcasts"}

    team.call("POST", f"broadcasts/{waiting}/cancel")
    becomes(team, sent, "finished")
    assert eventually(lambda: wxn(*command, "--yes").exit_code == 0)
    after = stored(team.service)
    assert person not in after
    assert hash_of(person, deployed) not in after

    assert after.count(hash_of(other, deployed)) == before.count(hash_of(other, deployed))
    assert after.count(f"unreadable, for {other}") == 3
    assert [row["openid"] for row in results(team, sent)] == [other]
    assert {each["name"] for each in team.call("GET", "schedules")["schedules"]} == {"both", "for-o"}
    assert team.call("GET", "schedules/both")["broadcast"]["recipients"] == [rows[1] | {"gift": "花"}]
    assert team.service.look("p-4711", team.account).json()["status"] == "sent"
    repeated = team.service.post(
        addressed(examples()[0], person), account=team.account, headers={"Idempotency-Key": "p-4711"}
    )
    assert repeated.status_code == 422
    for queue in ("DeadLetterQueue", "EventDeadLetterQueue"):
        team.service.taken_from(deployed.deployment.physical_ids[queue])


def test_waiting_message_is_cancelled_first(wxn: CommandLine, team: Team, deployed: Deployed) -> None:
    """Its copy on the queue is dropped there; the hash goes when no copy can be left."""
    person = "errcode--1"
    headers = {"Idempotency-Key": "waits", "Prefer": "respond-async"}
    team.service.post(addressed(examples()[0], person), account=team.account, headers=headers)
    assert eventually(lambda: team.service.look("waits", team.account).json().get("attempts") == 1)
    command = ("erase", person, "--account", team.account, "--yes")

    first = wxn(*command)
    assert (first.exit_code, "its copy may still be on the queue" in first.stderr) == (1, True)
    attempts = len(team.service.arrived(person))

    an_hour_later(deployed, f"message#{team.account}#waits")
    assert wxn(*command).exit_code == 0
    assert team.service.look("waits", team.account).json()["status"] == "cancelled"
    assert eventually(lambda: person not in stored(team.service))
    assert len(team.service.arrived(person)) == attempts


def an_hour_later(deployed: Deployed, key: str) -> None:
    """As if it had been changed before."""
    table = deployed.deployment.physical_ids["Ledger"]
    deployed.client("dynamodb").update_item(
        TableName=table,
        Key={"pk": {"S": key}},
        UpdateExpression="SET updated_at = updated_at - :hour",
        ExpressionAttributeValues={":hour": {"N": "4000"}},
    )
