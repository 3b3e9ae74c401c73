"""The stored accounts: their parameters, and the question to WeChat whether their credentials are good."""

from __future__ import annotations

import json
import re
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import Any, Final, NamedTuple

from wxn.aws_errors import code_of
from wxn.errors import CommandError, ExitCode
from wxn.explanations import by_code
from wxn.functions import invoke
from wxn.language import text
from wxn.stacks import Stack

_NAME: Final = re.compile(r"[a-z0-9-]{1,64}")
_USUAL_APP_ID: Final = re.compile(r"wx[0-9a-f]{16}")
_USUAL_SECRET: Final = re.compile(r"[0-9a-f]{32}")
_MAX_LENGTH: Final = 128
CREDENTIALS: Final = "credentials"
ACCESS_TOKEN: Final = "access-token"  # noqa: S105 - a parameter's name
_UNKNOWN: Final = "unknown_account"
COMPONENT_TOKEN: Final = "component-access-token"  # noqa: S105 - the same
CALLBACK: Final = "callback"
_ALL: Final = (
    CREDENTIALS,
    ACCESS_TOKEN,
    COMPONENT_TOKEN,
    CALLBACK,
    "refresh-token",
    "ticket",
    "ticket-request",
)
"""The parameters that accounts have, third-party platforms and their merchants among them."""

_REFRESH_SECONDS: Final = 130
"""token_refresh ends after 120 seconds at the latest."""
_PAUSES: Final = (1.0, 2.0, 4.0)
"""Seconds before token_refresh is asked again for an account that was stored just now: Parameter Store may not
show it yet."""


class StoredAccount(NamedTuple):
    """One account. ``app_id`` is None where its credentials are missing or cannot be read.

    ``type`` is ``app``, ``component`` (a third-party platform) or ``authorizer`` (a merchant of ``component``,
    who may have ended that: ``revoked``). ``consents`` is the policy on messages without a consent, None of a
    merchant, who has the platform's. ``obtained_at`` and ``expires_at`` are those of its access token, seconds
    since the epoch; None without one.
    """

    name: str
    has_credentials: bool
    app_id: str | None
    obtained_at: float | None
    expires_at: float | None
    type: str | None = None
    component: str | None = None
    revoked: bool = False
    consents: str | None = None


class Policy(StrEnum):
    """The fate of a message whose receiver has no consent left."""

    OFF = "off"
    """Consents are recorded, and messages do not ask for them."""
    WARN = "warn"
    """It is sent, with a warning."""
    ENFORCE = "enforce"
    """It is refused before the call to WeChat."""


class Cause(StrEnum):
    """The reason why WeChat gives no token."""

    WRONG_SECRET = "wrong_secret"  # noqa: S105 # nosec B105 # a cause's name
    SECRET_FROZEN = "secret_frozen"  # noqa: S105 # nosec B105 # the same
    IP_NOT_WHITELISTED = "ip_not_whitelisted"
    WRONG_APP_ID = "wrong_app_id"
    NO_PERMISSION = "no_permission"
    TRANSIENT = "transient"
    UNKNOWN = "unknown"


_BY_ERRCODE: Final = {
    40001: Cause.WRONG_SECRET,  # at the token endpoints it is about the secret
    40125: Cause.WRONG_SECRET,
    41004: Cause.WRONG_SECRET,
    40243: Cause.SECRET_FROZEN,
    40164: Cause.IP_NOT_WHITELISTED,
    40013: Cause.WRONG_APP_ID,
    41002: Cause.WRONG_APP_ID,
}
_ADDRESSES: Final = {
    40164: r"invalid ip ([0-9A-Fa-f.:]+)",
    61004: r"requestIP: ?([0-9A-Fa-f.:]+)",
}
"""WeChat's words for the address that a whitelist lacks: the account's, or its third-party platform's."""
_BY_CLASS: Final = {
    "permission": Cause.NO_PERMISSION,
    "banned": Cause.NO_PERMISSION,
    "transient": Cause.TRANSIENT,
    "rate_limit": Cause.TRANSIENT,
}


