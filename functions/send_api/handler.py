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
    StorageError,
    UnknownMessageError,
    WeChatNotifyError,
)
from wechat_notify.core.messages import intake
from wechat_notify.core.messages.identifiers import is_account_name, is_message_id
from wechat_notify.core.outcomes import Status

HttpEvent = dict[str, Any]
"""A request as API Gateway hands it over, in payload format 2.0."""

bootstrap.register_for_snapshots()


def lambda_handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Answer one API Gateway request (HTTP API, payload format 2.0)."""
    request_id = event.get("requestContext", {}).get("requestId", "")
    try:
        with bootstrap.telemetry().invocation(context, request_id) as line:
            route = event["routeKey"]
            method = route.partition(" ")[0]
            try:
                response = ROUTES[route](event, lambda: context.get_remaining_time_in_millis() / 1000)
            except problems.REFUSED as error:
                response = problems.refusal(error)
                line.update(reason=error.reason)
                if method == "POST":
                    _report(event["pathParameters"]["account"], error)
            line.update(method=method, status_code=response.status)
    except Exception:  # noqa: BLE001 - logged by the invocation; the caller gets a document, not a stack
        response = problems.INTERNAL_ERROR
    return response.for_api_gateway(request_id)


def _report(given: str, error: WeChatNotifyError) -> None:
    """Log a message that was not attempted, and count it where it was refused and not put off."""
    account = given if is_account_name(given) else None
    detail = str(error)[:500]
    if isinstance(error, StorageError):
        bootstrap.telemetry().logger.warning("message put off", account=account, detail=detail)
    else:
        bootstrap.telemetry().refused(error.reason, account=account, detail=detail)


def _post(http: HttpEvent, seconds_left: SecondsLeft) -> ApiResponse:
    given = _headers(http)
    account = _account(http)
    key = headers.idempotency_key(given)
    message_id = key or bootstrap.id_factory()()
    body = _content(http)
    request, message, warnings = intake.check(
        intake.read_http_body(body, account=account, message_id=message_id)
    )
    openid_hash = bootstrap.openid_hasher()  # before it is sent: nothing may fail after that
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
    return answers.PostedMessage(request, message, warnings, keyed=key is not None).answer(result)


def _get(http: HttpEvent, _seconds_left: SecondsLeft) -> ApiResponse:
    return answers.message(_entry_or_404(bootstrap.dispatcher().look_up(*_path_ids(http))))


def _delete(http: HttpEvent, _seconds_left: SecondsLeft) -> ApiResponse:
    entry = _entry_or_404(bootstrap.dispatcher().cancel(*_path_ids(http)))
    if entry.status is not Status.CANCELLED:
        raise StartedError(entry.status)
    return answers.message(entry)


def _entry_or_404(result: Result | None) -> Entry:
    """The entry that was asked for; to look at one can be what shows that its message is in doubt."""
    if result is None or result.entry is None:
        raise UnknownMessageError
    if isinstance(result, Unknown):
        bootstrap.telemetry().ended(result.entry)
    bootstrap.telemetry().publish(result.events, bootstrap.event_bus)
    return result.entry


ROUTES: Mapping[str, Callable[[HttpEvent, SecondsLeft], ApiResponse]] = {
    "POST /v1/accounts/{account}/messages": _post,
    "GET /v1/accounts/{account}/messages/{id}": _get,
    "DELETE /v1/accounts/{account}/messages/{id}": _delete,
}
"""By the route key, as API Gateway has found it and the template names it."""


def _headers(http: HttpEvent) -> dict[str, str]:
    """The headers, by their names in lower case."""
    return {name.lower(): value for name, value in (http.get("headers") or {}).items()}


def _account(http: HttpEvent) -> str:
    """The account in the path; raises ``AccountNameError``."""
    account: str = http["pathParameters"]["account"]
    if not is_account_name(account):
        raise AccountNameError
    return account


def _path_ids(http: HttpEvent) -> tuple[str, str]:
    """The account and the id in the path."""
    account, message_id = _account(http), http["pathParameters"]["id"]
    if not is_message_id(message_id):
        raise UnknownMessageError
    return account, message_id


def _content(http: HttpEvent) -> bytes:
    if not headers.is_json(_headers(http)):
        raise MediaTypeError
    body = http.get("body") or ""
    # Bytes, for what is no UTF-8 is refused where the JSON is read.
    encoded = http.get("isBase64Encoded")
    content = base64.b64decode(body) if encoded else body.encode("utf-8", "surrogatepass")
    if len(content) > intake.MAX_BODY_BYTES:
        raise BodyTooLargeError
    return content
