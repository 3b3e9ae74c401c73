"""The one client for WeChat's server API: what is asked, and what an answer or its absence means.

Whatever happens becomes an ``Outcome`` of our own words.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING
from urllib.parse import quote

from wechat_notify.core.errors import TemplatesUnavailableError, TokenUnavailableError
from wechat_notify.core.outcomes import ErrorClass, HoldScope, Outcome, Status
from wechat_notify.core.tokens.token import Grant
from wechat_notify.wechat.answers import UnreadableAnswerError, parse_answer, parse_json
from wechat_notify.wechat.outcomes import (
    UNREADABLE,
    hint_for,
    outcome_of,
    outcome_of_callback_check,
    outcome_of_no_answer,
    outcome_of_quota,
    outcome_of_template_list,
    outcome_of_token_endpoint,
)
from wechat_notify.wechat.session import HttpSession, NoAnswer

if TYPE_CHECKING:
    from wechat_notify.core.delivery.quotas import Quota
    from wechat_notify.core.messages.kinds import Message
    from wechat_notify.core.templates.template import Family, Template

_MAX_EXPIRES_IN = 10.0**9
"""Seconds; WeChat gives 7200. Beyond this stand numbers that no clock and no JSON can hold."""
_MIN_OPENID = 6
_WRONG_SECRET = 40125
_OK = 200
_REQUEST_TIMEOUT = 408
_TOO_MANY_REQUESTS = 429


class WeChatClient:
    """WeChat's endpoints; safe to use from several threads.

    Parameters
    ----------
    session : HttpSession
        The connections to ``https://api.weixin.qq.com`` or one of its failover domains.
    """

    def __init__(self, session: HttpSession) -> None:
        self._session = session

    def send(self, message: Message, token: str) -> Outcome:
        """Make one attempt to send; never raises for anything that WeChat or the network does."""
        # A real openid has 28 characters; a short stand-in would blank out ordinary words.
        secrets = (token, message.touser) if len(message.touser) >= _MIN_OPENID else (token,)
        body = self._post(f"{message.endpoint}?access_token={quote(token, safe='')}", message.wire())
        if isinstance(body, NoAnswer):
            return outcome_of_no_answer(body)
        try:
            answer = parse_answer(body, secrets)
        except UnreadableAnswerError:
            return outcome_of_no_answer(NoAnswer(UNREADABLE, may_have_arrived=True))
        return outcome_of(answer, message.kind)

    def fetch_token(self, app_id: str, app_secret: str, *, force: bool) -> Grant:
        """Ask ``stable_token`` for the app's token; raises ``TokenUnavailableError``."""
        request = {
            "grant_type": "client_credential",
            "appid": app_id,
            "secret": app_secret,
            "force_refresh": force,
        }
        body = self._post("/cgi-bin/stable_token", json.dumps(request, ensure_ascii=False).encode())
        if isinstance(body, NoAnswer):
            if body.may_have_arrived:
                raise TokenUnavailableError(outcome_of_token_endpoint(body.reason))
            refused = outcome_of_no_answer(body)
            # Without a token no kind can be sent.
            raise TokenUnavailableError(refused._replace(holds=refused.holds and HoldScope.ACCOUNT))
        return _grant(body, app_secret)

    def fetch_templates(self, family: Family, token: str) -> list[Template]:
        """The account's templates of a family; none where it is of a kind that has no such API.

        Raises
        ------
        TemplatesUnavailableError
            WeChat refused, or gave no answer that can be read.
        """
        from wechat_notify.wechat import template_lists  # noqa: PLC0415 - no sender asks for templates

        answer = self._session.get(f"{template_lists.PATHS[family]}?access_token={quote(token, safe='')}")
        body = answer if isinstance(answer, NoAnswer) else body_by_status(*answer)
        if isinstance(body, NoAnswer):
            raise TemplatesUnavailableError(outcome_of_template_list(body.reason))
        listed = template_lists.read(family, body, token)
        if listed is None:
            refused = _refused(body, token, outcome_of_template_list)
            if refused.errcode not in template_lists.NO_SUCH_API:
                raise TemplatesUnavailableError(refused)
        return listed or []

    def fetch_quota(self, endpoint: str, token: str) -> Quota | Outcome:
        """The quota of an endpoint, or why there is none; never raises."""
        from wechat_notify.wechat import quotas  # noqa: PLC0415 - no sender asks for quotas

        request = json.dumps({"cgi_path": endpoint}).encode()
        body = self._post(f"{quotas.PATH}?access_token={quote(token, safe='')}", request)
        if isinstance(body, NoAnswer):
            return outcome_of_quota(body.reason)
        return quotas.read(body) or _refused(body, token, outcome_of_quota)

    def callback_addresses(self, token: str) -> tuple[str, ...] | Outcome:
        """The addresses to which WeChat pushes the account's events, or why it tells none; never raises."""
        from wechat_notify.wechat import callback_check  # noqa: PLC0415 - no sender asks for them

        path = f"{callback_check.PATH}?access_token={quote(token, safe='')}"
        body = self._post(path, callback_check.REQUEST)
        if isinstance(body, NoAnswer):
            return outcome_of_callback_check(body.reason)
        addresses = callback_check.read(body)
        return _refused(body, token, outcome_of_callback_check) if addresses is None else addresses

    def _post(self, path: str, body: bytes) -> bytes | NoAnswer:
        """Return the answer's body, or why there is none."""
        answer = self._session.post(path, body)
        return answer if isinstance(answer, NoAnswer) else body_by_status(*answer)


