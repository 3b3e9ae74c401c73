"""The service's treatment of a code, in two languages.

The service itself is asked: its client for the outcome, its circuits for the length of a hold, and the API
for the status that a caller gets. What stands here is words only.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import UTC
from typing import Final, NamedTuple, cast

from functions.send_api.problems import not_sent
from wechat_notify.core.delivery.circuit import AccountCircuits, Admission, Circuit, QuotaReset
from wechat_notify.core.delivery.circuits import Circuits
from wechat_notify.core.delivery.retry_policy import (
    ANSWERED,
    GIVE_UP_AFTER,
    MAX_ATTEMPTS,
    NEEDS_OPERATOR,
    UNSENT,
)
from wechat_notify.core.delivery.sender import REJECTED_TOKEN
from wechat_notify.core.errors import TokenUnavailableError
from wechat_notify.core.messages.parser import parse_message
from wechat_notify.core.outcomes import ErrorClass, HoldScope, Outcome, Status
from wechat_notify.core.platform.authorizations import USED_CODE
from wechat_notify.core.platform.ports import Component
from wechat_notify.core.platform.sources import INVALID_REFRESH_TOKEN, REJECTED_COMPONENT_TOKEN
from wechat_notify.core.texts import Bilingual
from wechat_notify.wechat.answers import Answer
from wechat_notify.wechat.client import WeChatClient
from wechat_notify.wechat.outcomes import outcome_of
from wechat_notify.wechat.platform import PlatformClient
from wechat_notify.wechat.session import HttpResponse, HttpSession


class Handling(NamedTuple):
    """The action of the service on an answer, and the HTTP status and ``retryable`` of its caller's answer."""

    text: Bilingual
    status: int
    retryable: bool


def of_send(errcode: int) -> Handling:
    """Return what follows where WeChat answers a message with a code."""
    answer = Answer(errcode, "", None, None, None)
    outcome = outcome_of(answer, KIND)
    if outcome.status is Status.SENT:
        return Handling(_ACCEPTED if errcode == 0 else _EARLIER_COPY, 200, retryable=False)
    retryable = _is_repeated(outcome)
    fate = _fate(outcome)
    text = fate if outcome.holds is None and retryable else _joined(fate, _hold(outcome))
    one_time = outcome_of(answer, "one_time_subscription").repeats
    if one_time is not None and one_time != outcome.repeats:
        attempts = one_time + 1
        text = _joined(
            text,
            Bilingual(
                f"A message of the kind `one_time_subscription` has failed after {attempts} attempts already.",
                f"`one_time_subscription` 类消息 {attempts} 次尝试后即判定为失败。",
            ),
        )
    return Handling(text, _http_status(outcome), retryable)


def of_token(errcode: int) -> Handling:
    """Return what follows where WeChat answers the question for a token with a code."""
    return _without_token(token_outcome(errcode))


def of_platform(errcode: int) -> Handling:
    """Return what follows where WeChat answers a call of a third-party platform with a code."""
    outcome = platform_outcome(errcode)
    if errcode in USED_CODE:  # which buys a merchant's first tokens
        return Handling(_LISTED, _http_status(outcome), retryable=outcome.retryable)
    handling = _without_token(outcome)
    if errcode in REJECTED_COMPONENT_TOKEN:
        return handling._replace(text=_joined(_COMPONENT_REPLACED, handling.text))
    if errcode in INVALID_REFRESH_TOKEN:
        return handling._replace(text=_joined(_LOOKED_UP, handling.text))
    return handling


def _without_token(outcome: Outcome) -> Handling:
    outcome = outcome._replace(unjudged=True)
    if outcome.holds:
        text = _joined(_NO_TOKEN, _hold(outcome), _GIVEN_UP)
    else:
        waits = UNSENT if outcome.retryable else NEEDS_OPERATOR
        first, longest = duration(waits.first), duration(waits.maximum)
        repeats = Bilingual(
            f"The token is asked for again with each repeat of a message: after {first.en}, later after up to {longest.en}.",
            f"消息每次重试时都会重新获取 access_token：首次间隔 {first.zh}，之后逐步延长，最长 {longest.zh}。",
        )
        text = _joined(_NO_TOKEN, repeats, _GIVEN_UP)
    return Handling(text, _http_status(outcome), retryable=True)


class _TokenEndpoint(NamedTuple):
    """A session whose every call is answered with an error code."""

    errcode: int

    def post(self, _path: str, _body: bytes) -> HttpResponse:
        """Return the answer."""
        return HttpResponse(200, json.dumps({"errcode": self.errcode, "errmsg": ""}).encode())


