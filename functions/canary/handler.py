"""Sends a synthetic message through the HTTP API, by schedule and by hand, and measures the way to WeChat."""

from __future__ import annotations

import re
from typing import Any

from wechat_notify import bootstrap
from wechat_notify.bootstrap import canary
from wechat_notify.core.canary import Sighting
from wechat_notify.core.messages.identifiers import CANARY
from wechat_notify.core.texts import without_none

_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")


def lambda_handler(event: Any, context: Any) -> dict[str, Any]:
    """Do one run, and answer what it saw.

    ``{"time": "2026-03-01T07:05:00Z"}``
        by schedule: the run of that time. Scheduler may deliver it twice; the second sends nothing.
    ``{}``
        by hand: a run of its own.

    Anything else is refused as ``bad_request``.
    """
    telemetry = bootstrap.telemetry()
    with telemetry.invocation(context) as line:
        time = event.get("time") if isinstance(event, dict) and not event.keys() - {"time"} else ""
        if time is not None and not (isinstance(time, str) and _TIME.fullmatch(time)):
            line.update(result="bad_request")
            return {"result": "bad_request", "detail": "send {}"}
        run = context.aws_request_id if time is None else re.sub("[-:]", "", time)
        seen = canary.canary().run(CANARY + run)
        telemetry.metrics.sighted(seen)
        answer = _as_dict(seen)
        line.update(answer)
        return answer


def _as_dict(seen: Sighting) -> dict[str, Any]:
    fields = seen._asdict()
    arrived, latency = fields.pop("arrived"), fields.pop("latency")
    return {
        "result": "arrived" if arrived else "failed",
        **without_none(
            **{"class": fields.pop("error_class")},
            latency_ms=latency and round(latency * 1000, 1),
            **fields,
        ),
    }
