"""Requests for third-party platforms, which other functions of this service send."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, TypeAdapter, ValidationError

from wechat_notify.bootstrap import token_refresh
from wechat_notify.core.errors import (
    AccountTakenError,
    NotAPlatformError,
    TokenUnavailableError,
    UnknownAccountError,
)
from wechat_notify.core.messages.identifiers import AccountName
from wechat_notify.core.outcomes import outcome_to_dict

_Text = Annotated[str, StringConstraints(min_length=1, max_length=512)]


class _Request(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    component: AccountName


class PreAuthCodeRequest(_Request):
    """``{"component", "request": "pre_auth_code"}``: the code of an authorization page."""

    request: Literal["pre_auth_code"]

    def answer(self) -> dict[str, Any]:
        """The code; raises ``TokenUnavailableError``."""
        code = token_refresh.authorizations().pre_auth_code(self.component)
        return {
            "result": "pre_auth_code",
            "app_id": code.component_app_id,
            "pre_auth_code": code.value,
            "expires_in": code.expires_in,
        }


class Authorize(_Request):
    """A merchant authorized the platform: the event's code buys its tokens."""

    request: Literal["authorize"]
    account: AccountName
    app_id: _Text
    authorization_code: Annotated[_Text, Field(repr=False)]
    at: int

    def answer(self) -> dict[str, Any]:
        """The change that was made."""
        change = token_refresh.authorizations().authorize(
            self.component, self.account, self.app_id, self.authorization_code, self.at
        )
        return {"result": change.value}


class Revoke(_Request):
    """A merchant ended its authorization."""

    request: Literal["revoke"]
    account: AccountName
    app_id: _Text
    at: int

    def answer(self) -> dict[str, Any]:
        """The change that was made."""
        change = token_refresh.authorizations().revoke(self.component, self.account, self.app_id, self.at)
        return {"result": change.value}


class ReleaseTest(_Request):
    """WeChat's release test waits for a message that only the code's token can send."""

    request: Literal["release_test"]
    account: AccountName
    authorization_code: Annotated[_Text, Field(repr=False)]
    openid: Annotated[_Text, Field(repr=False)]

    def answer(self) -> dict[str, Any]:
        """That it was sent."""
        token_refresh.authorizations().answer_release_test(
            self.component, self.account, self.authorization_code, self.openid
        )
        return {"result": "sent"}


_REQUESTS: TypeAdapter[PreAuthCodeRequest | Authorize | Revoke | ReleaseTest] = TypeAdapter(
    Annotated[PreAuthCodeRequest | Authorize | Revoke | ReleaseTest, Field(discriminator="request")]
)


def answer(event: dict[str, Any], line: dict[str, Any]) -> dict[str, Any]:
    """Answer a request for a platform; ``line`` is the log's.

    Raises
    ------
    StorageError
        A store did not answer; the request is to be repeated.
    """
    try:
        request = _REQUESTS.validate_python(event)
    except ValidationError as error:
        wrong = ", ".join(sorted({".".join(map(str, each["loc"][-1:])) for each in error.errors()}))
        return {"result": "bad_request", "detail": f"a platform's request is wrong: {wrong or 'request'}"}
    line.update(request=request.request, component=request.component)
    if isinstance(request, Authorize | Revoke):
        line.update(account=request.account)
    try:
        return request.answer()
    except (UnknownAccountError, NotAPlatformError, AccountTakenError) as error:
        return {"result": error.reason}
    except TokenUnavailableError as error:
        line.update(error_class=error.outcome.error_class.value, errcode=error.outcome.errcode)
        return {"result": "failed", "failure": outcome_to_dict(error.outcome)}
