"""DynamoDB's client with a subsegment for each call."""

from __future__ import annotations

from functools import partial
from typing import Any

from wechat_notify.xray import Tracer

_BEGAN = "wechat_notify_began"


def trace(client: Any, tracer: Tracer) -> Any:
    """Have a client of boto3 tell the tracer of each call, without what is in the request and the answer."""
    name = client.meta.service_model.service_id.hyphenize()
    client.meta.events.register(f"before-call.{name}", partial(_begin, tracer))
    client.meta.events.register(f"after-call.{name}", partial(_end, tracer, client))
    client.meta.events.register(f"after-call-error.{name}", partial(_end, tracer, client))
    return client


def _begin(tracer: Tracer, context: dict[str, Any], **_: object) -> None:
    context[_BEGAN] = tracer.now()


def _end(
    tracer: Tracer,
    client: Any,
    context: dict[str, Any],
    event_name: str,
    http_response: Any = None,
    **_: object,
) -> None:
    status = None if http_response is None else http_response.status_code
    service = client.meta.service_model.service_id
    tracer.aws(str(service), event_name.rpartition(".")[2], context[_BEGAN], status)
