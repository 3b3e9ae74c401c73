"""``POST /v1/accounts/{account}/messages``: check a message and send it, or queue it."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

from functions.send_api import answers
from wechat_notify import bootstrap
from wechat_notify.core.envelope import (
    BODY_BYTES_MOST,
    SendRequest,
    is_account_name,
    parse_json,
    queue_body,
)
from wechat_notify.core.messages import parse_message
from wechat_notify.core.outcomes import (
    BodyTooLargeError,
    MediaTypeError,
    UnknownAccountError,
    WeChatNotifyError,
)


def lambda_handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Answer one API Gateway request (HTTP API, payload format 2.0)."""
    request_id = event.get("requestContext", {}).get("requestId", "")
    try:
        with bootstrap.telemetry().invocation(context, request_id) as line:
            try:
                response = _send(event, lambda: context.get_remaining_time_in_millis() / 1000)
            except WeChatNotifyError as error:
                response = answers.refusal(error)
                bootstrap.telemetry().refused(error.reason, account=_account(event), detail=str(error)[:500])
            line.update(status_code=response.status)
    except Exception:  # noqa: BLE001 - logged by the invocation; the caller gets a document, not a stack
        response = answers.INTERNAL_ERROR
    return response.for_api_gateway(request_id)


def _send(event: dict[str, Any], seconds_left: Callable[[], float]) -> answers.Response:
    headers = {name.lower(): value for name, value in (event.get("headers") or {}).items()}
    account = _account(event)
    if account is None:
        raise UnknownAccountError
    if not answers.is_json(headers.get("content-type")):
        raise MediaTypeError
    body = event.get("body") or ""
    content = (
        base64.b64decode(body) if event.get("isBase64Encoded") else body.encode("utf-8", "surrogatepass")
    )
    if len(content) > BODY_BYTES_MOST:
        raise BodyTooLargeError
    value = parse_json(content)
    message, warnings = parse_message(value)
    request = SendRequest(bootstrap.message_id()(), account, value)
    if answers.prefers_async(headers.get("prefer")):
        if not bootstrap.sender().knows(account):
            raise UnknownAccountError(account)
        bootstrap.send_queue().send(queue_body(request))
        return answers.queued(request, message, warnings)
    openid_hash = bootstrap.openid_hash()(message.touser)  # before it is sent: nothing may fail after that
    delivery = bootstrap.sender().send(account, message, seconds_left)
    bootstrap.telemetry().message(
        message,
        delivery,
        message_id=request.id,
        account=account,
        openid_hash=openid_hash,
        warnings=warnings,
    )
    return answers.attempted(request, message, delivery.outcome, warnings)


def _account(event: dict[str, Any]) -> str | None:
    """The account in the path, None where no account may have such a name."""
    account = event["pathParameters"]["account"]
    return account if is_account_name(account) else None
