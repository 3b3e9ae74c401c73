"""Secrets that are recognised, and where they must not turn up: logs, warnings, output, errors."""

from __future__ import annotations

import gzip
import json
import logging
import traceback
from collections.abc import Callable, Sequence

from tests.integration.raw_server import Connection, Script, answer, json_answer
from wechat_notify.core.messages.parser import parse_message
from wechat_notify.wechat.client import WeChatClient

ClientAt = Callable[..., WeChatClient]

# A slash, so that the spelling in a URL is another one.
CANARY = "CANARY"
TOKEN = f"57_{CANARY}/token"
SECRET = f"{CANARY}/secret"
OPENID = f"o{CANARY}0123456789012345678"
BODY = {
    "kind": "template",
    "touser": OPENID,
    "template_id": "t",
    "data": {"keyword1": {"value": "v"}},
}
MESSAGE = parse_message(BODY)[0]


class Listener(logging.Handler):
    """Keeps everything that any logger says, arguments and exceptions included."""

    def __init__(self) -> None:
        super().__init__(logging.NOTSET)
        self.heard: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.heard += [record.getMessage(), repr(vars(record))]
        if record.exc_info and record.exc_info[1]:
            self.heard += texts_of(record.exc_info[1])


def texts_of(error: BaseException) -> list[str]:
    """All that an error and the errors behind it can tell."""
    texts = traceback.format_exception(error)
    todo, seen = [error], set[int]()
    while todo:
        current = todo.pop()
        if id(current) in seen:
            continue
        seen.add(id(current))
        texts += [str(current), repr(current), repr(current.args), repr(getattr(current, "__dict__", None))]
        texts += [repr(getattr(current, "__notes__", None))]
        todo += [behind for behind in (current.__cause__, current.__context__) if behind]
    return texts


def assert_clean(texts: Sequence[str]) -> None:
    for text in texts:
        assert CANARY not in text


def page(status: str) -> Callable[[str], bytes]:
    return lambda seen: answer(f"<html>{seen}</html>".encode(), status=status, content_type="text/html")


def head(*lines: str) -> Callable[[str], bytes]:
    return lambda seen: "\r\n".join([*lines, "", "{}"]).replace("SEEN", seen).encode()


OK = "HTTP/1.1 200 OK"
CHUNKED = "Transfer-Encoding: chunked"

ECHOES: dict[str, Callable[[str], bytes]] = {
    "in errmsg": lambda seen: json_answer(errcode=40001, errmsg=f"hint: [{seen}] rid: 1-2"),
    "at the end of a long errmsg": lambda seen: json_answer(errcode=47003, errmsg="x" * 970 + seen),
    "cut in the middle": lambda seen: json_answer(
        errcode=-1, errmsg="x" * (1000 - 11) + (TOKEN if "access_token" in seen else f"57_{SECRET}")
    ),
    "in errMsg": lambda seen: json_answer(errCode=-1, errMsg=seen),
    "as errcode": lambda seen: json_answer(errcode=seen),
    "as expires_in": lambda seen: json_answer(access_token=TOKEN, expires_in=seen),
    "as a key": lambda seen: json_answer(**{seen: 1}),
    "as msgid": lambda seen: json_answer(errcode=0, msgid=seen),
    "as the token": lambda seen: json_answer(access_token=seen, expires_in=7200),
    "in a list of templates": lambda seen: json_answer(
        errcode=0,
        data=[
            {
                "priTmplId": seen,
                "content": seen,
                "keywordEnumValueList": [{"keywordCode": seen, "enumValueList": [seen]}],
            }
        ],
    ),
    "in bad JSON": lambda seen: answer(b'{"errmsg":' + seen.encode()),
    "in bad UTF-8": lambda seen: answer(b"\xff\xfe" + seen.encode()),
    "in a 200 page": page(OK[9:]),
    "in a 302 page": page("302 Found"),
    "in a 400 page": page("400 Bad Request"),
    "in a 404 page": page("404 Not Found"),
    "in a 429 page": page("429 Too Many Requests"),
    "in a 500 page": page("500 Internal Server Error"),
    "in a 502 page": page("502 Bad Gateway"),
    "truncated": lambda seen: answer(json.dumps({"errcode": 0, "errmsg": seen}).encode())[:-3],
    "too large": lambda seen: answer(seen.encode() * 2000),
    "gzip bomb": lambda seen: answer(gzip.compress(seen.encode() * 200_000), "Content-Encoding: gzip"),
    "bad gzip": lambda seen: answer(seen.encode(), "Content-Encoding: gzip"),
    "in the status line": head("SEEN", "Content-Length: 2"),
    "as the version": head("HTTP/SEEN 200 OK"),
    "as the reason": head("HTTP/1.1 500 SEEN", "Content-Length: 2"),
    "as the status": head("HTTP/1.1 SEEN"),
    "in a header without a colon": head(OK, "SEEN", "Content-Length: 2"),
    "in a first header line that continues": head(OK, " SEEN", "Content-Length: 2"),
    "in two lengths": head(OK, "Content-Length: 5, 6", "X-Seen: SEEN"),
    "as the length": head(OK, "Content-Length: SEEN"),
    "in both framings": head(OK, "Content-Length: 2", CHUNKED, "X-Seen: SEEN"),
    "as the encoding": head(OK, "Content-Encoding: SEEN", "Content-Length: 2"),
    "as the charset": head(OK, "Content-Type: text/html; charset=SEEN", "Content-Length: 2"),
    "in a chunk's size": head(OK, CHUNKED, "", "SEEN"),
    "in a cookie": head(OK, "Set-Cookie: a=SEEN; expires=SEEN; path=/", "Content-Length: 2"),
    "in a line too long": lambda seen: head(OK, f"X-Seen: {seen * 1000}", "Content-Length: 2")(seen),
    "in too many headers": head(OK, *["X-Seen: SEEN"] * 200, "Content-Length: 2"),
    "nowhere, it hangs up": lambda _seen: b"",
    **{
        f"in the target of a {status}": head(
            f"HTTP/1.1 {status} Moved", "Location: http://127.0.0.1:1SEEN", "Content-Length: 2"
        )
        for status in (301, 302, 303, 307, 308)
    },
}


def echo(written: Callable[[str], bytes]) -> Script:
    def script(connection: Connection) -> None:
        request = connection.read_request()
        if request:
            connection.write(written(request.all_text))

    return script
