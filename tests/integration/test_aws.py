"""The AWS adapters against an AWS behind a socket, and against answers that it gives seldom."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ReadTimeoutError
from hypothesis import given
from hypothesis import strategies as st

from tests.fakes import Clock
from tests.integration.conftest import PATH, RETENTION, ClientsAt
from tests.integration.raw_server import (
    Connection,
    RawServer,
    Request,
    Script,
    always,
    answer,
    in_turn,
    json_answer,
    refused,
    silence,
)
from wechat_notify.aws.clients import Clients
from wechat_notify.aws.conditional_put import Answer, ConditionalPut
from wechat_notify.aws.events import EventBus
from wechat_notify.aws.ledger_items import CIRCUITS, ENTRIES
from wechat_notify.aws.ledger_table import LedgerTable
from wechat_notify.aws.parameters import Accounts, AppCredentials, StoredTokens
from wechat_notify.aws.queue import Queue
from wechat_notify.aws.refresher import RefreshFunction
from wechat_notify.core.delivery.circuit import AccountCircuits, Circuit
from wechat_notify.core.delivery.entry import Change, Entry
from wechat_notify.core.errors import (
    RefresherBusyError,
    StorageError,
    TokenUnavailableError,
    UnknownAccountError,
)
from wechat_notify.core.outcomes import (
    Bilingual,
    DelayedMessage,
    DomainEvent,
    ErrorClass,
    Holds,
    Outcome,
    Status,
)
from wechat_notify.core.tokens.token import AccessToken, Grant
from wechat_notify.wechat.outcomes import hint_for

Put = Callable[[str, str], None]
Aws = Callable[[str], Any]

HINT = hint_for(0)
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


NOBODY = "http://127.0.0.1:9"


class Source:
    """A token source that remembers its credentials."""

    def __init__(self, credentials: AppCredentials) -> None:
        self.credentials = credentials

    def fetch(self, *, force: bool) -> Grant:
        raise NotImplementedError(force)


def app(app_id: str) -> str:
    return json.dumps({"type": "app", "app_id": app_id, "app_secret": f"secret of {app_id}"})


@pytest.fixture
def accounts(clients: Clients) -> Accounts:
    return Accounts(clients, PATH, Source)


# The parameter store


def test_what_the_refresher_saves_is_encrypted_and_the_sender_reads_it(
    aws: Aws, clients: Clients, accounts: Accounts
) -> None:
    accounts.save("shop", TOKEN)
    assert StoredTokens(clients, PATH).read("shop") == TOKEN
    stored = aws("ssm").get_parameter(Name=f"{PATH}/shop/access-token")["Parameter"]
    assert stored["Type"] == "SecureString"


@pytest.mark.parametrize("value", ["", " ", "57_token", "[]", '{"value": "t"}', '{"value": 1}', '"text"'])
def test_a_stored_token_that_cannot_be_read_counts_as_none(
    clients: Clients, accounts: Accounts, put: Put, value: str
) -> None:
    put("shop/access-token", value or "-")
    put("shop/credentials", app("wxshop"))
    assert StoredTokens(clients, PATH).read("shop") is None
    account = accounts.load("shop")
    assert account.token is None
    assert account.source


def test_an_account_is_its_credentials_and_its_token(accounts: Accounts, put: Put) -> None:
    put("shop/credentials", ' {"type": "app", "app_id": " wxshop\\n", "app_secret": " s3cret\\n"} ')
    assert accounts.load("shop").token is None
    accounts.save("shop", TOKEN)
    account = accounts.load("shop")
    assert (account.name, account.token, account.problem) == ("shop", TOKEN, None)
    assert isinstance(account.source, Source)
    credentials = account.source.credentials
    assert (credentials.app_id, credentials.app_secret) == ("wxshop", "s3cret")


@pytest.mark.parametrize("name", ["", "Shop", "a/b", "../shop", "shop ", "shop\n", "é", "a" * 65, "a_b"])
def test_a_name_that_no_account_can_have_never_reaches_aws(clients_at: ClientsAt, name: str) -> None:
    with pytest.raises(UnknownAccountError):
        Accounts(clients_at(NOBODY), PATH, Source).load(name)


@pytest.mark.parametrize("name", ["a", "0", "-", "a" * 64, "shop-2"])
def test_a_name_that_an_account_can_have_does(clients_at: ClientsAt, name: str) -> None:
    with pytest.raises(StorageError, match="EndpointConnectionError"):
        Accounts(clients_at(NOBODY), PATH, Source).load(name)


def test_all_accounts_are_listed_page_by_page(accounts: Accounts, put: Put) -> None:
    for number in range(13):
        put(f"shop-{number}/credentials", app(f"wx{number}"))
    for number in range(0, 13, 2):
        put(
            f"shop-{number}/access-token",
            json.dumps({"value": f"t{number}", "expires_at": 9, "obtained_at": 1}),
        )
    listed = {account.name: account for account in accounts.load_all()}
    assert listed.keys() == {f"shop-{number}" for number in range(13)}
    for number in range(13):
        account = listed[f"shop-{number}"]
        assert isinstance(account.source, Source)
        assert account.source.credentials.app_id == f"wx{number}"
        assert (account.token.value if account.token else None) == (None if number % 2 else f"t{number}")


def test_what_else_lies_in_the_tree_is_left_alone(aws: Aws, accounts: Accounts, put: Put) -> None:
    put("shop/credentials", app("wxshop"))
    put("shop/notes", "call the agency")
    put("shop/old/credentials", "deeper")
    put("only-a-token/access-token", "{}")
    put("credentials", "at the top")
    put("access-token", "at the top")
    aws("ssm").put_parameter(Name=f"{PATH}-of-another/x/credentials", Value=app("wxx"), Type="SecureString")
    assert [account.name for account in accounts.load_all()] == ["shop"]


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
    accounts: Accounts, put: Put, credentials: str, named: str
) -> None:
    put("broken/credentials", credentials)
    put("shop/credentials", app("wxshop"))
    by_name = {account.name: account for account in accounts.load_all()}
    assert by_name["shop"].source
    assert by_name["broken"] == accounts.load("broken")
    assert by_name["broken"].source is None
    problem = by_name["broken"].problem
    assert problem is not None
    assert problem.en == f'must be {{"type": "app", "app_id", "app_secret"}}; wrong: {named}'


def test_an_account_under_an_impossible_name_is_listed_with_its_problem(accounts: Accounts, put: Put) -> None:
    put("My_Shop/credentials", app("wxshop"))
    (account,) = accounts.load_all()
    assert account.source is None
    assert "a-z, 0-9 and -" in str(account.problem)


# Failures

CALLS: dict[str, tuple[float, Callable[[Clients], object]]] = {
    "read": (1.0, lambda clients: StoredTokens(clients, PATH).read("shop")),
    "load": (7.5, lambda clients: Accounts(clients, PATH, Source).load("shop")),
    "load_all": (7.5, lambda clients: list(Accounts(clients, PATH, Source).load_all())),
    "save": (7.5, lambda clients: Accounts(clients, PATH, Source).save("shop", TOKEN)),
    "send": (1.5, lambda clients: Queue(clients, "url").send("body")),
    "change_visibility": (1.5, lambda clients: Queue(clients, "url").change_visibility("handle", 5)),
    "put": (2.5, lambda clients: LedgerTable(clients, "ledger", RETENTION).put(SENT)),
    "put patiently": (6.0, lambda clients: LedgerTable(clients, "ledger", RETENTION).put(SENT, patient=True)),
    "read entry": (2.5, lambda clients: LedgerTable(clients, "ledger", RETENTION).read("shop", "1")),
    "put_circuits": (
        2.5,
        lambda clients: LedgerTable(clients, "ledger", 1.0).put_circuits(AccountCircuits("a")),
    ),
    "read_circuits": (2.5, lambda clients: LedgerTable(clients, "ledger", 1.0).read_circuits(["shop"])),
}


@pytest.mark.parametrize(("seconds", "call"), CALLS.values(), ids=CALLS.keys())
def test_the_refresher_is_patient_and_who_must_not_lose_what_came_of_a_message(
    clients_at: ClientsAt, slept: list[float], seconds: float, call: Callable[[Clients], object]
) -> None:
    with RawServer(always(refused("ThrottlingException"))) as server, pytest.raises(StorageError) as raised:
        call(clients_at(server.url))
    assert raised.value.code == "ThrottlingException"
    assert raised.value.__cause__ is None
    assert raised.value.__context__ is None
    assert len(server.requests) == len(slept) + 1
    assert sum(slept) == pytest.approx(seconds, abs=0.01)


# Queues


def receive(aws: Aws, url: str) -> list[dict[str, Any]]:
    answer = aws("sqs").receive_message(QueueUrl=url, MessageAttributeNames=["All"], MaxNumberOfMessages=10)
    messages: list[dict[str, Any]] = answer.get("Messages", [])
    return messages


@pytest.fixture
def queue_url(aws: Aws) -> str:
    url: str = aws("sqs").create_queue(QueueName="send", Attributes={"VisibilityTimeout": "3600"})["QueueUrl"]
    return url


def test_a_message_is_put_on_the_queue_with_its_attributes(
    aws: Aws, clients: Clients, queue_url: str
) -> None:
    Queue(clients, queue_url).send('{"a": "\\u6df1"}', reason="not JSON: 行", message_id="1-2", nothing="")
    (received,) = receive(aws, queue_url)
    assert received["Body"] == '{"a": "\\u6df1"}'
    assert received["MessageAttributes"] == {
        "reason": {"DataType": "String", "StringValue": "not JSON: 行"},
        "message_id": {"DataType": "String", "StringValue": "1-2"},
    }


def test_a_message_without_attributes_is_put_on_the_queue(aws: Aws, clients: Clients, queue_url: str) -> None:
    Queue(clients, queue_url).send("body")
    (received,) = receive(aws, queue_url)
    assert "MessageAttributes" not in received


def test_a_received_message_can_be_handed_out_again(aws: Aws, clients: Clients, queue_url: str) -> None:
    queue = Queue(clients, queue_url)
    queue.send("body")
    (received,) = receive(aws, queue_url)
    assert receive(aws, queue_url) == []
    queue.change_visibility(received["ReceiptHandle"], 0.0)
    assert [again["Body"] for again in receive(aws, queue_url)] == ["body"]
    queue.change_visibility(received["ReceiptHandle"], 11.5 * 3600)


def test_a_queue_that_is_none_is_a_storage_error(clients: Clients) -> None:
    queue = Queue(clients, "https://sqs.eu-central-1.amazonaws.com/123456789012/none")
    with pytest.raises(StorageError, match="NonExistentQueue"):
        queue.send("body")
    with pytest.raises(StorageError):
        queue.change_visibility("handle", 5)


def asked(server: RawServer) -> list[dict[str, Any]]:
    return [json.loads(request.body) for request in server.requests]


def sent(*numbers: int) -> bytes:
    return json_answer(Successful=[{"Id": str(number)} for number in numbers], Failed=[{"Id": "3"}])


def test_messages_for_later_are_put_on_the_queue_ten_at_a_time_and_in_parts_that_fit(
    clients_at: ClientsAt,
) -> None:
    small, large = DelayedMessage("small", 1), DelayedMessage("深" * 80_000, 900, "shop", {"message_id": "1"})
    with RawServer(in_turn(sent(*range(10)), sent(10, 11, 12), sent(13), sent(14))) as server:
        assert Queue(clients_at(server.url), "url").send_delayed([small] * 12 + [large] * 3) == []
    calls = [call["Entries"] for call in asked(server)]
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


def test_what_sqs_does_not_report_as_sent_has_failed(clients_at: ClientsAt) -> None:
    some = sent(*(number for number in range(10) if number not in {3, 4}))
    with RawServer(in_turn(some, refused("AccessDenied"), sent(20))) as server:
        queue = Queue(clients_at(server.url), "url")
        assert queue.send_delayed([DelayedMessage("body", 5)] * 21) == [3, 4, *range(10, 20)]


# The event bus


def published(done: int, failed: int = 0) -> bytes:
    entries = [{"EventId": "1"}] * done + [{"ErrorCode": "ThrottlingException"}] * failed
    return json_answer(FailedEntryCount=failed, Entries=entries)


def test_events_are_published_ten_at_a_time_and_in_parts_that_fit(clients_at: ClientsAt) -> None:
    small, large = DomainEvent("small", {}), DomainEvent("large", {"text": "x" * 150_000})
    with RawServer(in_turn(published(10), published(3), published(1))) as server:
        assert EventBus(clients_at(server.url), "bus").publish([small] * 12 + [large] * 2) == 0
    assert [len(call["Entries"]) for call in asked(server)] == [10, 3, 1]


def test_events_that_are_refused_are_counted(clients_at: ClientsAt) -> None:
    with RawServer(in_turn(published(8, failed=2), refused("AccessDenied"), published(1))) as server:
        bus = EventBus(clients_at(server.url), "bus")
        assert bus.publish([DomainEvent("any", {"at": Path("x")})] * 21) == 13
    assert len(server.requests) == 2  # who does not answer is not asked for the rest


def test_a_bus_that_refuses_is_asked_once(clients_at: ClientsAt, slept: list[float]) -> None:
    """A batch of a hundred failures must not outlast its function."""
    with RawServer(always(refused("ThrottlingException"))) as server:
        assert EventBus(clients_at(server.url), "bus").publish([DomainEvent("any", {})] * 100) == 100
    assert sum(slept) == pytest.approx(1.0, abs=0.01)


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
        "answers_lost": {"N": "0"},
        "outcome": {
            "M": {
                "status": {"S": "sent"},
                "error_class": {"S": "success"},
                "hint": {"M": {"en": {"S": HINT.en}, "zh": {"S": HINT.zh}}},
                "retryable": {"BOOL": False},
                "errcode": {"N": "0"},
                "errmsg": {"S": "ok"},
                "msgid": {"N": "1864323726461255680"},
                "unjudged": {"BOOL": False},
                "until_reset": {"BOOL": False},
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
    largest = SENT._replace(
        account="a" * 64,
        id="i" * 64,
        kind="mini_program_subscription",
        expires_at=1_772_348_999.999,
        outcome=SENT.outcome._replace(msgid=2**63 - 1),
    )
    for entry, most in ((SENT, 768), (largest, 1024)):
        ledger_table.put(entry)
        stored = item(aws, f"message#{entry.account}#{entry.id}")
        assert size({"M": stored}) < most


@pytest.mark.parametrize("expires_at", [None, SENT.updated_at - 5, SENT.updated_at + 7200.25])
def test_an_entry_outlives_its_last_change_and_its_expiry(
    aws: Aws, ledger_table: LedgerTable, expires_at: float | None
) -> None:
    ledger_table.put(SENT._replace(expires_at=expires_at))
    ttl = int(item(aws, f"message#shop#{SENT.id}")["ttl"]["N"])
    assert 0 <= ttl - RETENTION - max(SENT.updated_at, expires_at or 0.0) < 1


def test_an_entry_whose_message_never_expires_vanishes_all_the_same(
    aws: Aws, ledger_table: LedgerTable
) -> None:
    """SQS keeps no message for longer than 14 days: after that nobody comes who could send it."""
    ledger_table.put(SENT._replace(expires_at=datetime(9999, 1, 1, tzinfo=UTC).timestamp()))
    ttl = int(item(aws, f"message#shop#{SENT.id}")["ttl"]["N"])
    assert 0 <= ttl - RETENTION - SENT.updated_at - 14 * 86400 < 1


def test_circuits_outlive_their_holds_and_vanish_when_there_are_none(
    aws: Aws, clients: Clients, ledger_table: LedgerTable
) -> None:
    table = LedgerTable(clients, "ledger", RETENTION, now=lambda: 1000.5)
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
    unjudged=st.booleans(),
    repeats=optional(NUMBERS),
    holds=optional(st.sampled_from(Holds)),
)
CHANGES = st.builds(Change, STATUSES, TIMES, optional(NUMBERS), optional(TEXT))
ANY_ENTRY = st.builds(
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
    answers_lost=NUMBERS,
    next_attempt_at=optional(TIMES),
    resumed_at=optional(TIMES),
    reason=optional(TEXT),
    outcome=optional(OUTCOMES),
    timeline=st.lists(CHANGES, max_size=4).map(tuple),
)
ANY_CIRCUITS = st.builds(
    AccountCircuits,
    account=TEXT,
    version=NUMBERS,
    writer=TEXT,
    circuits=st.lists(
        st.builds(
            Circuit,
            TEXT,
            CLASSES,
            optional(NUMBERS),
            TIMES,
            TIMES,
            NUMBERS,
            optional(st.builds(Bilingual, TEXT, TEXT)),
        ),
        max_size=4,
    ).map(tuple),
)


@given(ANY_ENTRY, ANY_CIRCUITS)
def test_what_is_written_is_what_is_read(entry: Entry, circuits: AccountCircuits) -> None:
    sent = json.dumps([ENTRIES.to_item(entry), CIRCUITS.to_item(circuits)])
    first, second = json.loads(sent)
    assert ENTRIES.from_item(first) == entry
    assert CIRCUITS.from_item(second) == circuits


@given(st.floats(0, 4e9))
def test_times_are_kept_to_the_millisecond(at: float) -> None:
    kept = ENTRIES.from_item(ENTRIES.to_item(SENT._replace(updated_at=at))).updated_at
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
    newer["colour"], newer["shapes"] = {"NULL": True}, {"SS": ["round"]}
    newer["outcome"]["M"]["colour"] = newer["timeline"]["L"][0]["M"]["colour"] = {"S": "green"}
    aws("dynamodb").put_item(TableName="ledger", Item=newer)
    assert ledger_table.read("shop", SENT.id) == SENT


def meets(**existing: Any) -> bytes:
    """The refusal of a put; it may have the item that stands there."""
    return refused("com.amazonaws.dynamodb.v20120810#ConditionalCheckFailedException", **existing)


THERE = meets(Item=ENTRIES.to_item(SENT))
NOTHING = json_answer()


def operation(request: Request) -> str:
    return request.headers["x-amz-target"].partition(".")[2]


def test_a_put_is_one_call_whether_it_wins_or_not(clients_at: ClientsAt) -> None:
    with RawServer(in_turn(NOTHING, THERE)) as server:
        table = LedgerTable(clients_at(server.url), "ledger", RETENTION)
        assert table.put(SENT) is None
        assert table.put(SENT._replace(writer="another")) == SENT
    assert [operation(request) for request in server.requests] == ["PutItem"] * 2
    for request in asked(server):
        assert request["TableName"] == "ledger"
        assert request["ReturnValuesOnConditionCheckFailure"] == "ALL_OLD"
        assert request["ExpressionAttributeValues"] == {":previous": {"N": "1"}}


def test_where_the_refusal_does_not_say_what_stands_there_it_is_read(clients_at: ClientsAt) -> None:
    with RawServer(in_turn(meets(), json_answer(Item=ENTRIES.to_item(SENT)))) as server:
        assert LedgerTable(clients_at(server.url), "ledger", RETENTION).put(SENT) == SENT
    assert [operation(request) for request in server.requests] == ["PutItem", "GetItem"]
    assert asked(server)[1]["ConsistentRead"] is True


def test_what_vanished_meanwhile_is_put_once_more_and_not_for_ever(clients_at: ClientsAt) -> None:
    with RawServer(in_turn(meets(), NOTHING, NOTHING)) as server:
        assert LedgerTable(clients_at(server.url), "ledger", RETENTION).put(SENT) is None
    assert [operation(request) for request in server.requests] == ["PutItem", "GetItem", "PutItem"]
    with RawServer(in_turn(meets(), NOTHING, meets(), NOTHING)) as server:
        table = LedgerTable(clients_at(server.url), "ledger", RETENTION)
        with pytest.raises(StorageError, match="Contended") as raised:
            table.put(SENT)
    assert raised.value.__context__ is None


def test_a_write_whose_answer_was_lost_meets_itself(clients_at: ClientsAt) -> None:
    with RawServer(in_turn(b"", THERE)) as server:
        assert LedgerTable(clients_at(server.url), "ledger", RETENTION).put(SENT) == SENT
    first, second = asked(server)
    assert first == second


def as_put(entry: Entry, retry_for: float = 0.0, began: float = 0.0) -> ConditionalPut:
    kind = ENTRIES
    item = kind.to_item(entry)
    return ConditionalPut(kind.writing, item, kind.attributes, entry.version - 1, retry_for, began)


GROUP = [SENT._replace(id="first", version=1), SENT._replace(id="second", version=2)]


def grouped(*errors: dict[str, Any] | None) -> bytes:
    return json_answer(Responses=[{"Error": error} if error else {"TableName": "ledger"} for error in errors])


STORED, ALONE = Answer(stored=True), None
EXISTING = ENTRIES.to_item(SENT)


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (grouped(None, None), [STORED, STORED]),
        (grouped({"Code": "DuplicateItem"}, None), [ALONE, STORED]),
        (
            grouped(None, {"Code": "ConditionalCheckFailed", "Item": EXISTING}),
            [STORED, Answer(stored=False, existing=EXISTING)],
        ),
        (grouped(None, {"Code": "ConditionalCheckFailed"}), [STORED, ALONE]),
        (grouped({"Code": "ThrottlingError"}, {"Code": "AccessDenied"}), [ALONE, ALONE]),
        (grouped({}, {"Message": "no code"}), [STORED, ALONE]),
        (grouped(None), [ALONE, ALONE]),
        (NOTHING, [ALONE, ALONE]),
        (refused("com.amazon.coral.service#AccessDeniedException"), [ALONE, ALONE]),
        (b"", [ALONE, ALONE]),
    ],
)
def test_a_group_is_one_call(clients_at: ClientsAt, answer: bytes, expected: list[object]) -> None:
    """What is not clear is put alone afterwards, and the group's call is not repeated."""
    with RawServer(always(answer)) as server:
        table = LedgerTable(clients_at(server.url), "ledger", RETENTION)
        assert table._put_group([as_put(entry) for entry in GROUP]) == expected
    assert [operation(request) for request in server.requests] == ["BatchExecuteStatement"]
    insert, update = asked(server)[0]["Statements"]
    assert insert["Statement"].startswith("""INSERT INTO "ledger" VALUE {'pk': ?, 'account': ?, """)
    assert insert["Parameters"][:2] == [{"S": "message#shop#first"}, {"S": "shop"}]
    assert update["Statement"].endswith('WHERE "pk" = ? AND "version" = ?')
    assert 'REMOVE "lease_until"' in update["Statement"]
    assert update["Parameters"][-2:] == [{"S": "message#shop#second"}, {"N": "1"}]
    assert update["ReturnValuesOnConditionCheckFailure"] == "ALL_OLD"


