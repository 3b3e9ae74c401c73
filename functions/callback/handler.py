"""WeChat's callbacks: checked, decrypted, put on a queue, and answered at once.

The address is public. What is not WeChat's own is refused, and leaves a log line without any of its content.
What is, and tells nothing that is needed, is answered ``success``: after failures WeChat stops pushing for a
minute.
"""

from __future__ import annotations

import json
from typing import Any

from wechat_notify import bootstrap
from wechat_notify.bootstrap import callbacks
from wechat_notify.core.callbacks.events import CallbackBodyError, Receipt
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
        account = event["pathParameters"]["account"]
        request = CallbackRequest(event.get("queryStringParameters") or {}, requests.raw_body(event))
        try:
            is_check = event["requestContext"]["http"]["method"] == "GET"
            text = callbacks.door().check(account, request) if is_check else _take(account, request, line)
        except Refused as refused:
            line.update(reason=refused.reason, status_code=403)
            telemetry.metrics.count("CallbacksRefused")
            return _answer(403, "refused")
        line.update(account=account)  # it has keys
        return _answer(200, text)


def _take(account: str, request: CallbackRequest, line: dict[str, Any]) -> str:
    door, metrics = callbacks.door(), bootstrap.telemetry().metrics
    try:
        fields = door.open(account, request)
        events = events_of(fields) if fields is not None else []
    except CallbackBodyError as error:
        line.update(result="unreadable", detail=str(error))
        metrics.count("CallbacksUnreadable", account=account)
        return _SUCCESS
    is_needed = any(isinstance(event, Receipt) for event in events)
    if is_needed:
        body = json.dumps({"account": account, "fields": fields}, default=str)
        callbacks.queue().send(body, group=account)
    door.remember(account, request)
    line.update(result="queued" if is_needed else "ignored" if events else "repeated")
    metrics.count("CallbacksReceived", account=account)
    return _SUCCESS


def _answer(status: int, body: str) -> dict[str, Any]:
    return {"statusCode": status, "headers": {"Content-Type": "text/plain; charset=utf-8"}, "body": body}
