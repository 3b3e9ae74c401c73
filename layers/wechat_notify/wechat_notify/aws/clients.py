"""AWS through boto3: one session, its clients, and the one place where a call is repeated or fails.

Region, credentials, endpoints, proxies and CA bundles are botocore's business: whatever its environment
variables and its configuration file say holds here.

botocore limits each attempt and pauses at random for up to 20 seconds between them; what comes of a message
must be written down within ten seconds, and an outage of five must be outlasted. So botocore makes one
attempt, and ``Clients.call`` repeats it until a time is over.
"""

from __future__ import annotations

import json
import logging
import random
import re
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeVar

from wechat_notify.core.clocks import Jitter
from wechat_notify.core.errors import StorageError

if TYPE_CHECKING:
    from boto3 import Session
    from botocore.config import Config
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_events import EventBridgeClient
    from mypy_boto3_lambda import LambdaClient
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_scheduler import EventBridgeSchedulerClient
    from mypy_boto3_secretsmanager import SecretsManagerClient
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_ssm import SSMClient

T = TypeVar("T")

Service = Literal[
    "codedeploy", "dynamodb", "events", "lambda", "s3", "scheduler", "secretsmanager", "sqs", "ssm"
]

CONNECT_TIMEOUT = 1.0
"""Seconds for the TCP connection to one address, and the same again for the TLS handshake."""
READ_TIMEOUTS: dict[Service, float] = {
    "codedeploy": 5.0,
    "dynamodb": 1.0,
    "events": 1.5,
    "lambda": 6.0,
    "s3": 10.0,
    "scheduler": 3.0,
    "secretsmanager": 1.5,
    "sqs": 3.0,
    "ssm": 1.5,
}
"""Seconds without a byte of the answer."""
MAX_CONNECTIONS = 24
"""Idle connections kept for each service: one for each worker thread, and some for those beside them."""
MAX_IDLE = 20.0
"""Seconds by the clock on the wall after which connections are not used again: while a function is frozen, a
gateway forgets them, and a call over one that is forgotten ends with its read timeout."""

MAX_TURN_WAIT = 5.0
"""Seconds for which a thread waits before it writes a parameter together with others."""

_FIRST_PAUSE = 0.05
"""Maximum pause after the first attempt, seconds; it doubles each time, and at least half of it is waited."""
_MAX_PAUSE = 2.0
_MIN_TIME = 0.01
"""Seconds below which there is no time for another attempt."""

_QUIET_LOGGERS = {"boto3": logging.WARNING, "botocore": logging.WARNING, "urllib3": logging.ERROR}
"""Levels below which these log what was sent and answered, tokens and secrets included."""
_AMAZON_ROOTS = Path(__file__).with_name("amazon_roots.pem")

_TRANSIENT_CODES = frozenset(
    {
        "BandwidthLimitExceeded",
        "EC2ThrottledException",
        "LimitExceededException",
        "PriorRequestNotComplete",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "RequestThrottled",
        "RequestThrottledException",
        "RequestTimeout",
        "RequestTimeoutException",
        "SlowDown",
        "ThrottledException",
        "Throttling",
        "ThrottlingException",
        "TooManyRequestsException",
        "TransactionInProgressException",
    }
)
"""botocore's own, of its retry mode ``standard``."""
_OK, _TOO_MANY_REQUESTS, _SERVER_ERROR = 200, 429, 500
_CODE = re.compile(r"[A-Za-z0-9_.-]{1,100}")


