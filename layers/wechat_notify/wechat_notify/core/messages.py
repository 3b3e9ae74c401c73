"""The five message kinds, each with WeChat's own field names.

``kind`` is the only word that must be added. Two more may be: what its sender asks of this service.

Where the documentation is certain a message is refused, with every wrong field at once; where it
is not, the message passes with warnings (see ``fields``).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from decimal import Decimal
from typing import Annotated, Any, ClassVar, Literal

from pydantic import (
    AfterValidator,
    AliasChoices,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainValidator,
    PrivateAttr,
    ValidationError,
    ValidationInfo,
    field_validator,
)
from pydantic_core import InitErrorDetails, PydanticCustomError

from wechat_notify.core.fields import Finding, check_keyword
from wechat_notify.core.outcomes import Bilingual, InvalidMessageError, Violation

Data = dict[str, dict[str, str]]
"""``{key: {"value": text, "color"?: text}}``, as WeChat wants it."""

# Patterns that few messages need are plain texts, which re compiles on their first use and keeps.
# U+FFFD is what a decoder leaves of bytes in another encoding: nobody means to send it.
_CONTROL = r"[\x00-\x1f\x7f-\x9f\ud800-\udfff\ufffd]"
_LINE_BREAKS = frozenset("\t\n\r")
_COLOR = r"#[0-9A-Fa-f]{6}"
_DATED = r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ]"
_SCENE = r"[0-9]{1,5}"
_SCENE_MOST = 10_000
_TITLE_MOST = 15
_CONTENT_MOST = 200
_CLIENT_MSG_ID_MOST = 32
_NUMBER_EXPONENT_MOST = 40
"""Decimal numbers beyond 10^40 are not written out: the longest documented keyword has 32 digits."""
_VIOLATIONS_MOST = 100
_PATH_MOST = 120


def _problem(finding: Finding) -> PydanticCustomError:
    return PydanticCustomError(finding.rule, "{text}", {"text": finding.text, "limit": finding.limit})


def _rule(rule: str, en: str, zh: str, *, limit: int | str | None = None) -> PydanticCustomError:
    return _problem(Finding(rule, Bilingual(en, zh), limit))


def _control_characters(value: str) -> Sequence[str]:
    """Those that it holds."""
    if value.isprintable() and "\ufffd" not in value:
        return ()  # nearly always, and in a tenth of the time
    return re.findall(_CONTROL, value)


def _no_control_characters(value: str) -> str:
    if _control_characters(value):
        raise _problem(_CONTROL_CHARACTERS)
    return value


def _line_breaks_alone(value: str) -> str:
    if not _LINE_BREAKS.issuperset(_control_characters(value)):
        raise _problem(_CONTROL_CHARACTERS)
    return value


_CONTROL_CHARACTERS = Finding(
    "control_characters",
    Bilingual("must hold no control characters and no U+FFFD", "不能含控制字符或乱码字符 U+FFFD"),
)

Text = Annotated[str, AfterValidator(_no_control_characters)]
Required = Annotated[Text, Field(min_length=1)]


def _at_most(limit: int) -> AfterValidator:
    text = Bilingual(f"must be at most {limit} characters", f"不能超过 {limit} 个字符")
    finding = Finding("max_length", text, limit)

    def check(value: str) -> str:
        if len(value) > limit:
            raise _problem(finding)
        return value

    return AfterValidator(check)


def _color(value: object) -> str:
    if not isinstance(value, str):
        raise _rule("text", "must be text", "必须是字符串")
    if not re.fullmatch(_COLOR, value):
        raise _rule("format", "must be a colour such as #FF0000", "颜色格式必须如 #FF0000", limit="#RRGGBB")
    return value


def _scene(value: object) -> object:
    """A scene is a string to WeChat; a JSON integer is accepted and becomes one."""
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if isinstance(value, str) and not (re.fullmatch(_SCENE, value) and int(value) <= _SCENE_MOST):
        raise _rule(
            "range",
            "must be a whole number from 0 to 10000",
            "必须是 0 到 10000 的整数",
            limit="0-10000",
        )
    return value


_TIME = Finding(
    "time",
    Bilingual(
        "must be a time with its zone, such as 2026-11-21T18:00:00+08:00",
        "必须是带时区的时间，如 2026-11-21T18:00:00+08:00",
    ),
)


def _time_text(value: object) -> object:
    """A time is text with a date: pydantic would take any number for one."""
    if not isinstance(value, str) or not re.match(_DATED, value):
        raise _problem(_TIME)
    return value


Expiry = Annotated[AwareDatetime, BeforeValidator(_time_text)]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True, defer_build=True)


class MiniProgram(_Body):
    """The mini program that a tap opens; WeChat prefers it to ``page`` and ``url``."""

    appid: Required
    pagepath: Text | None = None


class MiniProgramPage(_Body):
    """The same for a one-time subscription message, where the page is required."""

    appid: Required
    pagepath: Required


def _number_text(value: float | Decimal) -> str:
    """A JSON number as the text that WeChat wants, digit for digit, without an exponent."""
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        value = Decimal(repr(value))
    if not value.is_finite() or abs(value.adjusted()) > _NUMBER_EXPONENT_MOST:
        raise _rule("range", "must be a number that can be written out", "数字超出可表示的范围")
    return format(value, "f")


def _keyword_text(value: object) -> str:
    if isinstance(value, str):
        return _line_breaks_alone(value)
    if isinstance(value, int | float | Decimal) and not isinstance(value, bool):
        return _number_text(value)
    raise _rule("text", "must be text or a number", "必须是字符串或数字")


class _Notes:
    """What one validation gathers beside its errors."""

    def __init__(self) -> None:
        self.warnings: list[Violation] = []
        self.keywords: Collection[str] | None = None
        """The keys of ``data``, also where some of its values are refused."""


class _Keywords:
    """Checks ``data``: an object of ``{key: {"value": …}}``, each key by the rules of its type."""

    def __init__(self, *, official_account_template: bool = False) -> None:
        self._checks: dict[str, Callable[[object], str]] = {"value": _keyword_text}
        if official_account_template:
            self._checks["color"] = _color
        self._official_account_template = official_account_template

    def __call__(self, data: object, info: ValidationInfo) -> Data:
        if not isinstance(data, dict):
            raise _rule(
                "object",
                'must be a JSON object such as {"thing1": {"value": "…"}}',
                '必须是 JSON 对象，如 {"thing1": {"value": "…"}}',
            )
        errors: list[InitErrorDetails] = []
        notes: _Notes = info.context or _Notes()
        notes.keywords = data.keys()
        checked: Data = {}
        for key, entry in data.items():
            if key.endswith(".DATA"):
                errors.append(_error(_KEY_WITH_SUFFIX, None, key))
            elif not key or _control_characters(key):
                errors.append(_error(_KEY, None, key))
            if isinstance(entry, dict):
                checked[key] = self._entry(key, entry, notes.warnings, errors)
            else:
                errors.append(_error(_ENTRY, entry, key))
        if errors:
            raise ValidationError.from_exception_data("data", errors, hide_input=True)
        return checked

    def _entry(
        self,
        key: str,
        entry: dict[str, object],
        warnings: list[Violation],
        errors: list[InitErrorDetails],
    ) -> dict[str, str]:
        result: dict[str, str] = {}
        for name, unknown in entry.items():
            if name not in self._checks:
                errors.append(_error(_UNKNOWN_FIELD, unknown, key, name))
        for name, check in self._checks.items():
            if name in entry:
                try:
                    result[name] = check(entry[name])
                except PydanticCustomError as problem:
                    # Its traceback knows this frame, and with it the errors: a circle around the message.
                    errors.append(_error(problem.with_traceback(None), entry[name], key, name))
        if "value" not in entry:
            errors.append(_error(_MISSING, None, key, "value"))
        if "color" in result:
            # Gone from the current page of template/send, and dropped since 2023-05-04.
            path = f"data.{key}.color"[:_PATH_MOST]
            warnings.append(Violation(path, "dropped", _NO_COLOR, length=len(result["color"])))
        if "value" in result:
            self._check_value(key, result["value"], warnings, errors)
        return result

    def _check_value(
        self, key: str, value: str, warnings: list[Violation], errors: list[InitErrorDetails]
    ) -> None:
        for finding in check_keyword(key, value, official_account_template=self._official_account_template):
            if finding.certain:
                errors.append(_error(_problem(finding), value, key, "value"))
            else:
                path = f"data.{key}.value"[:_PATH_MOST]
                warnings.append(Violation(path, finding.rule, finding.text, finding.limit, len(value)))


def _error(problem: PydanticCustomError, value: object, *loc: str) -> InitErrorDetails:
    return InitErrorDetails(type=problem, loc=loc, input=value)


_REQUIRED = Finding("missing", Bilingual("is required", "缺少必填字段"))
_NO_FIELD = Finding("unknown_field", Bilingual("is not a field of this message", "该消息没有此字段"))
_MISSING = _problem(_REQUIRED)
_KEY_WITH_SUFFIX = _rule("key", "must be named without .DATA", "键名不能带 .DATA")
_KEY = _rule("key", "must be a keyword of the template", "必须是模板中的关键词")
_ENTRY = _rule("object", 'must be an object {"value": …}', '必须是对象 {"value": …}')
_NO_COLOR = Bilingual("WeChat no longer shows colours", "微信已不再展示颜色")
_UNKNOWN_FIELD = _problem(_NO_FIELD)

OWN_WORDS = {"kind", "expires_at", "delivery"}
"""The fields of a message that are this service's and not WeChat's."""
DeliveryWish = Literal["at_most_once", "at_least_once"]
State = Literal["developer", "trial", "formal"]
Language = Literal["zh_CN", "en_US", "zh_HK", "zh_TW"]


class _Message(_Body):
    endpoint: ClassVar[str]
    touser: Required
    template_id: Required
    expires_at: Expiry | None = None
    """When it is not worth sending any more."""
    delivery: DeliveryWish | None = None
    """What a lost answer means: it may have been sent (the default), or send it again."""

    @property
    def deduplicated(self) -> bool:
        """Whether WeChat drops a second copy of the message, for 10 minutes."""
        return False

    @property
    def cloud_call(self) -> bool:
        """The message came in the Cloud Call spelling, so its answer is spelled that way too."""
        return False

    def wire(self) -> bytes:
        """The body for WeChat: its own field names, raw UTF-8, nothing that was not given."""
        return self.model_dump_json(exclude=OWN_WORDS, exclude_none=True).encode()


class Subscription(_Message):
    """Official account, subscription notification (``subscribe/bizsend``)."""

    endpoint: ClassVar[str] = "/cgi-bin/message/subscribe/bizsend"
    kind: Literal["subscription"]
    page: Text | None = None
    miniprogram: MiniProgram | None = None
    data: Annotated[Data, PlainValidator(_Keywords())]
    miniprogram_state: State | None = None
    lang: Language | None = None
    client_msg_id: Required | None = None
    """Stands in the documentation's example; do not count on WeChat to de-duplicate by it here."""


