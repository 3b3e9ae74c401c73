"""The HTTP API: hand over a message, ask what became of it, cancel it while it waits."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from typing import Any

from functions.send_api import answers, headers, problems
from functions.send_api.problems import ApiResponse
from wechat_notify import bootstrap
from wechat_notify.core.clocks import SecondsLeft
from wechat_notify.core.delivery.entry import Entry
from wechat_notify.core.delivery.results import Result, Unknown
from wechat_notify.core.errors import (
    AccountNameError,
    BodyTooLargeError,
    MediaTypeError,
    StartedError,
    UnknownMessageError,
)
from wechat_notify.core.messages import intake
from wechat_notify.core.messages.identifiers import is_account_name, is_message_id
from wechat_notify.core.outcomes import Status


def lambda_handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Answer one API Gateway request (HTTP API, payload format 2.0)."""
    request_id = event.get("requestContext", {}).get("requestId", "")
    try:
        with bootstrap.telemetry().invocation(context, request_id) as line:
            method = event["routeKey"].partition(" ")[0]
            try:
                response = _METHODS[method](event, lambda: context.get_remaining_time_in_millis() / 1000)
            except problems.REFUSED as error:
                response = problems.refusal(error)
                line.update(reason=error.reason)
                if method == "POST":
                    given = event["pathParameters"]["account"]
                    account = given if is_account_name(given) else None
                    bootstrap.telemetry().refused(error.reason, account=account, detail=str(error)[:500])
            line.update(method=method, status_code=response.status)
    except Exception:  # noqa: BLE001 - logged by the invocation; the caller gets a document, not a stack
        response = problems.INTERNAL_ERROR
    bootstrap.freeze_heap()
    return response.for_api_gateway(request_id)


def _post(event: dict[str, Any], seconds_left: SecondsLeft) -> ApiResponse:
    given = {name.lower(): value for name, value in (event.get("headers") or {}).items()}
    account = _account(event)
    key = headers.idempotency_key(given)
    message_id = key or bootstrap.message_id()()
    body = _content(event, given)
    request, message, warnings = intake.check(
        intake.read_http_body(body, account=account, message_id=message_id)
    )
    openid_hash = bootstrap.openid_hash()  # before it is sent: nothing may fail after that
    if headers.prefers_async(given):
        result = bootstrap.dispatcher().accept(request, message)
    else:
        result = bootstrap.dispatcher().send_now(request, message, seconds_left)
    telemetry = bootstrap.telemetry()
    telemetry.message(
        message,
        result,
        message_id=request.id,
        account=account,
        openid_hash=openid_hash,
        warnings=warnings,
        alone=True,
    )
    telemetry.publish(result.events, bootstrap.event_bus)
    return answers.HandedOver(request, message, warnings, keyed=key is not None).answer(result)


def _get(event: dict[str, Any], _seconds_left: SecondsLeft) -> ApiResponse:
    return answers.message(_published(bootstrap.dispatcher().look_up(*_message(event))))


def _delete(event: dict[str, Any], _seconds_left: SecondsLeft) -> ApiResponse:
    entry = _published(bootstrap.dispatcher().cancel(*_message(event)))
    if entry.status is not Status.CANCELLED:
        raise StartedError(entry.status)
    return answers.message(entry)


def _published(result: Result | None) -> Entry:
    """The entry that was asked for; to look at one can be what shows that its message is in doubt."""
    if result is None or result.entry is None:
        raise UnknownMessageError
    if isinstance(result, Unknown):
        bootstrap.telemetry().ended(result.entry)
    bootstrap.telemetry().publish(result.events, bootstrap.event_bus)
    return result.entry


_METHODS: Mapping[str, Callable[[dict[str, Any], SecondsLeft], ApiResponse]] = {
    "POST": _post,
    "GET": _get,
    "DELETE": _delete,
}


def _account(event: dict[str, Any]) -> str:
    """The account in the path; raises ``AccountNameError``."""
    account: str = event["pathParameters"]["account"]
    if not is_account_name(account):
        raise AccountNameError
    return account


def _message(event: dict[str, Any]) -> tuple[str, str]:
    """The account and the id in the path."""
    account, message_id = _account(event), event["pathParameters"]["id"]
    if not is_message_id(message_id):
        raise UnknownMessageError
    return account, message_id


def _content(event: dict[str, Any], given: Mapping[str, str]) -> bytes:
    if not headers.is_json(given):
        raise MediaTypeError
    body = event.get("body") or ""
    content = (
        base64.b64decode(body) if event.get("isBase64Encoded") else body.encode("utf-8", "surrogatepass")
    )
    if len(content) > intake.MAX_BODY_BYTES:
        raise BodyTooLargeError
    return content
