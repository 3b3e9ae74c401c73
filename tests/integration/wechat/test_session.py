"""What a session writes, and the sound answers that it reads."""

from __future__ import annotations

import pytest

from tests.integration.raw_server import Connection, RawServer, always, answer, once
from tests.integration.wechat.samples import BODY, CONTENT, KEPT, NOT_KEPT, OK, PATH, SOUND, SessionAt, lost
from wechat_notify.wechat.session import NoAnswer


def test_a_post_is_one_request(session_at: SessionAt) -> None:
    with RawServer(always(SOUND)) as server:
        assert session_at(f"{server.url}/wechat/").post(PATH, BODY) == OK
    (request,) = server.requests
    assert (request.target, request.body) == (f"/wechat{PATH}", BODY)
    assert request.headers == {
        "host": f"127.0.0.1:{server.port}",
        "content-type": "application/json; charset=utf-8",
        "accept": "application/json",
        "accept-encoding": "identity",
        "user-agent": "wechat-notify",
        "content-length": str(len(BODY)),
    }


def test_head_and_body_are_one_write(session_at: SessionAt) -> None:
    pieces: list[bytes] = []

    def script(connection: Connection) -> None:
        pieces.append(connection.socket.recv(65536))
        connection.write(SOUND)

    with RawServer(script) as server:
        assert session_at(server.url).post(PATH, BODY) == OK
    assert pieces[0].endswith(b"\r\n\r\n" + BODY)


@pytest.mark.parametrize(
    "base_url",
    [
        "https://api..weixin.qq.com",
        f"https://{'a' * 64}.example",
        "api.weixin.qq.com",
        "ftp://127.0.0.1",
        "http://",
        "http://[",
        "http://a:b",
        "http://CANARY@127.0.0.1",
        "http://127.0.0.1?access_token=CANARY",
        "http://127.0.0.1/#CANARY",
        "",
    ],
)
def test_invalid_base_url_sends_nothing(session_at: SessionAt, base_url: str) -> None:
    assert session_at(base_url).post(PATH, BODY) == NoAnswer(
        "InvalidURL", may_have_arrived=False, passing=False
    )


@pytest.mark.parametrize("location", ["{other}/there", "/here", "http://[", "\xff"])
def test_no_redirect_and_no_cookie(session_at: SessionAt, location: str) -> None:
    with RawServer(once(SOUND)) as other:
        fields = (f"Location: {location.format(other=other.url)}", "Set-Cookie: account=first; Path=/")
        with RawServer(always(answer(CONTENT, *fields, status="307 Moved"))) as server:
            session = session_at(server.url)
            assert [session.post(PATH, BODY) for _ in range(3)] == [(307, CONTENT)] * 3
    assert (other.accepted, server.accepted) == (0, 1)
    assert all(request == server.requests[0] for request in server.requests)
    assert not session._session.cookies


@pytest.mark.parametrize("written", KEPT.values(), ids=KEPT.keys())
def test_valid_answer_keeps_its_connection(session_at: SessionAt, written: bytes) -> None:
    with RawServer(always(written)) as server:
        session = session_at(server.url)
        assert [session.post(PATH, BODY) for _ in range(3)] == [OK] * 3
    assert (server.accepted, len(server.requests)) == (1, 3)


@pytest.mark.parametrize("written", NOT_KEPT.values(), ids=NOT_KEPT.keys())
def test_closing_answer_ends_its_connection(session_at: SessionAt, written: bytes) -> None:
    def script(connection: Connection) -> None:
        if connection.read_request():
            connection.write(written)
            if written == NOT_KEPT["until the end"]:
                return
            if connection.read_request():
                raise AssertionError("a second request on this connection")

    with RawServer(script) as server:
        session = session_at(server.url)
        assert [session.post(PATH, BODY) for _ in range(3)] == [OK] * 3
    assert server.accepted == 3


@pytest.mark.parametrize("status", [202, 302, 599])
def test_any_status_is_an_answer(session_at: SessionAt, status: int) -> None:
    with RawServer(always(answer(b"<html>", status=f"{status} Whatever"))) as server:
        session = session_at(server.url)
        assert [session.post(PATH, BODY) for _ in range(2)] == [(status, b"<html>")] * 2
    assert server.accepted == 1


def test_early_answer_is_read(session_at: SessionAt) -> None:
    def script(connection: Connection) -> None:
        connection.socket.recv(100)
        connection.write(answer(b"too large", status="413 Content Too Large"))

    with RawServer(script) as server:
        told = session_at(server.url).post(PATH, b"x" * 20_000_000)
    assert told in {(413, b"too large"), lost("ConnectionLost")}  # the reset may overtake it
