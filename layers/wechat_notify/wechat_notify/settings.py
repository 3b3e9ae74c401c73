"""The only reader of what the template sets for this service, and of how Lambda starts."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from datetime import timedelta, timezone

from wechat_notify.core.delivery.circuit import QuotaReset

_QUOTA_RESET = re.compile(
    r"(?P<hour>[01][0-9]|2[0-3]):(?P<minute>[0-5][0-9])(?P<sign>[+-])(?P<h>0[0-9]|1[0-4]):(?P<m>[0-5][0-9])"
)
_PROXY = re.compile(r"https?://[A-Za-z0-9._:\[\]-]+")


class MissingSettingError(RuntimeError):
    """A variable that the template sets is not there."""


class MalformedSettingError(RuntimeError):
    """A variable is there but does not say what it must; nothing is made of it by guessing."""


def starts_from_snapshot(environ: Mapping[str, str] = os.environ) -> bool:
    """Return whether this process starts from a snapshot (Lambda SnapStart)."""
    return environ.get("AWS_LAMBDA_INITIALIZATION_TYPE") == "snap-start"


def is_traced(environ: Mapping[str, str] = os.environ) -> bool:
    """Return whether the function's calls are traced."""
    return environ.get("TRACING") == "Active"


def xray_daemon(environ: Mapping[str, str] = os.environ) -> tuple[str, int]:
    """Host and UDP port of X-Ray's daemon, as Lambda sets them."""
    host, _, port = environ.get("AWS_XRAY_DAEMON_ADDRESS", "127.0.0.1:2000").rpartition(":")
    return host, int(port)


def trace_header(environ: Mapping[str, str] = os.environ) -> str:
    """The tracing header of the current invocation; Lambda's runtime sets it anew for each."""
    return environ.get("_X_AMZN_TRACE_ID", "")