class Content(_Body):
    """The text of a one-time subscription message."""

    value: Annotated[str, _at_most(_CONTENT_MOST)] | None = None
    color: Annotated[str, AfterValidator(_color)] | None = None

    @field_validator("value")
    @classmethod
    def _printable(cls, value: str | None) -> str | None:
        return value and _line_breaks_alone(value)


class OneTimeData(_Body):
    """``content`` is the only keyword of a one-time subscription message."""

    content: Content | None = None


class OneTimeSubscription(_Message):
    """Official account or mobile app, one-time subscription message (``template/subscribe``)."""

    endpoint: ClassVar[str] = "/cgi-bin/message/template/subscribe"
    kind: Literal["one_time_subscription"]
    url: Text | None = None
    miniprogram: MiniProgramPage | None = None
    scene: Annotated[str, BeforeValidator(_scene)]
    title: Annotated[Required, _at_most(_TITLE_MOST)]
    data: OneTimeData


class MiniProgramTemplate(_Message):
    """Mini program template message (``wxopen/template/send``), also in the Cloud Call spelling."""

    endpoint: ClassVar[str] = "/cgi-bin/message/wxopen/template/send"
    kind: Literal["mini_program_template"]
    template_id: Required = Field(validation_alias=AliasChoices("template_id", "templateId"))
    page: Text | None = None
    form_id: Required = Field(validation_alias=AliasChoices("form_id", "formId"))
    data: Annotated[Data, PlainValidator(_Keywords())] | None = None
    emphasis_keyword: Text | None = Field(
        default=None, validation_alias=AliasChoices("emphasis_keyword", "emphasisKeyword")
    )
    _cloud_call: bool = PrivateAttr(default=False)

    @property
    def cloud_call(self) -> bool:  # noqa: D102 - described where it is declared
        return self._cloud_call

    @field_validator("emphasis_keyword")
    @classmethod
    def _names_a_keyword(cls, value: str | None, info: ValidationInfo) -> str | None:
        if value is None:
            return value
        if not value.endswith(".DATA"):
            raise _rule(
                "format",
                "must end in .DATA, such as keyword1.DATA",
                "必须以 .DATA 结尾，如 keyword1.DATA",
                limit="keyword1.DATA",
            )
        # A data that is refused for another reason is not in info.data, but its keys are in the notes.
        notes: _Notes = info.context or _Notes()
        keywords = (info.data["data"] or {}) if "data" in info.data else notes.keywords
        if keywords is not None and value.removesuffix(".DATA") not in {
            key.removesuffix(".DATA") for key in keywords
        }:
            raise _rule("keyword", "must name a keyword of data", "必须是 data 中的关键词")
        return value


