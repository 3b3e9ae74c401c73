"""What the team's producers send: a template message for an account."""

from pydantic import BaseModel, Field


class Keyword(BaseModel):
    """The value of one keyword."""

    value: str
    color: str | None = None


class MiniProgram(BaseModel):
    """The mini program that a tap opens."""

    appid: str
    pagepath: str | None = None


class TemplateMessage(BaseModel):
    """The message, with WeChat's own names."""

    touser: str = Field(min_length=1)
    template_id: str = Field(min_length=1)
    url: str | None = None
    miniprogram: MiniProgram | None = None
    data: dict[str, Keyword]


class Envelope(BaseModel):
    """An account and its message."""

    account: str = Field(pattern=r"^[a-z0-9-]{1,64}$")
    message: TemplateMessage
