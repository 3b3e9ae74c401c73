"""Calls to AWS; clients are made on first use: a cold start pays only for what its first event needs."""

from __future__ import annotations

import logging
import threading
from functools import cache
from typing import Any, Literal

from botocore.exceptions import BotoCoreError, ClientError

from wechat_notify.core.outcomes import StorageError

Service = Literal["ssm", "sqs", "lambda"]

_CONNECT_TIMEOUT = 1.0
_READ_TIMEOUT = {"ssm": 2.0, "sqs": 3.0, "lambda": 6.0}
"""Seconds; a function is invoked synchronously only to refresh a token."""
_ATTEMPTS = {"ssm": 2, "sqs": 2, "lambda": 1}
"""A busy refresher is waited for by ``core.tokens``, which knows what to look at meanwhile. The times
together are what ``core.delivery`` reckons with."""
_PATIENT_ATTEMPTS = 8
"""For the refresher, which has two minutes: SSM takes only a few writes a second."""

_making = threading.Lock()


def call(service: Service, method: str, action: str, *, patient: bool = False, **request: Any) -> Any:
    """AWS's answer to one request; raises ``StorageError`` with the action and AWS's error code."""
    try:
        return getattr(client(service, patient=patient), method)(**request)
    except (BotoCoreError, ClientError) as error:
        code = error_code(error)
    # Raised out here: AWS's error may quote what was read or written.
    raise StorageError(action, code)


def client(service: Service, *, patient: bool = False) -> Any:
    """The process's client for an AWS service; a patient one tries longer."""
    with _making:  # boto3 may not make two at a time
        return _client(service, patient)


@cache
def _client(service: Service, patient: bool) -> Any:  # noqa: FBT001 - the cache's key
    import boto3  # noqa: PLC0415 - 120 ms of a cold start, for those who call AWS only
    from botocore.config import Config  # noqa: PLC0415

    # At DEBUG botocore logs whole answers, and SecureStrings with them.
    logging.getLogger("botocore").setLevel(logging.INFO)
    return boto3.client(
        service,
        config=Config(
            connect_timeout=_CONNECT_TIMEOUT,
            read_timeout=_READ_TIMEOUT[service],
            retries={
                "mode": "standard",
                "total_max_attempts": _PATIENT_ATTEMPTS if patient else _ATTEMPTS[service],
            },
            max_pool_connections=20,
            tcp_keepalive=True,
        ),
    )


def error_code(error: BotoCoreError | ClientError) -> str:
    """AWS's name for what went wrong; it never holds what was read or written."""
    response = getattr(error, "response", None) or {}
    return str(response.get("Error", {}).get("Code") or type(error).__name__)