@pytest.mark.parametrize(("now", "last"), [(100.0, 102.5), (101.5, 102.5), (103.0, 103.0)])
def test_a_put_after_a_group_has_what_is_left_of_its_time(now: float, last: float) -> None:
    """It began at 100 s, and is repeated for 2.5 s."""
    clock = Clock(now)
    found: list[float] = []

    class Down:
        def put_item(self, **_: object) -> None:
            found.append(clock.now())
            raise ReadTimeoutError(endpoint_url="https://aws.test")

        def close(self) -> None:
            pass

    clients = Clients(lambda _: Down(), clock=clock.now, sleep=clock.sleep, jitter=lambda _, most: most)
    table = LedgerTable(clients, "ledger", RETENTION, clock=clock.now)
    with pytest.raises(StorageError):
        table._put_alone(as_put(SENT, 2.5, 100.0))
    assert found[0] == now
    assert found[-1] == pytest.approx(last)


def keys_asked(server: RawServer) -> list[list[str]]:
    """The keys of each call."""
    calls = [call["RequestItems"]["ledger"] for call in asked(server)]
    assert all(call["ConsistentRead"] for call in calls)
    return [[key["pk"]["S"] for key in call["Keys"]] for call in calls]


def test_circuits_are_read_a_hundred_accounts_a_call(clients_at: ClientsAt) -> None:
    names = [f"shop-{number:03}" for number in range(201)]
    with RawServer(always(json_answer(Responses={"ledger": []}))) as server:
        assert LedgerTable(clients_at(server.url), "ledger", RETENTION).read_circuits(names) == {}
    assert [len(keys) for keys in keys_asked(server)] == [100, 100, 1]
    assert [key for keys in keys_asked(server) for key in keys] == [f"circuits#{name}" for name in names]