class Clients:
    """boto3's clients of this process, made on first use; safe to use from any number of threads.

    Parameters
    ----------
    make : Callable, optional
        Makes the client of a service; boto3's without it.
    parameter_key : str, optional
        The KMS key that encrypts parameters which are written; SSM's own without it.
    clock, sleep, jitter, now : Callable
        Seconds on a clock that never goes back; a pause; a number between two others; seconds since 1970.
    trace : Callable, optional
        Has DynamoDB's client tell of its calls.
    """

    def __init__(
        self,
        make: Callable[[Service], Any] | None = None,
        *,
        parameter_key: str | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        jitter: Jitter = random.uniform,
        now: Callable[[], float] = time.time,
        trace: Callable[[Any], Any] | None = None,
    ) -> None:
        self._encryption: dict[str, Any] = {"KeyId": parameter_key} if parameter_key else {}
        """Further arguments of ``PutParameter`` for a SecureString."""
        self._writing = threading.Lock()
        self._make = make
        self._trace = trace
        self._now = now
        self._used: dict[Service, float] = {}
        self._clock = clock
        self._sleep = sleep
        self._jitter = jitter
        self._lock = threading.Lock()
        self._made: dict[Service, Any] = {}
        self._session: Session | None = None
        self._verify: str | None = None
        for name, level in _QUIET_LOGGERS.items():
            logging.getLogger(name).setLevel(level)

    @property
    def codedeploy(self) -> Any:
        """The client of CodeDeploy."""
        return self._client("codedeploy")

    @property
    def dynamodb(self) -> DynamoDBClient:
        """The client of DynamoDB."""
        return self._client("dynamodb")  # type: ignore[no-any-return] # here and below: by its name

    @property
    def events(self) -> EventBridgeClient:
        """The client of EventBridge."""
        return self._client("events")  # type: ignore[no-any-return]

    @property
    def lambda_(self) -> LambdaClient:
        """The client of Lambda."""
        return self._client("lambda")  # type: ignore[no-any-return]

    @property
    def s3(self) -> S3Client:
        """The client of S3."""
        return self._client("s3")  # type: ignore[no-any-return]

    @property
    def scheduler(self) -> EventBridgeSchedulerClient:
        """The client of EventBridge Scheduler."""
        return self._client("scheduler")  # type: ignore[no-any-return]

    @property
    def secretsmanager(self) -> SecretsManagerClient:
        """The client of Secrets Manager."""
        return self._client("secretsmanager")  # type: ignore[no-any-return]

    @property
    def sqs(self) -> SQSClient:
        """The client of SQS."""
        return self._client("sqs")  # type: ignore[no-any-return]

    @property
    def ssm(self) -> SSMClient:
        """The client of SSM's parameters."""
        return self._client("ssm")  # type: ignore[no-any-return]

    def make(self, *services: Service) -> None:
        """Make clients before they are needed; none connects before its first call."""
        for service in services:
            self._client(service)

    def call(self, action: str, request: Callable[[], T], *, retry_for: float = 0.0) -> T:
        """The answer to a request, which is repeated after an error that may pass.

        Every request but an invocation may be repeated after its answer was lost. Reads change nothing,
        ``PutParameter`` and ``ChangeMessageVisibility`` say the same again, and ``PutItem`` carries a
        condition on the version it replaces, so that a second one meets the first. ``SendMessage`` and its
        batch make a second copy, which the ledger knows by its id. Events are delivered at least once anyway.

        Parameters
        ----------
        action : str
            What is being done, for the error.
        request : Callable
            One call of a client's method.
        retry_for : float
            Seconds after the first attempt in which another one may begin.

        Raises
        ------
        StorageError
            With AWS's error code, or the name of botocore's exception; nothing else of either, for both may
            quote what was read or written, and no exception behind it. The request may have been executed.
        """
        deadline, pause, trusted_all = self._clock() + retry_for, _FIRST_PAUSE, False
        while True:
            try:
                return request()
            except Exception as error:  # noqa: BLE001 - botocore's parsers raise any, with the content
                failure = _failure(error)
            if failure.untrusted and not trusted_all:  # nothing was sent
                trusted_all = True
                self._trust_all()
                continue
            left = deadline - self._clock()
            if not failure.transient or left < _MIN_TIME:
                break
            # Shortened rather than given up: an outage that ends a moment before the deadline is outlasted.
            self._sleep(min(self._jitter(pause / 2, pause), left))
            pause = min(2 * pause, _MAX_PAUSE)
        raise StorageError(action, failure.code)

    def put_parameter(
        self,
        action: str,
        name: str,
        value: str,
        *,
        kind: Literal["SecureString", "String"] = "SecureString",
        retry_for: float,
    ) -> None:
        """Write a parameter, and repeat it as ``call`` does; raises ``StorageError``.

        One thread after the other, as far as that leaves time: an AWS account has 3 ``PutParameter`` a
        second. Of 16 threads that repeated theirs against each other, each fourth got none within its time.
        https://docs.aws.amazon.com/general/latest/gr/ssm.html
        """
        began = self._clock()
        encryption = self._encryption if kind == "SecureString" else {}
        has_turn = self._writing.acquire(timeout=min(MAX_TURN_WAIT, retry_for))
        try:
            self.call(
                action,
                lambda: self.ssm.put_parameter(
                    Name=name, Value=value, Type=kind, Overwrite=True, **encryption
                ),
                retry_for=retry_for - (self._clock() - began),
            )
        finally:
            if has_turn:
                self._writing.release()

    def close(self) -> None:
        """Close all connections; clients are made anew for later calls."""
        with self._lock:
            made, self._made = self._made, {}
        for client in made.values():
            client.close()

    def _client(self, service: Service) -> Any:
        client = self._made.get(service)
        if client is None:
            with self._lock:  # boto3's sessions are not safe to use from several threads, and threads share
                client = self._made.get(service)
                if client is None:
                    client = self._made[service] = (self._make or self._by_boto3)(service)
        self._drop_idle(service, client)
        return client

    def _drop_idle(self, service: Service, client: Any) -> None:
        """Close a client's connections that have been idle for too long; it makes new ones."""
        now = self._now()
        if not 0.0 <= now - self._used.get(service, now) <= MAX_IDLE:
            with self._lock:
                last, self._used[service] = self._used[service], now
                if not 0.0 <= now - last <= MAX_IDLE:  # no other thread was here first
                    client.close()
        self._used[service] = now

    def _by_boto3(self, service: Service) -> Any:
        import boto3  # noqa: PLC0415 - 0.1 s, when the first call is made
        from botocore.session import get_session  # noqa: PLC0415 - the same

        if self._session is None:
            configuration = get_session()
            if not configuration.get_config_variable("ca_bundle"):
                self._verify = str(_AMAZON_ROOTS)
            self._session = boto3.Session(botocore_session=configuration)
        client = checked(self._session.client(service, config=client_config(service), verify=self._verify))
        return self._trace(client) if self._trace and service == "dynamodb" else client

    def _trust_all(self) -> None:
        """Make the clients anew, with botocore's CA bundle in place of Amazon's roots.

        Not from the beginning: botocore parses the certificates again for each connection, the five roots in
        1 ms and the bundle in 18. A bundle that is configured is the only one that is used.
        """
        with self._lock:
            if self._verify is not None:
                self._verify = None
                self._made = {}


