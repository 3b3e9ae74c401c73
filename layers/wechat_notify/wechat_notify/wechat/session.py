"""HTTP to WeChat: POSTs of JSON through one ``requests.Session``, each answered in time or given up.

The access token stands in every URL, and the errors and log lines of requests and urllib3 quote URLs. So
no exception leaves this module: a call returns an `HttpResponse`, or a `NoAnswer` that names a cause only.
"""

from __future__ import annotations

import http.client
import logging
import re
import ssl
import threading
from functools import cache, partial
from http.cookiejar import DefaultCookiePolicy
from pathlib import Path
from typing import Any, NamedTuple

import certifi
import requests
import urllib3
from requests.adapters import HTTPAdapter
from requests.structures import CaseInsensitiveDict

from wechat_notify.wechat.connections import TLS_RECORD, Connection, ConnectionFault, Limits, TlsConnection

MAX_CONNECTIONS = 20
"""Idle connections that are kept: one for each worker thread. Further calls open others and do not wait."""
_CERTIFICATES = Path(__file__).parents[1] / "certificates"
"""certifi's, each in a file of its own, where the layer was built with them (``hash_certificates.py``)."""
_BASE_URL = re.compile(r"https?://[A-Za-z0-9._:\[\]-]+(?:/[^?#]*)?")
_HEADERS = {
    "Content-Type": "application/json; charset=utf-8",
    "Accept": "application/json",
    # To decompress a hundred bytes takes longer than to receive them as they are.
    "Accept-Encoding": "identity",
    "User-Agent": "wechat-notify",
}

# urllib3 logs URLs, at WARNING too. Its own handler drops what it says; no other one gets to see it.
logging.getLogger("urllib3").propagate = False


class HttpResponse(NamedTuple):
    """A complete answer, whatever its status; ``content`` is decompressed."""

    status: int
    content: bytes


class NoAnswer(NamedTuple):
    """There is no answer to read.

    ``reason`` is a name such as ``ReadTimeout``; ``may_have_arrived``: any of the request may have left this
    machine; ``passing``: a later attempt may succeed without anybody's doing; ``limited``: the server asked
    for fewer calls.
    """

    reason: str
    may_have_arrived: bool
    passing: bool = True
    limited: bool = False


class HttpSession:
    """Kept connections to one base URL; safe to use from several threads.

    Nothing is sent twice: a call that fails on a kept connection fails.

    Parameters
    ----------
    base_url : str
        Scheme, host, and perhaps a port and a path, such as ``https://api.weixin.qq.com``.
    limits : Limits, optional
        Other limits than WeChat's.
    proxy : str, optional
        The HTTP proxy to go through. Those that the environment names are ignored.
    """

    def __init__(self, base_url: str, limits: Limits | None = None, *, proxy: str | None = None) -> None:
        self._base_url = _checked(base_url)
        self._limits = limits or Limits()
        self._proxies = {"http": proxy, "https": proxy} if proxy else {}
        self._session = _Session()
        self._session.trust_env = False
        self._session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=()))
        adapter = _Adapter(self._limits)
        self._session.mount("https://", adapter)
        self._session.mount("http://", adapter)

    def post(self, path: str, body: bytes) -> HttpResponse | NoAnswer:
        """Send JSON once and return the answer, following no redirect."""
        return self._send("POST", path, body)

    def get(self, path: str) -> HttpResponse | NoAnswer:
        """Ask once and return the answer, following no redirect."""
        return self._send("GET", path, None)

    def _send(self, method: str, path: str, body: bytes | None) -> HttpResponse | NoAnswer:
        if self._base_url is None:
            return NoAnswer("InvalidURL", may_have_arrived=False, passing=False)
        # Prepared by hand, which takes half of the CPU that Session.post does.
        request = requests.PreparedRequest()
        request.method, request.url, request.body = method, self._base_url + path, body
        length = {} if body is None else {"Content-Length": str(len(body))}
        request.headers = CaseInsensitiveDict({**_HEADERS, **length})
        send = partial(self._session.send, stream=True, allow_redirects=False, proxies=self._proxies)
        try:
            with send(request, timeout=self._limits.read) as response:
                content = b""
                for piece in response.iter_content(TLS_RECORD):
                    content += piece
                    if len(content) > self._limits.max_bytes:
                        return NoAnswer("AnswerTooLarge", may_have_arrived=True)
                return HttpResponse(response.status_code, content)
        except Exception as error:  # noqa: BLE001 - whatever it is, its text and traceback may know the URL
            return _no_answer(error)

    def close(self) -> None:
        """Close the idle connections; later calls open new ones."""
        self._session.close()


