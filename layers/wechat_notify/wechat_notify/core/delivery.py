"""One message's way to WeChat: token, POST, and once more with a new token if that was rejected."""

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

_ATTEMPTS_MOST = 3
"""With the token at hand, with the one in the store, with a new one."""
_BACKOFF_FIRST = 2.0
_BACKOFF_MOST = 300.0
_CONFIG_WAIT = 300.0
_CONFIG_WAIT_MOST = 3600.0
"""Seconds between attempts while an operator has something to mend: doubled each time, up to this."""
_VISIBILITY_MOST = 11.5 * 3600
"""SQS holds a message back for 12 hours at most, counted from when it was received."""
_PATIENCE = 12.0
"""Seconds for which a busy refresher is waited for, where there is the time."""
_LAST_QUESTION = 16.0
"""Seconds that one look at the store and one question to the refresher may take at worst."""
_TIME_FOR_A_TOKEN = _PATIENCE + _LAST_QUESTION
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

    def __init__(
        self,
        tokens: AccessTokens,
        wechat: MessageApi,
        *,
        now: Callable[[], float],
        clock: Callable[[], float],
    ) -> None:
        self._tokens = tokens
        self._wechat = wechat
        self._now = now
        self._clock = clock

    def knows(self, account: str) -> bool:
        """Whether something could be sent for the account."""
        return self._tokens.known(account)

    def send(self, account: str, message: Message, seconds_left: Callable[[], float]) -> Delivery:
        """Send the message now; a rejected token is replaced and the message repeated once.

        Once, that is, with a token that is newer than this call. What the store holds when a token is
        rejected may be older, and rejected as well; then the refresher is asked, and nothing after that.

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
        attempts, seconds, began = 0, 0.0, self._now()
        try:
            token = self._tokens.get(account, _patience(seconds_left))
            while True:
                if seconds_left() < _TIME_FOR_A_POST:
                    return Delivery(_TOO_LATE, attempts, seconds)
                started = self._clock()
                outcome = self._wechat.send(message, token.value)
                attempts += 1
                seconds += self._clock() - started
                is_last = attempts >= _ATTEMPTS_MOST or (attempts > 1 and token.obtained_at >= began)
                if is_last or outcome.errcode not in REJECTED_TOKEN or seconds_left() < _LAST_QUESTION:
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
