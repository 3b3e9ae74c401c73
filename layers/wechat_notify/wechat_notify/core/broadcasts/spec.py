"""A broadcast as it is asked for: its fields, each checked by its rule."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import (
    BaseModel,
    ConfigDict,
    PlainSerializer,
    PlainValidator,
    ValidationError,
    ValidationInfo,
    field_validator,
)
from pydantic_core import InitErrorDetails

from wechat_notify.core.broadcasts.recipients import text_fields
from wechat_notify.core.broadcasts.rendering import MessageTemplate
from wechat_notify.core.errors import InvalidFieldsError, InvalidMessageError
from wechat_notify.core.messages.field_types import NOT_A_FIELD, REQUIRED, Expiry, Required, TimeZone, at_most
from wechat_notify.core.messages.findings import Finding, pydantic_error, rule_error
from wechat_notify.core.messages.parser import parse_message
from wechat_notify.core.messages.strict_json import parse_json, written_out
from wechat_notify.core.messages.validation import MAX_VIOLATIONS, NOT_AN_OBJECT, broken_rule, violations
from wechat_notify.core.texts import Bilingual
from wechat_notify.core.violations import Violation

MAX_RECIPIENTS = 1000
"""Recipients in a body; more of them come in a file."""
MIN_RATE, MAX_RATE = 0.001, 10_000
"""Messages per second."""
_MAX_NAME = 64
_LAST_YEAR = 2199
"""Far from the end of the calendar, beyond which the next day's window would be looked for."""
_MAX_PERCENT = 100
_UPLOAD = r"[A-Za-z0-9_-]{1,64}"
_CLOCK = r"([01][0-9]|2[0-3]):([0-5][0-9])"
_WINDOW = f"{_CLOCK}-{_CLOCK}"


class SendWindow(NamedTuple):
    """A part of every day in which messages may be released, in minutes after midnight.

    It runs over midnight where ``closes`` is before ``opens``; they are never equal.
    """

    opens: int
    closes: int


def _rate(value: Any) -> float:
    is_number = isinstance(value, int | float | Decimal) and not isinstance(value, bool)
    # Compared first: an integer of 400 digits is no float.
    if not is_number or not MIN_RATE <= value <= MAX_RATE:
        raise rule_error(
            "range",
            f"must be a number from {MIN_RATE} to {MAX_RATE}",
            f"必须是 {MIN_RATE} 到 {MAX_RATE} 的数字",
            limit=f"{MIN_RATE}-{MAX_RATE}",
        )
    return float(value)


