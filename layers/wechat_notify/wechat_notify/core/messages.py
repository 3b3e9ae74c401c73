"""The five message kinds, each with WeChat's own field names.

``kind`` is the only word that must be added. Two more may be: what its sender asks of this service.

Where the documentation is certain a message is refused, with every wrong field at once; where it
is not, the message passes with warnings (see ``fields``).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Mapping, Sequence
from decimal import Decimal
from functools import cache
from typing import Annotated, Any, ClassVar, Literal, get_args

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
from pydantic.fields import FieldInfo
from pydantic_core import InitErrorDetails, PydanticCustomError

from wechat_notify.core.errors import InvalidMessageError
from wechat_notify.core.fields import Finding, check_keyword
from wechat_notify.core.outcomes import Bilingual
from wechat_notify.core.violations import Violation

Data = dict[str, dict[str, str]]
"""``{key: {"value": text, "color"?: text}}``, as WeChat wants it."""

# Patterns that few messages need are plain texts, which re compiles on their first use and keeps.
# U+FFFD is what a decoder leaves of bytes in another encoding: nobody means to send it.
_CONTROL = r"[\x00-\x1f\x7f-\x9f\ud800-\udfff\ufffd]"
_LINE_BREAKS = frozenset("\t\n\r")
_COLOR = r"#[0-9A-Fa-f]{6}"
_MAX_KEY = 64
"""Characters of a keyword's key: the longest type has 16, and its index a few digits."""
_DATED = r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ]"
_SCENE = r"[0-9]{1,5}"
_MAX_SCENE = 10_000
_MAX_TITLE = 15
_MAX_CONTENT = 200
_MAX_CLIENT_MSG_ID = 32
_MAX_NUMBER_EXPONENT = 40
"""Decimal numbers beyond 10^40 are not written out: the longest documented keyword has 32 digits."""
_MAX_VIOLATIONS = 100
_MAX_PATH = 120
_SIMILAR, _SIMILAR_SHORT, _SHORT = 0.75, 0.8, 5
"""Least similarity (difflib's) of a misspelt name to the known one, and of one of five letters at most.

It is shown, and must not be personal: one letter makes ``wang`` of ``lang``."""


def _problem(finding: Finding) -> PydanticCustomError:
    return PydanticCustomError(finding.rule, "{text}", {"text": finding.text, "limit": finding.limit})


def _rule(rule: str, en: str, zh: str, *, limit: int | str | None = None) -> PydanticCustomError:
    return _problem(Finding(rule, Bilingual(en, zh), limit))


def _control_characters(value: str) -> Sequence[str]:
    """Those that it holds."""
    if value.isprintable() and "\ufffd" not in value:
        return ()  # nearly always, and in a tenth of the time
    return re.findall(_CONTROL, value)


def _is_printable(value: str) -> bool:
    return value != "" and not _control_characters(value)


def _no_control_characters(value: str) -> str:
    found = _control_characters(value)
    if found:
        raise _problem(_unprintable(found))
    return value


def _line_breaks_alone(value: str) -> str:
    found = _control_characters(value)
    if not _LINE_BREAKS.issuperset(found):
        raise _problem(_unprintable(found))
    return value


def _unprintable(found: Sequence[str]) -> Finding:
    return _NOT_UTF8 if "\ufffd" in found else _CONTROL_CHARACTERS


def _no_outer_blanks(value: str) -> str:
    if value != value.strip():
        raise _problem(_OUTER_BLANKS)
    return value


_CONTROL_CHARACTERS = Finding(
    "control_characters", Bilingual("must hold no control characters", "不能含控制字符")
)
_NOT_UTF8 = Finding(
    "encoding",
    Bilingual(
        "must be UTF-8: it was sent in another encoding, such as GBK, and cannot be read any more (U+FFFD)",
        "必须使用 UTF-8 编码：内容以其他编码（如 GBK）发送，已成乱码（U+FFFD）",
    ),
)
_OUTER_BLANKS = Finding(
    "white_space", Bilingual("must not begin or end with white space", "开头和结尾不能有空白字符")
)

