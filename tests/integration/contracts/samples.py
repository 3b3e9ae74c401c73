"""What the contract tests of several services share. What holds for an adapter holds for its fake."""

import json
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from tests import fakes
from tests.integration.conftest import PATH, RETENTION
from tests.integration.raw_server import Connection, json_answer
from wechat_notify.aws.clients import Clients
from wechat_notify.aws.ledger_table import LedgerTable
from wechat_notify.aws.parameters import Accounts, Credentials, StoredTokens
from wechat_notify.aws.queue import Queue
from wechat_notify.aws.receipt_index import ReceiptIndex as DynamoDbReceiptIndex
from wechat_notify.core.delivery import returns
from wechat_notify.core.delivery.circuit import CircuitStore
from wechat_notify.core.delivery.dispatcher import SendQueue
from wechat_notify.core.delivery.entry import Entry
from wechat_notify.core.delivery.ledger import LedgerStore
from wechat_notify.core.delivery.receipts import ReceiptIndex
from wechat_notify.core.delivery.returns import DeadLetters
from wechat_notify.core.outcomes import DomainEvent, Status
from wechat_notify.core.templates.template import TemplateStore
from wechat_notify.core.texts import Bilingual
from wechat_notify.core.tokens.refresher import AccountStore
from wechat_notify.core.tokens.token import AccessToken, Grant, TokenReader

Aws = Callable[[str], Any]


ClientsAt = Callable[..., Clients]


TOKEN = AccessToken("57_token", 2_000_000_000.0, 1_999_990_000.0, "2033-05-18", 3, 1_999_980_000.0)


class Store(Protocol):
    """Both sides of a parameter store, and the operator's hand."""

    reader: TokenReader
    accounts: AccountStore

    def add(self, account: str) -> None: ...
    def add_broken(self, account: str) -> None: ...


class FakeStore:
    def __init__(self) -> None:
        self._store = fakes.FakeParameterStore()
        self.reader: TokenReader = self._store
        self.accounts: AccountStore = self._store

    def add(self, account: str) -> None:
        self._store.sources[account] = fakes.FakeWeChat(fakes.Clock()).app(account)

    def add_broken(self, account: str) -> None:
        self._store.broken[account] = Bilingual("wrong: app_secret", "有误：app_secret")


class Source:
    def __init__(self, _account: str, credentials: Credentials, _stored: AccessToken | None) -> None:
        self.credentials = credentials

    def fetch(self, *, force: bool) -> Grant:
        raise NotImplementedError(force)


class SsmStore:
    def __init__(self, clients: Clients, put: Callable[[str, str], None]) -> None:
        self.reader: TokenReader = StoredTokens(clients, PATH)
        self.accounts: AccountStore = Accounts(clients, PATH, Source)
        self._put = put

    def add(self, account: str) -> None:
        credentials = {"type": "app", "app_id": account, "app_secret": "secret"}
        self._put(f"{account}/credentials", json.dumps(credentials))

    def add_broken(self, account: str) -> None:
        self._put(f"{account}/credentials", '{"type": "app", "app_id": "wx"}')


class BothSides(SendQueue, DeadLetters, returns.Queue, Protocol):
    """A queue as this service uses it."""

    def send(self, body: str, *, group: str | None = None, **attributes: str) -> None: ...


class QueueAt(Protocol):
    queue: BothSides

    def messages(self) -> list[tuple[str, dict[str, str]]]: ...
    def groups(self) -> dict[str, str | None]: ...
    def hidden(self) -> int: ...
    def receipt_handle(self) -> str: ...


class FakeQueueAt:
    def __init__(self) -> None:
        self._queue = fakes.FakeQueue()
        self.queue: BothSides = self._queue

    def messages(self) -> list[tuple[str, dict[str, str]]]:
        kept = zip(self._queue.bodies, self._queue.attributes, self._queue.delays, strict=True)
        return [(body, attributes) for body, attributes, delay in kept if not delay]

    def groups(self) -> dict[str, str | None]:
        return dict(zip(self._queue.bodies, self._queue.groups, strict=True))

    def hidden(self) -> int:
        return sum(delay > 0 for delay in self._queue.delays)

    def receipt_handle(self) -> str:
        return "handle"


