"""The service's own outcomes and sentences: for what WeChat was not asked, or did not answer."""

from __future__ import annotations

from collections.abc import Collection

from wechat_notify.core.delivery.circuit import Circuit
from wechat_notify.core.delivery.retry_policy import Decision
from wechat_notify.core.messages.kinds import Message
from wechat_notify.core.outcomes import ErrorClass, Outcome, Status
from wechat_notify.core.texts import Bilingual, iso_time
from wechat_notify.core.violations import Violation

TOO_LATE = Outcome(
    Status.FAILED,
    ErrorClass.TRANSIENT,
    Bilingual(
        "Too little time was left to send the message; nothing was sent. Try again shortly.",
        "剩余时间不足，消息未发出，请稍后重试。",
    ),
    retryable=True,
    retry_after=2.0,
    unjudged=True,
)
CONSENTS_UNREAD = Outcome(
    Status.FAILED,
    ErrorClass.TRANSIENT,
    Bilingual(
        "The receiver's consents cannot be read, and the account sends nothing without one; nothing was "
        "sent. Try again shortly.",
        "暂时无法读取接收人的订阅授权，而该账号要求有授权才发送；消息未发出，请稍后重试。",
    ),
    retryable=True,
    retry_after=2.0,
    unjudged=True,
)
NO_CONSENT = Outcome(
    Status.FAILED,
    ErrorClass.RECIPIENT,
    Bilingual(
        "Nothing was sent: the receiver has no unused consent to this template (for this scene), and WeChat "
        "would answer 43101. Have them accept it in a popup or confirm a link, then send again.",
        "消息未发出：接收人对该模板（及 scene）没有未使用的订阅授权，微信会返回 43101。"
        "请让用户再次订阅或确认授权链接后重新发送。",
    ),
)
CONSENT_MISSING = Violation(
    "touser",
    "no_consent",
    Bilingual(
        "has no unused consent to this template that is known here; WeChat may answer 43101",
        "在本服务中没有该模板的未使用订阅授权记录，微信可能返回 43101",
    ),
)
"""The warning where such a message is sent all the same."""
_WAS_LOST = Bilingual(
    "WeChat's answer was lost: the message may have been sent.", "未收到微信的应答：消息可能已发出。"
)
_IS_REPEATED = Bilingual(
    "It is sent again: WeChat drops the second copy, or its sender asked for at least once.",
    "服务会自动重发：微信会去重，或发送方要求至少送达一次。",
)
_CAN_BE_REPEATED = Bilingual(
    "Repeat it under the same id: WeChat drops the second copy, or you asked for at least once.",
    "请使用相同的 id 重发：微信会去重，或该消息要求至少送达一次。",
)
_IS_IN_DOUBT = Bilingual(
    "A copy under a new id can reach the user as a second message.",
    "使用新的 id 重发可能造成用户收到两条。",
)


def not_granted(message: Message, permissions: Collection[int] | None) -> Outcome | None:
    """Return the refusal of a kind that a merchant did not let its third-party platform send; None of others.

    ``permissions`` as in the account's token.
    """
    if permissions is None or not message.permission_sets.isdisjoint(permissions):
        return None
    sets = ", ".join(map(str, sorted(message.permission_sets)))
    return Outcome(
        Status.FAILED,
        ErrorClass.PERMISSION,
        Bilingual(
            f"Nothing was sent: the account granted its third-party platform no permission set for "
            f"{message.kind} messages (one of {sets}). Have its administrator authorize again with it.",
            f"消息未发出：该账号未向第三方平台授予 {message.kind} 消息所需的权限集（{sets} 之一），"
            "请让账号管理员重新授权并勾选。",
        ),
    )


def held(circuit: Circuit, after: float) -> Outcome:
    """Return the outcome of a message that a circuit holds for so many seconds, with what mends that."""
    next_at = iso_time(circuit.held_until)
    hint = circuit.hint or Bilingual(f"errcode {circuit.errcode}.", f"错误码 {circuit.errcode}。")
    return Outcome(
        Status.FAILED,
        circuit.error_class,
        Bilingual(
            f"Nothing was sent: the answer to an earlier message holds for this one too. {hint.en} "
            f"The next attempt is due at {next_at}.",
            f"消息未发出：微信此前的应答对该消息同样适用。{hint.zh}下次尝试时间为 {next_at}。",
        ),
        retryable=True,
        errcode=circuit.errcode,
        retry_after=after,
        unjudged=True,
    )


def lost(*, repeatable: bool) -> Outcome:
    """Return the outcome of an answer that was lost some time ago, of which no more is known."""
    return Outcome(
        Status.UNKNOWN,
        ErrorClass.UNKNOWN,
        _joined(_WAS_LOST, _CAN_BE_REPEATED if repeatable else _IS_IN_DOUBT),
        retryable=repeatable,
    )


def with_consequence(outcome: Outcome, decision: Decision) -> Outcome:
    """Return the outcome of a lost answer with what follows from it for the message."""
    if decision.status is Status.QUEUED:
        consequence = _IS_REPEATED
    else:
        consequence = _CAN_BE_REPEATED if decision.repeatable else _IS_IN_DOUBT
    return outcome._replace(hint=_joined(outcome.hint, consequence))


def _joined(hint: Bilingual, consequence: Bilingual) -> Bilingual:
    return Bilingual(f"{hint.en} {consequence.en}", f"{hint.zh}{consequence.zh}")
