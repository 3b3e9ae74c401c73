"""The AWS adapters against an AWS in this process, and the refresher's invocation over the wire."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError, ConnectTimeoutError, EndpointConnectionError, NoCredentialsError
from hypothesis import given
from hypothesis import strategies as st

import wechat_notify
from tests.integration.conftest import PATH, RETENTION
from tests.integration.raw_server import Connection, RawServer, always, answer, json_answer
from wechat_notify.aws import clients, ledger
from wechat_notify.aws.events import EventBus
from wechat_notify.aws.ledger import LedgerTable
from wechat_notify.aws.refresher import RefreshFunction
from wechat_notify.aws.sqs import Queue
from wechat_notify.aws.ssm import Accounts, AppCredentials, StoredTokens
from wechat_notify.core.circuits import AccountCircuits, Circuit
from wechat_notify.core.ledger import Change, Entry
from wechat_notify.core.outcomes import (
    Bilingual,
    ErrorClass,
    Holds,
    Later,
    Notice,
    Outcome,
    RefresherBusyError,
    Status,
    StorageError,
    TokenUnavailableError,
    UnknownAccountError,
)
from wechat_notify.core.tokens import AccessToken, Grant
from wechat_notify.wechat import client as wechat_client

Put = Callable[[str, str], None]
Aws = Callable[..., Any]
LambdaAt = Callable[[str], RefreshFunction]

HINT = wechat_client._hint(0)
SENT = Entry(
    account="shop",
    id="019ca8d13f2b7c3e8a4d5e6f70819203",
    status=Status.SENT,
    fingerprint="5e884898da28047151d0e56f8dc62927",
    writer="c6af9ac6-7b61-4c9d-8d6e-1f2a3b4c5d6e",
    created_at=1_772_348_645.123,
    updated_at=1_772_348_645.5,
    version=2,
    kind="subscription",
    template_id="ngqIpbwh8bUfcSsECmogfXcV14J0tQlEpBO27izEYtY",
    openid_hash="0123456789abcdef",
    attempts=1,
    outcome=Outcome(
        Status.SENT,
        ErrorClass.SUCCESS,
        HINT,
        errcode=0,
        errmsg="ok",
        msgid=1_864_323_726_461_255_680,
    ),
    timeline=(
        Change(Status.SENDING, 1_772_348_645.123),
        Change(Status.SENT, 1_772_348_645.5, errcode=0),
    ),
)
TOKEN = AccessToken("57_token", 2_000_000_000.5, 1_999_990_000.0, "2033-05-18", 3, 1_999_980_000.25)


class Source:
    """A token source that remembers its credentials."""

    def __init__(self, credentials: AppCredentials) -> None:
        self.credentials = credentials

    def fetch(self, *, force: bool) -> Grant:
        raise NotImplementedError(force)


def app(app_id: str) -> str:
    return json.dumps({"type": "app", "app_id": app_id, "app_secret": f"secret of {app_id}"})


# The parameter store


def test_what_the_refresher_saves_the_sender_reads(aws: Aws) -> None:
    accounts = Accounts(PATH, Source)
    accounts.save("shop", TOKEN)
    assert StoredTokens(PATH).read("shop") == TOKEN
    stored = aws("ssm").get_parameter(Name=f"{PATH}/shop/access-token")["Parameter"]
    assert stored["Type"] == "SecureString"


@pytest.mark.usefixtures("aws")
def test_a_saved_token_replaces_the_one_before() -> None:
    accounts = Accounts(PATH, Source)
    accounts.save("shop", AccessToken("old", 5.0, 1.0))
    accounts.save("shop", TOKEN)
    assert StoredTokens(PATH).read("shop") == TOKEN


@pytest.mark.usefixtures("aws")
def test_no_stored_token_is_none() -> None:
    assert StoredTokens(PATH).read("shop") is None


@pytest.mark.parametrize("value", ["", " ", "57_token", "[]", '{"value": "t"}', '{"value": 1}', '"text"'])
def test_a_stored_token_that_cannot_be_read_counts_as_none(put: Put, value: str) -> None:
    put("shop/access-token", value or "-")
    put("shop/credentials", app("wxshop"))
    assert StoredTokens(PATH).read("shop") is None
    account = Accounts(PATH, Source).load("shop")
    assert account.token is None
    assert account.source


def test_an_account_is_its_credentials_and_its_token(put: Put) -> None:
    put("shop/credentials", ' {"type": "app", "app_id": " wxshop\\n", "app_secret": " s3cret\\n"} ')
    accounts = Accounts(PATH, Source)
    assert accounts.load("shop").token is None
    accounts.save("shop", TOKEN)
    account = accounts.load("shop")
    assert (account.name, account.token, account.problem) == ("shop", TOKEN, None)
    assert isinstance(account.source, Source)
    credentials = account.source.credentials
    assert (credentials.app_id, credentials.app_secret) == ("wxshop", "s3cret")


def test_an_account_without_credentials_is_unknown(put: Put) -> None:
    put("shop/access-token", "{}")
    for name in ("shop", "nobody"):
        with pytest.raises(UnknownAccountError):
            Accounts(PATH, Source).load(name)


@pytest.fixture
def called(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The AWS operations that were called."""
    names: list[str] = []

    class Recorder:
        def __getattr__(self, method: str) -> Callable[..., Any]:
            def call(**_: object) -> dict[str, Any]:
                names.append(method)
                return {"Parameters": []}

            return call

    monkeypatch.setattr(clients, "client", lambda _service, **_: Recorder())
    return names


