"""The parameters of an account: its credentials, which an operator writes, and its access token.

``<path>/<account>/credentials``
    SecureString, JSON ``{"type": "app", "app_id", "app_secret"}``.
``<path>/<account>/access-token``
    SecureString, JSON; written by the token refresher alone.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import asdict
from functools import cache
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, TypeAdapter, ValidationError

from wechat_notify.aws.clients import Clients
from wechat_notify.core.errors import StorageError, UnknownAccountError
from wechat_notify.core.messages.identifiers import ACCOUNT_NAME, is_account_name
from wechat_notify.core.texts import Bilingual
from wechat_notify.core.tokens.token import AccessToken, Account, TokenSource

RETRY_FOR = 1.0
"""Seconds in which a sender's call is repeated."""
PATIENT_RETRY_FOR = 7.5
"""The same for the refresher, for whom nobody else repeats it."""
_CREDENTIALS = "credentials"
_ACCESS_TOKEN = "access-token"  # noqa: S105 - a parameter's name

Secret = Annotated[str, StringConstraints(min_length=1, strip_whitespace=True)]


class AppCredentials(BaseModel):
    """The credentials of an account that is an app of its own, as an operator stores them."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True, defer_build=True)

    type: Literal["app"]
    app_id: Secret
    app_secret: Annotated[Secret, Field(repr=False)]


class StoredTokens:
    """The sender's side: reads one account's token and nothing else."""

    def __init__(self, aws: Clients, path: str) -> None:
        self._aws = aws
        self._path = path

    def read(self, account: str) -> AccessToken | None:
        """The stored token, None where there is none; raises ``StorageError``."""
        name = f"{self._path}/{account}/{_ACCESS_TOKEN}"
        try:
            value = self._aws.call(
                "read the access token",
                lambda: self._aws.ssm.get_parameter(Name=name, WithDecryption=True)["Parameter"]["Value"],
                retry_for=RETRY_FOR,
            )
        except StorageError as error:
            if error.code == "ParameterNotFound":
                return None
            raise
        return _token(value)


class AccountNames:
    """The names of the accounts, without any of their values."""

    def __init__(self, aws: Clients, path: str) -> None:
        self._aws = aws
        self._path = path

    def with_token(self) -> list[str]:
        """The accounts that have a stored token; raises ``StorageError``."""
        return self.having(_ACCESS_TOKEN, retry_for=PATIENT_RETRY_FOR)

    def having(self, wanted: str, *, retry_for: float) -> list[str]:
        """The accounts that have a parameter of this name; raises ``StorageError``."""
        # Not GetParametersByPath: who may call that can read the credentials as well.
        within: Any = [{"Key": "Path", "Option": "Recursive", "Values": [self._path]}]
        names: list[str] = []
        page: dict[str, Any] = {}
        while True:
            answer = self._aws.call(
                "list the accounts",
                lambda: self._aws.ssm.describe_parameters(ParameterFilters=within, MaxResults=50, **page),  # noqa: B023
                retry_for=retry_for,
            )
            names += [parameter["Name"] for parameter in answer["Parameters"]]
            if not answer.get("NextToken"):
                break
            page = {"NextToken": answer["NextToken"]}
        found = (name.removeprefix(f"{self._path}/").partition("/") for name in names)
        return [account for account, _, name in found if name == wanted and is_account_name(account)]


class Accounts:
    """The refresher's side: reads credentials, writes tokens.

    Parameters
    ----------
    aws : Clients
        boto3's clients.
    path : str
        The parameter path under which accounts are stored.
    source : Callable
        Where a token comes from, by the credentials.
    """

    def __init__(self, aws: Clients, path: str, source: Callable[[AppCredentials], TokenSource]) -> None:
        self._aws = aws
        self._path = path
        self._source = source

    def load(self, account: str) -> Account:
        """One account; raises ``UnknownAccountError`` or ``StorageError``."""
        if not is_account_name(account):
            raise UnknownAccountError(account)
        names = [f"{self._path}/{account}/{name}" for name in (_CREDENTIALS, _ACCESS_TOKEN)]
        found = self._aws.call(
            "read the account",
            lambda: self._aws.ssm.get_parameters(Names=names, WithDecryption=True)["Parameters"],
            retry_for=PATIENT_RETRY_FOR,
        )
        values = {parameter["Name"].rpartition("/")[2]: parameter["Value"] for parameter in found}
        if _CREDENTIALS not in values:
            raise UnknownAccountError(account)
        return self._account(account, values)

    def load_all(self) -> Iterator[Account]:
        """Every account that has credentials; raises ``StorageError``."""
        found: dict[str, dict[str, str]] = {}
        page: dict[str, Any] = {}
        while True:
            answer = self._read_page(page)
            for parameter in answer["Parameters"]:
                account, _, name = parameter["Name"].removeprefix(f"{self._path}/").partition("/")
                found.setdefault(account, {})[name] = parameter["Value"]
            if not answer.get("NextToken"):
                break
            page = {"NextToken": answer["NextToken"]}
        for account, values in found.items():
            if _CREDENTIALS in values:
                yield self._account(account, values)

    def save(self, account: str, token: AccessToken) -> None:
        """Replace the stored token; raises ``StorageError``."""
        value = json.dumps(asdict(token), separators=(",", ":"))
        self._aws.call(
            "store the access token",
            lambda: self._aws.ssm.put_parameter(
                Name=f"{self._path}/{account}/{_ACCESS_TOKEN}",
                Value=value,
                Type="SecureString",
                Overwrite=True,
            ),
            retry_for=PATIENT_RETRY_FOR,
        )

    def _read_page(self, page: dict[str, Any]) -> Any:
        return self._aws.call(
            "list the accounts",
            lambda: self._aws.ssm.get_parameters_by_path(
                Path=self._path, Recursive=True, WithDecryption=True, **page
            ),
            retry_for=PATIENT_RETRY_FOR,
        )

    def _account(self, account: str, values: dict[str, str]) -> Account:
        source: TokenSource | None = None
        problem: Bilingual | None = None
        if not is_account_name(account):
            problem = Bilingual(f"the account's name {ACCOUNT_NAME.text.en}", f"账号名{ACCOUNT_NAME.text.zh}")
        else:
            try:
                source = self._source(AppCredentials.model_validate_json(values[_CREDENTIALS]))
            except ValidationError as error:
                # Only the names of fields, never their content: a secret may be in any wrong place.
                wrong = {str(details["loc"][0]) if details["loc"] else "JSON" for details in error.errors()}
                fields = ", ".join(sorted(wrong & {"JSON", *AppCredentials.model_fields}))
                form = '{"type": "app", "app_id", "app_secret"}'
                problem = Bilingual(
                    f"must be {form}; wrong: {fields or 'an unknown field'}",
                    f"必须是 {form}；有误：{fields or '未知字段'}",
                )
        token = _token(values[_ACCESS_TOKEN]) if _ACCESS_TOKEN in values else None
        return Account(account, source, token, problem)


@cache
def _token_adapter() -> TypeAdapter[AccessToken]:
    return TypeAdapter(AccessToken)


def _token(value: str) -> AccessToken | None:
    """The stored token; one that cannot be read counts as none, so that a refresh replaces it."""
    try:
        return _token_adapter().validate_json(value)
    except ValidationError:
        return None
