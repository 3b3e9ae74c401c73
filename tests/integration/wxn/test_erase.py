"""The places that ``wxn erase`` searches, on an AWS in this process: what stays, and until when."""

from __future__ import annotations

import io
import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from operations import restore
from tests.unit.wxn.fakes import FakeApi
from wechat_notify.aws.clients import Clients
from wechat_notify.aws.consent_table import ConsentTable
from wechat_notify.aws.ledger_table import LedgerTable
from wechat_notify.core.consents.record import PersonConsents
from wxn import dead_letters
from wxn.erasing import letters as letters_module
from wxn.erasing.consents import Consents
from wxn.erasing.entries import Entries
from wxn.erasing.files import Files
from wxn.erasing.letters import Letters
from wxn.erasing.person import Person
from wxn.erasing.place import Found, Place
from wxn.erasing.schedules import Schedules
from wxn.errors import CommandError
from wxn.stacks import Stack

Aws = Callable[[str], Any]
OPENID, OTHER = "oGZUI0egBJY1zhBYw2KhdUfwVJJE", "oGZUI0egBJY1zhBYw2KhdUfwVJJF"
PERSON = Person(OPENID, b"key", b"earlier", b"earliest")
BUCKET = "broadcasts"


class AwsStack(Stack):
    def __init__(self, aws: Aws) -> None:
        super().__init__("stack", region="eu-central-1")
        self._aws = aws
        self.outputs = {
            "LedgerTableName": "ledger",
            "BroadcastBucketName": BUCKET,
            "ScheduleGroupName": "group",
        }

    def client(self, service: str, **_: Any) -> Any:
        return self._aws(service)


@pytest.fixture
def stack(aws: Aws, ledger_table: LedgerTable, monkeypatch: pytest.MonkeyPatch) -> Iterator[AwsStack]:  # noqa: ARG001 - the table is there
    monkeypatch.setattr(dead_letters, "_WAIT_SECONDS", 0)
    aws("scheduler").create_schedule_group(Name="group")
    aws("s3").create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
    yield AwsStack(aws)
    for service in ("dynamodb", "s3", "scheduler", "sqs"):
        aws(service).close()


def found(place: Place) -> list[Found]:
    return list(place.find(lambda _done, _total: None))


def erased(place: Place) -> list[Found]:
    """What is found after all that can be erased was."""
    place.erase([each for each in found(place) if not each.blocked])
    return found(place)


# Entries


class Cancelling(FakeApi):
    """Cancels as the service does, and tells what it holds."""

    def __init__(self, aws: Aws) -> None:
        super().__init__({})
        self._aws = aws
        self.holds: list[dict[str, str]] = []

    def respond(self, method: str, path: str, *_: Any, **__: Any) -> tuple[int, Any]:
        if path == "holds":
            return 200, {"holds": self.holds}
        assert method == "DELETE"
        put_entry(self._aws, path.removeprefix("messages/"), "cancelled", version=2)
        return 200, {}


def put_entry(
    aws: Aws, name: str, status: str, *, age: float = 0, version: int = 1, account: str = "shop", **more: Any
) -> None:
    item = {
        "pk": {"S": f"message#{account}#{name}"},
        "account": {"S": account},
        "id": {"S": name},
        "status": {"S": status},
        "updated_at": {"N": str(time.time() - age)},
        "version": {"N": str(version)},
        "fingerprint": {"S": "f" * 32},
        "writer": {"S": "w"},
        "openid_hash": {"S": PERSON.hashes[0]},
        "receipt_key": {"S": f"shop#openid#{PERSON.hashes[0]}"},
    }
    aws("dynamodb").put_item(TableName="ledger", Item=item | more)


def entry(aws: Aws, name: str) -> Any:
    key = {"pk": {"S": f"message#shop#{name}"}}
    return aws("dynamodb").get_item(TableName="ledger", Key=key).get("Item")


@pytest.fixture
def api(aws: Aws) -> Cancelling:
    return Cancelling(aws)


