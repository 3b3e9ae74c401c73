"""The parameters of an account: its credentials, which an operator writes, and its access token.

``<path>/<account>/credentials``
    SecureString, JSON. An app: ``{"type": "app", "app_id", "app_secret"}``. A third-party platform:
    ``{"type": "component", "app_id", "app_secret"}``. A merchant who authorized one, written by the token
    refresher: ``{"type": "authorizer", "component", "app_id"}``. ``consents`` of the first two is the policy
    on messages without a consent, for a platform's merchants too.
``<path>/<account>/access-token``
    SecureString, JSON; written by the token refresher alone.
``<path>/<component>/component-access-token``
    The same of a third-party platform, under a name that no sender may read.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from functools import cache
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, TypeAdapter, ValidationError

from wechat_notify.aws.clients import Clients
from wechat_notify.core.errors import StorageError, UnknownAccountError
from wechat_notify.core.messages.identifiers import ACCOUNT_NAME, AccountName, is_account_name
from wechat_notify.core.platform.ports import Component, Merchant
from wechat_notify.core.texts import Bilingual
from wechat_notify.core.tokens.token import AccessToken, Account, TokenSource

RETRY_FOR = 1.0
"""Seconds in which a sender's call is repeated."""
PATIENT_RETRY_FOR = 7.5
"""The same for the refresher, for whom nobody else repeats it."""
_CREDENTIALS = "credentials"
_ACCESS_TOKEN = "access-token"  # noqa: S105 # nosec B105 # a parameter's name
COMPONENT_TOKEN = "component-access-token"  # noqa: S105 # nosec B105 # the same

ConsentPolicy = Literal["off", "warn", "enforce"]
Secret = Annotated[str, StringConstraints(min_length=1, strip_whitespace=True)]


class AppCredentials(BaseModel):
    """The credentials of an account that is an app of its own, as an operator stores them."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True, defer_build=True)

    type: Literal["app"]
    app_id: Secret
    app_secret: Annotated[Secret, Field(repr=False)]
    consents: ConsentPolicy = "off"


class ComponentCredentials(BaseModel):
    """The credentials of a third-party platform, as an operator stores them."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True, defer_build=True)

    type: Literal["component"]
    app_id: Secret
    app_secret: Annotated[Secret, Field(repr=False)]
    token_parameter: Literal["component_access_token", "access_token"] = "component_access_token"  # noqa: S105
    consents: ConsentPolicy = "off"

    def component(self, account: str) -> Component:
        """The platform under its account's name."""
        return Component(account, self.app_id, self.app_secret, self.token_parameter)


class AuthorizerCredentials(BaseModel):
    """The credentials of a merchant; what grants it is its refresh token, in a parameter of its own.

    ``func_info`` are the ids of the permission sets. Where an operator wrote the credentials it is absent,
    and nothing is refused by it.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True, defer_build=True)

    type: Literal["authorizer"]
    component: AccountName
    app_id: Secret
    func_info: tuple[int, ...] | None = None
    authorized_at: int | None = None
    revoked_at: int | None = None

    def merchant(self, account: str) -> Merchant:
        """The merchant under its account's name."""
        return Merchant(
            account, self.app_id, self.component, self.func_info, self.authorized_at or 0, self.revoked_at
        )


Credentials = AppCredentials | ComponentCredentials | AuthorizerCredentials
_FORMS = {
    "app": '{"type": "app", "app_id", "app_secret"}',
    "component": '{"type": "component", "app_id", "app_secret"}',
    "authorizer": '{"type": "authorizer", "component", "app_id"}',
}
"""The form that an operator is told to write, by type."""


@cache
def _credentials_adapter() -> TypeAdapter[Credentials]:
    return TypeAdapter(Annotated[Credentials, Field(discriminator="type")])


def read_credentials(value: str) -> Credentials:
    """The credentials in a parameter; raises ``ValidationError``."""
    return _credentials_adapter().validate_json(value)


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
    """The names of the accounts and of their parameters, without any of their values."""

    def __init__(self, aws: Clients, path: str) -> None:
        self._aws = aws
        self._path = path

    def with_token(self) -> list[str]:
        """The accounts that have a stored token; raises ``StorageError``."""
        return [account for account, _ in self.parameters(_ACCESS_TOKEN, retry_for=PATIENT_RETRY_FOR)]

    def parameters(self, *wanted: str, retry_for: float) -> list[tuple[str, str]]:
        """Account and name of every parameter that has one of these names; raises ``StorageError``."""
        # Not GetParametersByPath: who may call that can read the credentials as well. By the end of the name,
        # and not by the path: a platform's merchants have thousands of parameters, 50 to a page.
        ending: Any = [{"Key": "Name", "Option": "Contains", "Values": [f"/{name}" for name in wanted]}]
        names: list[str] = []
        page: dict[str, Any] = {}
        while True:
            answer = self._aws.call(
                "list the accounts",
                lambda: self._aws.ssm.describe_parameters(ParameterFilters=ending, MaxResults=50, **page),  # noqa: B023
                retry_for=retry_for,
            )
            names += [parameter["Name"] for parameter in answer["Parameters"]]
            if not answer.get("NextToken"):
                break
            page = {"NextToken": answer["NextToken"]}
        within = f"{self._path}/"
        found = (name.removeprefix(within).partition("/") for name in names if name.startswith(within))
        return [(account, name) for account, _, name in found if name in wanted and is_account_name(account)]