def _percent(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= _MAX_PERCENT:
        raise rule_error(
            "range",
            f"must be a whole number from 1 to {_MAX_PERCENT}",
            f"必须是 1 到 {_MAX_PERCENT} 的整数",
            limit=f"1-{_MAX_PERCENT}",
        )
    return value


def _window(value: object) -> SendWindow:
    match = re.fullmatch(_WINDOW, value) if isinstance(value, str) else None
    if match is None:
        raise rule_error(
            "format",
            "must be two 24-hour times, such as 09:00-21:00",
            "必须是两个 24 小时制时间，如 09:00-21:00",
            limit="HH:MM-HH:MM",
        )
    opens, opens_minute, closes, closes_minute = map(int, match.groups())
    window = SendWindow(opens * 60 + opens_minute, closes * 60 + closes_minute)
    if window.opens == window.closes:
        raise rule_error(
            "window",
            "must not begin and end at the same time; leave it out to send at any time",
            "开始和结束时间不能相同；全天发送请不填此字段",
        )
    return window


def _window_text(window: SendWindow | None) -> str | None:
    if window is None:
        return None
    return "-".join(f"{minutes // 60:02d}:{minutes % 60:02d}" for minutes in window)


def _upload(value: object) -> str:
    if not isinstance(value, str) or not re.fullmatch(_UPLOAD, value):
        raise rule_error("upload", "must be the id of an upload", "必须是上传文件的 id")
    return value


def _object(value: object) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise pydantic_error(NOT_AN_OBJECT)
    return value


def _recipients(value: object) -> list[dict[str, str]]:
    """The recipients as rows of text; one may be given as its openid alone."""
    if not isinstance(value, list):
        raise rule_error("array", "must be a JSON array", "必须是 JSON 数组")
    if not value:
        raise rule_error("empty", "must not be empty", "不能为空", limit=1)
    if len(value) > MAX_RECIPIENTS:
        raise rule_error(
            "max_length",
            f"must be at most {MAX_RECIPIENTS} recipients; upload a file for more",
            f"不能超过 {MAX_RECIPIENTS} 个接收者，更多请上传文件",
            limit=MAX_RECIPIENTS,
        )
    rows: list[dict[str, str]] = []
    errors: list[InitErrorDetails] = []
    for place, recipient in enumerate(value):
        row = text_fields({"openid": recipient} if isinstance(recipient, str) else recipient)
        if isinstance(row, dict) and not row.get("openid"):
            row = Violation("openid", REQUIRED.rule, REQUIRED.text)
        if isinstance(row, dict):
            rows.append(row)
        else:
            problem = pydantic_error(Finding(row.rule, row.text, row.limit))
            loc = (place, row.path) if row.path else (place,)
            errors.append(InitErrorDetails(type=problem, loc=loc, input=None))
    if errors:
        raise ValidationError.from_exception_data("recipients", errors, hide_input=True)
    return rows


class BroadcastSpec(BaseModel):
    """A broadcast as it is asked for; exactly one of ``recipients`` and ``upload`` is set.

    ``max_failures_percent`` is the share of results beyond which it pauses by itself.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True, defer_build=True)

    message: Annotated[dict[str, Any], PlainValidator(_object)]
    recipients: Annotated[list[dict[str, str]] | None, PlainValidator(_recipients)] = None
    upload: Annotated[str | None, PlainValidator(_upload)] = None
    name: Annotated[Required, at_most(_MAX_NAME)] | None = None
    duplicates: Literal["once", "send"] = "once"
    """Recipients that are listed twice."""
    on_invalid: Literal["skip", "abort"] = "skip"
    """Rows that cannot be sent."""
    messages_per_second: Annotated[float | None, PlainValidator(_rate)] = None
    send_window: Annotated[SendWindow | None, PlainValidator(_window), PlainSerializer(_window_text)] = None
    time_zone: TimeZone = "Asia/Shanghai"
    """The zone of ``send_window``."""
    starts_at: Expiry | None = None
    expires_at: Expiry | None = None
    max_failures_percent: Annotated[int, PlainValidator(_percent)] = 20

    @field_validator("starts_at")
    @classmethod
    def _is_near(cls, value: datetime | None) -> datetime | None:
        if value and value.year > _LAST_YEAR:
            raise rule_error("range", f"must lie before {_LAST_YEAR + 1}", f"必须早于 {_LAST_YEAR + 1} 年")
        return value

    @field_validator("expires_at")
    @classmethod
    def _is_ahead(cls, value: datetime | None, info: ValidationInfo) -> datetime | None:
        starts_at = info.data.get("starts_at")
        if value and info.context and value.timestamp() <= info.context["now"]:
            raise rule_error("past", "must lie in the future", "必须晚于当前时间")
        if value and starts_at and value <= starts_at:
            raise rule_error("order", "must be later than starts_at", "必须晚于 starts_at")
        return value

    def recipients_file(self) -> bytes:
        """The inline recipients as a file of JSON Lines; empty where there is an upload."""
        lines = (json.dumps(fields, ensure_ascii=False) for fields in self.recipients or ())
        return "".join(f"{line}\n" for line in lines).encode()

    def to_json(self) -> str:
        """The spec without its recipients, to be stored; ``stored_spec`` reads it."""
        fields = self.model_dump(exclude={"recipients"}, exclude_none=True)
        return json.dumps(fields, default=_written)


def parse_spec(body: object, now: float) -> BroadcastSpec:
    """The broadcast that a decoded JSON body asks for.

    Parameters
    ----------
    body : object
        The body. An optional field that is null counts as absent.
    now : float
        Seconds since the epoch.

    Raises
    ------
    InvalidFieldsError
        It breaks rules; the error lists every violation, also those of the message that no row can mend.
    """
    if not isinstance(body, dict):
        raise InvalidFieldsError([broken_rule(NOT_AN_OBJECT, "", body)])
    fields = BroadcastSpec.model_fields
    given = {name: value for name, value in body.items() if value is not None or name not in fields}
    broken = [*_source_violations(given), *_message_violations(given.get("message"))]
    try:
        spec = BroadcastSpec.model_validate(given, context={"now": now})
    except ValidationError as error:
        broken += violations(error, BroadcastSpec, _UNKNOWN_FIELD)
    else:
        if not broken:
            return spec
    # Raised out here, so that the error does not carry pydantic's, which knows the input.
    raise InvalidFieldsError(broken[:MAX_VIOLATIONS])


def stored_spec(text: str) -> BroadcastSpec:
    """Return the spec that ``to_json`` wrote, without its recipients; its times may have passed."""
    return BroadcastSpec.model_validate(parse_json(text))


def _source_violations(given: Mapping[str, Any]) -> Iterator[Violation]:
    if "recipients" in given and "upload" in given:
        yield Violation("upload", "exclusive", _TWO_SOURCES)
    elif "recipients" not in given and "upload" not in given:
        yield Violation("recipients", REQUIRED.rule, _NO_SOURCE)


def _message_violations(message: object) -> Iterator[Violation]:
    """The rules that a message breaks whatever its placeholders become."""
    if not isinstance(message, dict):
        return
    found: Sequence[Violation] = ()
    try:
        template = MessageTemplate(message)
        if "kind" in template.paths:
            found = [Violation("kind", "placeholder", _FIXED_KIND)]
        elif "touser" not in template.paths:
            found = [Violation("touser", "placeholder", _FIXED_RECIPIENT)]
        else:
            parse_message(template.message)
    except InvalidFieldsError as error:
        found = error.violations
    except InvalidMessageError as error:
        found = [
            each
            for each in error.violations
            if each.path not in template.paths or each.rule == NOT_A_FIELD.rule
        ]
    for violation in found:
        yield violation._replace(path=f"message.{violation.path}".rstrip("."))


def _written(value: object) -> str:
    if isinstance(value, datetime):
        return value.isoformat()
    assert isinstance(value, Decimal)  # noqa: S101 # nosec B101 # JSON has no other type
    return written_out(value)


_UNKNOWN_FIELD = Finding("unknown_field", Bilingual("is not a field of a broadcast", "群发请求没有此字段"))
_TWO_SOURCES = Bilingual("must not stand beside recipients", "不能与 recipients 同时填写")
_NO_SOURCE = Bilingual("is required, or upload instead of it", "缺少必填字段（或改填 upload）")
_FIXED_KIND = Bilingual(
    "must be the same for all recipients: no placeholder", "所有接收者必须相同，不能含占位符"
)
_FIXED_RECIPIENT = Bilingual(
    "would be the same for every row: leave it out, or write {{openid}}",
    "每行都会相同：请删除此字段，或写作 {{openid}}",
)