@pytest.fixture
def entries(stack: AwsStack, api: Cancelling) -> Entries:
    return Entries(stack, api, "shop", PERSON)


@pytest.mark.parametrize("status", ["sent", "failed", "unknown", "expired", "delivered", "undelivered"])
def test_entry_stays_without_the_person(entries: Entries, aws: Aws, status: str) -> None:
    put_entry(aws, "m1", status)

    assert erased(entries) == []
    left = entry(aws, "m1")
    assert not {"openid_hash", "receipt_key"} & left.keys()
    assert (left["status"]["S"], left["fingerprint"]["S"], left["version"]["N"]) == (status, "erased", "2")


@pytest.mark.parametrize("number", [1, 2])
def test_entry_under_an_earlier_key(entries: Entries, aws: Aws, number: int) -> None:
    put_entry(aws, "m1", "sent", openid_hash={"S": PERSON.hashes[number]})

    assert [each.name for each in found(entries)] == ["m1"]
    assert erased(entries) == []
    assert not {"openid_hash", "receipt_key"} & entry(aws, "m1").keys()


def test_entries_of_others_stay(entries: Entries, aws: Aws) -> None:
    put_entry(aws, "m1", "sent", account="other")
    put_entry(aws, "m2", "sent", openid_hash={"S": "0" * 16})
    put_entry(aws, f"id-{OPENID}x", "sent", openid_hash={"S": "0" * 16})

    assert found(entries) == []


def test_entries_are_found_without_a_scan(entries: Entries, aws: Aws) -> None:
    for number in range(120):  # more than one BatchGetItem
        put_entry(aws, f"m{number}", "sent")
    calls: list[str] = []
    events = aws("dynamodb").meta.events
    events.register("before-call.dynamodb", lambda model, **_: calls.append(model.name))

    assert len(found(entries)) == 120
    assert {name: calls.count(name) for name in calls} == {
        "DescribeTable": 1,
        "Query": 1 + len(PERSON.hashes),  # the first has two pages
        "BatchGetItem": 2,
    }


def test_entries_under_an_earlier_key_are_found(stack: AwsStack, api: Cancelling, aws: Aws) -> None:
    put_entry(aws, "old", "sent")
    person = Person(OPENID, b"new key", b"key")
    put_entry(aws, "new", "sent", openid_hash={"S": person.hashes[0]})
    entries = Entries(stack, api, "shop", person)

    assert [each.name for each in found(entries)] == ["new", "old"]
    assert erased(entries) == []


def test_other_items_of_the_person_are_no_messages(entries: Entries, aws: Aws) -> None:
    put_entry(aws, "m1", "sent", pk={"S": f"consents#shop#{PERSON.hashes[0]}"})

    assert found(entries) == []


@pytest.mark.parametrize(
    ("indexes", "told"),
    [
        ([], "The table has no index people."),
        ([{"IndexName": "people", "IndexStatus": "CREATING"}], "DynamoDB is still filling the index people."),
    ],
)
def test_index_is_not_there_yet(
    entries: Entries, monkeypatch: pytest.MonkeyPatch, indexes: list[Any], told: str
) -> None:
    """Nothing is found, and that must not read as if nothing were stored."""
    table = {"Table": {"GlobalSecondaryIndexes": indexes}}
    monkeypatch.setattr(entries._dynamodb, "describe_table", lambda **_: table)

    with pytest.raises(CommandError, match=told):
        found(entries)


def test_entry_with_openid_as_id(entries: Entries, aws: Aws) -> None:
    put_entry(aws, f"news-{OPENID}", "sent", age=4000)

    assert erased(entries) == []
    assert entry(aws, f"news-{OPENID}") is None


def test_new_entry_with_openid_as_id_stays(entries: Entries, aws: Aws) -> None:
    """SQS may hand a message out once more: without its entry it would be sent again."""
    put_entry(aws, f"news-{OPENID}", "sent", age=3800)
    (left,) = erased(entries)

    assert "its copy may still be on the queue" in left.blocked