class Accounts:
    """The refresher's side: reads credentials, writes tokens.

    Parameters
    ----------
    aws : Clients
        boto3's clients.
    path : str
        The parameter path under which accounts are stored.
    source : Callable
        Where a token comes from, by the account's name, its credentials and its stored token.
    """

    def __init__(
        self,
        aws: Clients,
        path: str,
        source: Callable[[str, Credentials, AccessToken | None], TokenSource],
    ) -> None:
        self._aws = aws
        self._path = path
        self._source = source

    def load(self, account: str) -> Account:
        """One account; raises ``UnknownAccountError`` or ``StorageError``."""
        if not is_account_name(account):
            raise UnknownAccountError(account)
        wanted = (_CREDENTIALS, _ACCESS_TOKEN, COMPONENT_TOKEN)
        names = [f"{self._path}/{account}/{name}" for name in wanted]
        found = self._aws.call(
            "read the account",
            lambda: self._aws.ssm.get_parameters(Names=names, WithDecryption=True)["Parameters"],
            retry_for=PATIENT_RETRY_FOR,
        )
        values = {parameter["Name"].rpartition("/")[2]: parameter["Value"] for parameter in found}
        if _CREDENTIALS not in values:
            raise UnknownAccountError(account)
        return self._account(account, values, self._read_credentials)

    def _read_credentials(self, account: str) -> str | None:
        name = f"{self._path}/{account}/{_CREDENTIALS}"
        found = self._aws.call(
            "read the account",
            lambda: self._aws.ssm.get_parameters(Names=[name], WithDecryption=True)["Parameters"],
            retry_for=PATIENT_RETRY_FOR,
        )
        return found[0]["Value"] if found else None

    def load_all(self) -> Iterator[Account]:
        """Every account that has credentials, but for merchants who revoked them; raises ``StorageError``."""
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
            if _CREDENTIALS in values and not _is_revoked(values[_CREDENTIALS]):
                yield self._account(account, values, lambda name: found.get(name, {}).get(_CREDENTIALS))

    def save(self, account: str, token: AccessToken, *, sends: bool = True) -> None:
        """Replace the stored token; raises ``StorageError``."""
        value = json.dumps(token.as_dict(), separators=(",", ":"))
        name = _ACCESS_TOKEN if sends else COMPONENT_TOKEN
        full_name = f"{self._path}/{account}/{name}"
        self._aws.put_parameter("store the access token", full_name, value, retry_for=PATIENT_RETRY_FOR)

    def _read_page(self, page: dict[str, Any]) -> Any:
        return self._aws.call(
            "list the accounts",
            lambda: self._aws.ssm.get_parameters_by_path(
                Path=self._path, Recursive=True, WithDecryption=True, **page
            ),
            retry_for=PATIENT_RETRY_FOR,
        )

    def _account(
        self, account: str, values: dict[str, str], credentials_of: Callable[[str], str | None]
    ) -> Account:
        if not is_account_name(account):
            wrong_name = Bilingual(
                f"the account's name {ACCOUNT_NAME.text.en}", f"账号名{ACCOUNT_NAME.text.zh}"
            )
            return Account(account, None, _stored(values, _ACCESS_TOKEN), wrong_name)
        try:
            credentials = read_credentials(values[_CREDENTIALS])
        except ValidationError as error:
            return Account(account, None, _stored(values, _ACCESS_TOKEN), _problem(error))
        sends = not isinstance(credentials, ComponentCredentials)
        token = _stored(values, _ACCESS_TOKEN if sends else COMPONENT_TOKEN)
        return Account(
            account,
            self._source(account, credentials, token),
            token,
            sends=sends,
            app_id=credentials.app_id,
            consents=_consents(credentials, credentials_of),
        )


def _consents(credentials: Credentials, credentials_of: Callable[[str], str | None]) -> str | None:
    """The policy on messages without a consent, a merchant's by its platform; None where it is off."""
    if isinstance(credentials, AuthorizerCredentials):
        try:
            credentials = read_credentials(credentials_of(credentials.component) or "")
        except ValidationError:
            return None
    if isinstance(credentials, AuthorizerCredentials) or credentials.consents == "off":
        return None
    return credentials.consents


def _is_revoked(value: str) -> bool:
    try:
        credentials = read_credentials(value)
    except ValidationError:
        return False
    return isinstance(credentials, AuthorizerCredentials) and credentials.revoked_at is not None


def _problem(error: ValidationError) -> Bilingual:
    """The mistakes in credentials: the names of fields, for a secret may be in any wrong place."""
    found = error.errors()
    if any(details["type"].startswith("union_tag") for details in found):
        forms, wrong = list(_FORMS.values()), {"type"}
    elif not all(details["loc"] for details in found):
        forms, wrong = list(_FORMS.values()), {"JSON"}
    else:
        kind = str(found[0]["loc"][0])
        models: dict[str, type[BaseModel]] = {
            "app": AppCredentials,
            "component": ComponentCredentials,
            "authorizer": AuthorizerCredentials,
        }
        named = {str(details["loc"][1]) for details in found if len(details["loc"]) > 1}
        forms, wrong = [_FORMS[kind]], named & {*models[kind].model_fields}
    fields = ", ".join(sorted(wrong))
    return Bilingual(
        f"must be {' or '.join(forms)}; wrong: {fields or 'an unknown field'}",
        f"必须是 {' 或 '.join(forms)}；有误：{fields or '未知字段'}",
    )


def _stored(values: dict[str, str], name: str) -> AccessToken | None:
    return _token(values[name]) if name in values else None


@cache
def _token_adapter() -> TypeAdapter[AccessToken]:
    return TypeAdapter(AccessToken)


def _token(value: str) -> AccessToken | None:
    """The stored token; one that cannot be read counts as none, so that a refresh replaces it."""
    try:
        return _token_adapter().validate_json(value)
    except ValidationError:
        return None