Text = Annotated[str, AfterValidator(_no_control_characters)]
Required = Annotated[Text, Field(min_length=1)]
Identifier = Annotated[Required, AfterValidator(_no_outer_blanks)]
"""A name that WeChat has given: one that was copied with a blank is another one."""


def _at_most(limit: int) -> AfterValidator:
    text = Bilingual(f"must be at most {limit} characters", f"不能超过 {limit} 个字符")
    finding = Finding("max_length", text, limit)

    def check(value: str) -> str:
        if len(value) > limit:
            raise _problem(finding)
        return value

    return AfterValidator(check)


def _color(value: object, info: ValidationInfo) -> str | None:
    """A colour of a one-time message never stops it: WeChat shows some that are not documented (#F00)."""
    notes: _Notes = info.context or _Notes()
    if not isinstance(value, str) or _control_characters(value):
        notes.warnings.append(Violation("data.content.color", "dropped", _NO_TEXT))
        return None
    if not re.fullmatch(_COLOR, value):
        notes.warnings.append(
            Violation("data.content.color", "format", _ODD_COLOR, "#RRGGBB", length=len(value))
        )
    return value


def _scene(value: object) -> object:
    """A scene is a string to WeChat; a JSON integer is accepted and becomes one."""
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if isinstance(value, str) and not (re.fullmatch(_SCENE, value) and int(value) <= _MAX_SCENE):
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
    if not value.is_finite() or abs(value.adjusted()) > _MAX_NUMBER_EXPONENT:
        raise _rule("range", "must be a number that can be written out", "数字超出可表示的范围")
    return format(value, "f")


def _keyword_text(value: object) -> str:
    if isinstance(value, str):
        return _line_breaks_alone(value)
    if isinstance(value, int | float | Decimal) and not isinstance(value, bool):
        return _number_text(value)
    raise _rule("text", "must be text or a number", "必须是字符串或数字")


class _Notes:
    """The warnings and keys that one validation collects beside its errors."""

    def __init__(self) -> None:
        self.warnings: list[Violation] = []
        self.keywords: Collection[str] | None = None
        """The keys of ``data``, also where some of its values are refused."""


class _Keywords:
    """Checks ``data``: an object of ``{key: {"value": …}}``, each key by the rules of its type.

    A colour stops no message. ``template`` passes it on, though its page has none any more since 2023-05-04;
    a subscription never had one, and it is dropped.
    """

    def __init__(self, *, official_account_template: bool = False) -> None:
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
        if not data:
            notes.warnings.append(Violation("data", "empty", _NO_KEYWORDS))
        checked: Data = {}
        for key, entry in data.items():
            if len(key) > _MAX_KEY:
                errors.append(_error(_LONG_KEY, key, key))
                continue
            if key.endswith(".DATA"):
                errors.append(_error(_KEY_WITH_SUFFIX, None, key))
            elif not key or _control_characters(key):
                errors.append(_error(_problem(_NOT_UTF8) if "\ufffd" in key else _KEY, None, key))
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
            if name not in _ENTRY_FIELDS:
                errors.append(_error(_UNKNOWN_FIELD, unknown, key, name))
        if "value" in entry:
            try:
                value = result["value"] = _keyword_text(entry["value"])
            except PydanticCustomError as problem:
                # Its traceback knows this frame, and with it the errors: a circle around the message.
                errors.append(_error(problem.with_traceback(None), entry["value"], key, "value"))
            else:
                self._check_value(key, value, warnings, errors)
        else:
            errors.append(_error(_MISSING, None, key, "value"))
        if "color" in entry:
            color = entry["color"]
            length = len(color) if isinstance(color, str) else None
            warnings.append(Violation(f"data.{key}.color", "dropped", _NO_COLOR, length=length))
            if self._official_account_template and isinstance(color, str) and _is_printable(color):
                result["color"] = color
        return result

    def _check_value(
        self, key: str, value: str, warnings: list[Violation], errors: list[InitErrorDetails]
    ) -> None:
        for finding in check_keyword(key, value, official_account_template=self._official_account_template):
            if finding.certain:
                errors.append(_error(_problem(finding), value, key, "value"))
            else:
                path = f"data.{key}.value"[:_MAX_PATH]
                warnings.append(Violation(path, finding.rule, finding.text, finding.limit, len(value)))


