"""From the bytes at a door to a request: strict JSON, then who sends what and under which id.

The queue takes three shapes: the envelope itself, an EventBridge event whose ``detail`` is the
envelope (a bus rule delivers the whole event, so that a doubled delivery carries the same id),
and an SNS notification's raw delivery, which is the envelope again.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Sequence
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Annotated, Any, NamedTuple

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import PydanticCustomError

from wechat_notify.core.errors import InvalidRequestError, MalformedBodyError
from wechat_notify.core.field_types import Expiry
from wechat_notify.core.fields import Finding
from wechat_notify.core.messages import DeliveryWish, Message
from wechat_notify.core.outcomes import Bilingual
from wechat_notify.core.validation import violations
from wechat_notify.core.violations import Violation

_ACCOUNT = re.compile(r"[a-z0-9-]{1,64}")
_ID = re.compile(r"[\x21-\x7e]{1,64}")
_ESCAPED_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")

MAX_BODY_BYTES = 64 * 1024
"""The largest request body. A message is a few hundred bytes; escaped to ASCII the queue's copy may
be three times as long, and must stay below the 256 KiB that SQS took for most of its life."""


def is_account_name(account: str) -> bool:
    """Return whether an account may have this name: 1 to 64 of ``a-z``, ``0-9`` and ``-``."""
    return _ACCOUNT.fullmatch(account) is not None


def is_message_id(given: str) -> bool:
    """Return whether a caller may give a message this id: 1 to 64 visible ASCII characters."""
    return _ID.fullmatch(given) is not None


class SendRequest(NamedTuple):
    """One message as it was handed over; ``message`` is checked later, by its kind.

    ``at_least_once``: its sender would rather have it twice than not at all.
    """

    id: str
    account: str
    message: object
    expires_at: datetime | None = None
    at_least_once: bool = False


def _account_name(value: str) -> str:
    if not is_account_name(value):
        raise PydanticCustomError(
            ACCOUNT_NAME.rule, "{text}", {"text": ACCOUNT_NAME.text, "limit": ACCOUNT_NAME.limit}
        )
    return value


ACCOUNT_NAME = Finding(
    "account_name",
    Bilingual(
        "must be 1 to 64 characters of a-z, 0-9 and -", "必须为 1 到 64 个字符，只能含小写字母 a-z、数字和 -"
    ),
    limit="a-z0-9-",
)


class _Envelope(BaseModel):
    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True, defer_build=True)

    account: Annotated[str, AfterValidator(_account_name)]
    message: Any
    id: Annotated[str, Field(min_length=1)] | None = None
    expires_at: Expiry | None = None
    delivery: DeliveryWish | None = None


def parse_json(body: str | bytes) -> Any:
    """Decode a request body strictly; decimal numbers come as ``Decimal``, digit for digit.

    Raises
    ------
    MalformedBodyError
        Empty, not UTF-8, not JSON, nested too deeply, a key given twice, NaN or Infinity, a raw
        control character or a lone surrogate in a string. The error never quotes the body.
    """
    problem: Bilingual
    try:
        # A byte order mark is what some editors and SDKs begin a file with; it says nothing.
        text = (body.decode() if isinstance(body, bytes) else body).removeprefix("\ufeff")
        if not text.strip():
            problem = Bilingual("the body is empty", "请求体为空")
        else:
            value = _DECODER.decode(text)
            text.encode()  # fails where half of a pair stands in it as it is
            if _ESCAPED_SURROGATE.search(text):
                json.dumps(value, ensure_ascii=False, default=str).encode()
            return value
    except MalformedBodyError as error:
        problem = error.text
    except RecursionError:
        problem = Bilingual("the body is nested too deeply", "请求体嵌套过深")
    except UnicodeEncodeError:
        problem = Bilingual("the body holds half of a surrogate pair", "请求体含不成对的代理字符")
    except UnicodeDecodeError:
        problem = Bilingual("the body is not UTF-8", "请求体不是 UTF-8 编码")
    except json.JSONDecodeError as error:
        line, column, what = error.lineno, error.colno, error.msg.removesuffix(" at")
        problem = Bilingual(
            f"the body is not JSON: {what} at line {line}, column {column}",
            f"请求体不是合法的 JSON：第 {line} 行第 {column} 列",
        )
    except ValueError:  # an integer of more digits than Python converts
        problem = Bilingual("the body holds a number that is too long", "请求体中的数字过长")
    raise MalformedBodyError(problem)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        raise MalformedBodyError(Bilingual("a key is given twice in one object", "同一对象中有重复的键"))
    return result


def _refuse_constant(name: str) -> None:
    raise MalformedBodyError(Bilingual(f"{name} is not JSON", f"{name} 不是合法的 JSON"))


def _decimal(text: str) -> Decimal:
    try:
        number = Decimal(text)
    except InvalidOperation:
        raise MalformedBodyError(_OUT_OF_RANGE) from None
    # Somebody will write it out: 1E+240000000 would be 240 MB.
    if max(number.adjusted(), -number.as_tuple().exponent, 0) > len(text) + _MAX_GROWTH:  # type: ignore[operator] # JSON knows no NaN
        raise MalformedBodyError(_OUT_OF_RANGE)
    return number


_MAX_GROWTH = 400
"""Digits by which a number may grow when its exponent is written out: the numbers of programs (up to 1.8E308)
pass, and a body of 64 KiB becomes 5 MB at most."""
_OUT_OF_RANGE = Bilingual("a number is out of range", "数字超出范围")


# Made once: json.loads makes one for each call that has hooks.
_DECODER = json.JSONDecoder(object_pairs_hook=_object, parse_constant=_refuse_constant, parse_float=_decimal)


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
        envelope = _Envelope.model_validate(value)
    except ValidationError as error:
        broken = violations(error, _Envelope)
    else:
        return SendRequest(
            id=_short_id(envelope.id or default_id),
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
        _short_id(own_id) if own_id and isinstance(own_id, str) else None,
        account if isinstance(account, str) and is_account_name(account) else None,
        envelope.get("message"),
    )


def _short_id(given: str) -> str:
    """The id, or a digest of it where it is not 1 to 64 visible ASCII characters.

    A schedule's ARN with its scheduled time is longer than that; its digest is as good a name.
    """
    return given if is_message_id(given) else hashlib.sha256(given.encode()).hexdigest()[:32]


def with_wishes(request: SendRequest, message: Message) -> SendRequest:
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
    return json.dumps(envelope, default=written_out, separators=(",", ":"))


def written_out(number: Decimal) -> str:
    """For ``json.dumps``: a decimal number digit for digit."""
    return format(number, "f")  # never 1E+3, which is no number to WeChat


def new_id(now: Callable[[], float], random_bits: Callable[[int], int]) -> str:
    """A time-ordered id (UUID version 7, RFC 9562) as 32 hex digits.

    Parameters
    ----------
    now : Callable
        Seconds since the epoch.
    random_bits : Callable
        ``n`` → an unpredictable integer of ``n`` bits.
    """
    bits = random_bits(74)
    value = int(now() * 1000) << 80 | 0x7 << 76 | bits >> 62 << 64 | 0b10 << 62 | bits & (1 << 62) - 1
    return f"{value:032x}"