def body_by_status(status: int, content: bytes) -> bytes | NoAnswer:
    """The answer's body, or why there is none.

    It is read whatever its status says, if it is WeChat's JSON; otherwise the status decides.
    """
    if status == _OK:
        return content
    try:
        if "errcode" in parse_json(content):
            return content
    except UnreadableAnswerError:
        pass  # an error page: its status says all that there is to know
    # A server that failed may have accepted the message first; one that refused or points elsewhere has not.
    refused = 300 <= status < 500  # noqa: PLR2004 - HTTP's ranges
    limited = status == _TOO_MANY_REQUESTS
    return NoAnswer(
        f"HTTP {status}",
        may_have_arrived=not refused,
        passing=limited or status == _REQUEST_TIMEOUT,
        limited=limited,
    )


def _grant(body: bytes, app_secret: str) -> Grant:
    """The token in an answer of ``stable_token``, which carries no errcode when it succeeds."""
    try:
        fields = parse_json(body)
    except UnreadableAnswerError:
        fields = {}
    if grant := read_grant(fields, "access_token"):
        return grant
    raise TokenUnavailableError(refused_token(body, (app_secret,)))


def read_grant(fields: Mapping[str, object], name: str) -> Grant | None:
    """A token and its time in the fields of an answer; None where they are not there, or make no sense."""
    token, expires_in = fields.get(name), fields.get("expires_in")
    if (
        isinstance(token, str)
        and token
        and token.isascii()
        and isinstance(expires_in, int | float)
        and not isinstance(expires_in, bool)
        and 0 < expires_in <= _MAX_EXPIRES_IN
    ):
        return Grant(token, float(expires_in))
    return None


def _refused(body: bytes, token: str, unreadable: Callable[[str], Outcome]) -> Outcome:
    """Return the outcome of a question that was not answered with what was asked for."""
    try:
        outcome = outcome_of(parse_answer(body, (token,)))
    except UnreadableAnswerError:
        return unreadable(UNREADABLE)
    if outcome.error_class is ErrorClass.SUCCESS:  # it says "ok", and no more
        return unreadable(UNREADABLE)
    return outcome._replace(status=Status.FAILED)


def refused_token(body: bytes, secrets: Iterable[str]) -> Outcome:
    """The outcome of a token endpoint that gave none; ``secrets`` are blanked out of its errmsg."""
    try:
        answer = parse_answer(body, secrets)
    except UnreadableAnswerError:
        return outcome_of_token_endpoint(UNREADABLE)
    outcome = outcome_of(answer)
    if outcome.error_class is ErrorClass.SUCCESS:  # it says "ok" and holds no token that can be used
        return outcome_of_token_endpoint(UNREADABLE)
    if outcome.error_class is ErrorClass.TOKEN:
        # On the token endpoint 40001 means a wrong AppSecret, which no refresh mends.
        outcome = outcome._replace(
            error_class=ErrorClass.CONFIG,
            hint=hint_for(_WRONG_SECRET),
            retryable=False,
            retry_after=None,
            repeats=None,
            holds=HoldScope.ACCOUNT,
        )
    # The daily limit of stable_token is not that of a send, and forced refreshes have one of their own (20):
    # the stored token may be good and the next normal call answered, so nothing waits for the reset.
    return outcome._replace(
        status=Status.FAILED, holds=outcome.holds and HoldScope.ACCOUNT, until_reset=False
    )