def test_names_that_no_account_has_are_not_asked_for(clients_at: ClientsAt) -> None:
    strange = ["", "Shop", "a#b", "深圳", "x" * 3000]
    with RawServer(always(json_answer(Responses={"ledger": []}))) as server:
        table = LedgerTable(clients_at(server.url), "ledger", RETENTION)
        assert table.read_circuits(strange) == table.read_circuits([*strange, "shop"]) == {}
    assert keys_asked(server) == [["circuits#shop"]]


def test_what_a_busy_table_left_unread_is_asked_for_again(clients_at: ClientsAt, slept: list[float]) -> None:
    circuits = [AccountCircuits(name, 1, "writer") for name in ("a", "b", "c")]
    items = [CIRCUITS.to_item(each) for each in circuits]
    left = {"ledger": {"Keys": [{"pk": items[2]["pk"]}], "ConsistentRead": True}}
    answers = (
        json_answer(Responses={"ledger": items[:2]}, UnprocessedKeys=left),
        json_answer(Responses={}, UnprocessedKeys=left),
        json_answer(Responses={"ledger": items[2:]}, UnprocessedKeys={}),
    )
    with RawServer(in_turn(*answers)) as server:
        table = LedgerTable(clients_at(server.url), "ledger", RETENTION, sleep=slept.append)
        assert table.read_circuits(["a", "b", "c"]) == {each.account: each for each in circuits}
    assert [len(keys) for keys in keys_asked(server)] == [3, 1, 1]
    assert slept == [0.05, 0.1]