class Checked(NamedTuple):
    """WeChat's answer about an account's credentials.

    ``failure`` is token_refresh's, None where WeChat gave a token; ``is_stored``: SSM took the token.
    """

    account: str
    failure: Mapping[str, Any] | None = None
    is_stored: bool = True

    @property
    def cause(self) -> Cause | None:
        """The cause of a failure."""
        if self.failure is None:
            return None
        known = _BY_ERRCODE.get(self.failure.get("errcode") or 0)
        return known or _BY_CLASS.get(str(self.failure.get("class")), Cause.UNKNOWN)

    @property
    def address(self) -> str | None:
        """The address that is not on the IP whitelist, as WeChat names it."""
        failure = self.failure or {}
        pattern = _ADDRESSES.get(failure.get("errcode") or 0)
        found = re.search(pattern, failure.get("errmsg") or "") if pattern else None
        return found[1] if found else None

    def as_json(self) -> dict[str, Any]:
        """The document that ``--json`` prints."""
        found: dict[str, Any] = {"account": self.account, "accepted": self.failure is None}
        if self.failure is None:
            return found | {"token_stored": self.is_stored}
        explanation = by_code(self.failure.get("errcode") or 0) if self.failure.get("errcode") else None
        return found | {
            "cause": self.cause,
            **({"address": self.address} if self.address else {}),
            **self.failure,
            **({"explanation": explanation.as_json()} if explanation else {}),
        }


def is_name(name: str) -> bool:
    """True of what an account can be named."""
    return _NAME.fullmatch(name) is not None


def require_name(name: str) -> None:
    """Raise CommandError where no account can have this name."""
    if not is_name(name):
        raise CommandError(
            text(f"No account can be named {name!r}.", f"账号名 {name!r} 不合法。"),
            text("Use 1 to 64 of a-z, 0-9 and -.", "请使用 1 到 64 个字符，只能含 a-z、0-9 和 -。"),
        )


def checked_app_id(given: str) -> str:
    """The app id without outer blanks; raises CommandError."""
    app_id = given.strip()
    if _USUAL_SECRET.fullmatch(app_id):  # not shown: it may be the secret
        raise CommandError(
            text("The app id has the form of an app secret.", "填写的 AppID 像是 AppSecret。"),
            text("Give the app id first: wx and 16 hex digits.", "请先填写 AppID：wx 加 16 位十六进制字符。"),
        )
    return _checked(app_id, "AppID")


def checked_secret(given: str) -> str:
    """The app secret without outer blanks; raises CommandError, which does not show it."""
    return _checked(given.strip(), "AppSecret")


def _checked(value: str, name: str) -> str:
    if (
        not value
        or len(value) > _MAX_LENGTH
        or not value.isascii()
        or not value.isprintable()
        or " " in value
    ):
        raise CommandError(
            text(f"This is no {name}.", f"{name} 格式不正确。"),
            text(
                f"Copy the {name} from the account's back end (mp.weixin.qq.com).",
                f"请从账号后台（mp.weixin.qq.com）复制 {name}。",
            ),
        )
    return value


def unusual(app_id: str, secret: str) -> list[str]:
    """The names of those that do not look as WeChat's do."""
    forms = (("AppID", _USUAL_APP_ID, app_id), ("AppSecret", _USUAL_SECRET, secret))
    return [name for name, usual, value in forms if not usual.fullmatch(value)]


