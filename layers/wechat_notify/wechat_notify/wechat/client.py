"""The one HTTP client for WeChat's server API.

The access token stands in every URL, so nothing of the HTTP library's errors leaves this module:
each failure becomes an ``Outcome`` of our own words, made after the library's exception is gone.
"""

from __future__ import annotations

import json
import logging
import time
from dataclasses import dataclass, replace
from functools import lru_cache
from http.cookiejar import DefaultCookiePolicy
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import requests
import urllib3
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPSConnection
from urllib3.exceptions import LocationValueError, NewConnectionError, SSLError

from wechat_notify.core.outcomes import (
    Bilingual,
    ErrorClass,
    Holds,
    Outcome,
    Status,
    TokenUnavailableError,
)
from wechat_notify.core.tokens import Grant
from wechat_notify.wechat.answers import Answer, UnreadableAnswerError, parse_answer, parse_json
from wechat_notify.wechat.errcodes import RetryHint, advice, holds, lookup, repeats

if TYPE_CHECKING:
    from wechat_notify.core.messages import Message

# These log whole URLs, and the token with them: each request at DEBUG, odd headers at WARNING.
for _name in ("urllib3.connection", "urllib3.connectionpool", "urllib3.poolmanager", "urllib3.util.retry"):
    logging.getLogger(_name).addFilter(lambda _record: False)

_CONNECT_TIMEOUT = 2.0
_READ_TIMEOUT = 5.0
_ANSWER_TIMEOUT = 6.0
"""Seconds for the whole answer: the read timeout counts anew for every byte of a slow one."""
_ANSWER_BYTES_MOST = 64 * 1024
_POOL = 32
_IDLE_MOST = 20.0
"""Seconds after which idle connections are not used again. A frozen Lambda does not see a gateway
drop them, and a message written to a dead connection counts as possibly sent."""
_EXPIRES_IN_MOST = 10.0**9
"""Seconds; WeChat gives 7200. Beyond this stand numbers that no clock and no JSON can hold."""
_OPENID_LEAST = 6
_WRONG_SECRET = 40125
_HEADERS = {
    "Content-Type": "application/json; charset=utf-8",
    "Accept": "application/json",
    "User-Agent": "wechat-notify",
}

_NO_USABLE_URL = (
    requests.exceptions.InvalidSchema,
    requests.exceptions.InvalidURL,
    requests.exceptions.MissingSchema,
    LocationValueError,
)

_RETRY_AFTER = {
    RetryHint.BACKOFF: 2.0,
    RetryHint.BACKOFF_CAPPED: 2.0,
    RetryHint.SERIALISE_PER_OPENID: 1.0,
    RetryHint.BACKOFF_PER_OPENID: 60.0,
    RetryHint.NEXT_MINUTE: 60.0,
    RetryHint.AFTER_60S: 60.0,
    RetryHint.AFTER_TOKEN_REFRESH_ONCE: 3.0,
}
"""Seconds before a repeat makes sense, where the documentation or the field reports say so."""


@dataclass(frozen=True, slots=True)
class _NoAnswer:
    """Why there is no answer to read, and whether the request may have been acted on.

    ``passing`` says that the next attempt may fare better without anybody's doing.
    """

    reason: str
    may_have_arrived: bool
    passing: bool = True
    limited: bool = False