@pytest.mark.parametrize("answered", [NOTHING, json_answer(Responses=None, UnprocessedKeys={})])
def test_circuits_that_are_not_answered_are_told_of(clients_at: ClientsAt, answered: bytes) -> None:
    with RawServer(always(answered)) as server:
        table = LedgerTable(clients_at(server.url), "ledger", RETENTION)
        with pytest.raises(StorageError, match="UnreadableAnswer"):
            table.read_circuits(["shop"])


def test_a_table_that_stays_busy_is_given_up(clients_at: ClientsAt, slept: list[float]) -> None:
    left = {"ledger": {"Keys": [{"pk": {"S": "circuits#a"}}], "ConsistentRead": True}}
    with RawServer(always(json_answer(Responses={}, UnprocessedKeys=left))) as server:
        table = LedgerTable(clients_at(server.url), "ledger", RETENTION, sleep=slept.append)
        with pytest.raises(StorageError, match="UnprocessedKeys"):
            table.read_circuits(["a"])
    assert len(server.requests) == 5
    assert sum(slept) < 1


# The refresher's function


def ask(clients_at: ClientsAt, written: bytes) -> AccessToken:
    """Ask a refresher that answers so, and is not asked twice."""
    with RawServer(in_turn(written)) as server:
        return RefreshFunction(clients_at(server.url), "token-refresh").ask("shop", None)