class MiniProgramSubscription(_Message):
    """Mini program subscription message (``subscribe/send``)."""

    endpoint: ClassVar[str] = "/cgi-bin/message/subscribe/send"
    kind: Literal["mini_program_subscription"]
    page: Text | None = None
    data: Annotated[Data, PlainValidator(_Keywords())]
    miniprogram_state: State | None = None
    lang: Language | None = None


class Template(_Message):
    """Official account template message (``template/send``)."""

    endpoint: ClassVar[str] = "/cgi-bin/message/template/send"
    kind: Literal["template"]
    url: Text | None = None
    miniprogram: MiniProgram | None = None
    data: Annotated[Data, PlainValidator(_Keywords(official_account_template=True))]
    client_msg_id: Required | None = None
    """Within 10 minutes WeChat sends one openid's message with the same id once."""

    @property
    def deduplicated(self) -> bool:  # noqa: D102 - described where it is declared
        # Of a caller's own id that is longer or not ASCII nobody has told what WeChat makes of it.
        known = self.client_msg_id
        return known is not None and known.isascii() and len(known) <= _CLIENT_MSG_ID_MOST


Message = Subscription | OneTimeSubscription | MiniProgramTemplate | MiniProgramSubscription | Template
_MODELS: Mapping[str, type[Message]] = {
    model.model_fields["kind"].annotation.__args__[0]: model for model in Message.__args__
}
KINDS = tuple(_MODELS)
_CLOUD_CALL_FIELDS = frozenset({"templateId", "formId", "emphasisKeyword"})


