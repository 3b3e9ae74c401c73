"""The way of a request through an HTTP function: its route, its answer, or the problem that stands for it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from wechat_notify.core.clocks import SecondsLeft
from wechat_notify.core.errors import StorageError, WeChatNotifyError
from wechat_notify.http import problems
from wechat_notify.http.requests import HttpEvent
from wechat_notify.http.responses import ApiResponse, HtmlPage
from wechat_notify.telemetry import Telemetry

Route = Callable[[HttpEvent, SecondsLeft], ApiResponse | HtmlPage]
Routes = Mapping[str, Route]
"""By the route key, as API Gateway has found it and the template names it."""


def _as_document(_event: HttpEvent, problem: ApiResponse) -> ApiResponse | HtmlPage:
    return problem


def respond(
    event: dict[str, Any],
    context: Any,
    routes: Routes,
    telemetry: Callable[[], Telemetry],
    *,
    refused: Callable[[HttpEvent, WeChatNotifyError], None] = lambda _event, _error: None,
    shown: Callable[[HttpEvent, ApiResponse], ApiResponse | HtmlPage] = _as_document,
) -> dict[str, Any]:
    """Answer one request; never raises.

    Parameters
    ----------
    event, context
        As Lambda hands them over.
    routes : Mapping
        The function's routes.
    telemetry : Callable
        Makes the log and the metrics.
    refused : Callable
        Hears of a request that was refused.
    shown : Callable
        Returns a problem as it is shown: the document, or a page where the route answers a person.
    """
    request_id = event.get("requestContext", {}).get("requestId", "")
    try:
        with telemetry().invocation(context, request_id, answers=True) as line:
            route = event["routeKey"]
            response: ApiResponse | HtmlPage
            try:
                response = routes[route](event, lambda: context.get_remaining_time_in_millis() / 1000)
            except problems.REFUSED as error:
                response = shown(event, problems.refusal(error))
                line.update(reason=error.reason)
                if isinstance(error, StorageError):
                    line.update(detail=str(error))
                refused(event, error)
            line.update(route=route, status_code=response.status)
            if "{account}" in route:
                line.setdefault("account", event["pathParameters"]["account"])
    except Exception:  # noqa: BLE001 - logged by the invocation; the caller gets a document, not a stack
        response = shown(event, problems.INTERNAL_ERROR)
    return response.for_api_gateway(request_id)