def _error(problem: PydanticCustomError, value: object, *loc: str) -> InitErrorDetails:
    return InitErrorDetails(type=problem, loc=loc, input=value)


_REQUIRED = Finding("missing", Bilingual("is required", "缺少必填字段"))
_NO_FIELD = Finding("unknown_field", Bilingual("is not a field of this message", "该消息没有此字段"))
_MISSING = _problem(_REQUIRED)
_KEY_WITH_SUFFIX = _rule("key", "must be named without .DATA", "键名不能带 .DATA")
_KEY = _rule("key", "must be a keyword of the template", "必须是模板中的关键词")
_ENTRY = _rule("object", 'must be an object {"value": …}', '必须是对象 {"value": …}')
_LONG_KEY = _problem(
    Finding(
        "max_length",
        Bilingual(f"must be named with at most {_MAX_KEY} characters", f"键名不能超过 {_MAX_KEY} 个字符"),
        _MAX_KEY,
    )
)
_ENTRY_FIELDS = ("value", "color")
_NO_COLOR = Bilingual("WeChat shows no colours here", "微信不展示颜色")
_NO_TEXT = Bilingual("is no text and was left out", "不是字符串，已忽略")
_ODD_COLOR = Bilingual(
    "is no colour such as #FF0000; WeChat may not show it", "颜色格式不是 #FF0000 的形式，微信可能不展示"
)
_NO_KEYWORDS = Bilingual(
    "has no keywords: WeChat is likely to answer 47003", "没有关键词，微信可能返回 47003"
)
_GIVEN_EMPTY = Bilingual("was given empty and counts as absent", "为空，按未填写处理")
_UNKNOWN_FIELD = _problem(_NO_FIELD)

OWN_WORDS = {"kind", "expires_at", "delivery"}
"""The fields of a message that are this service's and not WeChat's."""
DeliveryWish = Literal["at_most_once", "at_least_once"]
State = Literal["developer", "trial", "formal"]
Language = Literal["zh_CN", "en_US", "zh_HK", "zh_TW"]


class _Message(_Body):
    endpoint: ClassVar[str]
    touser: Identifier
    template_id: Identifier
    expires_at: Expiry | None = None
    """The time after which it is not sent any more."""
    delivery: DeliveryWish | None = None
    """After a lost answer: leave it as ``unknown`` (the default), or send it again."""

    @property
    def deduplicated(self) -> bool:
        """Return whether WeChat drops a second copy of the message, for 10 minutes."""
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

    value: Annotated[str, _at_most(_MAX_CONTENT)] | None = None
    color: Annotated[str | None, PlainValidator(_color)] = None

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
    title: Annotated[Required, _at_most(_MAX_TITLE)]
    data: OneTimeData

    @field_validator("data")
    @classmethod
    def _has_content(cls, value: OneTimeData, info: ValidationInfo) -> OneTimeData:
        if value.content is None:
            notes: _Notes = info.context or _Notes()
            notes.warnings.append(Violation("data", "empty", _NO_KEYWORDS))
        return value


class MiniProgramTemplate(_Message):
    """Mini program template message (``wxopen/template/send``), also in the Cloud Call spelling."""

    endpoint: ClassVar[str] = "/cgi-bin/message/wxopen/template/send"
    kind: Literal["mini_program_template"]
    template_id: Identifier = Field(validation_alias=AliasChoices("template_id", "templateId"))
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
        return known is not None and known.isascii() and len(known) <= _MAX_CLIENT_MSG_ID


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
    notes = _Notes()
    body = _present(body, model, notes.warnings)
    if message_id and model is Template and body.get("client_msg_id") is None:
        body = {**body, "client_msg_id": _client_msg_id(message_id)}
    broken: Sequence[Violation]
    try:
        message = model.model_validate(body, context=notes)
    except ValidationError as error:
        broken = violations(error, model)
    else:
        if isinstance(message, MiniProgramTemplate):
            message._cloud_call = not _CLOUD_CALL_FIELDS.isdisjoint(body)  # noqa: SLF001 - same module
        return message, notes.warnings[:_MAX_VIOLATIONS]
    # Raised out here, so that the error does not carry pydantic's, which knows the input.
    raise InvalidMessageError(broken)


