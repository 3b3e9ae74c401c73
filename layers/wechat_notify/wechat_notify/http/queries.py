"""Query strings, checked by a pydantic model."""

from __future__ import annotations

import re
from typing import Annotated, Final, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, ValidationError

from wechat_notify.core.errors import InvalidFieldsError
from wechat_notify.core.messages.findings import rule_error
from wechat_notify.core.messages.validation import violations
from wechat_notify.http.requests import HttpEvent


class Query(BaseModel):
    """The parameters of a route's query string; others are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


def whole_number(least: int, most: int) -> BeforeValidator:
    """Return a validator of a number in a query string."""

    def check(value: object) -> object:
        if not (re.fullmatch("[0-9]{1,9}", str(value)) and least <= int(str(value)) <= most):
            raise rule_error(
                "range",
                f"must be a whole number from {least} to {most}",
                f"必须是 {least} 到 {most} 的整数",
                limit=f"{least}-{most}",
            )
        return value

    return BeforeValidator(check)


_ADDRESS: Final = r"https?://[A-Za-z0-9.-]{1,253}(?::[0-9]{1,5})?(?:[/?][!-~]{0,1000})?"


def _address(value: str) -> str:
    if not re.fullmatch(_ADDRESS, value):
        raise rule_error(
            "format",
            "must be an address that begins with https:// or http://",
            "必须是以 https:// 或 http:// 开头的地址",
            limit="https://…",
        )
    return value


Address = Annotated[str, AfterValidator(_address)]
"""An address that WeChat's pages lead back to."""
Q = TypeVar("Q", bound=Query)


def read_query(event: HttpEvent, model: type[Q]) -> Q:
    """Return the query's parameters; raises ``InvalidFieldsError``, which names every wrong one."""
    try:
        return model.model_validate(event.get("queryStringParameters") or {})
    except ValidationError as error:
        broken = violations(error, model)
    # Raised out here, so that the error does not carry pydantic's, which knows the input.
    raise InvalidFieldsError(broken)
