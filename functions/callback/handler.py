"""WeChat's callbacks: checked, decrypted, put on a queue, and answered at once.

The address is public. What is not WeChat's own is refused, and leaves a log line without any of its content.
What is, and tells nothing that is needed, is answered ``success``: after failures WeChat stops pushing for a
minute.
"""

from __future__ import annotations

import json
from typing import Any

from functions.callback import platform
from wechat_notify import bootstrap
from wechat_notify.bootstrap import callbacks
from wechat_notify.core.callbacks.events import CallbackBodyError, CallbackEvent, OtherEvent, Receipt
from wechat_notify.core.errors import UnusableKeysError
from wechat_notify.http import requests
from wechat_notify.wechat.callbacks.door import CallbackRequest, Refused
from wechat_notify.wechat.callbacks.events import events_of

_SUCCESS = "success"


def lambda_handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Answer one request of WeChat (HTTP API, payload format 2.0).

    Where its events cannot be stored the invocation fails, API Gateway answers 500, and WeChat repeats it.
    """
    telemetry = bootstrap.telemetry()
    request_id = event.get("requestContext", {}).get("requestId")
    with telemetry.invocation(context, request_id) as line:
        line.update(route=event["routeKey"], status_code=200)
        path = event["pathParameters"]
        account = path.get("account") or path["component"]
        request = CallbackRequest(event.get("queryStringParameters") or {}, requests.raw_body(event))
        try:
            is_check = event["requestContext"]["http"]["method"] == "GET"
            if is_check:
                answer = _answer(200, callbacks.door().check(account, request))
            else:
                answer = _take(account, path.get("appid"), request, line, for_platform="component" in path)
        except Refused as refused:
            line.update(reason=refused.reason, status_code=403)
            if refused.reason == UnusableKeysError.reason:  # an operator has to mend this one's parameter
                line.update(account=account)
            telemetry.metrics.count("CallbacksRefused")
            return _answer(403, "refused")
        line.update(account=account)  # it has keys
        return answer


def _take(
    account: str, app_id: str | None, request: CallbackRequest, line: dict[str, Any], *, for_platform: bool
) -> dict[str, Any]:
    """Take a callback; ``app_id`` is that of a merchant, whose platform the account is."""
    door, metrics = callbacks.door(), bootstrap.telemetry().metrics
    try:
        fields = door.open(account, request, for_platform=for_platform)
        events = events_of(fields) if fields is not None else []
        needed = [event for event in events if _is_needed(event)]
        body = platform.queued(account, app_id, fields, needed[0]) if fields and needed else None
        tested = platform.release_test(account, app_id, fields, request) if fields and app_id else None
    except CallbackBodyError as error:
        line.update(result="unreadable", detail=str(error))
        metrics.count("CallbacksUnreadable", account=account)
        return _answer(200, _SUCCESS)
    answer = _answer(200, _SUCCESS)
    if tested:
        reply, body = tested
        answer = _answer(200, reply.decode(), "application/xml")
    if body:
        callbacks.queue().send(json.dumps(body, default=str), group=body["account"])
    door.remember(account, request)
    line.update(result="queued" if body else "ignored" if events else "repeated")
    if ignored := [event.name for event in events if isinstance(event, OtherEvent)]:
        line.update(ignored=ignored[0])
    metrics.count("CallbacksReceived", account=account)
    return answer


def _is_needed(event: CallbackEvent) -> bool:
    """Return whether something is done about an event; receipts only where the stack matches them."""
    if isinstance(event, Receipt):
        return callbacks.matches_receipts()
    return not isinstance(event, OtherEvent)


def _answer(status: int, body: str, content_type: str = "text/plain") -> dict[str, Any]:
    return {"statusCode": status, "headers": {"Content-Type": f"{content_type}; charset=utf-8"}, "body": body}
