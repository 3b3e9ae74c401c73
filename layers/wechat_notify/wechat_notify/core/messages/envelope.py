"""A request to send one message, and the JSON object that carries it on the queue.

The queue takes three shapes: the envelope itself, an EventBridge event whose ``detail`` is the
envelope (a bus rule delivers the whole event, so that a doubled delivery carries the same id),
and an SNS notification's raw delivery, which is the envelope again.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from wechat_notify.core.errors import InvalidRequestError, MalformedBodyError
from wechat_notify.core.messages.field_types import Expiry
from wechat_notify.core.messages.identifiers import AccountName, is_account_name, short_id
from wechat_notify.core.messages.kinds import DeliveryOption, Message
from wechat_notify.core.messages.strict_json import parse_json, written_out
from wechat_notify.core.messages.validation import violations
from wechat_notify.core.texts import Bilingual
from wechat_notify.core.violations import Violation


class SendRequest(NamedTuple):
    """One message as it was handed over; ``message`` is checked later, by its kind.

    ``at_least_once``: its sender would rather have it twice than not at all.
    """

    id: str
    account: str
    message: object
    expires_at: datetime | None = None
    at_least_once: bool = False


class Envelope(BaseModel):
    """The queue body; ``message`` is checked later, by its kind."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True, defer_build=True)

    account: AccountName
    message: Any
    id: Annotated[str, Field(min_length=1)] | None = None
    expires_at: Expiry | None = None
    delivery: DeliveryOption | None = None


def parse_queue_body(body: str, default_id: str) -> SendRequest:
    """The request that an SQS message's body carries.

    Parameters
    ----------
    body : str
        The envelope ``{"account", "message", "id"?, "expires_at"?, "delivery"?}``, or an EventBridge event
        with the envelope as ``detail``.
    default_id : str
        The id where the body names none: it must be the same when the same message comes again.

    Raises
    ------
    MalformedBodyError
        The body is not JSON, or no object.
    InvalidRequestError
        It is no send request; the error lists every violation.
    """
    value = parse_json(body)
    if isinstance(value, dict) and "detail-type" in value and "detail" in value:
        event_id = value.get("id")
        default_id = event_id if event_id and isinstance(event_id, str) else default_id
        value = value["detail"]
    if not isinstance(value, dict):
        raise MalformedBodyError(Bilingual("the body is no JSON object", "请求体不是 JSON 对象"))
    try:
        envelope = Envelope.model_validate(value)
    except ValidationError as error:
        broken = violations(error, Envelope)
    else:
        return SendRequest(
            id=short_id(envelope.id or default_id),
            account=envelope.account,
            message=envelope.message,
            expires_at=envelope.expires_at,
            at_least_once=envelope.delivery == "at_least_once",
        )
    # Raised out here, so that the error does not carry pydantic's, which knows the input.
    raise _invalid(value, broken)


def _invalid(envelope: dict[str, Any], broken: Sequence[Violation]) -> InvalidRequestError:
    own_id, account = envelope.get("id"), envelope.get("account")
    return InvalidRequestError(
        broken,
        short_id(own_id) if own_id and isinstance(own_id, str) else None,
        account if isinstance(account, str) and is_account_name(account) else None,
        envelope.get("message"),
    )


def with_options(request: SendRequest, message: Message) -> SendRequest:
    """The request with what its message asks of this service itself; the earlier expiry counts."""
    if message.expires_at is None and message.delivery is None:
        return request
    times = [time for time in (request.expires_at, message.expires_at) if time]
    at_least_once = request.at_least_once or message.delivery == "at_least_once"
    return request._replace(expires_at=min(times, default=None), at_least_once=at_least_once)


def queue_body(request: SendRequest) -> str:
    """The envelope as SQS carries it: ASCII only, since SQS refuses some Unicode characters."""
    envelope = {"account": request.account, "id": request.id, "message": request.message}
    if request.expires_at is not None:
        envelope["expires_at"] = request.expires_at.isoformat()
    if request.at_least_once:
        envelope["delivery"] = "at_least_once"
    return _ENCODER.encode(envelope)


# Made once: json.dumps makes one for each call that has options.
_ENCODER = json.JSONEncoder(default=written_out, separators=(",", ":"))