class WeChatClient:
    """WeChat's endpoints over pooled connections; safe to use from several threads.

    Parameters
    ----------
    base_url : str
        Scheme and host, such as ``https://api.weixin.qq.com`` or one of its failover domains.
    session : requests.Session, optional
        For tests that break the transport on purpose.
    """

    def __init__(self, base_url: str, session: requests.Session | None = None) -> None:
        self._base_url = base_url.rstrip("/")
        self._session = session or _session()
        self._used_at = time.time()

    def send(self, message: Message, token: str) -> Outcome:
        """Make one attempt to send; never raises for anything that WeChat or the network does."""
        # A real openid has 28 characters; a short stand-in would blank out ordinary words.
        secrets = (token, message.touser) if len(message.touser) >= _OPENID_LEAST else (token,)
        body = self._post(f"{message.endpoint}?access_token={quote(token, safe='')}", message.wire())
        if isinstance(body, _NoAnswer):
            return _no_answer(body)
        try:
            answer = parse_answer(body, secrets)
        except UnreadableAnswerError:
            return _no_answer(_NoAnswer("unreadable answer", may_have_arrived=True))
        return _outcome(answer, message.kind)

    def fetch_token(self, app_id: str, app_secret: str, *, force: bool) -> Grant:
        """Ask ``stable_token`` for the app's token; raises ``TokenUnavailableError``."""
        request = {
            "grant_type": "client_credential",
            "appid": app_id,
            "secret": app_secret,
            "force_refresh": force,
        }
        body = self._post("/cgi-bin/stable_token", json.dumps(request, ensure_ascii=False).encode())
        if isinstance(body, _NoAnswer):
            lost = body.may_have_arrived
            raise TokenUnavailableError(_token_endpoint_down(body.reason) if lost else _no_answer(body))
        return _grant(body, app_secret)

    def _post(self, path: str, body: bytes) -> bytes | _NoAnswer:
        """The answer's body, or why there is none."""
        now = time.time()  # not the monotonic clock, which may stand still while Lambda is frozen
        if now - self._used_at > _IDLE_MOST:
            self._session.close()
        self._used_at = now
        deadline = now + _ANSWER_TIMEOUT
        sent = False
        try:
            with self._session.post(
                self._base_url + path,
                data=body,
                headers=_HEADERS,
                timeout=(_CONNECT_TIMEOUT, _READ_TIMEOUT),
                allow_redirects=False,
                stream=True,
            ) as response:
                sent = True
                content = _read(response, deadline)
                status = response.status_code
        except Exception as error:  # noqa: BLE001 - whatever it is, its text and traceback know the URL
            return _NoAnswer(
                type(error).__name__,
                may_have_arrived=sent or not _never_left(error),
                passing=not isinstance(error, _NO_USABLE_URL),
            )
        return _by_status(status, content)


class _HandshakeError(SSLError):
    """The TLS handshake failed, so that nothing was sent."""


class _HTTPSConnection(HTTPSConnection):
    def connect(self) -> None:
        try:
            super().connect()
        except OSError as error:  # TCP's own are urllib3's by now; a handshake's look like those of an answer
            raise _HandshakeError(type(error).__name__) from None


class _HTTPSConnectionPool(urllib3.HTTPSConnectionPool):
    ConnectionCls = _HTTPSConnection


class _Session(requests.Session):
    def get_redirect_target(self, resp: requests.Response) -> None:
        """None, or requests reads all of a redirect's body and takes its target apart, just to offer it."""


def _session() -> requests.Session:
    session = _Session()
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))  # accounts share the session
    session.trust_env = False  # no proxy, netrc or CA look-ups in the environment for each call
    adapter = HTTPAdapter(pool_connections=1, pool_maxsize=_POOL, max_retries=0)
    pools = adapter.poolmanager.pool_classes_by_scheme
    adapter.poolmanager.pool_classes_by_scheme = {**pools, "https": _HTTPSConnectionPool}
    session.mount("https://", adapter)
    session.mount("http://", adapter)
    return session


def _read(response: requests.Response, deadline: float) -> bytes:
    """The body, at most ``_ANSWER_BYTES_MOST`` of it after decompression, before the deadline."""
    content = bytearray()
    while chunk := response.raw.read1(_ANSWER_BYTES_MOST, decode_content=True):
        content += chunk
        if len(content) > _ANSWER_BYTES_MOST:
            raise OSError("answer too large")
        if time.time() > deadline and response.raw.length_remaining != 0:
            raise TimeoutError
    return bytes(content)


def _never_left(error: Exception) -> bool:
    """Whether the error says that no connection was made, so that nothing was sent."""
    # Not every ValueError of requests: it has one for the headers of an answer, too.
    if isinstance(error, (requests.ConnectTimeout, *_NO_USABLE_URL)):
        return True
    cause: Any = error.args[0] if error.args else None
    return isinstance(getattr(cause, "reason", None), NewConnectionError | _HandshakeError)


def _by_status(status: int, content: bytes) -> bytes | _NoAnswer:
    """An answer is read whatever its status says, if it is WeChat's JSON; otherwise the status decides."""
    if status == requests.codes.ok:
        return content
    try:
        if "errcode" in parse_json(content):
            return content
    except UnreadableAnswerError:
        pass  # an error page: its status says all that there is to know
    # A server that failed may have accepted the message first; one that refused or points elsewhere has not.
    refused = 300 <= status < 500  # noqa: PLR2004 - HTTP's ranges
    limited = status == requests.codes.too_many_requests
    return _NoAnswer(
        f"HTTP {status}",
        may_have_arrived=not refused,
        passing=limited or status == requests.codes.request_timeout,
        limited=limited,
    )


