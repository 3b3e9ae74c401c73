"""The reasons why a platform or a merchant has no token, in words that say what to do."""

from __future__ import annotations

from wechat_notify.core.outcomes import ErrorClass, HoldScope, Outcome
from wechat_notify.core.tokens.access_tokens import unavailable

NO_TICKET = unavailable(
    ErrorClass.PLATFORM,
    "WeChat has pushed no component_verify_ticket within 12 hours. Check the address of the platform's "
    "authorization events, and the keys in its callback parameter. WeChat was asked to push every 10 "
    "minutes.",
    "12 小时内未收到 component_verify_ticket。请检查第三方平台的授权事件接收 URL 及 callback 参数中的密钥；"
    "已请求微信推送（每 10 分钟一次）。",
    600.0,
    holds=HoldScope.ACCOUNT,
)
REVOKED = unavailable(
    ErrorClass.PERMISSION,
    "The account's owner ended the authorization of the third-party platform. Nothing is sent for it until "
    "its administrator authorizes the platform again.",
    "该账号已取消对第三方平台的授权，管理员重新授权前不会为其发送消息。",
    retryable=False,
    holds=HoldScope.ACCOUNT,
)
LOST = unavailable(
    ErrorClass.PLATFORM,
    "WeChat accepts no refresh token of the account, and lists no other. Have its administrator authorize "
    "the third-party platform again: GET …/authorization-link of the platform's account gives the page.",
    "微信不接受该账号的 refresh_token，授权列表中也没有可用的。请让账号管理员重新授权第三方平台："
    "授权页面地址见平台账号的 authorization-link 接口。",
    retryable=False,
    holds=HoldScope.ACCOUNT,
)
NOT_LISTED = unavailable(
    ErrorClass.PLATFORM,
    "The authorization code has been used or has expired, and WeChat lists no authorization of this account. "
    "Have its administrator authorize the third-party platform again.",
    "授权码已使用或已过期，且授权列表中没有该账号。请让账号管理员重新授权第三方平台。",
    retryable=False,
)
OTHER_ACCOUNT = unavailable(
    ErrorClass.PLATFORM,
    "The authorization code belongs to another account than its event says; nothing was stored.",
    "授权码所属账号与事件中的账号不一致，未存储任何内容。",
    retryable=False,
)


def no_component(component: str) -> Outcome:
    """Return the refusal where a merchant's credentials name a platform that has none."""
    return unavailable(
        ErrorClass.CONFIG,
        f"The account belongs to the third-party platform {component}, for which no credentials are stored.",
        f"该账号所属的第三方平台 {component} 没有存储凭证。",
        retryable=False,
        holds=HoldScope.ACCOUNT,
    )