def parse_message(body: object, message_id: str | None = None) -> tuple[Message, list[Violation]]:
    """The message that a decoded JSON body is, with the warnings that its fields deserve.

    Parameters
    ----------
    body : object
        The body.
    message_id : str, optional
        The message's id, by which WeChat knows a second copy where the kind has a field for it and the body
        leaves that empty. None where nothing is to be sent.

    Raises
    ------
    InvalidMessageError
        WeChat would refuse it; the error lists every violation.
    """
    if not isinstance(body, dict):
        raise InvalidMessageError([_broken(_OBJECT, "", body)])
    kind = body.get("kind")
    model = _MODELS.get(kind) if isinstance(kind, str) else None
    if model is None:
        raise InvalidMessageError([_broken(_choice(KINDS) if "kind" in body else _REQUIRED, "kind", kind)])
    if message_id and model is Template and body.get("client_msg_id") is None:
        body = {**body, "client_msg_id": _client_msg_id(message_id)}
    notes = _Notes()
    violations: Sequence[Violation]
    try:
        message = model.model_validate(body, context=notes)
    except ValidationError as error:
        violations = [_violation(details) for details in error.errors(include_url=False)]
    else:
        if isinstance(message, MiniProgramTemplate):
            message._cloud_call = not _CLOUD_CALL_FIELDS.isdisjoint(body)  # noqa: SLF001 - same module
        return message, notes.warnings[:_VIOLATIONS_MOST]
    # Raised out here, so that the error does not carry pydantic's, which knows the input.
    raise InvalidMessageError(violations[:_VIOLATIONS_MOST])


def _client_msg_id(message_id: str) -> str:
    """The id, or a digest of it: 32 ASCII bytes at most."""
    if len(message_id) <= _CLIENT_MSG_ID_MOST:
        return message_id
    return hashlib.sha256(message_id.encode()).hexdigest()[:_CLIENT_MSG_ID_MOST]


_STRUCTURE: dict[str, Finding] = {
    "missing": _REQUIRED,
    "extra_forbidden": _NO_FIELD,
    "string_type": Finding("text", Bilingual("must be text", "必须是字符串")),
    "string_unicode": Finding("text", Bilingual("must be valid Unicode text", "必须是合法的 Unicode 字符串")),
    "string_too_short": Finding("empty", Bilingual("must not be empty", "不能为空"), limit=1),
    "too_short": Finding("empty", Bilingual("must not be empty", "不能为空"), limit=1),
}
_OBJECT = Finding("object", Bilingual("must be a JSON object", "必须是 JSON 对象"))


def _choice(choices: Sequence[str]) -> Finding:
    allowed = ", ".join(choices)
    return Finding("choice", Bilingual(f"must be one of {allowed}", f"必须是以下之一：{allowed}"), allowed)


def _violation(details: Any) -> Violation:
    """Our words for one of pydantic's error details."""
    kind, context = details["type"], details.get("ctx", {})
    if isinstance(context.get("text"), Bilingual):
        finding = Finding(kind, context["text"], context.get("limit"))
    elif kind == "literal_error":
        finding = _choice(context["expected"].replace("'", "").split(" or "))
    elif kind.startswith(("datetime", "timezone")):
        finding = _TIME
    else:
        finding = _STRUCTURE.get(kind, _OBJECT)
    return _broken(finding, ".".join(map(str, details["loc"])), details["input"])


def _broken(finding: Finding, path: str, value: object) -> Violation:
    length = len(value) if isinstance(value, str) else None
    return Violation(path[:_PATH_MOST], finding.rule, finding.text, finding.limit, length)