class Accounts:
    """The accounts of a stack."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self._ssm = stack.client("ssm")

    def all(self) -> Iterator[StoredAccount]:
        """The stored accounts, in the order of their names."""
        path = self._stack.outputs["ParameterPath"]
        pages = self._ssm.get_paginator("get_parameters_by_path").paginate(
            Path=path, Recursive=True, WithDecryption=True
        )
        found: dict[str, dict[str, str]] = defaultdict(dict)
        for page in pages:
            for parameter in page["Parameters"]:
                account, part = account_and_part(parameter["Name"], path)
                found[account][part] = parameter["Value"]
        for account, values in sorted(found.items()):
            yield _account(account, values)

    def one(self, name: str) -> StoredAccount | None:
        """One account; None where there is none."""
        looked_at = (CREDENTIALS, ACCESS_TOKEN, COMPONENT_TOKEN, CALLBACK)
        names = [self._parameter(name, part) for part in looked_at]
        found = self._ssm.get_parameters(Names=names, WithDecryption=True)["Parameters"]
        values = {parameter["Name"].rpartition("/")[2]: parameter["Value"] for parameter in found}
        return _account(name, values) if values else None

    def store(self, name: str, app_id: str, secret: str, *, kind: str, replace: bool) -> None:
        """Store credentials of a type; CommandError where there are some and ``replace`` is not given.

        What else stands in those that are replaced stays, such as the policy on consents.
        """
        kept = self._credentials(name) if replace else {}
        self._put(name, {**kept, "type": kind, "app_id": app_id, "app_secret": secret}, replace=replace)

    def set_consents(self, name: str, policy: Policy) -> str | None:
        """Set an account's policy on consents; the policy before. CommandError where it cannot have one."""
        known = self._credentials(name)
        if not known:
            raise unknown(name)
        if known.get("type") == "authorizer":
            raise _has_platforms_policy(name, str(known.get("component")))
        before = known.pop("consents", Policy.OFF.value)
        if before != policy:
            more = {} if policy is Policy.OFF else {"consents": policy.value}
            self._put(name, {**known, **more}, replace=True)
        return str(before)

    def _credentials(self, name: str) -> dict[str, Any]:
        """The fields of stored credentials; none where there are none that can be read."""
        names = [self._parameter(name, CREDENTIALS)]
        found = self._ssm.get_parameters(Names=names, WithDecryption=True)["Parameters"]
        return _fields(found[0]["Value"]) if found else {}

    def _put(self, name: str, credentials: Mapping[str, Any], *, replace: bool) -> None:
        from botocore.exceptions import ClientError  # noqa: PLC0415 - --help starts without it

        value = json.dumps(credentials)
        key = self._stack.parameters.get("KmsKeyArn")
        try:
            self._ssm.put_parameter(
                Name=self._parameter(name, CREDENTIALS),
                Value=value,
                Type="SecureString",
                Overwrite=replace,
                **({"KeyId": key} if key else {}),
            )
        except ClientError as error:
            code = code_of(error)
            if code == "ParameterAlreadyExists":
                raise exists(name) from None
            if code == "ValidationException":  # its text quotes what was sent
                raise CommandError(
                    text("SSM does not take the credentials.", "SSM 拒绝保存该凭证。"),
                    text("Copy the app id and the app secret again.", "请重新复制 AppID 和 AppSecret。"),
                ) from None
            raise

    def delete(self, name: str) -> list[str]:
        """Delete an account's parameters; the names of those that there were."""
        names = [self._parameter(name, part) for part in _ALL]
        deleted: list[str] = self._ssm.delete_parameters(Names=names)["DeletedParameters"]
        return sorted(deleted)

    def schedules(self, name: str) -> list[str]:
        """The names of an account's schedules."""
        pages = (
            self._stack.client("scheduler")
            .get_paginator("list_schedules")
            .paginate(GroupName=self._stack.outputs["ScheduleGroupName"], NamePrefix=f"{name}.")
        )
        return [each["Name"].removeprefix(f"{name}.") for page in pages for each in page["Schedules"]]

    def check(self, name: str, *, is_new: bool = False) -> Checked:
        """Have token_refresh ask WeChat for a token; CommandError where that could not be asked."""
        payload = self._refresh(name)
        for pause in _PAUSES if is_new else ():
            if payload.get("result") != _UNKNOWN:
                break
            time.sleep(pause)
            payload = self._refresh(name)
        if payload.get("result") == _UNKNOWN:
            raise unknown(name)
        failures = payload["failed"]
        return Checked(name, failures[0] if failures else None, name not in payload["not_stored"])

    def _refresh(self, name: str) -> dict[str, Any]:
        client = self._stack.client("lambda", read_timeout=_REFRESH_SECONDS)
        function = self._stack.outputs["TokenRefreshFunctionName"]
        payload: dict[str, Any] = invoke(client, function, {"account": name}, function="token_refresh")
        return payload

    def _parameter(self, name: str, part: str) -> str:
        return f"{self._stack.outputs['ParameterPath']}/{name}/{part}"