class Settings:
    """The variables, read when asked for: no function has all of them."""

    def __init__(self, environ: Mapping[str, str] = os.environ) -> None:
        self._environ = environ

    def _required(self, name: str) -> str:
        value = self._environ.get(name)
        if not value:
            raise MissingSettingError(f"the environment variable {name} is not set")
        return value

    @property
    def parameter_path(self) -> str:
        """The SSM path of the accounts, such as ``/wechat-notify/prod/accounts``."""
        return self._required("PARAMETER_PATH").rstrip("/")

    @property
    def wechat_api_base(self) -> str:
        """Scheme and host of WeChat's server API or of one of its failover domains."""
        return self._required("WECHAT_API_BASE")

    @property
    def wechat_pages_base(self) -> str:
        """Scheme and host of WeChat's pages for people, such as ``https://mp.weixin.qq.com``."""
        return self._required("WECHAT_PAGES_BASE")

    @property
    def wechat_proxy(self) -> str | None:
        """The HTTP proxy on the way to WeChat, such as ``http://10.0.0.5:3128``; None without one.

        It is told no name and no password. AWS is reached without it.
        """
        value = self._environ.get("WECHAT_PROXY")
        if value and not _PROXY.fullmatch(value):
            raise MalformedSettingError("WECHAT_PROXY must be a scheme, a host and a port")
        return value or None

    @property
    def api_url(self) -> str:
        """The address of this stack's HTTP API, without a slash at its end."""
        return self._required("API_URL").rstrip("/")

    @property
    def canary_parameter(self) -> str:
        """The name of the SSM parameter that says what the canary sends."""
        return self._required("CANARY_PARAMETER")

    @property
    def parameter_kms_key(self) -> str | None:
        """The ARN of the KMS key of parameters that are written; None where it is SSM's own."""
        return self._environ.get("PARAMETER_KMS_KEY") or None

    @property
    def token_refresh_function(self) -> str:
        """The name of the function that senders ask for a token."""
        return self._required("TOKEN_REFRESH_FUNCTION")

    @property
    def checked_functions(self) -> dict[str, str]:
        """Functions that are tried before they get traffic: by their names in AWS, those of their code."""
        value = self._required("CHECKED_FUNCTIONS")
        try:
            return {str(name): str(code) for name, code in json.loads(value).items()}
        except (ValueError, AttributeError):
            raise MalformedSettingError("CHECKED_FUNCTIONS must be a JSON object") from None

    @property
    def send_queue_url(self) -> str:
        """The queue of messages to be sent."""
        return self._required("SEND_QUEUE_URL")

    @property
    def dead_letter_queue_url(self) -> str:
        """The queue of bodies that could not be read."""
        return self._required("DEAD_LETTER_QUEUE_URL")

    @property
    def callback_queue_url(self) -> str:
        """The queue of what WeChat has told."""
        return self._required("CALLBACK_QUEUE_URL")

    @property
    def openid_hash_secret(self) -> str:
        """The ARN of the secret with the keys under which openids are hashed."""
        return self._required("OPENID_HASH_SECRET")

    @property
    def ledger_table(self) -> str:
        """The name of the table of messages and circuits."""
        return self._required("LEDGER_TABLE")

    @property
    def ledger_retention_days(self) -> int:
        """For how many days a message's entry is kept after its last change."""
        value = self._required("LEDGER_RETENTION_DAYS")
        if not re.fullmatch("[1-9][0-9]{0,4}", value):
            raise MalformedSettingError("LEDGER_RETENTION_DAYS must be a number of days, 1 or more")
        return int(value)

    @property
    def list_sent_messages(self) -> bool:
        """Messages that were sent are listed too, at the price of a write for each."""
        return self._flag("LIST_SENT_MESSAGES")

    @property
    def receipts(self) -> bool:
        """Messages that were sent are found by WeChat's receipts, at the price of a write for each."""
        return self._flag("RECEIPTS")

    def _flag(self, name: str) -> bool:
        value = self._required(name)
        if value not in {"true", "false"}:
            raise MalformedSettingError(f"{name} must be true or false")
        return value == "true"

    @property
    def event_bus_name(self) -> str:
        """The bus on which the team's own automation hears of what happens."""
        return self._required("EVENT_BUS_NAME")

    @property
    def schedule_group(self) -> str:
        """The schedule group of the accounts' schedules."""
        return self._required("SCHEDULE_GROUP")

    @property
    def schedule_role_arn(self) -> str:
        """The role under which Scheduler puts messages on the send queue."""
        return self._required("SCHEDULE_ROLE_ARN")

    @property
    def send_queue_arn(self) -> str:
        """The queue of messages to be sent, as Scheduler's target."""
        return self._required("SEND_QUEUE_ARN")

    @property
    def broadcast_step_queue_arn(self) -> str:
        """The queue of broadcasts' steps, as Scheduler's target."""
        return self._required("BROADCAST_STEP_QUEUE_ARN")

    @property
    def event_dead_letter_queue_arn(self) -> str:
        """The queue of what Scheduler could not deliver."""
        return self._required("EVENT_DEAD_LETTER_QUEUE_ARN")

    @property
    def broadcast_bucket(self) -> str:
        """The bucket of recipients' files and results."""
        return self._required("BROADCAST_BUCKET")

    @property
    def broadcast_queue_url(self) -> str:
        """The queue of broadcasts' messages."""
        return self._required("BROADCAST_QUEUE_URL")

    @property
    def broadcast_step_queue_url(self) -> str:
        """The queue of broadcasts' steps."""
        return self._required("BROADCAST_STEP_QUEUE_URL")

    @property
    def broadcast_rate_limit(self) -> float:
        """The rate that an account's broadcasts have together, in messages per second."""
        value = self._required("BROADCAST_RATE_LIMIT")
        if not re.fullmatch("[1-9][0-9]{0,4}", value):
            raise MalformedSettingError("BROADCAST_RATE_LIMIT must be a number of messages per second")
        return float(value)

    @property
    def quota_reset(self) -> QuotaReset:
        """The daily reset of WeChat's quotas: a time of day and its offset, as ``00:00+08:00``."""
        parts = _QUOTA_RESET.fullmatch(self._required("QUOTA_RESET"))
        if not parts:
            raise MalformedSettingError("QUOTA_RESET must be a time and its offset, such as 00:00+08:00")
        offset = timedelta(hours=int(parts["h"]), minutes=int(parts["m"]))
        after_midnight = timedelta(hours=int(parts["hour"]), minutes=int(parts["minute"]))
        return QuotaReset(
            timezone(-offset if parts["sign"] == "-" else offset), after_midnight.total_seconds()
        )