@pytest.mark.parametrize("name", ["", "Shop", "a/b", "../shop", "shop ", "shop\n", "é", "a" * 65, "a_b"])
def test_a_name_that_no_account_can_have_never_reaches_aws(called: list[str], name: str) -> None:
    with pytest.raises(UnknownAccountError):
        Accounts(PATH, Source).load(name)
    assert not called


@pytest.mark.parametrize("name", ["a", "0", "-", "a" * 64, "shop-2"])
def test_a_name_that_an_account_can_have_does(called: list[str], name: str) -> None:
    with pytest.raises(UnknownAccountError):
        Accounts(PATH, Source).load(name)
    assert called == ["get_parameters"]


def test_the_refresher_is_patient_and_who_must_not_lose_what_came_of_a_message(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    patience: list[bool] = []

    def client(_service: str, *, patient: bool = False) -> Failing:
        patience.append(patient)
        return Failing(NoCredentialsError())

    monkeypatch.setattr(clients, "client", client)
    for call in STORE_CALLS.values():
        with pytest.raises(StorageError):
            call()
    assert dict(zip(STORE_CALLS, patience, strict=True)) == {
        "read": False,
        "load": True,
        "load_all": True,
        "save": True,
        "send": False,
        "hand_out_again": False,
        "put": False,
        "put patiently": True,
        "read entry": False,
        "put_circuits": False,
        "read_circuits": False,
    }


def test_all_accounts_are_listed_page_by_page(put: Put) -> None:
    for number in range(13):
        put(f"shop-{number}/credentials", app(f"wx{number}"))
    for number in range(0, 13, 2):
        put(
            f"shop-{number}/access-token",
            json.dumps({"value": f"t{number}", "expires_at": 9, "obtained_at": 1}),
        )
    listed = {account.name: account for account in Accounts(PATH, Source).load_all()}
    assert listed.keys() == {f"shop-{number}" for number in range(13)}
    for number in range(13):
        account = listed[f"shop-{number}"]
        assert isinstance(account.source, Source)
        assert account.source.credentials.app_id == f"wx{number}"
        assert (account.token.value if account.token else None) == (None if number % 2 else f"t{number}")


def test_what_else_lies_in_the_tree_is_left_alone(aws: Aws, put: Put) -> None:
    put("shop/credentials", app("wxshop"))
    put("shop/notes", "call the agency")
    put("shop/old/credentials", "deeper")
    put("only-a-token/access-token", "{}")
    put("credentials", "at the top")
    put("access-token", "at the top")
    aws("ssm").put_parameter(Name=f"{PATH}-of-another/x/credentials", Value=app("wxx"), Type="SecureString")
    assert [account.name for account in Accounts(PATH, Source).load_all()] == ["shop"]


def test_no_accounts_are_no_trouble(aws: Aws) -> None:
    assert list(Accounts(PATH, Source).load_all()) == []
    assert aws("ssm") is aws("ssm")


@pytest.mark.parametrize(
    ("credentials", "named"),
    [
        ("wxshop", "JSON"),
        ("[]", "JSON"),
        ('{"type": "authorizer", "app_id": "a", "app_secret": "s"}', "type"),
        ('{"app_id": "a", "app_secret": "s"}', "type"),
        ('{"type": "app", "app_id": "", "app_secret": "s"}', "app_id"),
        ('{"type": "app", "app_id": "a", "app_secret": " "}', "app_secret"),
        ('{"type": "app", "app_id": 5}', "app_id, app_secret"),
        ('{"type": "app", "app_id": "a", "app_secret": "s", "token": "t"}', "an unknown field"),
    ],
)
def test_credentials_that_are_none_are_a_problem_of_their_account_alone(
    put: Put, credentials: str, named: str
) -> None:
    put("broken/credentials", credentials)
    put("shop/credentials", app("wxshop"))
    accounts = Accounts(PATH, Source)
    by_name = {account.name: account for account in accounts.load_all()}
    assert by_name["shop"].source
    assert by_name["broken"] == accounts.load("broken")
    assert by_name["broken"].source is None
    assert by_name["broken"].problem == f'must be {{"type": "app", "app_id", "app_secret"}}; wrong: {named}'


def test_an_account_under_an_impossible_name_is_listed_with_its_problem(put: Put) -> None:
    put("My_Shop/credentials", app("wxshop"))
    (account,) = Accounts(PATH, Source).load_all()
    assert account.source is None
    assert "a-z, 0-9 and -" in str(account.problem)


# Failures


class Failing:
    """An AWS client of which every call fails."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    def __getattr__(self, _method: str) -> Callable[..., None]:
        def fail(**_: object) -> None:
            raise self._error

        return fail


STORE_CALLS: dict[str, Callable[[], object]] = {
    "read": lambda: StoredTokens(PATH).read("shop"),
    "load": lambda: Accounts(PATH, Source).load("shop"),
    "load_all": lambda: list(Accounts(PATH, Source).load_all()),
    "save": lambda: Accounts(PATH, Source).save("shop", TOKEN),
    "send": lambda: Queue("url").send("body"),
    "hand_out_again": lambda: Queue("url").hand_out_again("handle", 5),
    "put": lambda: LedgerTable("ledger", RETENTION).put(SENT),
    "put patiently": lambda: LedgerTable("ledger", RETENTION).put(SENT, patient=True),
    "read entry": lambda: LedgerTable("ledger", RETENTION).read("shop", "1"),
    "put_circuits": lambda: LedgerTable("ledger", RETENTION).put_circuits(AccountCircuits("shop", 1)),
    "read_circuits": lambda: LedgerTable("ledger", RETENTION).read_circuits(["shop"]),
}


@pytest.mark.parametrize("call", STORE_CALLS.values(), ids=STORE_CALLS.keys())
@pytest.mark.parametrize(
    ("error", "code"),
    [
        (
            ClientError({"Error": {"Code": "ThrottlingException", "Message": "slow"}}, "Op"),
            "ThrottlingException",
        ),
        (ClientError({}, "Op"), "ClientError"),
        (EndpointConnectionError(endpoint_url="https://ssm"), "EndpointConnectionError"),
        (ConnectTimeoutError(endpoint_url="https://ssm"), "ConnectTimeoutError"),
        (NoCredentialsError(), "NoCredentialsError"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_every_failure_is_a_storage_error_with_awss_code(
    monkeypatch: pytest.MonkeyPatch, call: Callable[[], object], error: Exception, code: str
) -> None:
    monkeypatch.setattr(clients, "client", lambda _service, **_: Failing(error))
    with pytest.raises(StorageError) as raised:
        call()
    assert raised.value.code == code
    assert raised.value.__cause__ is None
    assert raised.value.__context__ is None


# Queues


def receive(aws: Aws, url: str) -> list[dict[str, Any]]:
    answer = aws("sqs").receive_message(QueueUrl=url, MessageAttributeNames=["All"], MaxNumberOfMessages=10)
    messages: list[dict[str, Any]] = answer.get("Messages", [])
    return messages


@pytest.fixture
def queue_url(aws: Aws) -> str:
    url: str = aws("sqs").create_queue(QueueName="send", Attributes={"VisibilityTimeout": "3600"})["QueueUrl"]
    return url


def test_a_message_is_put_on_the_queue_with_its_attributes(aws: Aws, queue_url: str) -> None:
    Queue(queue_url).send('{"a": "\\u6df1"}', reason="not JSON: 行", message_id="1-2", nothing="")
    (received,) = receive(aws, queue_url)
    assert received["Body"] == '{"a": "\\u6df1"}'
    assert received["MessageAttributes"] == {
        "reason": {"DataType": "String", "StringValue": "not JSON: 行"},
        "message_id": {"DataType": "String", "StringValue": "1-2"},
    }


def test_a_message_without_attributes_is_put_on_the_queue(aws: Aws, queue_url: str) -> None:
    Queue(queue_url).send("body")
    (received,) = receive(aws, queue_url)
    assert "MessageAttributes" not in received


def test_a_received_message_can_be_handed_out_again(aws: Aws, queue_url: str) -> None:
    queue = Queue(queue_url)
    queue.send("body")
    (received,) = receive(aws, queue_url)
    assert receive(aws, queue_url) == []
    queue.hand_out_again(received["ReceiptHandle"], 0.4)
    assert [again["Body"] for again in receive(aws, queue_url)] == ["body"]
    queue.hand_out_again(received["ReceiptHandle"], 11.5 * 3600)


@pytest.mark.usefixtures("aws")
def test_a_queue_that_is_none_is_a_storage_error() -> None:
    queue = Queue("https://sqs.eu-central-1.amazonaws.com/123456789012/none")
    with pytest.raises(StorageError, match="NonExistentQueue"):
        queue.send("body")
    with pytest.raises(StorageError):
        queue.hand_out_again("handle", 5)


def test_messages_for_later_are_put_on_the_queue_ten_at_a_time_and_in_parts_that_fit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    calls: list[list[dict[str, Any]]] = []

    class Sqs:
        def send_message_batch(self, QueueUrl: str, Entries: list[dict[str, Any]]) -> dict[str, Any]:  # noqa: N803
            assert QueueUrl == "url"
            calls.append(Entries)
            return {"Successful": [{"Id": entry["Id"]} for entry in Entries]}

    monkeypatch.setattr(clients, "client", lambda _service, **_: Sqs())
    small, large = Later("small", 1), Later("深" * 80_000, 900, "shop", {"message_id": "1"})
    assert Queue("url").send_later([small] * 12 + [large] * 3) == []
    assert [[entry["MessageBody"][0] for entry in entries] for entries in calls] == [
        ["s"] * 10,
        ["s"] * 2 + ["深"],
        ["深"],
        ["深"],
    ]
    assert calls[1][0] == {"Id": "10", "DelaySeconds": 1, "MessageBody": "small", "MessageAttributes": {}}
    assert {name: calls[3][0][name] for name in ("Id", "DelaySeconds", "MessageGroupId")} == {
        "Id": "14",
        "DelaySeconds": 900,
        "MessageGroupId": "shop",
    }


def test_what_sqs_does_not_report_as_sent_has_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    answers: list[Any] = [
        {"Successful": [{"Id": str(n)} for n in range(10) if n not in {3, 4}], "Failed": [{"Id": "3"}]},
        ClientError({"Error": {"Code": "Throttled", "Message": "no"}}, "SendMessageBatch"),
        {"Successful": [{"Id": "20"}]},
    ]

    class Sqs:
        def send_message_batch(self, **_: Any) -> dict[str, Any]:
            answered: dict[str, Any] | Exception = answers.pop(0)
            if isinstance(answered, Exception):
                raise answered
            return answered

    monkeypatch.setattr(clients, "client", lambda _service, **_: Sqs())
    assert Queue("url").send_later([Later("body", 5)] * 21) == [3, 4, *range(10, 20)]


# The event bus


def test_events_are_published_ten_at_a_time_and_in_parts_that_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []

    class Events:
        def put_events(self, Entries: list[dict[str, Any]]) -> dict[str, Any]:  # noqa: N803
            calls.append(len(Entries))
            return {"FailedEntryCount": 0, "Entries": [{"EventId": "1"} for _ in Entries]}

    monkeypatch.setattr(clients, "client", lambda _service, **_: Events())
    small, large = Notice("small", {}), Notice("large", {"text": "x" * 150_000})
    assert EventBus("bus").publish([small] * 12 + [large] * 2) == 0
    assert calls == [10, 3, 1]


def test_events_that_are_refused_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    answers: list[Any] = [
        {
            "FailedEntryCount": 2,
            "Entries": [{"EventId": "1"}] * 8 + [{"ErrorCode": "ThrottlingException"}] * 2,
        },
        NoCredentialsError(),
        {"FailedEntryCount": 0, "Entries": [{"EventId": "1"}]},
    ]

    class Events:
        def put_events(self, **_: Any) -> dict[str, Any]:
            answered: dict[str, Any] | Exception = answers.pop(0)
            if isinstance(answered, Exception):
                raise answered
            return answered

    monkeypatch.setattr(clients, "client", lambda _service, **_: Events())
    assert EventBus("bus").publish([Notice("any", {"at": Path("x")})] * 21) == 12


# The ledger's table


def item(aws: Aws, key: str) -> dict[str, Any]:
    found: dict[str, Any] = aws("dynamodb").get_item(TableName="ledger", Key={"pk": {"S": key}})["Item"]
    return found


def size(attribute: Mapping[str, Any]) -> int:
    """An attribute's bytes as DynamoDB counts them.

    https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/CapacityUnitCalculations.html
    """
    ((kind, value),) = attribute.items()
    match kind:
        case "S":
            return len(value.encode())
        case "N":
            return len(value.strip("-0.").replace(".", "")) // 2 + 2
        case "BOOL":
            return 1
        case "L":
            return 3 + sum(1 + size(each) for each in value)
    return 3 + sum(1 + len(name.encode()) + size(each) for name, each in value.items())


def test_an_item_can_be_read_by_people(aws: Aws, ledger_table: LedgerTable) -> None:
    ledger_table.put(SENT)
    assert item(aws, "message#shop#019ca8d13f2b7c3e8a4d5e6f70819203") == {
        "pk": {"S": "message#shop#019ca8d13f2b7c3e8a4d5e6f70819203"},
        "account": {"S": "shop"},
        "id": {"S": "019ca8d13f2b7c3e8a4d5e6f70819203"},
        "status": {"S": "sent"},
        "fingerprint": {"S": "5e884898da28047151d0e56f8dc62927"},
        "writer": {"S": "c6af9ac6-7b61-4c9d-8d6e-1f2a3b4c5d6e"},
        "created_at": {"N": "1772348645.123"},
        "updated_at": {"N": "1772348645.500"},
        "version": {"N": "2"},
        "kind": {"S": "subscription"},
        "template_id": {"S": "ngqIpbwh8bUfcSsECmogfXcV14J0tQlEpBO27izEYtY"},
        "openid_hash": {"S": "0123456789abcdef"},
        "attempts": {"N": "1"},
        "outcome": {
            "M": {
                "status": {"S": "sent"},
                "error_class": {"S": "success"},
                "hint": {"M": {"en": {"S": HINT.en}, "zh": {"S": HINT.zh}}},
                "retryable": {"BOOL": False},
                "errcode": {"N": "0"},
                "errmsg": {"S": "ok"},
                "msgid": {"N": "1864323726461255680"},
                "unattempted": {"BOOL": False},
            }
        },
        "timeline": {
            "L": [
                {"M": {"status": {"S": "sending"}, "at": {"N": "1772348645.123"}}},
                {"M": {"status": {"S": "sent"}, "at": {"N": "1772348645.500"}, "errcode": {"N": "0"}}},
            ]
        },
        "ttl": {"N": "1774940646"},
    }


def test_the_items_of_a_good_message_take_one_write_unit_each(aws: Aws, ledger_table: LedgerTable) -> None:
    assert SENT.outcome
    largest = replace(
        SENT,
        account="a" * 64,
        id="i" * 64,
        kind="mini_program_subscription",
        expires_at=1_772_348_999.999,
        outcome=replace(SENT.outcome, msgid=2**63 - 1),
    )
    for entry, most in ((SENT, 768), (largest, 1024)):
        ledger_table.put(entry)
        stored = item(aws, f"message#{entry.account}#{entry.id}")
        assert size({"M": stored}) < most


@pytest.mark.parametrize("expires_at", [None, SENT.updated_at - 5, SENT.updated_at + 7200.25])
def test_an_entry_outlives_its_last_change_and_its_expiry(
    aws: Aws, ledger_table: LedgerTable, expires_at: float | None
) -> None:
    ledger_table.put(replace(SENT, expires_at=expires_at))
    ttl = int(item(aws, f"message#shop#{SENT.id}")["ttl"]["N"])
    assert 0 <= ttl - RETENTION - max(SENT.updated_at, expires_at or 0.0) < 1


def test_circuits_outlive_their_holds_and_vanish_when_there_are_none(
    aws: Aws, ledger_table: LedgerTable
) -> None:
    table = LedgerTable("ledger", RETENTION, now=lambda: 1000.5)
    circuits = tuple(
        Circuit(f"kind:{until}", ErrorClass.QUOTA, 45009, 900.0, until) for until in (990.0, 2000.25)
    )
    for version, (open_now, over) in enumerate(
        ((circuits, 2000.25), (circuits[:1], 1000.5), ((), 1000.5)), 1
    ):
        assert table.put_circuits(AccountCircuits("shop", version, "writer", open_now)) is None
        ttl = int(item(aws, "circuits#shop")["ttl"]["N"])
        assert 0 <= ttl - RETENTION - over < 1
    assert ledger_table.read_circuits(["shop"])["shop"].circuits == ()


def optional(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.none() | strategy


TEXT = st.text(st.characters(exclude_categories=["Cs"]))  # no half of a surrogate pair gets that far
TIMES = st.integers(-(10**12), 10**13).map(lambda milliseconds: milliseconds / 1000)
NUMBERS = st.integers(-(2**63), 2**63 - 1)
CLASSES = st.sampled_from(ErrorClass)
STATUSES = st.sampled_from(Status)
OUTCOMES = st.builds(
    Outcome,
    status=STATUSES,
    error_class=CLASSES,
    hint=st.builds(Bilingual, TEXT, TEXT),
    retryable=st.booleans(),
    errcode=optional(NUMBERS),
    errmsg=optional(TEXT),
    rid=optional(TEXT),
    msgid=optional(NUMBERS),
    field=optional(TEXT),
    retry_after=optional(TIMES),
    unattempted=st.booleans(),
    repeats=optional(NUMBERS),
    holds=optional(st.sampled_from(Holds)),
)
CHANGES = st.builds(Change, STATUSES, TIMES, optional(NUMBERS), optional(TEXT))
ENTRIES = st.builds(
    Entry,
    account=TEXT,
    id=TEXT,
    status=STATUSES,
    fingerprint=TEXT,
    writer=TEXT,
    created_at=TIMES,
    updated_at=TIMES,
    version=NUMBERS,
    kind=optional(TEXT),
    template_id=optional(TEXT),
    openid_hash=optional(TEXT),
    attempts=NUMBERS,
    expires_at=optional(TIMES),
    lease_until=optional(TIMES),
    lost_at=optional(TIMES),
    reason=optional(TEXT),
    outcome=optional(OUTCOMES),
    timeline=st.lists(CHANGES, max_size=4).map(tuple),
)
CIRCUITS = st.builds(
    AccountCircuits,
    account=TEXT,
    version=NUMBERS,
    writer=TEXT,
    circuits=st.lists(
        st.builds(Circuit, TEXT, CLASSES, optional(NUMBERS), TIMES, TIMES, NUMBERS), max_size=4
    ).map(tuple),
)


@given(ENTRIES, CIRCUITS)
def test_what_is_written_is_what_is_read(entry: Entry, circuits: AccountCircuits) -> None:
    sent = json.dumps([ledger._ENTRIES.to_item(entry), ledger._CIRCUITS.to_item(circuits)])
    first, second = json.loads(sent)
    assert ledger._ENTRIES.from_item(first) == entry
    assert ledger._CIRCUITS.from_item(second) == circuits


@given(st.floats(0, 4e9))
def test_times_are_kept_to_the_millisecond(at: float) -> None:
    kept = ledger._ENTRIES.from_item(ledger._ENTRIES.to_item(replace(SENT, updated_at=at))).updated_at
    assert abs(kept - at) <= 0.000_501


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("status", {"S": "oGivenByHand"}),
        ("status", None),
        ("version", {"S": "oGivenByHand"}),
        ("version", {"N": "1.5"}),
        ("updated_at", {"S": "oGivenByHand"}),
        ("account", {"N": "5"}),
        ("outcome", {"M": {"status": {"S": "sent"}}}),
        ("outcome", {"S": "oGivenByHand"}),
        ("timeline", {"L": [{"S": "oGivenByHand"}]}),
        ("timeline", {"SS": ["oGivenByHand"]}),
        ("kind", {"B": b"oGivenByHand"}),
    ],
)
def test_an_item_that_was_changed_by_hand_is_told_of_without_its_content(
    aws: Aws, ledger_table: LedgerTable, name: str, value: dict[str, Any] | None
) -> None:
    ledger_table.put(SENT)
    changed = item(aws, f"message#shop#{SENT.id}") | ({name: value} if value else {})
    if value is None:
        del changed[name]
    aws("dynamodb").put_item(TableName="ledger", Item=changed)
    calls: list[Callable[[], object]] = [
        lambda: ledger_table.read("shop", SENT.id),
        lambda: ledger_table.put(SENT),
    ]
    for call in calls:
        with pytest.raises(StorageError) as raised:
            call()
        assert raised.value.code == "UnreadableItem"
        assert "oGivenByHand" not in str(raised.value)
        assert raised.value.__cause__ is None
        assert raised.value.__context__ is None


def test_circuits_that_were_changed_by_hand_are_told_of(aws: Aws, ledger_table: LedgerTable) -> None:
    broken = {"pk": {"S": "circuits#shop"}, "circuits": {"S": "none"}, "version": {"N": "1"}}
    aws("dynamodb").put_item(TableName="ledger", Item=broken)
    calls: list[Callable[[], object]] = [
        lambda: ledger_table.read_circuits(["shop", "shop-2"]),
        lambda: ledger_table.put_circuits(AccountCircuits("shop", 1)),
    ]
    for call in calls:
        with pytest.raises(StorageError, match="UnreadableItem"):
            call()


def test_fields_that_a_later_version_added_are_read_past(aws: Aws, ledger_table: LedgerTable) -> None:
    ledger_table.put(SENT)
    newer = item(aws, f"message#shop#{SENT.id}")
    newer["colour"] = {"NULL": True}
    newer["outcome"]["M"]["colour"] = newer["timeline"]["L"][0]["M"]["colour"] = {"S": "green"}
    with pytest.raises(StorageError):  # a type that is never written is nobody's later version
        ledger._ENTRIES.from_item(newer)
    newer["colour"] = {"S": "green"}
    aws("dynamodb").put_item(TableName="ledger", Item=newer)
    assert ledger_table.read("shop", SENT.id) == SENT


class ScriptedDynamoDb:
    """A client that gives the answers of a script, and notes what was asked."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)
        self.asked: list[tuple[str, dict[str, Any]]] = []

    def __getattr__(self, method: str) -> Callable[..., Any]:
        def call(**request: Any) -> Any:
            self.asked.append((method, request))
            answered = self.answers.pop(0)
            if isinstance(answered, Exception):
                raise answered
            return answered

        return call


def refused_with(**fields: Any) -> ClientError:
    failed = {"Error": {"Code": "ConditionalCheckFailedException", "Message": "oGivenByHand"}, **fields}
    return ClientError(failed, "PutItem")  # type: ignore[arg-type]  # as botocore makes it


@pytest.fixture
def scripted(monkeypatch: pytest.MonkeyPatch) -> Callable[..., ScriptedDynamoDb]:
    def script(*answers: Any) -> ScriptedDynamoDb:
        dynamodb = ScriptedDynamoDb(*answers)
        monkeypatch.setattr(clients, "client", lambda _service, **_: dynamodb)
        return dynamodb

    return script


def test_a_put_is_one_call_whether_it_wins_or_not(scripted: Callable[..., ScriptedDynamoDb]) -> None:
    dynamodb = scripted({}, refused_with(Item=ledger._ENTRIES.to_item(SENT)))
    table = LedgerTable("ledger", RETENTION)
    assert table.put(SENT) is None
    assert table.put(replace(SENT, writer="another")) == SENT
    assert [method for method, _ in dynamodb.asked] == ["put_item"] * 2
    for _, request in dynamodb.asked:
        assert request["TableName"] == "ledger"
        assert request["ReturnValuesOnConditionCheckFailure"] == "ALL_OLD"
        assert request["ExpressionAttributeValues"] == {":previous": {"N": "1"}}


def test_where_the_refusal_does_not_say_what_stands_there_it_is_read(
    scripted: Callable[..., ScriptedDynamoDb],
) -> None:
    dynamodb = scripted(refused_with(), {"Item": ledger._ENTRIES.to_item(SENT)})
    assert LedgerTable("ledger", RETENTION).put(SENT) == SENT
    assert [method for method, _ in dynamodb.asked] == ["put_item", "get_item"]
    assert dynamodb.asked[1][1]["ConsistentRead"] is True


def test_what_vanished_meanwhile_is_put_once_more_and_not_for_ever(
    scripted: Callable[..., ScriptedDynamoDb],
) -> None:
    table = LedgerTable("ledger", RETENTION)
    dynamodb = scripted(refused_with(), {}, {})
    assert table.put(SENT) is None
    assert [method for method, _ in dynamodb.asked] == ["put_item", "get_item", "put_item"]
    dynamodb = scripted(*[refused_with(), {}] * 3)
    with pytest.raises(StorageError, match="Contended") as raised:
        table.put(SENT)
    assert len(dynamodb.asked) == 4
    assert raised.value.__context__ is None


def keys_asked(request: dict[str, Any]) -> list[str]:
    assert request["RequestItems"]["ledger"]["ConsistentRead"] is True
    return [key["pk"]["S"] for key in request["RequestItems"]["ledger"]["Keys"]]


def test_circuits_are_read_a_hundred_accounts_a_call(scripted: Callable[..., ScriptedDynamoDb]) -> None:
    dynamodb = scripted(*[{"Responses": {"ledger": []}}] * 3)
    names = [f"shop-{number:03}" for number in range(201)]
    assert LedgerTable("ledger", RETENTION).read_circuits(names) == {}
    asked = [keys_asked(request) for _, request in dynamodb.asked]
    assert [len(keys) for keys in asked] == [100, 100, 1]
    assert [key for keys in asked for key in keys] == [f"circuits#{name}" for name in names]


def test_names_that_no_account_has_are_not_asked_for(scripted: Callable[..., ScriptedDynamoDb]) -> None:
    dynamodb = scripted({"Responses": {"ledger": []}})
    strange = ["", "Shop", "a#b", "深圳", "x" * 3000]
    assert LedgerTable("ledger", RETENTION).read_circuits(strange) == {}
    assert dynamodb.asked == []
    LedgerTable("ledger", RETENTION).read_circuits([*strange, "shop"])
    assert [keys_asked(request) for _, request in dynamodb.asked] == [["circuits#shop"]]


@pytest.fixture
def slept(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses that were made, without making them."""
    seconds: list[float] = []
    monkeypatch.setattr(time, "sleep", seconds.append)
    return seconds


def test_what_a_busy_table_left_unread_is_asked_for_again(
    scripted: Callable[..., ScriptedDynamoDb], slept: list[float]
) -> None:
    circuits = [AccountCircuits(name, 1, "writer") for name in ("a", "b", "c")]
    items = [ledger._CIRCUITS.to_item(each) for each in circuits]
    left = {"ledger": {"Keys": [{"pk": items[2]["pk"]}], "ConsistentRead": True}}
    dynamodb = scripted(
        {"Responses": {"ledger": items[:2]}, "UnprocessedKeys": left},
        {"Responses": {}, "UnprocessedKeys": left},
        {"Responses": {"ledger": items[2:]}, "UnprocessedKeys": {}},
    )
    found = LedgerTable("ledger", RETENTION).read_circuits(["a", "b", "c"])
    assert found == {each.account: each for each in circuits}
    assert [len(keys_asked(request)) for _, request in dynamodb.asked] == [3, 1, 1]
    assert slept == [0.05, 0.1]


def test_a_table_that_stays_busy_is_given_up(
    scripted: Callable[..., ScriptedDynamoDb], slept: list[float]
) -> None:
    left = {"ledger": {"Keys": [{"pk": {"S": "circuits#a"}}], "ConsistentRead": True}}
    dynamodb = scripted(*[{"Responses": {}, "UnprocessedKeys": left}] * 10)
    with pytest.raises(StorageError, match="UnprocessedKeys"):
        LedgerTable("ledger", RETENTION).read_circuits(["a"])
    assert len(dynamodb.asked) == 5
    assert sum(slept) < 1


def throttled(code: str = "ProvisionedThroughputExceededException") -> bytes:
    written = json.dumps({"__type": f"com.amazonaws.dynamodb.v20120810#{code}", "message": "slow"})
    return answer(written.encode(), status="400 Bad Request", content_type="application/x-amz-json-1.0")


@pytest.mark.parametrize("code", ["ProvisionedThroughputExceededException", "ThrottlingException"])
@pytest.mark.parametrize(("patient", "attempts", "seconds"), [(False, 6, 1.55), (True, 8, 6.35)])
def test_a_throttled_table_is_ridden_out_with_short_pauses(
    table_at: Callable[[str], LedgerTable],
    slept: list[float],
    code: str,
    attempts: int,
    seconds: float,
    *,
    patient: bool,
) -> None:
    with RawServer(always(throttled(code))) as server, pytest.raises(StorageError) as raised:
        table_at(server.url).put(SENT, patient=patient)
    assert raised.value.code == code
    assert len(server.requests) == attempts
    assert sum(slept) == pytest.approx(seconds)
    assert slept[0] == pytest.approx(0.05)


def test_a_write_whose_answer_was_lost_meets_itself(table_at: Callable[[str], LedgerTable]) -> None:
    there = {
        "__type": "com.amazonaws.dynamodb.v20120810#ConditionalCheckFailedException",
        "Item": ledger._ENTRIES.to_item(SENT),
    }
    requests: list[dict[str, Any]] = []

    def script(connection: Connection) -> None:
        while request := connection.read_request():
            requests.append(json.loads(request.body))
            if len(requests) == 1:
                return  # it was stored, and nobody hears of it
            connection.write(answer(json.dumps(there).encode(), status="400 Bad Request"))

    with RawServer(script) as server:
        assert table_at(server.url).put(SENT) == SENT
    assert requests[0] == requests[1]


# The refresher's function


def test_the_refresher_is_asked_with_the_digest_and_its_token_is_used(lambda_at: LambdaAt) -> None:
    token = {"value": "57_new", "expires_at": 2e9, "obtained_at": 1.5, "forced_day": "", "forced_count": 2}
    with RawServer(always(json_answer(result="token", token=token))) as server:
        answered = lambda_at(server.url).ask("shop", "digest")
        lambda_at(server.url).ask("shop", None)
    assert answered == AccessToken("57_new", 2e9, 1.5, "", 2)
    first, second = server.requests
    assert first.target == "/2015-03-31/functions/token-refresh/invocations"
    assert first.headers.get("x-amz-invocation-type", "RequestResponse") == "RequestResponse"
    assert json.loads(first.body) == {"account": "shop", "rejected": "digest"}
    assert json.loads(second.body) == {"account": "shop", "rejected": None}
    assert server.accepted == 1


def test_the_refresher_knows_no_such_account(lambda_at: LambdaAt) -> None:
    with (
        RawServer(always(json_answer(result="unknown_account"))) as server,
        pytest.raises(UnknownAccountError),
    ):
        lambda_at(server.url).ask("shop", None)


def test_why_there_is_no_token_comes_back_word_for_word(lambda_at: LambdaAt) -> None:
    failure = {
        "status": "failed",
        "error_class": "config",
        "hint": {"en": "Approve the IP.", "zh": "请确认 IP。"},
        "retryable": False,
        "errcode": 40164,
        "errmsg": "invalid ip rid: 1-2",
        "rid": "1-2",
        "msgid": None,
        "field": None,
        "retry_after": 30.5,
        "unattempted": False,
    }
    written = json_answer(result="failed", failure=failure)
    with RawServer(always(written)) as server, pytest.raises(TokenUnavailableError) as raised:
        lambda_at(server.url).ask("shop", None)
    assert raised.value.outcome == Outcome(
        Status.FAILED,
        ErrorClass.CONFIG,
        Bilingual("Approve the IP.", "请确认 IP。"),
        errcode=40164,
        errmsg="invalid ip rid: 1-2",
        rid="1-2",
        retry_after=30.5,
    )


def refused(name: str, status: str) -> bytes:
    return answer(b'{"message":"no"}', f"X-Amzn-ErrorType: {name}", status=status)


def test_a_throttled_refresher_is_busy_and_not_asked_again_here(lambda_at: LambdaAt) -> None:
    written = refused("TooManyRequestsException", "429 Too Many Requests")
    with RawServer(always(written)) as server, pytest.raises(RefresherBusyError):
        lambda_at(server.url).ask("shop", None)
    assert len(server.requests) == 1


def test_a_refresher_that_takes_too_long_is_busy(lambda_at: LambdaAt) -> None:
    def silence(connection: Connection) -> None:
        connection.read_request()
        connection.wait(5)

    started = time.perf_counter()
    with RawServer(silence) as server, pytest.raises(RefresherBusyError):
        lambda_at(server.url).ask("shop", None)
    assert time.perf_counter() - started < 2
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("written", "code"),
    [
        (refused("ResourceNotFoundException", "404 Not Found"), "ResourceNotFoundException"),
        (refused("AccessDeniedException", "403 Forbidden"), "AccessDeniedException"),
        (refused("ServiceException", "500 Internal Server Error"), "ServiceException"),
        (answer(b'{"errorType":"KeyError"}', "X-Amz-Function-Error: Unhandled"), "FunctionError"),
        (answer(b"Task timed out", "X-Amz-Function-Error: Unhandled"), "FunctionError"),
        (answer(b""), "UnreadableAnswer"),
        (answer(b"null"), "UnreadableAnswer"),
        (answer(b"[]"), "UnreadableAnswer"),
        (answer(b"{}"), "UnreadableAnswer"),
        (answer(b'"token"'), "UnreadableAnswer"),
        (json_answer(result="token", token={"value": "t"}), "UnreadableAnswer"),
        (json_answer(result="token", token=None), "UnreadableAnswer"),
        (json_answer(result="failed", failure={"status": "failed"}), "UnreadableAnswer"),
        (json_answer(result="failed", failure={"status": "odd"}), "UnreadableAnswer"),
    ],
)
def test_a_refresher_that_fails_is_a_storage_error(lambda_at: LambdaAt, written: bytes, code: str) -> None:
    with RawServer(always(written)) as server, pytest.raises(StorageError) as raised:
        lambda_at(server.url).ask("shop", None)
    assert raised.value.code == code
    assert len(server.requests) == 1


def test_a_refresher_that_cannot_be_reached_is_a_storage_error(lambda_at: LambdaAt) -> None:
    with RawServer(always(b"")) as server:
        url = server.url
    with pytest.raises(StorageError, match="EndpointConnectionError"):
        lambda_at(url).ask("shop", None)


def test_an_answer_that_breaks_off_is_a_storage_error(lambda_at: LambdaAt) -> None:
    def script(connection: Connection) -> None:
        if connection.read_request():
            connection.write(json_answer(result="unknown_account")[:-5])

    with RawServer(script) as server, pytest.raises(StorageError):
        lambda_at(server.url).ask("shop", None)


# Clients


def test_clients_are_made_once_and_with_timeouts(lambda_at: LambdaAt) -> None:
    lambda_at("http://127.0.0.1:9")
    made = clients.client("lambda")
    assert made is clients.client("lambda")
    assert (made.meta.config.connect_timeout, made.meta.config.read_timeout) == (0.5, 0.4)
    assert made.meta.config.retries["total_max_attempts"] == 1


def test_a_patient_client_tries_longer(aws: Aws) -> None:
    attempts = [
        made.meta.config.retries["total_max_attempts"] for made in (aws("ssm"), aws("ssm", patient=True))
    ]
    assert attempts == [2, 8]


@pytest.mark.usefixtures("aws")
def test_threads_that_come_first_together_make_one_client(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[str] = []

    def make(service: str, **_: object) -> object:
        made.append(service)
        time.sleep(0.05)
        return object()

    monkeypatch.setattr(boto3, "client", make)
    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(clients.client, ["sqs"] * 8))) == 1
    assert made == ["sqs"]


@pytest.fixture
def fresh() -> Callable[[str], str]:
    """Runs a line of Python in a process of its own that knows no AWS."""
    layer = Path(wechat_notify.__file__).parents[1]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    environment["PYTHONPATH"] = os.pathsep.join([str(layer), str(layer.parents[1])])

    def run(line: str) -> str:
        done = subprocess.run(  # noqa: S603 - our own interpreter
            [sys.executable, "-c", line],
            env=environment,
            check=True,
            capture_output=True,
            text=True,
            timeout=20,
        )
        return done.stdout.strip()

    return run


@pytest.mark.parametrize(
    "module",
    [
        "wechat_notify.bootstrap",
        "functions.send_api.handler",
        "functions.send_queue.handler",
        "functions.token_refresh.handler",
    ],
)
def test_importing_a_handler_imports_no_aws_library(fresh: Callable[[str], str], module: str) -> None:
    line = (
        f"import sys, {module}; print({{'boto3', 'botocore.client', 'botocore.session'}} & set(sys.modules))"
    )
    assert fresh(line) == "set()"


def test_importing_an_adapter_makes_no_client(fresh: Callable[[str], str]) -> None:
    line = (
        "import sys; from wechat_notify.aws import clients, events, ledger, refresher, sqs, ssm;"
        "events.EventBus('b'), ledger.LedgerTable('t', 1);"
        "refresher.RefreshFunction('f'), sqs.Queue('u'), ssm.StoredTokens('/p');"
        "print('boto3' in sys.modules, clients._client.cache_info().currsize)"
    )
    assert fresh(line) == "False 0"