def test_waiting_entry_is_cancelled_then_stays(entries: Entries, aws: Aws) -> None:
    put_entry(aws, "m1", "queued")
    (left,) = erased(entries)

    assert "its copy may still be on the queue" in left.blocked
    assert entry(aws, "m1")["status"]["S"] == "cancelled"


@pytest.mark.parametrize(
    ("status", "age", "lease", "is_blocked"),
    [
        ("cancelled", 3800, 0, True),
        ("cancelled", 4000, 0, False),
        ("sending", 0, 60, True),
        ("sending", 900, -290, True),
        ("sending", 900, -310, False),
    ],
)
def test_entry_in_the_middle_stays(
    entries: Entries, aws: Aws, *, status: str, age: float, lease: float, is_blocked: bool
) -> None:
    put_entry(aws, "m1", status, age=age, lease_until={"N": str(time.time() + lease)})
    (left,) = found(entries)

    assert (bool(left.blocked), bool(left.again)) == (is_blocked, is_blocked)


def test_cancelled_entry_stays_while_held(entries: Entries, api: Cancelling, aws: Aws) -> None:
    """A hold puts the copy back on the queue, without a look at the ledger, for up to three days."""
    put_entry(aws, "m1", "cancelled", age=86400)
    api.holds = [{"id": "kind:template"}]
    (left,) = found(entries)

    assert "its copy may still be on the queue" in left.blocked
    assert "15 minutes after the holds have ended (kind:template)" in left.again


def test_entry_that_changed_meanwhile(entries: Entries, aws: Aws) -> None:
    put_entry(aws, "m1", "sent")
    before = found(entries)
    put_entry(aws, "m1", "delivered", version=2)
    entries.erase(before)

    assert entry(aws, "m1")["openid_hash"]["S"] == PERSON.hashes[0]
    assert erased(entries) == []


# Dead letters


@pytest.fixture
def letters(stack: AwsStack, aws: Aws) -> Letters:
    url = aws("sqs").create_queue(QueueName="dead")["QueueUrl"]
    return Letters("dead letters", stack.client("sqs"), url, "shop", PERSON)


def message(touser: str, account: str = "shop", **more: Any) -> str:
    return json.dumps({"account": account, "message": {"touser": touser, **more}})


@pytest.mark.parametrize(
    ("body", "is_found", "is_blocked"),
    [
        (message(OPENID), True, False),
        (json.dumps({"detail": json.loads(message(OPENID))}), True, False),
        (f"no JSON {OPENID}", True, False),
        (message(OPENID, "other"), False, False),
        (message(OTHER), False, False),
        (message(OTHER, data=OPENID), True, True),
        (json.dumps({"account": "shop", "broadcast": {"recipients": [OPENID, OTHER]}}), True, True),
    ],
)
def test_letters(letters: Letters, aws: Aws, *, body: str, is_found: bool, is_blocked: bool) -> None:
    aws("sqs").send_message(QueueUrl=letters._url, MessageBody=body)
    aws("sqs").send_message(QueueUrl=letters._url, MessageBody=message(OTHER))
    left = found(letters)

    assert [bool(each.blocked) for each in left] == [is_blocked] * is_found
    assert len(erased(letters)) == is_blocked
    there = DeadLetters(aws, letters._url).bodies()
    assert message(OTHER) in there
    assert len(there) == 1 + (not is_found or is_blocked) * 1


class DeadLetters:
    def __init__(self, aws: Aws, url: str) -> None:
        self._sqs, self._url = aws("sqs"), url

    def bodies(self) -> list[str]:
        answer = self._sqs.receive_message(QueueUrl=self._url, MaxNumberOfMessages=10, VisibilityTimeout=0)
        return [each["Body"] for each in answer["Messages"]]


def test_letters_that_another_reader_hides(letters: Letters, aws: Aws) -> None:
    """Such as a redrive that was stopped: nobody knows whether they name the person."""
    aws("sqs").send_message(QueueUrl=letters._url, MessageBody=message(OPENID))
    aws("sqs").receive_message(QueueUrl=letters._url, VisibilityTimeout=600)
    (left,) = erased(letters)

    assert "another reader hides 1 messages" in left.blocked


