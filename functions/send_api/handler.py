"""The HTTP API: hand over a message, ask what became of it, cancel it while it waits."""

from __future__ import annotations

from typing import Any

from functions.send_api import answers, headers
from wechat_notify import bootstrap
from wechat_notify.core.clocks import SecondsLeft
from wechat_notify.core.delivery import own_outcomes
from wechat_notify.core.delivery.entry import Entry
from wechat_notify.core.delivery.results import ConsentUse, Result, Unknown
from wechat_notify.core.errors import (
    InvalidFieldsError,
    StartedError,
    StorageError,
    UnknownMessageError,
    WeChatNotifyError,
)
from wechat_notify.core.messages import intake
from wechat_notify.core.messages.identifiers import is_account_name, is_message_id
from wechat_notify.core.outcomes import Status
from wechat_notify.http import messages, requests, router
from wechat_notify.http.requests import HttpEvent
from wechat_notify.http.responses import ApiResponse
from wechat_notify.http.router import Routes

_DRY_RUN = "dry_run"

bootstrap.register_for_snapshots()


def lambda_handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Answer one API Gateway request (HTTP API, payload format 2.0)."""
    return router.respond(event, context, ROUTES, bootstrap.telemetry, refused=_report)


def _report(event: HttpEvent, error: WeChatNotifyError) -> None:
    """Log a message that was not attempted, and count it where it was refused and not put off."""
    if not event["routeKey"].startswith("POST ") or _is_rehearsal(event):
        return
    given = event["pathParameters"]["account"]
    account = given if is_account_name(given) else None
    detail = str(error)[:500]
    if isinstance(error, StorageError):
        bootstrap.telemetry().logger.warning("message put off", account=account, detail=detail)
    else:
        bootstrap.telemetry().refused(error.reason, account=account, detail=detail)


def _post(http: HttpEvent, seconds_left: SecondsLeft) -> ApiResponse:
    given = requests.headers(http)
    account = requests.account(http)
    rehearses = requests.flag(http, _DRY_RUN)
    key = headers.idempotency_key(given)
    message_id = key or bootstrap.id_factory()()
    body = requests.json_body(http)
    request, message, warnings = bootstrap.dispatcher().check(
        intake.read_http_body(body, account=account, message_id=message_id)
    )
    if rehearses:
        from functions.send_api import dry_run  # noqa: PLC0415 - no message that is sent needs it

        return dry_run.answer(request, message, warnings)
    openid_hash = bootstrap.openid_hasher()
    openid_hash.load()  # before it is sent: nothing may fail after that
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
    if result.consent is ConsentUse.MISSING:
        warnings = [*warnings, own_outcomes.CONSENT_MISSING]
    return answers.PostedMessage(request, message, warnings, keyed=key is not None).answer(result)


def _is_rehearsal(http: HttpEvent) -> bool:
    try:
        return requests.flag(http, _DRY_RUN)
    except InvalidFieldsError:
        return False


def _get(http: HttpEvent, _seconds_left: SecondsLeft) -> ApiResponse:
    return _message(_entry_or_404(bootstrap.dispatcher().look_up(*_path_ids(http))))


def _delete(http: HttpEvent, _seconds_left: SecondsLeft) -> ApiResponse:
    entry = _entry_or_404(bootstrap.dispatcher().cancel(*_path_ids(http)))
    if entry.status is not Status.CANCELLED:
        raise StartedError(entry.status)
    return _message(entry)


def _message(entry: Entry) -> ApiResponse:
    return ApiResponse(200, {**messages.message(entry), "timeline": messages.timeline(entry)})


def _entry_or_404(result: Result | None) -> Entry:
    """The entry that was asked for; to look at one can be what shows that its message is in doubt."""
    if result is None or result.entry is None:
        raise UnknownMessageError
    if isinstance(result, Unknown):
        bootstrap.telemetry().ended(result.entry)
    bootstrap.telemetry().publish(result.events, bootstrap.event_bus)
    return result.entry


ROUTES: Routes = {
    "POST /v1/accounts/{account}/messages": _post,
    "GET /v1/accounts/{account}/messages/{id}": _get,
    "DELETE /v1/accounts/{account}/messages/{id}": _delete,
}


def _path_ids(http: HttpEvent) -> tuple[str, str]:
    """The account and the id in the path."""
    account, message_id = requests.account(http), http["pathParameters"]["id"]
    if not is_message_id(message_id):
        raise UnknownMessageError
    return account, message_id
