"""The things that the checks of one run share: the stack, its clients, and facts that several checks need."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Generic, TypeVar

from wxn.accounts import ACCESS_TOKEN, CALLBACK, COMPONENT_TOKEN, CREDENTIALS, account_and_part
from wxn.api import Api
from wxn.aws_errors import DENIED, code_of
from wxn.doctor.metrics import Metric, series
from wxn.functions import FunctionFailedError, invoke
from wxn.stacks import Stack

_READ_SECONDS: Final = 10
_REFRESH_SECONDS: Final = 60
"""One refresh of an account takes 58 s at worst."""
_ATTEMPTS: Final = 2
_LISTED: Final = 100
"""Failed messages that are looked at; the API lists no more at once."""
_LATELY: Final = timedelta(hours=24)

T = TypeVar("T")


class DeniedError(Exception):
    """The caller's policies lack ``action``."""

    def __init__(self, action: str) -> None:
        super().__init__(action)
        self.action = action


class MissingResourceError(Exception):
    """The stack does not have a resource that the template has by now."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


class Once(Generic[T]):
    """A value that the first check to ask computes; an error is everybody's."""

    def __init__(self, compute: Callable[[], T]) -> None:
        self._compute = compute
        self._lock = threading.Lock()
        self._found: list[T] = []
        self._error: Exception | None = None

    def __call__(self) -> T:
        """The value; raises what computing it raised."""
        with self._lock:
            if not self._found and self._error is None:
                try:
                    self._found.append(self._compute())
                except Exception as error:  # noqa: BLE001 - raised below, for each check
                    self._error = error
        if self._error is not None:
            raise self._error
        return self._found[0]


@dataclass(frozen=True)
class Parameters:
    """The parameters of an account, by the times of their last change."""

    name: str
    parts: Mapping[str, datetime]

    def changed(self, part: str) -> datetime | None:
        """The last change of a parameter; None where there is none."""
        return self.parts.get(part)

    @property
    def credentials(self) -> datetime | None:
        """The last change of its credentials."""
        return self.changed(CREDENTIALS)

    @property
    def token(self) -> datetime | None:
        """The time of its access token; of a platform's that is another one."""
        return self.changed(ACCESS_TOKEN) or self.changed(COMPONENT_TOKEN)

    @property
    def is_platform(self) -> bool:
        """It is a third-party platform, of which token_refresh or WeChat has written something."""
        return not {COMPONENT_TOKEN, "ticket", "ticket-request"}.isdisjoint(self.parts)

    @property
    def is_merchant(self) -> bool:
        """It is a merchant of a platform, with a refresh token."""
        return "refresh-token" in self.parts

    @property
    def has_callback(self) -> bool:
        """It has keys for callbacks."""
        return CALLBACK in self.parts


class AccountFacts:
    """The answers of the service's API about one account."""

    def __init__(self, api: Api, now: datetime) -> None:
        since = (now - _LATELY).isoformat(timespec="seconds")
        query = {"status": "failed,unknown", "since": since, "limit": _LISTED}
        self.call = api.call
        self.quota = Once(lambda: api.call("GET", "quota"))
        self.holds = Once(lambda: api.call("GET", "holds")["holds"])
        self.templates = Once(lambda: api.call("GET", "templates"))
        self.unsent = Once(lambda: api.call("GET", "messages", query=query)["messages"])
        """The messages that failed or became unknown lately, the newest first."""


