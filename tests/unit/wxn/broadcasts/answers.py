"""Broadcasts as the API answers them."""

from __future__ import annotations

from typing import Any

ID = "spring"
CREATED, STARTED, FINISHED = (
    "2026-03-01T02:00:00.000Z",
    "2026-03-01T02:01:00.000Z",
    "2026-03-01T02:04:20.000Z",
)
COUNTS: dict[str, Any] = dict.fromkeys(
    (
        "waiting",
        "sent",
        "delivered",
        "undelivered",
        "failed",
        "expired",
        "cancelled",
        "unknown",
        "invalid",
        "duplicate",
        "unreleased",
    ),
    0,
) | {"errcodes": {}}


def broadcast(state: str, counts: dict[str, Any] | None = None, **fields: Any) -> dict[str, Any]:
    """A broadcast of account ``shop`` in a state; None leaves a field out."""
    has_started = state not in {"checking", "checked", "refused"}
    has_ended = state in {"refused", "finished", "cancelled", "failed"}
    found = {
        "id": ID,
        "account": "shop",
        "state": state,
        "rows": 4,
        "created_at": CREATED,
        "started_at": STARTED if has_started else None,
        "finished_at": FINISHED if has_ended else None,
        "counts": COUNTS | (counts or {}),
        "has_results": has_started and has_ended,
        **fields,
    }
    return {name: value for name, value in found.items() if value is not None}


REPORT: dict[str, Any] = {
    "rows": 4,
    "valid": 3,
    "invalid": {
        "count": 1,
        "first": [
            {
                "row": 3,
                "errors": [
                    {"field": "touser", "rule": "empty", "en": "must not be empty", "zh": "不能为空"},
                ],
            }
        ],
    },
    "duplicates": {"count": 1, "first_rows": [4]},
    "columns": {
        "found": ["openid", "gift", "city"],
        "placeholders": ["gift"],
        "missing": [],
        "unused": ["city"],
    },
    "messages": [
        {
            "row": 1,
            "message": {
                "kind": "subscription",
                "template_id": "T",
                "data": {"thing1": {"value": "\x1b[31m茶"}},
                "touser": "openid-1",
            },
        }
    ],
    "warnings": [],
}