class _Session(requests.Session):
    def get_redirect_target(self, resp: requests.Response) -> None:
        """Look for no redirect: even without following it, requests would read it and parse its target."""


class _Adapter(HTTPAdapter):
    """One pool of connections within limits, all of them with one TLS context.

    By itself requests has the CA bundle parsed for each connection, which takes 15 ms and more.
    """

    def __init__(self, limits: Limits) -> None:
        super().__init__(pool_maxsize=MAX_CONNECTIONS)
        self._limits = limits
        self._pool: Any = None
        self._lock = threading.Lock()

    def get_connection_with_tls_context(self, *args: Any, **named: Any) -> Any:
        with self._lock:  # or each thread of a cold start would load the certificates
            if self._pool is None:
                pool: Any = super().get_connection_with_tls_context(*args, **named)
                kind = TlsConnection if pool.scheme == "https" else Connection
                pool.ConnectionCls = partial(kind, limits=self._limits)
                self._pool = pool
            return self._pool

    def build_connection_pool_key_attributes(self, *args: Any, **named: Any) -> Any:
        host, options = super().build_connection_pool_key_attributes(*args, **named)
        return host, options if host["scheme"] == "http" else {**options, "ssl_context": tls_context()}

    def cert_verify(self, *_: Any) -> None:
        """Load no certificates: the context has them, and verifies."""

    def close(self) -> None:
        with self._lock:
            self._pool = None
            super().close()


@cache
def tls_context() -> ssl.SSLContext:
    """Return the TLS context of all connections.

    Not ``ssl.create_default_context``, which reads the environment: other certificates to trust, and a file
    to write the keys of every connection to.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if _CERTIFICATES.is_dir():
        context.load_verify_locations(capath=_CERTIFICATES)
    else:
        context.load_verify_locations(cafile=certifi.where())
    return context


def _checked(base_url: str) -> str | None:
    """Return a base URL without a slash at its end, None if it is none or says more than a base may."""
    try:
        url = requests.Request("POST", base_url).prepare().url or ""
    except requests.RequestException:
        return None
    return url.rstrip("/") if _BASE_URL.fullmatch(url) else None


_REASONS: tuple[tuple[type[Exception], str], ...] = (
    (http.client.RemoteDisconnected, "ConnectionClosed"),
    (http.client.IncompleteRead, "AnswerTruncated"),
    (http.client.HTTPException, "AnswerUnreadable"),
    (ValueError, "AnswerUnreadable"),
    (urllib3.exceptions.HTTPError, "AnswerUnreadable"),
    (OSError, "ConnectionLost"),
)


def _no_answer(error: BaseException) -> NoAnswer:
    """Tell what an error means: whatever is not known to have come before the request may have arrived."""
    chain = [error]
    while behind := chain[-1].__cause__ or chain[-1].__context__:
        chain.append(behind)
    for each in chain:
        if isinstance(each, ConnectionFault):
            return NoAnswer(each.reason, each.may_have_arrived, passing=each.reason != "InvalidURL")
    for each in reversed(chain):
        for kind, reason in _REASONS:
            if isinstance(each, kind):
                return NoAnswer(reason, may_have_arrived=True)
    return NoAnswer(type(error).__name__, may_have_arrived=True)