def _outcome(answer: Answer, kind: str = "") -> Outcome:
    code = lookup(answer.errcode)
    done = code.error_class in {ErrorClass.SUCCESS, ErrorClass.DUPLICATE}
    return Outcome(
        status=Status.SENT if done else Status.FAILED,
        error_class=code.error_class,
        hint=_hint(answer.errcode),
        retryable=code.retryable,
        errcode=answer.errcode,
        errmsg=answer.errmsg,
        rid=answer.rid,
        msgid=answer.msgid,
        field=answer.field,
        retry_after=_RETRY_AFTER.get(code.retry_hint),
        repeats=repeats(code, kind),
        holds=None if done else holds(code, kind),
    )


@lru_cache(maxsize=256)
def _hint(errcode: int) -> Bilingual:
    code = lookup(errcode)
    action = advice(code)
    meaning = code.meaning.en
    if "_" not in meaning.split(maxsplit=1)[0]:  # access_token is spelled that way
        meaning = meaning[:1].upper() + meaning[1:]
    return Bilingual(f"{meaning}. {action.en}", f"{code.meaning.zh}。{action.zh}")


def _no_answer(problem: _NoAnswer) -> Outcome:
    if problem.may_have_arrived:
        return Outcome(
            Status.UNKNOWN,
            ErrorClass.UNKNOWN,
            Bilingual(
                f"WeChat's answer was lost ({problem.reason}): the message may have been sent. "
                "Repeating it can send it twice.",
                f"未收到微信的应答（{problem.reason}）：消息可能已发出，重发可能造成重复。",
            ),
        )
    if not problem.passing:
        return Outcome(
            Status.FAILED,
            ErrorClass.CONFIG,
            Bilingual(
                f"What stands at WeChat's address is not WeChat ({problem.reason}); check WeChatApiBase.",
                f"微信接口地址的应答不是来自微信（{problem.reason}），请检查 WeChatApiBase。",
            ),
            unattempted=True,
        )
    return Outcome(
        Status.FAILED,
        ErrorClass.RATE_LIMIT if problem.limited else ErrorClass.TRANSIENT,
        Bilingual(
            f"WeChat took no message ({problem.reason}); nothing was sent. Try again after Retry-After.",
            f"微信未接收消息（{problem.reason}），消息未发出，请在 Retry-After 之后重试。",
        ),
        retryable=True,
        retry_after=60.0 if problem.limited else 2.0,
        holds=Holds.KIND if problem.limited else None,
    )


def _token_endpoint_down(reason: str) -> Outcome:
    return Outcome(
        Status.FAILED,
        ErrorClass.TRANSIENT,
        Bilingual(
            f"WeChat's token endpoint gave no answer ({reason}). Try again shortly.",
            f"微信的 access_token 接口没有应答（{reason}），请稍后重试。",
        ),
        retryable=True,
        retry_after=2.0,
    )


def _grant(body: bytes, app_secret: str) -> Grant:
    """The token in an answer of ``stable_token``, which carries no errcode when it succeeds."""
    try:
        fields = parse_json(body)
    except UnreadableAnswerError:
        fields = {}
    token, expires_in = fields.get("access_token"), fields.get("expires_in")
    if (
        isinstance(token, str)
        and token
        and token.isascii()
        and isinstance(expires_in, int | float)
        and not isinstance(expires_in, bool)
        and 0 < expires_in <= _EXPIRES_IN_MOST
    ):
        return Grant(token, float(expires_in))
    raise TokenUnavailableError(_refused_token(body, app_secret))


def _refused_token(body: bytes, app_secret: str) -> Outcome:
    try:
        answer = parse_answer(body, (app_secret,))
    except UnreadableAnswerError:
        return _token_endpoint_down("unreadable answer")
    outcome = _outcome(answer)
    if outcome.error_class in {ErrorClass.TOKEN, ErrorClass.SUCCESS}:
        # On the token endpoint 40001 means a wrong AppSecret, which no refresh mends.
        outcome = replace(
            outcome,
            error_class=ErrorClass.CONFIG,
            hint=_hint(_WRONG_SECRET),
            retryable=False,
            retry_after=None,
            repeats=None,
            holds=Holds.ACCOUNT,
        )
    return replace(outcome, status=Status.FAILED, holds=outcome.holds and Holds.ACCOUNT)