def account_and_part(parameter: str, path: str) -> tuple[str, str]:
    """The account of a parameter below the path, and its part: ``CREDENTIALS`` or ``ACCESS_TOKEN``."""
    account, _, part = parameter.removeprefix(f"{path}/").partition("/")
    return account, part


def exists(name: str) -> CommandError:
    """The reason that ends ``add`` where the account has credentials."""
    return CommandError(
        text(f"{name} has credentials already; nothing was changed.", f"{name} 已有凭证，未做任何改动。"),
        text(
            f"To store a new secret: wxn account add {name} --replace",
            f"如需更换 AppSecret：wxn account add {name} --replace",
        ),
        ExitCode.FAILED,
    )


def of_merchant(name: str) -> CommandError:
    """The reason that ends ``add`` where the account is a merchant's: it has no secret."""
    return CommandError(
        text(
            f"{name} is a merchant of a third-party platform, and has no secret.",
            f"{name} 是第三方平台的授权账号，没有 AppSecret。",
        ),
        text("Its administrator authorizes the platform again.", "请让该账号的管理员重新授权第三方平台。"),
        ExitCode.FAILED,
    )


def _has_platforms_policy(name: str, component: str) -> CommandError:
    return CommandError(
        text(
            f"{name} is a merchant of a third-party platform, and has the platform's policy.",
            f"{name} 是第三方平台的授权账号，沿用平台的策略。",
        ),
        text(
            f"To set that: wxn account consents {component} …",
            f"请设置平台：wxn account consents {component} …",
        ),
        ExitCode.FAILED,
    )


def unknown(name: str) -> CommandError:
    """The reason that ends a command about an account that is not stored."""
    return CommandError(
        text(f"There is no account {name}.", f"没有名为 {name} 的账号。"),
        text(
            f"See what there is: wxn account list; to add it: wxn account add {name}",
            f"查看已有的：wxn account list；添加：wxn account add {name}",
        ),
        ExitCode.FAILED,
    )


def _account(name: str, values: Mapping[str, str]) -> StoredAccount:
    credentials = _fields(values.get(CREDENTIALS))
    app_id, kind, component = (credentials.get(field) for field in ("app_id", "type", "component"))
    token = _fields(values.get(COMPONENT_TOKEN if kind == "component" else ACCESS_TOKEN))
    return StoredAccount(
        name,
        has_credentials=CREDENTIALS in values,
        app_id=app_id if isinstance(app_id, str) else None,
        obtained_at=token.get("obtained_at"),
        expires_at=token.get("expires_at"),
        type=kind if isinstance(kind, str) else None,
        component=component if isinstance(component, str) else None,
        revoked="revoked_at" in credentials,
        consents=_policy(credentials),
    )


def _policy(credentials: Mapping[str, Any]) -> str | None:
    if not credentials or credentials.get("type") == "authorizer":
        return None
    return str(credentials.get("consents", Policy.OFF.value))


def _fields(value: str | None) -> dict[str, Any]:
    try:
        found = json.loads(value or "")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