def test_the_refresher_is_asked_with_the_digest_and_its_token_is_used(clients_at: ClientsAt) -> None:
    token = {"value": "57_new", "expires_at": 2e9, "obtained_at": 1.5, "forced_day": "", "forced_count": 2}
    with RawServer(always(json_answer(result="token", token=token))) as server:
        refresher = RefreshFunction(clients_at(server.url), "token-refresh")
        answered = refresher.ask("shop", "digest")
        refresher.ask("shop", None)
    assert answered == AccessToken("57_new", 2e9, 1.5, "", 2)
    assert server.requests[0].target == "/2015-03-31/functions/token-refresh/invocations"
    assert "x-amz-invocation-type" not in server.requests[0].headers  # by default it is RequestResponse
    assert asked(server) == [
        {"account": "shop", "rejected": "digest"},
        {"account": "shop", "rejected": None},
    ]
    assert server.accepted == 1


def test_the_refresher_knows_no_such_account(clients_at: ClientsAt) -> None:
    with pytest.raises(UnknownAccountError):
        ask(clients_at, json_answer(result="unknown_account"))


def test_why_there_is_no_token_comes_back_word_for_word(clients_at: ClientsAt) -> None:
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
        "unjudged": False,
    }
    with pytest.raises(TokenUnavailableError) as raised:
        ask(clients_at, json_answer(result="failed", failure=failure))
    assert raised.value.outcome == Outcome(
        Status.FAILED,
        ErrorClass.CONFIG,
        Bilingual("Approve the IP.", "请确认 IP。"),
        errcode=40164,
        errmsg="invalid ip rid: 1-2",
        rid="1-2",
        retry_after=30.5,
    )


