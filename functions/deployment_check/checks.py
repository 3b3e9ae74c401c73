"""The questions to a new version before it gets traffic, and the answers that it passes with.

Nothing is sent, and nothing is written: a dry run of a message, reads, and an empty batch. The account need
not exist: that it does not is an answer for which a version has to load its code, read its environment, and
reach the table, the parameters and token_refresh with its own role.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Final, NamedTuple

_ACCOUNT: Final = "deployment-check"
_MESSAGE: Final = {
    "kind": "template",
    "touser": "oDeploymentCheck",
    "template_id": "deployment-check",
    "data": {"thing1": {"value": "deployment check"}},
}


class Check(NamedTuple):
    """One invocation of a version: the event, and whether an answer (parsed JSON) is right."""

    event: dict[str, Any]
    accepts: Callable[[Any], bool]


def _http(method: str, route: str, path: dict[str, str], **more: Any) -> dict[str, Any]:
    """A request as API Gateway hands it over (HTTP API, payload format 2.0)."""
    raw = route.format(**path)
    return {
        "version": "2.0",
        "routeKey": f"{method} {route}",
        "rawPath": raw,
        "rawQueryString": "",
        "headers": {"content-type": "application/json"},
        "requestContext": {"http": {"method": method, "path": raw}, "requestId": "deployment-check"},
        "pathParameters": path,
        "isBase64Encoded": False,
        **more,
    }


def _answers(*statuses: int) -> Callable[[Any], bool]:
    def accepts(answer: Any) -> bool:
        return isinstance(answer, dict) and answer.get("statusCode") in statuses

    return accepts


def _handles_nothing(answer: Any) -> bool:
    return bool(answer == {"batchItemFailures": []})


CHECKS: Final[dict[str, Check]] = {
    "send_api": Check(
        _http(
            "POST",
            "/v1/accounts/{account}/messages",
            {"account": _ACCOUNT},
            rawQueryString="dry_run=true",
            queryStringParameters={"dry_run": "true"},
            body=json.dumps(_MESSAGE),
        ),
        _answers(200, 404),
    ),
    "send_queue": Check({"Records": []}, _handles_nothing),
    "team_api": Check(_http("GET", "/v1/accounts/{account}/holds", {"account": _ACCOUNT}), _answers(200)),
    # Unsigned, so that it has to be refused.
    "callback": Check(_http("GET", "/v1/callbacks/{account}", {"account": _ACCOUNT}), _answers(403)),
    "callback_events": Check({"Records": []}, _handles_nothing),
}
"""The check of each function."""
