"""One message's way to WeChat: token, POST, and once more if the token was rejected."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Protocol

from wechat_notify.core.messages import Message, Template
from wechat_notify.core.outcomes import Bilingual, ErrorClass, Outcome, Status, TokenUnavailableError
from wechat_notify.core.tokens import BEIJING, LONGEST_LOCK, AccessTokens

REJECTED_TOKEN = frozenset({40001, 40014, 42001})
"""The errcodes that mean "this access_token", as against the other codes of the token class."""

_BACKOFF_FIRST = 2.0
_BACKOFF_MOST = 300.0
_CONFIG_WAIT = 300.0
_CONFIG_WAIT_MOST = 3600.0
"""Seconds between attempts while an operator has something to mend: doubled each time, up to this."""
_VISIBILITY_MOST = 11.5 * 3600
"""SQS holds a message back for 12 hours at most, counted from when it was received."""
_PATIENCE = 12.0
"""Seconds for which a busy refresher is waited for, where there is the time."""
_TIME_FOR_A_TOKEN = _PATIENCE + 16.0
"""Seconds that it may take at worst, with a last look at the store and a last question."""
_TIME_FOR_A_POST = 12.0
"""Seconds that one attempt at WeChat may take at worst: a function that is stopped in the middle of
one does not know what became of the message."""
TIME_FOR_A_MESSAGE = LONGEST_LOCK + _TIME_FOR_A_TOKEN + _TIME_FOR_A_POST
"""Seconds that must be left where messages are sent side by side, for another one to be started."""


_TOO_LATE = Outcome(
    Status.FAILED,
    ErrorClass.TRANSIENT,
    Bilingual(
        "Too little time was left to send the message; nothing was sent. Try again shortly.",
        "剩余时间不足，消息未发出，请稍后重试。",
    ),
    retryable=True,
    retry_after=2.0,
)


class MessageApi(Protocol):
    """The boundary to WeChat, as a sender sees it."""

    def send(self, message: Message, token: str) -> Outcome:
        """Make one attempt; never raises for anything that WeChat or the network does."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """What became of one message: the outcome, attempts at WeChat and seconds spent waiting for it."""

    outcome: Outcome
    attempts: int
    seconds: float


class Sender:
    """Sends one message and knows what came of it."""

    def __init__(self, tokens: AccessTokens, wechat: MessageApi, *, clock: Callable[[], float]) -> None:
        self._tokens = tokens
        self._wechat = wechat
        self._clock = clock

    def knows(self, account: str) -> bool:
        """Whether something could be sent for the account."""
        return self._tokens.known(account)

    def send(self, account: str, message: Message, seconds_left: Callable[[], float]) -> Delivery:
        """Send the message now; a rejected token is replaced and the message repeated once.

        Parameters
        ----------
        account : str
            The account's name.
        message : Message
            The message, already checked.
        seconds_left : Callable
            Seconds until the function is stopped; nothing is begun that could outlast them.

        Raises
        ------
        UnknownAccountError
            There are no credentials under this name.
        """
        attempts, seconds = 0, 0.0
        try:
            token = self._tokens.get(account, _patience(seconds_left))
            while True:
                if seconds_left() < _TIME_FOR_A_POST:
                    return Delivery(_TOO_LATE, attempts, seconds)
                started = self._clock()
                outcome = self._wechat.send(message, token.value)
                attempts += 1
                seconds += self._clock() - started
                if outcome.errcode not in REJECTED_TOKEN or attempts > 1:
                    return Delivery(outcome, attempts, seconds)
                token = self._tokens.replace(account, token, _patience(seconds_left))
        except TokenUnavailableError as error:
            return Delivery(replace(error.outcome, unattempted=True), attempts, seconds)


def _patience(seconds_left: Callable[[], float]) -> float:
    """What is left for waiting when one attempt has had its share."""
    return max(0.0, min(_PATIENCE, seconds_left() - _TIME_FOR_A_POST - 2.0))


def deduplicated(message: Message) -> bool:
    """Whether WeChat itself drops a second copy of the message, for 10 minutes."""
    return isinstance(message, Template) and message.client_msg_id is not None


def repeat_in(
    outcome: Outcome,
    *,
    receive_count: int,
    now: float,
    jitter: Callable[[float, float], float],
) -> float | None:
    """Seconds after which a queued message is worth repeating, or None if it is not.

    Parameters
    ----------
    outcome : Outcome
        What the attempt came to.
    receive_count : int
        How often the queue has handed it out, this time included.
    now : float
        Seconds since the epoch.
    jitter : Callable
        A random number between two bounds.
    """
    growth = 2.0 ** min(receive_count - 1, 16)  # beyond that it is over the most anyway
    backoff = jitter(_BACKOFF_FIRST / 2, min(_BACKOFF_MOST, _BACKOFF_FIRST * growth**2))
    if outcome.error_class is ErrorClass.QUOTA:
        return min(_VISIBILITY_MOST, seconds_to_reset(now) + jitter(0, 600))
    if outcome.retryable:
        return max(backoff, (outcome.retry_after or 0) + jitter(0, 2))
    if outcome.unattempted:
        return min(_CONFIG_WAIT_MOST, _CONFIG_WAIT * growth) + jitter(0, 60)
    return None


def seconds_to_reset(now: float) -> float:
    """Until 00:00 in Beijing, when the daily quotas are assumed to start again."""
    midnight = datetime.fromtimestamp(now, BEIJING).replace(hour=0, minute=0, second=0, microsecond=0)
    return (midnight + timedelta(days=1)).timestamp() - now