def lambda_refuses(name: str, status: str) -> bytes:
    return answer(b'{"message":"no"}', f"X-Amzn-ErrorType: {name}", status=status)


def test_a_throttled_refresher_is_busy_and_not_asked_again_here(clients_at: ClientsAt) -> None:
    with pytest.raises(RefresherBusyError):
        ask(clients_at, lambda_refuses("TooManyRequestsException", "429 Too Many Requests"))


def stops_half_way(connection: Connection) -> None:
    connection.read_request()
    connection.write(json_answer(result="unknown_account")[:-5])
    connection.wait(5)


@pytest.mark.parametrize("script", [silence, stops_half_way])
def test_a_refresher_that_takes_too_long_is_busy(clients_at: ClientsAt, script: Script) -> None:
    with RawServer(script) as server, pytest.raises(RefresherBusyError):
        RefreshFunction(clients_at(server.url, 0.3), "token-refresh").ask("shop", None)
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("written", "code"),
    [
        (lambda_refuses("ResourceNotFoundException", "404 Not Found"), "ResourceNotFoundException"),
        (lambda_refuses("AccessDeniedException", "403 Forbidden"), "AccessDeniedException"),
        (lambda_refuses("ServiceException", "500 Internal Server Error"), "ServiceException"),
        (answer(b'{"errorType":"KeyError"}', "X-Amz-Function-Error: Unhandled"), "FunctionError"),
        (answer(b"Task timed out", "X-Amz-Function-Error: Unhandled"), "FunctionError"),
        (b"", "ConnectionClosedError"),
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
def test_a_refresher_that_fails_is_a_storage_error(clients_at: ClientsAt, written: bytes, code: str) -> None:
    with pytest.raises(StorageError) as raised:
        ask(clients_at, written)
    assert raised.value.code == code