def _present(
    body: dict[str, Any], model: type[BaseModel], warnings: list[Violation], path: str = ""
) -> dict[str, Any]:
    """The body without the optional fields that are given empty.

    WeChat takes them for absent, and many SDKs send them so: ``""``, and where an object is wanted ``{}``,
    which PHP writes as ``[]``, or one whose fields are empty (``{"appid": "", "pagepath": ""}``).
    """
    optional, nested = _shape(model)
    result = body
    for name, value in body.items():
        inner = nested.get(name) if type(value) is dict else None
        if inner:
            blank = all(each in _BLANK for each in value.values())
        else:
            blank = value == "" or (value == [] and name in nested)
        if blank and name in optional:
            warnings.append(Violation(f"{path}{name}", "empty", _GIVEN_EMPTY))
            result = {key: value for key, value in result.items() if key != name}
        elif inner:
            kept = _present(value, inner, warnings, f"{path}{name}.")
            result = result if kept is value else {**result, name: kept}
    return result


_BLANK: tuple[object, ...] = ("", None)


@cache
def _shape(model: type[BaseModel]) -> tuple[frozenset[str], Mapping[str, type[BaseModel]]]:
    """The names of a model's optional fields of WeChat's, and the models of those that are objects."""
    optional: set[str] = set()
    nested: dict[str, type[BaseModel]] = {}
    for name, field in model.model_fields.items():
        if name in OWN_WORDS:
            continue
        names = _names(name, field)
        if not field.is_required():
            optional.update(names)
        for inner in (field.annotation, *get_args(field.annotation)):
            if isinstance(inner, type) and issubclass(inner, BaseModel):
                nested |= dict.fromkeys(names, inner)
    return frozenset(optional), nested


def _names(name: str, field: FieldInfo) -> list[str]:
    """Return the accepted spellings of a field."""
    alias = field.validation_alias
    return [str(choice) for choice in alias.choices] if isinstance(alias, AliasChoices) else [name]


def _client_msg_id(message_id: str) -> str:
    """The id, or a digest of it: 32 ASCII bytes at most."""
    if len(message_id) <= _MAX_CLIENT_MSG_ID:
        return message_id
    return hashlib.sha256(message_id.encode()).hexdigest()[:_MAX_CLIENT_MSG_ID]


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


def violations(error: ValidationError, model: type[BaseModel]) -> list[Violation]:
    """Our words for pydantic's errors; a misspelt field is answered with the nearest one of the model."""
    # The rest is not told, and a suggestion takes 0.1 ms.
    told = error.errors(include_url=False)[:_MAX_VIOLATIONS]
    return [_violation(details, model) for details in told]


def _violation(details: Any, model: type[BaseModel]) -> Violation:
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
    broken = _broken(finding, ".".join(map(str, details["loc"])), details["input"])
    if finding.rule != _NO_FIELD.rule:
        return broken
    meant = _meant(details["loc"], model)
    if meant is None:
        return broken
    text = Bilingual(f"{finding.text.en}: did you mean {meant}?", f"{finding.text.zh}，是否应为 {meant}？")
    return broken._replace(text=text, meant=meant)


def _meant(loc: Sequence[object], model: type[BaseModel]) -> str | None:
    """The name of a field that a misspelt one in the same place is close to."""
    place: type[BaseModel] | None = model
    for part in loc[:-1]:
        place = _shape(place)[1].get(str(part)) if place else None
    known = (
        [each for name, field in place.model_fields.items() for each in _names(name, field)]
        if place
        else _ENTRY_FIELDS
    )
    from difflib import get_close_matches  # noqa: PLC0415 - 5 ms of a start, for bad messages alone

    by_lower = {name.lower(): name for name in known if name != loc[-1]}
    name = str(loc[-1]).lower()[:_MAX_KEY]
    close = get_close_matches(name, by_lower, 1, _SIMILAR_SHORT if len(name) <= _SHORT else _SIMILAR)
    return by_lower[close[0]] if close else None


def _broken(finding: Finding, path: str, value: object) -> Violation:
    length = len(value) if isinstance(value, str) else None
    return Violation(path[:_MAX_PATH], finding.rule, finding.text, finding.limit, length)