class Context:
    """The stack that is examined.

    Parameters
    ----------
    stack
        The stack.
    account
        The WeChat account to examine; None examines all.
    api
        Makes the client of an account's routes.
    now, sleep
        The clock.
    """

    def __init__(
        self,
        stack: Stack,
        account: str | None,
        *,
        api: Callable[[str], Api],
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.stack = stack
        self.account = account
        self.now = now
        self.sleep = sleep
        self._api = api
        self._clients: dict[str, Any] = {}
        self._accounts: dict[str, AccountFacts] = {}
        self._lock = threading.Lock()
        self.stored = Once(lambda: {account.name: account for account in self._stored()})
        """The accounts in Parameter Store, by name."""
        self.metrics = Once(lambda: series(self, self._metrics()))
        """The values of the last hour, by metric, the newest first."""
        self.refresher_concurrency = Once(self._refresher_concurrency)
        """The executions that are reserved for token_refresh; None for no reservation."""

    def call(self, service: str, operation: str, **request: Any) -> Any:
        """Call AWS by boto3's names; raises `DeniedError`, and boto3's other errors."""
        return self._allowed(service, lambda: getattr(self._client(service), operation)(**request))

    def pages(self, service: str, operation: str, **request: Any) -> Iterator[Any]:
        """The pages of a list, as far as they are read; raises as `call` does."""
        page: dict[str, str] = {}
        while True:
            answer = self.call(service, operation, **request, **page)
            yield answer
            if not answer.get("NextToken"):
                return
            page = {"NextToken": answer["NextToken"]}

    def refresh(self, event: Mapping[str, str]) -> Any:
        """Run token_refresh; its answer, or None where the function itself failed."""
        with self._lock:
            client = self.stack.client("lambda", read_timeout=_REFRESH_SECONDS, attempts=1)
        name = self.stack.outputs["TokenRefreshFunctionName"]  # its alias
        try:
            return self._allowed("lambda", lambda: invoke(client, name, event, function="token_refresh"))
        except FunctionFailedError:
            return None

    def _allowed(self, service: str, call: Callable[[], T]) -> T:
        from botocore.exceptions import ClientError  # noqa: PLC0415 - wxn --help starts without it

        try:
            return call()
        except ClientError as error:
            if code_of(error) not in DENIED:
                raise
            operation = error.operation_name
            action = "InvokeFunction" if operation == "Invoke" else operation
            raise DeniedError(f"{service}:{action}") from None

    def _client(self, service: str) -> Any:
        with self._lock:  # a session makes clients for one thread at a time
            if service not in self._clients:
                self._clients[service] = self.stack.client(
                    service, read_timeout=_READ_SECONDS, attempts=_ATTEMPTS
                )
            return self._clients[service]

    # ------------------------------------------------------------------------------------- the stack

    def read_stack(self) -> Mapping[str, Any]:
        """The stack as CloudFormation describes it; its resources are known from then on."""
        description = self._allowed("cloudformation", lambda: self.stack.description)
        self._allowed("cloudformation", lambda: self.stack.resources)
        return description

    def resource(self, logical_id: str) -> str:
        """The physical id of a resource; raises `MissingResourceError`."""
        if logical_id not in self.stack.resources:
            raise MissingResourceError(logical_id)
        return self.stack.resources[logical_id]

    def log(self, function: str) -> str:
        """The command that prints the log of a function, by its logical id."""
        group = self.stack.resources.get(f"{function.removesuffix('Function')}LogGroup", function)
        return f"wxn tail --function {group.rpartition('/')[2]}"

    @property
    def functions(self) -> Sequence[str]:
        """The logical ids of the functions."""
        return [name for name in self.stack.resources if name.endswith("Function")]

    def _metrics(self) -> Iterator[Metric]:
        for function in self.functions:
            for name in ("Errors", "Throttles", "Invocations"):
                yield Metric(function, name, "AWS/Lambda", {"FunctionName": self.resource(function)})
        table = {"TableName": self.resource("Ledger")}
        for name in ("ReadThrottleEvents", "WriteThrottleEvents"):
            yield Metric("Ledger", name, "AWS/DynamoDB", table)
            yield Metric(
                "Ledger/listed", name, "AWS/DynamoDB", table | {"GlobalSecondaryIndexName": "listed"}
            )
        for queue in ("SendQueue", "BroadcastQueue", "BroadcastStepQueue"):
            name = self.resource(queue).rpartition("/")[2]
            yield Metric(queue, "ApproximateAgeOfOldestMessage", "AWS/SQS", {"QueueName": name}, "Maximum")

    def _refresher_concurrency(self) -> int | None:
        name = self.resource("TokenRefreshFunction")
        answer = self.call("lambda", "get_function_concurrency", FunctionName=name)
        reserved: int | None = answer.get("ReservedConcurrentExecutions")
        return reserved

    # ------------------------------------------------------------------------------------- accounts

    @property
    def parameter_path(self) -> str:
        """The path under which the accounts' parameters stand."""
        return self.stack.outputs["ParameterPath"]

    @property
    def accounts(self) -> Sequence[str]:
        """The accounts that send, to examine; raises `DeniedError` where they cannot be listed."""
        if self.account is not None:
            stored = self.stored().get(self.account)
            return [] if stored is not None and stored.is_platform else [self.account]
        return sorted(
            name for name, account in self.stored().items() if account.credentials and not account.is_platform
        )

    def of(self, account: str) -> AccountFacts:
        """The answers of the API about an account."""
        with self._lock:
            if account not in self._accounts:
                self._accounts[account] = AccountFacts(self._api(account), self.now())
            return self._accounts[account]

    def _stored(self) -> Iterator[Parameters]:
        # The values are not asked for: they are secrets, and nothing here needs them.
        within = [{"Key": "Path", "Option": "Recursive", "Values": [self.parameter_path]}]
        changed: dict[str, dict[str, datetime]] = {}
        for page in self.pages("ssm", "describe_parameters", ParameterFilters=within, MaxResults=50):
            for parameter in page["Parameters"]:
                name, part = account_and_part(parameter["Name"], self.parameter_path)
                changed.setdefault(name, {})[part] = parameter["LastModifiedDate"]
        for name, parts in changed.items():
            yield Parameters(name, parts)