class _NoCircuits(NamedTuple):
    """A store of circuits that has none and keeps none."""

    def read_circuits(self, _accounts: Iterable[str]) -> dict[str, AccountCircuits]:
        """Return none."""
        return {}

    def put_circuits(self, _circuits: AccountCircuits) -> AccountCircuits | None:
        """Take what is stored."""
        return None


KIND: Final = "mini_program_subscription"
"""The kind whose messages stand for those of all kinds."""
_MESSAGE: Final = parse_message(
    {
        "kind": KIND,
        "touser": "openid",
        "template_id": "T",
        "data": {"thing1": {"value": "x"}},
    }
)[0]


def token_outcome(errcode: int) -> Outcome:
    """Return the outcome of a question for a token that WeChat answers with a code."""
    client = WeChatClient(cast("HttpSession", _TokenEndpoint(errcode)))
    try:
        client.fetch_token("", "-", force=False)
    except TokenUnavailableError as error:
        return error.outcome
    raise ValueError("the answer holds a token")


def platform_outcome(errcode: int) -> Outcome:
    """Return the outcome of a call of a third-party platform that WeChat answers with a code."""
    client = PlatformClient(cast("HttpSession", _TokenEndpoint(errcode)))
    try:
        client.authorizer_token(Component("", "", ""), "-", "", "-")
    except TokenUnavailableError as error:
        return error.outcome
    raise ValueError("the answer holds a token")


def _opened(outcome: Outcome) -> Circuit:
    """Return the circuit that an outcome opens at the second 0."""
    circuits = Circuits(_NoCircuits(), now=lambda: 0.0, writer=lambda: "", quota_reset=QuotaReset(UTC))
    opened, _ = circuits.record("account", _MESSAGE, outcome, Admission())
    assert opened  # noqa: S101 # nosec B101 # the outcome holds something
    return opened


def _waits_for_circuit(outcome: Outcome) -> bool:
    return bool(outcome.holds) and outcome.error_class is ErrorClass.QUOTA


def _is_repeated(outcome: Outcome) -> bool:
    return _waits_for_circuit(outcome) or outcome.retryable or bool(outcome.repeats)


def _http_status(outcome: Outcome) -> int:
    return not_sent(outcome, cloud_call=False, request_id="").status


def _fate(outcome: Outcome) -> Bilingual:
    if _waits_for_circuit(outcome):
        return _WAITS
    attempts = MAX_ATTEMPTS if outcome.repeats is None else outcome.repeats + 1
    if outcome.errcode in REJECTED_TOKEN:
        return Bilingual(
            f"The token is replaced and the message sent again in the same attempt. Where WeChat rejects the new token too, the message waits; after {attempts} such attempts it has failed.",
            f"服务立即更换 access_token，并在同一次尝试中重新发送；若新的 access_token 仍被拒绝，则等待后重试，{attempts} 次尝试后仍失败则判定为失败。",
        )
    if outcome.repeats and not outcome.retryable:
        return Bilingual(
            f"The message is repeated {outcome.repeats} times, because WeChat gives this answer wrongly now and then. After that it has failed.",
            f"微信偶尔会误报此错误，因此消息会重试 {outcome.repeats} 次，仍失败则判定为失败。",
        )
    if not outcome.retryable:
        return _FAILED
    if outcome.holds:
        return Bilingual(
            f"The message waits and is repeated. After {attempts} attempts it has failed.",
            f"消息等待后重试，{attempts} 次尝试后仍失败则判定为失败。",
        )
    first, longest = duration(outcome.retry_after or ANSWERED.first), duration(ANSWERED.maximum)
    return Bilingual(
        f"The message is repeated with growing pauses, after {first.en} at the earliest and up to {longest.en} apart. After {attempts} attempts it has failed. Other messages go on.",
        f"消息以逐步延长的间隔重试，最短 {first.zh}，最长 {longest.zh}，{attempts} 次尝试后仍失败则判定为失败；其他消息不受影响。",
    )


