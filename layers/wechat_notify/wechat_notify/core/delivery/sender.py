"""One attempt to send: token and POST, and again with another token where WeChat rejected it."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, Protocol

from wechat_notify.core.clocks import SecondsLeft
from wechat_notify.core.delivery import own_outcomes
from wechat_notify.core.delivery.time_budgets import (
    MAX_TOKEN_WAIT,
    TIME_FOR_A_CLAIM,
    TIME_FOR_AN_ATTEMPT,
    TIME_FOR_ANOTHER_TOKEN,
)
from wechat_notify.core.errors import TokenUnavailableError, UnknownAccountError
from wechat_notify.core.messages.kinds import Message
from wechat_notify.core.outcomes import Outcome
from wechat_notify.core.tokens.access_tokens import AccessTokens
from wechat_notify.core.tokens.token import AccessToken

REJECTED_TOKEN = frozenset({40001, 40014, 42001, 48012})
"""The errcodes that mean "this access_token", as against the other codes of the token class."""

_MAX_POSTS = 3
"""With the token at hand, with the one in the store, with a new one."""


class MessageApi(Protocol):
    """The boundary to WeChat, as a sender sees it."""

    def send(self, message: Message, token: str) -> Outcome:
        """Make one attempt; never raises for anything that WeChat or the network does."""


class Exchange(NamedTuple):
    """The calls to WeChat that one attempt made: the last outcome, the number of POSTs and their seconds."""

    outcome: Outcome
    posts: int
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

    def has_credentials(self, account: str) -> bool:
        """Return whether something could be sent for the account."""
        return self._tokens.has_credentials(account)

    def stored_token(self, account: str) -> AccessToken | None:
        """The account's stored token, usable or not; raises ``StorageError``."""
        return self._tokens.stored(account)

    def token(self, account: str, seconds_left: SecondsLeft) -> AccessToken:
        """The account's token, had before a message is claimed: waiting for it puts nothing in doubt.

        Raises
        ------
        UnknownAccountError
            There are no credentials under this name.
        TokenUnavailableError
            There is no token to be had.
        """
        return self._tokens.get(account, _token_wait(seconds_left, TIME_FOR_A_CLAIM))

    def send(
        self,
        account: str,
        message: Message,
        token: AccessToken,
        seconds_left: SecondsLeft,
        expired: Callable[[], bool] = lambda: False,
    ) -> Exchange:
        """Send the message now; a rejected token is replaced and the message repeated once.

        Once, that is, with a token that is newer than this call. What the store holds when a token is
        rejected may be older, and rejected as well; then the refresher is asked, and nothing after that.

        Parameters
        ----------
        account : str
            The account's name.
        message : Message
            The message, already checked.
        token : AccessToken
            The token to begin with.
        seconds_left : Callable
            Seconds until the function is stopped; nothing is begun that could outlast them.
        expired : Callable
            Whether the message is not to be sent any more: asked again when a token was waited for.
        """
        if refusal := own_outcomes.not_granted(message, token.permissions):
            return Exchange(refusal, 0, 0.0)
        posts, seconds, began = 0, 0.0, self._now()
        while True:
            started = self._clock()
            outcome = self._wechat.send(message, token.value)
            posts += 1
            seconds += self._clock() - started
            if outcome.errcode not in REJECTED_TOKEN:
                break
            if posts >= _MAX_POSTS or (posts > 1 and token.obtained_at >= began):
                break
            # The account is not to blame for what was rejected so far: its token may just be old.
            outcome = outcome._replace(holds=None)
            if seconds_left() < TIME_FOR_ANOTHER_TOKEN:
                break
            try:
                token = self._tokens.replace(
                    account, token, _token_wait(seconds_left, TIME_FOR_ANOTHER_TOKEN)
                )
            except UnknownAccountError:  # removed a moment ago
                break
            except TokenUnavailableError as error:
                outcome = error.outcome._replace(unjudged=True)
                break
            if seconds_left() < TIME_FOR_AN_ATTEMPT or expired():
                break
        return Exchange(outcome, posts, seconds)


def _token_wait(seconds_left: SecondsLeft, reserve: float) -> float:
    """Seconds for waiting, so that this much is left."""
    return max(0.0, min(MAX_TOKEN_WAIT, seconds_left() - reserve))
