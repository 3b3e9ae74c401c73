"""The HTTP API: hand over a message, ask what became of it, cancel it while it waits."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from typing import Any

from functions.send_api import answers
from wechat_notify import bootstrap
from wechat_notify.core.envelope import (
    BODY_BYTES_MOST,
    SendRequest,
    is_account_name,
    is_message_id,
    parse_json,
    with_wishes,
)
from wechat_notify.core.ledger import Standing
from wechat_notify.core.messages import parse_message
from wechat_notify.core.outcomes import (
    BodyTooLargeError,
    IdempotencyKeyError,
    MediaTypeError,
    StartedError,
    Status,
    UnknownAccountError,
    UnknownMessageError,
    WeChatNotifyError,
)

SecondsLeft = Callable[[], float]


def lambda_handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Answer one API Gateway request (HTTP API, payload format 2.0)."""
    request_id = event.get("requestContext", {}).get("requestId", "")
    try:
        with bootstrap.telemetry().invocation(context, request_id) as line:
            try:
                answer = _METHODS[event["routeKey"].partition(" ")[0]]
                response = answer(event, lambda: context.get_remaining_time_in_millis() / 1000)
            except WeChatNotifyError as error:
                response = answers.refusal(error)
                bootstrap.telemetry().refused(error.reason, account=_account(event), detail=str(error)[:500])
            line.update(status_code=response.status)
    except Exception:  # noqa: BLE001 - logged by the invocation; the caller gets a document, not a stack
        response = answers.INTERNAL_ERROR
    return response.for_api_gateway(request_id)


def _post(event: dict[str, Any], seconds_left: SecondsLeft) -> answers.Response:
    headers = {name.lower(): value for name, value in (event.get("headers") or {}).items()}
    account = _account(event)
    if account is None:
        raise UnknownAccountError
    message_id = _message_id(headers)
    value = parse_json(_content(event, headers))
    message, warnings = parse_message(value)
    request = with_wishes(SendRequest(message_id, account, value), message)
    openid_hash = bootstrap.openid_hash()(message.touser)  # before it is sent: nothing may fail after that
    if answers.prefers_async(headers.get("prefer")):
        dispatched = bootstrap.dispatcher().accept(request, message)
    else:
        dispatched = bootstrap.dispatcher().send_now(request, message, seconds_left)
    telemetry = bootstrap.telemetry()
    telemetry.message(
        message,
        dispatched,
        message_id=request.id,
        account=account,
        openid_hash=openid_hash,
        warnings=warnings,
    )
    if dispatched.notices:
        telemetry.noticed(dispatched.notices, bootstrap.event_bus().publish(dispatched.notices))
    return answers.handed_over(request, message, dispatched, warnings)


def _get(event: dict[str, Any], _seconds_left: SecondsLeft) -> answers.Response:
    account = _account(event)
    entry = bootstrap.ledger().read(account, event["pathParameters"]["id"]) if account else None
    if entry is None:
        raise UnknownMessageError
    return answers.message(entry)


def _delete(event: dict[str, Any], _seconds_left: SecondsLeft) -> answers.Response:
    account = _account(event)
    found = bootstrap.ledger().cancel(account, event["pathParameters"]["id"]) if account else None
    if found is None:
        raise UnknownMessageError
    if found.standing is Standing.IN_FLIGHT or found.entry.status is not Status.CANCELLED:
        raise StartedError(found.entry.status)
    return answers.message(found.entry)


_METHODS: Mapping[str, Callable[[dict[str, Any], SecondsLeft], answers.Response]] = {
    "POST": _post,
    "GET": _get,
    "DELETE": _delete,
}


def _account(event: dict[str, Any]) -> str | None:
    """The account in the path, None where no account may have such a name."""
    account = event["pathParameters"]["account"]
    return account if is_account_name(account) else None


def _message_id(headers: Mapping[str, str]) -> str:
    """The caller's own id, or a new one."""
    given = headers.get("idempotency-key")
    if given is None:
        return bootstrap.message_id()()
    if not is_message_id(given):
        raise IdempotencyKeyError
    return given


def _content(event: dict[str, Any], headers: Mapping[str, str]) -> bytes:
    if not answers.is_json(headers.get("content-type")):
        raise MediaTypeError
    body = event.get("body") or ""
    content = (
        base64.b64decode(body) if event.get("isBase64Encoded") else body.encode("utf-8", "surrogatepass")
    )
    if len(content) > BODY_BYTES_MOST:
        raise BodyTooLargeError
    return content