def test_own_reading_hides_no_letters(letters: Letters, aws: Aws, monkeypatch: pytest.MonkeyPatch) -> None:
    """SQS's counts are a while behind: what the search before this one has read still counts as hidden."""
    for _ in range(2):
        aws("sqs").send_message(QueueUrl=letters._url, MessageBody=message(OTHER))
    assert found(letters) == []
    monkeypatch.setattr(dead_letters.DeadLetterQueue, "__exit__", lambda *_: None)
    found(letters)

    assert found(letters) == []


def test_too_many_letters_to_search(letters: Letters, aws: Aws, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(letters_module, "MAX_READ", 1)
    for _ in range(2):
        aws("sqs").send_message(QueueUrl=letters._url, MessageBody="no JSON")
    (left,) = found(letters)

    assert "it holds 2 messages" in left.blocked


# Schedules


@pytest.fixture
def schedules(stack: AwsStack) -> Schedules:
    return Schedules(stack, "shop", PERSON)


def put_schedule(aws: Aws, name: str, body: object) -> None:
    target = {
        "Arn": "arn:aws:sqs:eu-central-1:1:q",
        "RoleArn": "arn:aws:iam::1:role/r",
        "Input": json.dumps(body),
    }
    aws("scheduler").create_schedule(
        Name=name,
        GroupName="group",
        ScheduleExpression="rate(1 hour)",
        FlexibleTimeWindow={"Mode": "OFF"},
        Target=target,
    )


def body_of(aws: Aws, name: str) -> Any:
    return aws("scheduler").get_schedule(Name=name, GroupName="group")["Target"]["Input"]


def recipients(*openids: str, account: str = "shop", text: str = "hi") -> dict[str, Any]:
    rows = [{"openid": openid, "gift": "<b>"} for openid in openids]
    broadcast = {"message": {"data": text}, "recipients": rows}
    return {"account": account, "id": "shop.b-<aws.scheduler.scheduled-time>", "broadcast": broadcast}


def test_schedules_of_the_person_go(schedules: Schedules, aws: Aws) -> None:
    put_schedule(aws, "shop.m", json.loads(message(OPENID)))
    put_schedule(aws, "by-hand", json.loads(message(OPENID)))
    put_schedule(aws, "shop.alone", recipients(OPENID))
    for name, body in (("shop.other", message(OTHER)), ("other.m", message(OPENID, "other"))):
        put_schedule(aws, name, json.loads(body))

    assert erased(schedules) == []
    left = {each["Name"] for each in aws("scheduler").list_schedules(GroupName="group")["Schedules"]}
    assert left == {"shop.other", "other.m"}


def test_broadcast_goes_on_for_others(schedules: Schedules, aws: Aws) -> None:
    """Scheduler still replaces the time in the id, and nothing in a text."""
    put_schedule(aws, "shop.b", recipients(OPENID, OTHER))

    assert erased(schedules) == []
    body = body_of(aws, "shop.b")
    assert json.loads(body) == recipients(OTHER)
    assert body.count("<") == 1
    assert "<aws.scheduler.scheduled-time>" in body


@pytest.mark.parametrize(
    "body",
    [
        json.loads(message(OTHER, data=OPENID)),
        recipients(OPENID, OTHER, text=OPENID),
        {"account": "shop", "broadcast": {"upload": "u1", "message": {"data": OPENID}}},
    ],
)
def test_schedule_for_others_stays(schedules: Schedules, aws: Aws, body: Any) -> None:
    put_schedule(aws, "shop.m", body)
    (left,) = erased(schedules)

    assert left.blocked
    assert json.loads(body_of(aws, "shop.m")) == body


@pytest.mark.parametrize(
    "body", [json.loads(message(OTHER)), json.loads(message(OTHER, data=OPENID)), recipients(OTHER)]
)
def test_schedule_that_changed_meanwhile(schedules: Schedules, aws: Aws, body: Any) -> None:
    put_schedule(aws, "shop.m", json.loads(message(OPENID)))
    before = found(schedules)
    aws("scheduler").delete_schedule(Name="shop.m", GroupName="group")
    put_schedule(aws, "shop.m", body)
    schedules.erase(before)

    assert json.loads(body_of(aws, "shop.m")) == body


# Files


@pytest.fixture
def files(stack: AwsStack) -> Files:
    return Files(stack, "shop", PERSON)


def put_file(aws: Aws, key: str, content: bytes = f"openid\n{OPENID}\n{OTHER}\n".encode()) -> None:
    aws("s3").upload_fileobj(io.BytesIO(content), BUCKET, key)


def put_broadcast(aws: Aws, name: str, state: str, *, source: str = "", ended: bool = False) -> None:
    item = {
        "pk": {"S": f"broadcast#shop#{name}"},
        "id": {"S": name},
        "state": {"S": state},
        "source": {"S": source},
        "listed": {"S": "shop#broadcasts"},
        "created_at": {"N": "1"},
        **({"finished_at": {"N": "2"}} if ended else {}),
    }
    aws("dynamodb").put_item(TableName="ledger", Item=item)


def content(aws: Aws, key: str) -> bytes:
    data: bytes = aws("s3").get_object(Bucket=BUCKET, Key=key)["Body"].read()
    return data


def test_files_of_ended_broadcasts(files: Files, aws: Aws) -> None:
    put_broadcast(aws, "b1", "finished", source="shop/uploads/u1", ended=True)
    for key in ("shop/uploads/u1", "shop/broadcasts/b1/rows/00000-x.jsonl", "other/uploads/u1"):
        put_file(aws, key)
    put_file(aws, "shop/uploads/u2", f"openid\n{OTHER}\n".encode())

    assert {each.name for each in found(files)} == {
        "shop/uploads/u1",
        "shop/broadcasts/b1/rows/00000-x.jsonl",
    }
    assert erased(files) == []
    assert content(aws, "shop/uploads/u1") == f"openid\n{OTHER}\n".encode()
    assert OPENID.encode() in content(aws, "other/uploads/u1")


@pytest.mark.parametrize("state", ["checking", "checked", "running", "paused", "finishing"])
def test_files_in_use_stay(files: Files, aws: Aws, state: str) -> None:
    """Its own, and the upload that it reads."""
    put_broadcast(aws, "b0", "finished", source="shop/uploads/u1", ended=True)
    put_broadcast(aws, "b1", state, source="shop/uploads/u1")
    for key in ("shop/uploads/u1", "shop/broadcasts/b1/request-1.json"):
        put_file(aws, key)
    left = erased(files)

    assert [each.blocked for each in left] == [f"broadcast b1 is {state}"] * 2
    assert OPENID.encode() in content(aws, "shop/uploads/u1")


def test_file_of_new_broadcast_stays(files: Files, aws: Aws) -> None:
    put_file(aws, "shop/broadcasts/b1/recipients-1.jsonl")
    (left,) = erased(files)

    assert "being created" in left.blocked


def test_file_taken_into_use_meanwhile(files: Files, aws: Aws) -> None:
    """A person may read the preview for long, and somebody else retries the broadcast."""
    put_broadcast(aws, "b1", "finished", source="shop/uploads/u1", ended=True)
    put_file(aws, "shop/uploads/u1")
    before = found(files)
    put_broadcast(aws, "b2", "checking", source="shop/uploads/u1")
    files.erase(before)

    assert OPENID.encode() in content(aws, "shop/uploads/u1")


@pytest.mark.parametrize("start", [b"PK\x03\x04", b"\x1f\x8b", b"o\0p\0e\0"])
def test_upload_that_is_no_text(files: Files, aws: Aws, start: bytes) -> None:
    put_file(aws, "shop/uploads/u1", start + b"xyz")
    (left,) = erased(files)

    assert "cannot be searched" in left.blocked


@pytest.mark.parametrize("openid", [OPENID, OPENID.replace("U", "\\u0055")])
def test_openid_across_blocks(files: Files, aws: Aws, openid: str) -> None:
    """Its first ten characters end the first block."""
    row = f'{{"openid":"{openid}"}}\n'.encode()
    size = 1024 * 1024 - 10 - len(b'{"openid":"') - len(b'{"a":""}\n')
    before, after = b'{"a":"%s"}\n' % (b"x" * size), b'{"openid":"%s"}\n' % OTHER.encode()
    put_file(aws, "shop/uploads/u1", before + row + after)
    assert len(found(files)) == 1

    assert erased(files) == []
    assert content(aws, "shop/uploads/u1") == before + after


# Consents


HASH = PERSON.hashes[0]


def test_consents(aws: Aws, stack: AwsStack) -> None:
    names = [f"consents#shop#{HASH}", f"consents#other#{HASH}", "consents#shop#0123"]

    def put(*names: str) -> None:
        for name in names:
            aws("dynamodb").put_item(TableName="ledger", Item={"pk": {"S": name}, "version": {"N": "1"}})

    put(*names)
    place = Consents(stack, "shop", PERSON)
    (consents,) = found(place)
    assert (consents.name, OPENID in str(consents)) == (HASH, False)
    put(f"consents#shop#{PERSON.hashes[1]}")  # the service has moved it while the operator was asked
    assert erased(place) == []
    kept = {item["pk"]["S"] for item in aws("dynamodb").scan(TableName="ledger")["Items"]}
    assert kept == set(names[1:])
    place.erase([])


def test_key_of_consents_is_the_services(aws: Aws, stack: AwsStack, clients: Clients) -> None:
    ConsentTable(clients, "ledger", 0.0).put(PersonConsents("shop", HASH, 1))
    assert len(found(Consents(stack, "shop", PERSON))) == 1
    assert len(aws("dynamodb").scan(TableName="ledger")["Items"]) == 1


# A table that is restored afterwards


def test_nobody_comes_back_from_a_backup(
    entries: Entries, stack: AwsStack, aws: Aws, capsys: pytest.CaptureFixture[str], monkeypatch: Any
) -> None:
    """A missing consent may have been lost, or erased; without it the person is asked again."""
    dynamodb = aws("dynamodb")
    put_entry(aws, "m1", "sent")
    put_entry(aws, "lost", "sent", openid_hash={"S": "0" * 16})
    put_entry(aws, "kept", "sent", pk={"S": "consents#shop#0123"}, version=2)
    put_entry(aws, "gone", "sent", pk={"S": f"consents#shop#{HASH}"})
    anew = {"S": f"consents#shop#{PERSON.hashes[1]}"}
    put_entry(aws, "erased", "sent", pk=anew, version=7, age=60)
    described = dynamodb.describe_table(TableName="ledger")["Table"]
    dynamodb.create_table(
        TableName="restored",
        BillingMode="PAY_PER_REQUEST",
        KeySchema=described["KeySchema"],
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
    )
    for item in dynamodb.scan(TableName="ledger")["Items"]:
        dynamodb.put_item(TableName="restored", Item=item)
    put_entry(aws, "kept", "damaged", pk={"S": "consents#shop#0123"}, version=1, age=60)
    for place in (entries, Consents(stack, "shop", PERSON)):
        assert erased(place) == []
    dynamodb.delete_item(TableName="ledger", Key={"pk": {"S": "message#shop#lost"}})
    put_entry(aws, "again", "sent", pk=anew)  # the person has come back, and begins with the first version

    monkeypatch.setattr("boto3.client", lambda _: dynamodb)
    assert restore.main(["--from", "restored", "--to", "ledger", "--apply"]) == 0
    told = capsys.readouterr().out
    assert "1 missing and 1 older items" in told
    assert "1 consents that may have been erased" in told
    assert "openid_hash" not in entry(aws, "m1")
    assert entry(aws, "lost") is not None
    left = {item["pk"]["S"]: item for item in dynamodb.scan(TableName="ledger")["Items"]}
    assert f"consents#shop#{HASH}" not in left
    assert left["consents#shop#0123"]["status"]["S"] == "sent"
    assert left[anew["S"]]["id"]["S"] == "again"