class SqsQueueAt:
    def __init__(self, aws: Aws, clients: Clients, name: str = "send") -> None:
        self._sqs = aws("sqs")
        self._url: str = self._sqs.create_queue(QueueName=name)["QueueUrl"]
        self.queue: BothSides = Queue(clients, self._url)

    def _receive(self) -> list[dict[str, Any]]:
        answer = self._sqs.receive_message(
            QueueUrl=self._url,
            MessageAttributeNames=["All"],
            MessageSystemAttributeNames=["All"],
            MaxNumberOfMessages=10,
        )
        received: list[dict[str, Any]] = answer.get("Messages", [])
        return received

    def messages(self) -> list[tuple[str, dict[str, str]]]:
        return [
            (
                message["Body"],
                {name: value["StringValue"] for name, value in message.get("MessageAttributes", {}).items()},
            )
            for message in self._receive()
        ]

    def groups(self) -> dict[str, str | None]:
        return {message["Body"]: message["Attributes"].get("MessageGroupId") for message in self._receive()}

    def hidden(self) -> int:
        name = "ApproximateNumberOfMessagesDelayed"
        answer = self._sqs.get_queue_attributes(QueueUrl=self._url, AttributeNames=[name])
        return int(answer["Attributes"][name])

    def receipt_handle(self) -> str:
        self.queue.send("body")
        handle: str = self._receive()[0]["ReceiptHandle"]
        return handle


class LedgerAndCircuits(LedgerStore, CircuitStore, TemplateStore, Protocol):
    """The sides of the ledger's table."""


class LedgerAt(Protocol):
    """A table in which the account is nobody else's."""

    store: LedgerAndCircuits
    account: str

    def delete(self, message_id: str) -> None: ...


class FakeLedgerAt:
    def __init__(self) -> None:
        self._store = fakes.FakeLedgerStore()
        self.store: LedgerAndCircuits = self._store
        self.account = "shop"

    def delete(self, message_id: str) -> None:
        del self._store.entries[self.account, message_id]


class DynamoDbLedgerAt:
    def __init__(self, clients: Clients, table_name: str, account: str) -> None:
        self.store: LedgerAndCircuits = LedgerTable(clients, table_name, RETENTION)
        self.account = account
        self._clients = clients
        self._table_name = table_name

    def delete(self, message_id: str) -> None:
        key = {"pk": {"S": f"message#{self.account}#{message_id}"}}
        self._clients.call(
            "delete", lambda: self._clients.dynamodb.delete_item(TableName=self._table_name, Key=key)
        )


class ReceiptsAt(Protocol):
    """The ledger's table and its index of receipts."""

    store: LedgerStore
    index: ReceiptIndex


class FakeReceiptsAt:
    def __init__(self) -> None:
        both = fakes.FakeLedgerStore()
        self.store: LedgerStore = both
        self.index: ReceiptIndex = both


class DynamoDbReceiptsAt:
    def __init__(self, clients: Clients, table_name: str) -> None:
        table = LedgerTable(clients, table_name, RETENTION, match_receipts=True)
        self.store: LedgerStore = table
        self.index: ReceiptIndex = DynamoDbReceiptIndex(clients, table_name, table)


def entry(account: str, message_id: str = "1", version: int = 1, **fields: Any) -> Entry:
    named = {"writer": f"writer {version}", "status": Status.SENDING, "fingerprint": "f" * 32, **fields}
    return Entry(
        account,
        message_id,
        created_at=fakes.START,
        updated_at=fakes.START + version,
        version=version,
        **named,
    )


class Bus(Protocol):
    """A bus as this service uses it."""

    def publish(self, events: Sequence[DomainEvent]) -> int: ...


class BusAt(Protocol):
    bus: Bus

    def arrived(self) -> list[DomainEvent]: ...


class FakeBusAt:
    def __init__(self) -> None:
        self._bus = fakes.FakeBus()
        self.bus: Bus = self._bus

    def arrived(self) -> list[DomainEvent]:
        return self._bus.events


class EventBridgeBusAt:
    """EventBridge as it answers over HTTP: an id for every entry."""

    bus: Bus

    def __init__(self) -> None:
        self._entries: list[dict[str, str]] = []

    def script(self, connection: Connection) -> None:
        while request := connection.read_request():
            assert request.headers["x-amz-target"] == "AWSEvents.PutEvents"
            entries = json.loads(request.body)["Entries"]
            assert 1 <= len(entries) <= 10
            self._entries += entries
            connection.write(json_answer(FailedEntryCount=0, Entries=[{"EventId": "1-2"} for _ in entries]))

    def arrived(self) -> list[DomainEvent]:
        assert all(entry["Source"] == "wechat-notify" for entry in self._entries)
        assert all(entry["EventBusName"] == "bus" for entry in self._entries)
        assert all(entry["Detail"].isascii() for entry in self._entries)
        return [DomainEvent(entry["DetailType"], json.loads(entry["Detail"])) for entry in self._entries]