def checked(client: Any) -> Any:
    """Have a client refuse a 200 that is no JSON, such as a proxy's page; botocore takes it for empty."""
    # Lambda's answer is a stream, and its function's own; S3's are files, and XML.
    if client.meta.service_model.service_name not in {"lambda", "s3"}:
        client.meta.events.register("before-parse.*", _check_body)
    return client


def client_config(service: Service) -> Config:
    """The options of a client; all but the read timeout are shared."""
    from botocore.config import Config  # noqa: PLC0415 - as above

    # URLs are signed by version 2 otherwise, which newer regions refuse. Checksums of boto3's own choice go
    # with the parts of an upload, but not with its beginning, and S3 may refuse what does not match; the
    # signature covers the content anyway. https://github.com/boto/botocore/issues/3216
    of_s3: dict[str, Any] = {
        "signature_version": "s3v4",
        "request_checksum_calculation": "when_required",
        "response_checksum_validation": "when_required",
        # Otherwise URLs are signed for the global endpoint, which redirects for a new bucket, and knows none
        # of the newer regions. https://github.com/boto/boto3/issues/3015
        "s3": {"addressing_style": "virtual"},
    }
    return Config(
        **(of_s3 if service == "s3" else {}),
        connect_timeout=CONNECT_TIMEOUT,
        read_timeout=READ_TIMEOUTS[service],
        retries={"mode": "standard", "total_max_attempts": 1},  # ``Clients.call`` makes the others
        max_pool_connections=MAX_CONNECTIONS,
        tcp_keepalive=True,
        parameter_validation=False,  # a tenth of a call's CPU
        user_agent="wechat-notify",  # made anew for each call otherwise: a seventh
    )


class _UnreadableAnswerError(Exception):
    """The body of an answer is not the JSON that the service answers with."""


def _check_body(response_dict: dict[str, Any], **_: object) -> None:
    if response_dict["status_code"] != _OK:
        return
    try:
        readable = isinstance(json.loads(response_dict["body"] or b"{}"), dict)
    except (ValueError, RecursionError):
        readable = False
    if not readable:
        raise _UnreadableAnswerError


class _Failure(NamedTuple):
    """The reason why an attempt failed, and the remedy."""

    code: str
    transient: bool = False
    untrusted: bool = False


def _failure(error: Exception) -> _Failure:
    from botocore.exceptions import (  # noqa: PLC0415 - as above
        ClientError,
        ConnectionError,  # noqa: A004 - botocore's
        HTTPClientError,
        SSLError,
    )

    if isinstance(error, StorageError):
        return _Failure(error.code)
    if isinstance(error, _UnreadableAnswerError):
        return _Failure("UnreadableAnswer", transient=True)
    if isinstance(error, ClientError):
        code = str(error.response.get("Error", {}).get("Code", ""))
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        transient = code in _TRANSIENT_CODES or status >= _SERVER_ERROR or status == _TOO_MANY_REQUESTS
        return _Failure(code if _CODE.fullmatch(code) else str(status), transient)
    untrusted = isinstance(error, SSLError) and "CERTIFICATE_VERIFY_FAILED" in str(error)
    transient = isinstance(error, (ConnectionError, HTTPClientError)) and not untrusted
    return _Failure(type(error).__name__, transient, untrusted)