def _hold(outcome: Outcome) -> Bilingual:
    if outcome.holds is None:
        return _OTHERS_GO_ON
    scope = _SCOPES[outcome.holds]
    if outcome.until_reset:
        return Bilingual(
            f"All messages of {scope.en} are held until the daily quota starts again (`QuotaReset`); then one goes first.",
            f"{scope.zh}的所有消息暂停发送，直至每日额度重置（`QuotaReset`），届时先发送一条作为探测。",
        )
    opened = _opened(outcome)
    length = duration(opened.held_until)
    if not opened.needs_probe:
        return Bilingual(
            f"All messages of {scope.en} wait for {length.en}.", f"{scope.zh}的所有消息暂停发送 {length.zh}。"
        )
    if opened.held_until >= _HOUR:
        return Bilingual(
            f"All messages of {scope.en} are held for {length.en}; then one goes first, and the next such answer holds them again.",
            f"{scope.zh}的所有消息暂停发送 {length.zh}，到期后先发送一条作为探测，若仍返回此类错误则再次暂停。",
        )
    return Bilingual(
        f"All messages of {scope.en} are held, {length.en} at first; then one goes first, and each further such answer doubles the hold, up to an hour.",
        f"{scope.zh}的所有消息暂停发送，首次 {length.zh}，到期后先发送一条作为探测；若仍返回此类错误，暂停时间逐次加倍，最长 1 小时。",
    )


def duration(seconds: float) -> Bilingual:
    """Return a time in words, in the largest unit that divides it."""
    for unit, least, en, zh in _UNITS:
        if seconds >= least and seconds % unit == 0:
            count = round(seconds / unit)
            return Bilingual(f"{count} {en}{'s' if count > 1 else ''}", f"{count} {zh}")
    raise ValueError(f"{seconds} s is no whole number of seconds")


def _joined(*parts: Bilingual) -> Bilingual:
    return Bilingual(" ".join(part.en for part in parts), "".join(part.zh for part in parts))


_HOUR: Final = 3600.0
_UNITS: Final = (
    (86400.0, 2 * 86400.0, "day", "天"),
    (_HOUR, _HOUR, "hour", "小时"),
    (60.0, 60.0, "minute", "分钟"),
    (1.0, 1.0, "second", "秒"),
)
"""A unit in seconds, the least time that it is used for, and its names."""
_SCOPES: Final = {
    HoldScope.ACCOUNT: Bilingual("the account", "该账号"),
    HoldScope.KIND: Bilingual("the account and kind", "该账号下同一 kind "),
    HoldScope.TEMPLATE: Bilingual("the template", "该模板"),
}
_GIVE_UP: Final = duration(GIVE_UP_AFTER)
_ACCEPTED: Final = Bilingual(
    "The message is `sent`: WeChat accepted it. Whether it reached its reader is not in this answer.",
    "消息记为 `sent`：微信已受理，但此应答不代表用户已收到。",
)
_EARLIER_COPY: Final = Bilingual(
    "The message counts as `sent` and is not repeated: WeChat has an earlier copy of it.",
    "消息记为 `sent`，不再重试：微信已有更早提交的相同消息。",
)
_FAILED: Final = Bilingual("The message has failed and is not repeated.", "消息判定为失败，不再重试。")
_WAITS: Final = Bilingual(
    f"The message waits until it can be sent; after {_GIVE_UP.en} it has failed.",
    f"消息等待额度恢复后再发送，超过 {_GIVE_UP.zh}仍未发出则判定为失败。",
)
_OTHERS_GO_ON: Final = Bilingual("Other messages go on.", "其他消息不受影响。")
_NO_TOKEN: Final = Bilingual(
    "Messages go on with the stored token until that expires. After that none has failed yet: they wait for a token.",
    "已存储的 access_token 到期前，消息照常发送；到期后消息不会直接失败，而是等待新的 access_token。",
)
_COMPONENT_REPLACED: Final = Bilingual(
    "The platform's token is replaced, and the call made once more. Where that is refused too, there is no token.",
    "服务会更换 component_access_token 并重试一次；仍被拒绝则没有可用的 token。",
)
_LOOKED_UP: Final = Bilingual(
    "The account's refresh token is looked up in WeChat's list of authorizations, once. Where the list has no other, there is no token.",
    "服务会在授权列表中查找该账号的 refresh_token（一次）；列表中也没有可用的，则没有可用的 token。",
)
_LISTED: Final = Bilingual(
    "The account is looked up in WeChat's list of authorizations. Where it is not there, its event is logged as `failed` and changes nothing.",
    "服务会在授权列表中查找该账号；列表中没有时，该授权事件记为 `failed`，不产生任何变更。",
)
_GIVEN_UP: Final = Bilingual(
    f"The queue gives a message up after {_GIVE_UP.en}.", f"队列中的消息等待超过 {_GIVE_UP.zh}后判定为失败。"
)
