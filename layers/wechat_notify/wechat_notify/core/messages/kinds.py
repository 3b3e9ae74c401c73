"""The five message kinds, each with WeChat's own field names.

``kind`` is the only word that must be added. Two more may be: what its sender asks of this service.

Where the documentation is certain a message is refused, with every wrong field at once; where it
is not, the message passes with warnings (see ``keyword_rules``).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

from pydantic import (
    AliasChoices,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainValidator,
    PrivateAttr,
    ValidationInfo,
    field_validator,
)

from wechat_notify.core.messages.field_types import (
    Expiry,
    Identifier,
    Required,
    Text,
    at_most,
    reject_other_control_characters,
    scene_text,
)
from wechat_notify.core.messages.findings import rule_error
from wechat_notify.core.messages.keywords import NO_KEYWORDS, Data, Keywords, Notes, color_text
from wechat_notify.core.messages.validation import (
    SERVICE_FIELDS,
)
from wechat_notify.core.violations import Violation

_MAX_TITLE = 15
_MAX_CONTENT = 200
MAX_CLIENT_MSG_ID = 32


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


DeliveryOption = Literal["at_most_once", "at_least_once"]
State = Literal["developer", "trial", "formal"]
Language = Literal["zh_CN", "en_US", "zh_HK", "zh_TW"]


class _Message(_Body):
    endpoint: ClassVar[str]
    permission_sets: ClassVar[frozenset[int]]
    """The permission sets of which a merchant must have granted one to its third-party platform."""
    touser: Identifier
    template_id: Identifier
    expires_at: Expiry | None = None
    """The time after which it is not sent any more."""
    delivery: DeliveryOption | None = None
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
        return self.model_dump_json(exclude=SERVICE_FIELDS, exclude_none=True).encode()


class Subscription(_Message):
    """Official account, subscription notification (``subscribe/bizsend``)."""

    endpoint: ClassVar[str] = "/cgi-bin/message/subscribe/bizsend"
    permission_sets: ClassVar[frozenset[int]] = frozenset({89})
    kind: Literal["subscription"]
    page: Text | None = None
    miniprogram: MiniProgram | None = None
    data: Annotated[Data, PlainValidator(Keywords())]
    miniprogram_state: State | None = None
    lang: Language | None = None
    client_msg_id: Required | None = None
    """Stands in the documentation's example; do not count on WeChat to de-duplicate by it here."""


class Content(_Body):
    """The text of a one-time subscription message."""

    value: Annotated[str, at_most(_MAX_CONTENT)] | None = None
    color: Annotated[str | None, PlainValidator(color_text)] = None

    @field_validator("value")
    @classmethod
    def _printable(cls, value: str | None) -> str | None:
        return value and reject_other_control_characters(value)


class OneTimeData(_Body):
    """``content`` is the only keyword of a one-time subscription message."""

    content: Content | None = None


class OneTimeSubscription(_Message):
    """Official account or mobile app, one-time subscription message (``template/subscribe``)."""

    endpoint: ClassVar[str] = "/cgi-bin/message/template/subscribe"
    permission_sets: ClassVar[frozenset[int]] = frozenset({7})
    kind: Literal["one_time_subscription"]
    url: Text | None = None
    miniprogram: MiniProgramPage | None = None
    scene: Annotated[str, BeforeValidator(scene_text)]
    title: Annotated[Required, at_most(_MAX_TITLE)]
    data: OneTimeData

    @field_validator("data")
    @classmethod
    def _has_content(cls, value: OneTimeData, info: ValidationInfo) -> OneTimeData:
        if value.content is None:
            notes: Notes = info.context or Notes()
            notes.warnings.append(Violation("data", "empty", NO_KEYWORDS))
        return value


class MiniProgramTemplate(_Message):
    """Mini program template message (``wxopen/template/send``), also in the Cloud Call spelling."""

    endpoint: ClassVar[str] = "/cgi-bin/message/wxopen/template/send"
    permission_sets: ClassVar[frozenset[int]] = frozenset({18})
    kind: Literal["mini_program_template"]
    template_id: Identifier = Field(validation_alias=AliasChoices("template_id", "templateId"))
    page: Text | None = None
    form_id: Required = Field(validation_alias=AliasChoices("form_id", "formId"))
    data: Annotated[Data, PlainValidator(Keywords())] | None = None
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
            raise rule_error(
                "format",
                "must end in .DATA, such as keyword1.DATA",
                "必须以 .DATA 结尾，如 keyword1.DATA",
                limit="keyword1.DATA",
            )
        # A data that is refused for another reason is not in info.data, but its keys are in the notes.
        notes: Notes = info.context or Notes()
        keywords = (info.data["data"] or {}) if "data" in info.data else notes.keywords
        if keywords is not None and value.removesuffix(".DATA") not in {
            key.removesuffix(".DATA") for key in keywords
        }:
            raise rule_error("keyword", "must name a keyword of data", "必须是 data 中的关键词")
        return value


class MiniProgramSubscription(_Message):
    """Mini program subscription message (``subscribe/send``)."""

    endpoint: ClassVar[str] = "/cgi-bin/message/subscribe/send"
    permission_sets: ClassVar[frozenset[int]] = frozenset({18})
    kind: Literal["mini_program_subscription"]
    page: Text | None = None
    data: Annotated[Data, PlainValidator(Keywords())]
    miniprogram_state: State | None = None
    lang: Language | None = None


class Template(_Message):
    """Official account template message (``template/send``)."""

    endpoint: ClassVar[str] = "/cgi-bin/message/template/send"
    permission_sets: ClassVar[frozenset[int]] = frozenset({7, 100, 101})
    kind: Literal["template"]
    url: Text | None = None
    miniprogram: MiniProgram | None = None
    data: Annotated[Data, PlainValidator(Keywords(official_account_template=True))]
    client_msg_id: Required | None = None
    """Within 10 minutes WeChat sends one openid's message with the same id once."""

    @property
    def deduplicated(self) -> bool:  # noqa: D102 - described where it is declared
        # Of a caller's own id that is longer or not ASCII nobody has told what WeChat makes of it.
        known = self.client_msg_id
        return known is not None and known.isascii() and len(known) <= MAX_CLIENT_MSG_ID


Message = Subscription | OneTimeSubscription | MiniProgramTemplate | MiniProgramSubscription | Template
MODELS: Mapping[str, type[Message]] = {
    model.model_fields["kind"].annotation.__args__[0]: model for model in Message.__args__
}
KINDS = tuple(MODELS)
CLOUD_CALL_FIELDS = frozenset({"templateId", "formId", "emphasisKeyword"})
