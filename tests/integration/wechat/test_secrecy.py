"""No secret in what comes back from WeChat's client."""

from __future__ import annotations

import logging
import ssl
from collections.abc import Callable

import pytest

from tests.integration.conftest import SHORT
from tests.integration.raw_server import (
    RawServer,
    Script,
    always,
    json_answer,
    reset,
    silence,
)
from tests.integration.secrecy import (
    CANARY,
    ECHOES,
    MESSAGE,
    OK,
    SECRET,
    TOKEN,
    ClientAt,
    Listener,
    assert_clean,
    echo,
    head,
    page,
    texts_of,
)
from tests.integration.wechat.samples import resolving
from wechat_notify.core.errors import TemplatesUnavailableError, TokenUnavailableError
from wechat_notify.core.templates.template import Family
from wechat_notify.wechat import connections
from wechat_notify.wechat.client import WeChatClient


def use(client: WeChatClient) -> None:
    """Send a message, ask for templates, a quota and a token, and look at everything that comes back."""
    assert_clean([repr(client.send(MESSAGE, TOKEN))])
    client._session.close()  # a server that answers once and hangs up must not meet the next call
    try:
        assert_clean([repr(client.fetch_templates(Family.SUBSCRIPTION, TOKEN))])
    except TemplatesUnavailableError as error:
        assert_clean(texts_of(error))
        assert_clean([repr(error.outcome)])
    client._session.close()
    assert_clean([repr(client.fetch_quota("/cgi-bin/message/template/send", TOKEN))])
    client._session.close()
    try:
        grant = client.fetch_token("wxapp", SECRET, force=False)
    except TokenUnavailableError as error:
        assert_clean(texts_of(error))
        assert_clean([repr(error.outcome)])
    else:
        assert_clean([repr(grant)])


def test_a_secret_is_noticed(heard: list[str]) -> None:
    """Without this the other tests could pass by hearing nothing."""
    logging.getLogger("somewhere").debug("url %s", TOKEN)
    assert any(CANARY in text for text in heard)
    heard.clear()
    for outer in (RuntimeError("no canary here"), ValueError()):
        outer.__context__ = KeyError()
        outer.__context__.__cause__ = ValueError(TOKEN)
        outer.__suppress_context__ = True
        assert any(CANARY in text for text in texts_of(outer))


@pytest.mark.parametrize("written", ECHOES.values(), ids=ECHOES.keys())
@pytest.mark.usefixtures("heard")
def test_echoed_request_is_not_quoted(client_at: ClientAt, written: Callable[[str], bytes]) -> None:
    with RawServer(echo(written)) as server:
        use(client_at(server.url, limits=SHORT))
    assert all(CANARY in request.all_text for request in server.requests)
    assert len(server.requests) == 4


@pytest.mark.parametrize("script", [reset, silence])
@pytest.mark.usefixtures("heard")
def test_a_broken_connection_tells_nothing(client_at: ClientAt, script: Script) -> None:
    with RawServer(script) as server:
        use(client_at(server.url, limits=SHORT))


@pytest.mark.usefixtures("heard")
def test_a_closed_kept_connection_tells_nothing(client_at: ClientAt) -> None:
    granted = json_answer(errcode=0, msgid=1, access_token=TOKEN, expires_in=9)
    with RawServer(echo(lambda _seen: granted)) as server:
        client = client_at(server.url)
        use(client)
        use(client)


@pytest.mark.usefixtures("heard")
def test_no_connection_tells_nothing(
    client_at: ClientAt, monkeypatch: pytest.MonkeyPatch, nobody: tuple[str, int], full_backlog: str
) -> None:
    use(client_at(f"http://127.0.0.1:{nobody[1]}"))
    use(client_at(full_backlog, limits=SHORT))
    for base_url in ("https://api..weixin.qq.com", "127.0.0.1", "ftp://127.0.0.1", "http://[", "http://a:b"):
        use(client_at(base_url))
    resolving(monkeypatch)
    use(client_at("http://wechat.invalid"))


@pytest.mark.usefixtures("heard")
def test_untrusted_certificate_tells_nothing(client_at: ClientAt, tls: ssl.SSLContext) -> None:
    with RawServer(always(b""), tls) as server:
        use(client_at(server.url))
    assert server.accepted == 4
    assert not server.requests


@pytest.mark.parametrize("error", [RuntimeError, ValueError, OSError, TimeoutError, ssl.SSLError])
@pytest.mark.parametrize("place", ["connect", "request", "send", "getresponse"])
@pytest.mark.usefixtures("heard")
def test_unexpected_error_tells_nothing(
    client_at: ClientAt, monkeypatch: pytest.MonkeyPatch, error: type[Exception], place: str
) -> None:
    failed: list[object] = []

    def fail(*given: object, **_: object) -> None:
        failed.append(given)
        raise error(TOKEN, SECRET) from KeyError(TOKEN, SECRET)

    monkeypatch.setattr(connections.Connection, place, fail)
    with RawServer(always(b"")) as server:
        use(client_at(server.url))
    assert len(failed) == 4


@pytest.mark.parametrize("level", [logging.DEBUG, logging.WARNING])
def test_urllib3_log_lines_are_not_propagated(
    client_at: ClientAt, heard: list[str], monkeypatch: pytest.MonkeyPatch, level: int
) -> None:
    """It does log them, at DEBUG and, of an odd head, at WARNING."""
    listener = Listener()
    monkeypatch.setattr(logging.getLogger("urllib3"), "handlers", [listener])
    monkeypatch.setattr(logging.getLogger("urllib3"), "level", level)
    odd = head(OK, "SEEN", "Content-Length: 2")
    with RawServer(echo(odd)) as server:
        use(client_at(server.url, limits=SHORT))
    assert any(CANARY in text for text in listener.heard)
    assert not [text for text in heard if "urllib3" in text]


@pytest.mark.usefixtures("heard")
def test_echo_of_proxy_is_not_quoted(client_at: ClientAt) -> None:
    with RawServer(echo(page("502 Bad Gateway"))) as proxy:
        use(client_at("http://wechat.invalid", proxy=proxy.url))
    assert len(proxy.requests) == 4


def test_secrets_in_errmsg_become_asterisks(client_at: ClientAt) -> None:
    with RawServer(echo(lambda seen: json_answer(errcode=-1, errmsg=f"{seen} {TOKEN} rid: a-b"))) as server:
        outcome = client_at(server.url).send(MESSAGE, TOKEN)
    assert outcome.errmsg is not None
    assert "?access_token=***" in outcome.errmsg
    assert '"touser":"***"' in outcome.errmsg
    assert outcome.errmsg.endswith("*** rid: a-b")
