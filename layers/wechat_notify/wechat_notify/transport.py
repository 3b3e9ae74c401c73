"""The way to WeChat and to AWS: one POST at a time over pooled connections.

It is strict where HTTP/1.1 (RFC 9112) lets a client choose: what is malformed or ambiguous is refused as
a whole, and its connection is not used again, so that no byte of one answer is read as part of another.
"""

from __future__ import annotations

import os
import re
import select
import socket
import threading
import time
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol
from urllib.parse import urlsplit

if TYPE_CHECKING:
    import ssl

_IDLE_MOST = 20.0
"""Seconds after which an idle connection is not used again. A frozen Lambda does not see a gateway
drop it, and a message written to a dead connection counts as possibly sent."""
_IDLE_CONNECTIONS = 128
_CHUNKED_TIMES_MOST = 8
"""As much of it with the framing: chunks of one byte take six."""
_HEAD_BYTES_MOST = 16 * 1024
"""For interim answers and the real one together, and for trailers again."""
_LINE_BYTES_MOST = 4096
_PIECE = 16 * 1024
"""As much as a TLS record holds, or TLS could keep a rest of it back that no polling sees."""

_PATH = re.compile(r"/[!-~]*")
_HOST = re.compile(r"[a-z0-9_][a-z0-9_-]{0,62}(?:\.[a-z0-9_][a-z0-9_-]{0,62})*|[0-9a-f.]*:[0-9a-f:.]*")

_HEAD = re.compile(
    rb"HTTP/1\.([0-9]) ([1-5][0-9][0-9])(?: [^\r\n\0]*+)?\r\n"
    rb"(?:[!#$%&'*+\-.^_`|~0-9A-Za-z]++:[^\r\n\0]*+\r\n)*+\r\n"
)
"""A head as a whole. Line folding, bare line feeds, and white space around a name have no place in it."""
_FIELD = re.compile(
    rb"\r\n(content-length|transfer-encoding|content-encoding|connection|keep-alive):([^\r]*+)", re.IGNORECASE
)
_BARE_LINE_FEED = re.compile(rb"(?<!\r)\n")
_LENGTH = re.compile(rb"[0-9]{1,18}")
_CHUNK = re.compile(rb"([0-9A-Fa-f]{1,8})[ \t]*(?:;[^\r\n\0]*)?")
_TRAILER = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+:[^\r\n\0]*")
_KEPT_FOR = re.compile(rb"(?:^|[,; \t])timeout=([0-9]{1,9})")

_OF_THE_LAYER = Path(__file__).with_name("certificates")
"""Where ``hash_certificates.py`` leaves them."""

_SWITCHING_PROTOCOLS = 101
_OK = 200
_WITHOUT_CONTENT = frozenset({204, 304})


class Response(NamedTuple):
    """A whole and well-formed answer, whatever its status; ``content`` is decompressed."""

    status: int
    content: bytes


class Answer(NamedTuple):
    """A ``Response`` with its head, for services that say something there."""

    status: int
    content: bytes
    head: bytes

    def field(self, name: str) -> str:
        """The first field of that name, empty where there is none; white space around it is gone."""
        found = re.search(rb"\r\n%b:([^\r]*)" % re.escape(name.encode()), self.head, re.IGNORECASE)
        return found[1].strip(b" \t").decode("latin-1") if found else ""


class Limits(NamedTuple):
    """How long one server may take, in seconds, and how much it may answer; these are WeChat's.

    ``connect_timeout``
        For the TCP connection to one address, and the same again for the TLS handshake.
    ``read_timeout``
        For each read.
    ``answer_timeout``
        From the first byte written to the last one read.
    ``answer_bytes_most``
        Bytes of content, compressed and not.
    ``connect_all``
        After which no further address is tried: enough for a second one where the first is silent.
    """

    connect_timeout: float = 2.0
    read_timeout: float = 5.0
    answer_timeout: float = 6.0
    answer_bytes_most: int = 64 * 1024
    connect_all: float = 2.5


class TransportError(Exception):
    """There is no answer.

    Parameters
    ----------
    reason : str
        A name such as ``ReadTimeout``: nothing of the URL, the host, or what was said.
    may_have_arrived : bool
        Whether any of the request may have left the machine.
    passing : bool
        Whether the next attempt may fare better without anybody's doing.
    """

    def __init__(self, reason: str, *, may_have_arrived: bool, passing: bool = True) -> None:
        super().__init__(reason)
        self.reason = reason
        self.may_have_arrived = may_have_arrived
        self.passing = passing


class Transport(Protocol):
    """What the client needs of HTTP."""

    def post(self, path: str, body: bytes) -> Response:
        """Send JSON once and read the answer, following no redirect; raises ``TransportError`` only."""

    def close(self) -> None:
        """Close the connections that are idle; later calls open new ones."""


class _FaultError(Exception):
    """Its text is the reason of a ``TransportError``."""


class Trust:
    """The CA certificates that transports trust, loaded on first use and once for all who share them.

    Those that the layer was built with cost nothing, but they are as old as the layer. The system's, a file
    that takes 15 ms, come beside them when they are not enough.

    Parameters
    ----------
    path : str, optional
        Other certificates than these: a file, or a directory with their hashes as names.
    """

    def __init__(self, path: str | None = None) -> None:
        self._path = path
        self._context: ssl.SSLContext | None = None
        self._may_grow = path is None and _OF_THE_LAYER.is_dir()
        self.grown = False
        """Whether the system's certificates came beside the layer's."""
        self._lock = threading.Lock()

    def context(self) -> ssl.SSLContext:
        """The context of every connection."""
        with self._lock:  # or each thread of a cold start would load the certificates
            if self._context is None:
                self._context = _tls_context(str(_OF_THE_LAYER) if self._may_grow else self._path)
            return self._context

    def grow(self) -> bool:
        """Load the system's certificates too, where only the layer's were; ``grown`` afterwards."""
        context = self.context()
        with self._lock:
            if self._may_grow and not self.grown:
                context.load_verify_locations(cafile=_certificates_of_the_system())
                self.grown = True
            return self.grown


class _Address(NamedTuple):
    tls: bool
    host: str
    port: int
    prefix: str
    host_header: str


class PooledTransport:
    """Keep-alive connections to one base URL; safe to use from any number of threads.

    There are as many connections as calls at one time, and the one used last is used first. Nothing
    is sent twice: a call that fails on a connection from the pool fails.

    Parameters
    ----------
    base_url : str
        Scheme, host, and perhaps a port and a path, such as ``https://api.weixin.qq.com``.
    trust : Trust, optional
        The CA certificates to trust, shared with other transports; the system's without it.
    limits : Limits, optional
        Other limits than WeChat's.
    """

    def __init__(self, base_url: str, trust: Trust | None = None, limits: Limits | None = None) -> None:
        self._address = _parse(base_url)
        self._trust = trust or Trust()
        self._limits = limits or Limits()
        # Its ends are atomic, so it has no lock, which a fork at the wrong moment would leave held for ever.
        self._idle: deque[_Connection] = deque()
        self._start = self._middle = self._named = b""
        if self._address:
            self._start = f"POST {self._address.prefix}".encode()
            # To decompress a hundred bytes takes longer than to receive them as they are.
            self._middle = (
                f" HTTP/1.1\r\nHost: {self._address.host_header}\r\n"
                "Content-Type: application/json; charset=utf-8\r\nAccept: application/json\r\n"
                "Accept-Encoding: identity\r\nUser-Agent: wechat-notify\r\nContent-Length: "
            ).encode()
            self._named = (
                f" HTTP/1.1\r\nHost: {self._address.host_header}\r\n"
                "Accept-Encoding: identity\r\nUser-Agent: wechat-notify\r\n"
            ).encode()

    @property
    def host(self) -> str:
        """What stands in the ``Host`` field, empty where the base URL is none."""
        return self._address.host_header if self._address else ""

    def post(self, path: str, body: bytes) -> Response:
        """Send JSON once and read the answer, following no redirect; raises ``TransportError`` only."""
        answer = self._attempt(path, body)
        if isinstance(answer, tuple):
            return answer[0]
        # The access token is in the path. Raised here, with no error behind it and these two gone, the
        # traceback has no frame of this module that knows it; nor one that knows the error, which would
        # keep the caller's alive until garbage is collected.
        del path, body
        try:
            raise answer
        finally:
            del answer

    def post_with(self, fields: bytes, path: str, body: bytes) -> Answer:
        """``post`` with fields of one's own, each ended by CR LF, in place of those that say JSON."""
        answer = self._attempt(path, body, fields)
        if isinstance(answer, tuple):
            return Answer(*answer[0], answer[1])
        del fields, path, body  # as above
        try:
            raise answer
        finally:
            del answer

    def close(self) -> None:
        """Close the connections that are idle; later calls open new ones."""
        while connection := self._pop():
            connection.close()

    def _attempt(
        self, path: str, body: bytes, fields: bytes | None = None
    ) -> tuple[Response, bytes] | TransportError:
        connection: _Connection | None = None
        address = self._address
        if address is None or not _PATH.fullmatch(path):
            return TransportError("InvalidURL", may_have_arrived=False, passing=False)
        try:
            middle = self._middle if fields is None else b"%b%bContent-Length: " % (self._named, fields)
            request = b"%b%b%b%d\r\n\r\n%b" % (self._start, path.encode(), middle, len(body), body)
            connection = self._reuse() or self._connect(address)
            return connection.exchange(request), connection.head
        except _FaultError as fault:
            return TransportError(str(fault), may_have_arrived=connection is not None)
        except Exception as unforeseen:  # noqa: BLE001 - whatever it is, its text and traceback may know the path
            return TransportError(type(unforeseen).__name__, may_have_arrived=connection is not None)
        finally:
            if connection:
                self._put_back(connection)

    def _pop(self) -> _Connection | None:
        try:
            return self._idle.pop()
        except IndexError:
            return None

    def _reuse(self) -> _Connection | None:
        while connection := self._pop():
            if connection.is_alive():
                return connection
            connection.close()
        return None

    def _put_back(self, connection: _Connection) -> None:
        if not connection.reusable:
            connection.close()
            return
        self._idle.append(connection)
        try:
            # The one unused for longest, or another thread's fresh one: a loss of no consequence.
            if len(self._idle) > _IDLE_CONNECTIONS or self._idle[0].is_old():
                self._idle.popleft().close()
        except IndexError:
            pass  # others took them meanwhile

    def _connect(self, address: _Address) -> _Connection:
        """A connection, at the second try where the layer's certificates are too old for the host's."""
        deadline = time.monotonic() + self._limits.connect_all
        grown = self._trust.grown
        try:
            return self._reach(address, deadline)
        except _FaultError as fault:
            if str(fault) != "CertificateError" or self._trust.grow() == grown or time.monotonic() > deadline:
                raise
        return self._reach(address, deadline)

    def _reach(self, address: _Address, deadline: float) -> _Connection:
        """A connection to the first of the host's addresses that gives one, looked up anew."""
        try:
            # In bytes, because for a str the standard library imports its IDNA tables.
            places = socket.getaddrinfo(address.host.encode(), address.port, type=socket.SOCK_STREAM)
        except OSError:
            places = []
        reason = "NameResolutionError"
        for family, kind, protocol, _, place in places:
            try:
                opened = self._open(address, socket.socket(family, kind, protocol), place)
                return _Connection(opened, self._limits)
            except _FaultError as fault:
                reason = str(fault)
            except TimeoutError:
                reason = "ConnectTimeout"
            except ConnectionRefusedError:
                reason = "ConnectionRefused"
            except OSError:
                reason = "ConnectionError"
            if time.monotonic() > deadline:
                break
        raise _FaultError(reason)

    def _open(self, address: _Address, opened: socket.socket, place: Any) -> socket.socket:
        try:
            if address.tls:
                # Before it is connected: given a connected one whose peer has gone already, wrap_socket
                # makes no handshake and says nothing (or loses the socket, in Python 3.11).
                opened = self._trust.context().wrap_socket(
                    opened, server_hostname=address.host.encode(), do_handshake_on_connect=False
                )
            opened.settimeout(self._limits.connect_timeout)
            opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            opened.connect(place)
            if address.tls:
                _shake_hands(opened)
        except BaseException:
            opened.close()
            raise
        return opened


class _Connection:
    """A connection in the hands of one thread, or in the pool."""

    __slots__ = (
        "_deadline",
        "_idle_most",
        "_limits",
        "_poll",
        "_process",
        "_socket",
        "_timeout",
        "_used_at",
        "head",
        "reusable",
    )

    def __init__(self, opened: socket.socket, limits: Limits) -> None:
        self._socket = opened
        self._limits = limits
        self._timeout = opened.gettimeout()
        self._poll = select.poll()
        self._poll.register(opened, select.POLLIN)
        self._process = os.getpid()
        self._deadline = 0.0
        self._used_at = 0.0
        self._idle_most = 0.0
        self.head = b""
        """The last answer's."""
        self.reusable = False
        """Whether the last answer was read to its end, and nothing stands against another request."""

    def close(self) -> None:
        self._socket.close()

    def is_old(self) -> bool:
        # Not the monotonic clock, which may stand still while Lambda is frozen.
        return not 0 <= time.time() - self._used_at <= self._idle_most

    def is_alive(self) -> bool:
        """Whether it is fresh, this process's own, and quiet: what can be read now is a goodbye or poison."""
        return not self.is_old() and self._process == os.getpid() and not self._poll.poll(0)

    def exchange(self, request: bytes) -> Response:
        """Write a request once and read its answer; raises ``_FaultError``."""
        self.reusable = False
        self._wait_for(self._limits.read_timeout)
        self._deadline = time.monotonic() + self._limits.answer_timeout
        unwritten = self._write(request)
        if not unwritten:
            return self._read(self._receive())
        # A server may answer before it has read everything, a 413 for example, and hang up.
        try:
            response = self._read(self._more())
        except _FaultError:
            raise _FaultError(unwritten) from None
        self.reusable = False
        return response

    def _write(self, request: bytes) -> str | None:
        """Why not all of it was written, if so."""
        try:
            written = self._socket.send(request)
            while written < len(request):
                self._wait_for(min(self._limits.read_timeout, self._left("WriteTimeout")))
                written += self._socket.send(memoryview(request)[written:])
        except _FaultError as fault:
            return str(fault)
        except TimeoutError:
            return "WriteTimeout"
        except OSError:
            return "ConnectionLost"
        return None

    def _wait_for(self, seconds: float) -> None:
        """Let the next call of the socket take so long."""
        if seconds != self._timeout:  # it is a system call
            self._socket.settimeout(seconds)
            self._timeout = seconds

    def _left(self, reason: str) -> float:
        """Seconds until the deadline."""
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise _FaultError(reason)
        return max(left, 0.001)

    def _receive(self) -> bytes:
        """What has come of the answer, nothing at its end."""
        try:
            return self._socket.recv(_PIECE)
        except TimeoutError:
            raise _FaultError("ReadTimeout") from None
        except OSError:
            raise _FaultError("ConnectionLost") from None

    def _more(self) -> bytes:
        """The next piece of an answer that has begun, nothing at its end."""
        self._wait_for(min(self._limits.read_timeout, self._left("AnswerTimeout")))
        return self._receive()

    def _fill(self, buffer: bytearray, most: int) -> None:
        """Append a piece of what must go on."""
        piece = self._more()
        if not piece:
            raise _FaultError("AnswerTruncated")
        buffer += piece
        if len(buffer) > most:
            raise _FaultError("AnswerTooLarge")

    def _read(self, received: bytes) -> Response:
        """The answer that begins so."""
        if not received:
            raise _FaultError("ConnectionClosed")
        heads = 0
        while True:
            received = self._rest_of_head(received, heads)
            head = _HEAD.match(received)
            if head is None:
                raise _FaultError("AnswerUnreadable")
            status = int(head[2])
            if status >= _OK:
                break
            if status == _SWITCHING_PROTOCOLS:  # to which nobody asked it to switch
                raise _FaultError("AnswerUnreadable")
            heads += head.end()
            received = received[head.end() :]
        fields = _fields(head)
        content, rest = self._content(status, fields, received[head.end() :])
        coding = fields.get(b"content-encoding")
        if coding and content:
            content = _decoded(content, coding, self._limits.answer_bytes_most)
        self._used_at = time.time()
        self._idle_most = _kept_for(head, fields)
        self.reusable = rest == b"" and self._idle_most > 0
        self.head = head[0]
        return Response(status, content)

    def _rest_of_head(self, received: bytes, heads: int) -> bytes:
        """Everything received, of which there is at least a head as a whole."""
        start = 0
        while (end := received.find(b"\r\n\r\n", max(0, start - 3))) < 0:
            if len(received) + heads > _HEAD_BYTES_MOST:
                raise _FaultError("AnswerTooLarge")
            if _BARE_LINE_FEED.search(received, start):  # the end that is waited for may never come
                raise _FaultError("AnswerUnreadable")
            start = len(received)
            piece = self._more()
            if not piece:
                raise _FaultError("AnswerTruncated")
            received += piece
        if end + heads > _HEAD_BYTES_MOST:
            raise _FaultError("AnswerTooLarge")
        return received

    def _content(self, status: int, fields: dict[bytes, bytes], begun: bytes) -> tuple[bytes, bytes | None]:
        """The content, and what came after it; None where the connection cannot go on."""
        if status in _WITHOUT_CONTENT:
            return b"", None  # where a server sends some all the same, it may come later
        length = fields.get(b"content-length")
        coding = fields.get(b"transfer-encoding")
        if coding is not None:
            # With a length beside it, two readers of the same bytes could see two different answers.
            if coding != b"chunked" or length is not None:
                raise _FaultError("AnswerUnreadable")
            return self._chunks(bytearray(begun))
        if length is None:
            return self._until_the_end(bytearray(begun)), None
        if not _LENGTH.fullmatch(length):  # two of them are joined by a comma
            raise _FaultError("AnswerUnreadable")
        most = int(length)
        if most > self._limits.answer_bytes_most:
            raise _FaultError("AnswerTooLarge")
        if len(begun) < most:
            buffer = bytearray(begun)
            while len(buffer) < most:
                self._fill(buffer, most + _PIECE)
            begun = bytes(buffer)
        return begun[:most], begun[most:]

    def _until_the_end(self, buffer: bytearray) -> bytes:
        while len(buffer) <= self._limits.answer_bytes_most:
            piece = self._more()
            if not piece:
                return bytes(buffer)
            buffer += piece
        raise _FaultError("AnswerTooLarge")

    def _chunks(self, buffer: bytearray) -> tuple[bytes, bytes]:
        content = bytearray()
        at = 0
        while True:
            line, at = self._line(buffer, at)
            chunk = _CHUNK.fullmatch(line)
            if chunk is None:
                raise _FaultError("AnswerUnreadable")
            size = int(chunk[1], 16)
            if size == 0:
                break
            if len(content) + size > self._limits.answer_bytes_most:
                raise _FaultError("AnswerTooLarge")
            end = at + size
            while len(buffer) < end + 2:
                self._fill(buffer, _CHUNKED_TIMES_MOST * self._limits.answer_bytes_most)
            content += buffer[at:end]
            if buffer[end : end + 2] != b"\r\n":
                raise _FaultError("AnswerUnreadable")
            at = end + 2
        trailers = at
        while True:
            line, at = self._line(buffer, at)
            if not line:
                return bytes(content), bytes(buffer[at:])
            if not _TRAILER.fullmatch(line) or at - trailers > _HEAD_BYTES_MOST:
                raise _FaultError("AnswerUnreadable")

    def _line(self, buffer: bytearray, at: int) -> tuple[bytes, int]:
        """The line that begins there, and where the next one does."""
        while (end := buffer.find(b"\r\n", at)) < 0:
            if len(buffer) - at > _LINE_BYTES_MOST:
                raise _FaultError("AnswerUnreadable")
            self._fill(buffer, _CHUNKED_TIMES_MOST * self._limits.answer_bytes_most)
        return bytes(buffer[at:end]), end + 2


def _parse(base_url: str) -> _Address | None:
    """What a base URL says, None if it is no such thing or says more than a base may."""
    try:
        parts = urlsplit(base_url.rstrip("/"))
        host, port = parts.hostname, parts.port
    except ValueError:
        return None
    if (
        not base_url.isprintable()  # urlsplit drops line feeds wherever they stand
        or parts.scheme not in {"http", "https"}
        or not host
        or not _HOST.fullmatch(host)
        or port == 0
        or "@" in parts.netloc
        or parts.query
        or parts.fragment
        or not (_PATH.fullmatch(parts.path) or not parts.path)
    ):
        return None
    tls = parts.scheme == "https"
    name = f"[{host}]" if ":" in host else host
    return _Address(
        tls=tls,
        host=host,
        port=port or (443 if tls else 80),
        prefix=parts.path,
        host_header=f"{name}:{port}" if port else name,
    )


def _shake_hands(connected: Any) -> None:
    import ssl  # noqa: PLC0415 - 10 ms of a cold start that an address without TLS does not need

    try:
        connected.do_handshake()
    except ssl.SSLCertVerificationError:
        raise _FaultError("CertificateError") from None
    except TimeoutError:
        raise _FaultError("HandshakeTimeout") from None
    except OSError:
        raise _FaultError("HandshakeError") from None


def _tls_context(trust: str | None) -> ssl.SSLContext:
    """A context that verifies, with its certificates loaded.

    Not ``ssl.create_default_context``, which reads the environment: other certificates to trust, and a
    file to write the keys of every connection to.
    """
    import ssl  # noqa: PLC0415 - as above

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    if trust is None:
        trust = _certificates_of_the_system()
    if Path(trust).is_dir():
        context.load_verify_locations(capath=trust)
    else:
        context.load_verify_locations(cafile=trust)
    return context


def _certificates_of_the_system() -> str:
    import ssl  # noqa: PLC0415 - as above

    file = ssl.get_default_verify_paths().openssl_cafile
    if Path(file).is_file():
        return file
    import certifi  # noqa: PLC0415 - 16 ms, for Python on a Mac and for a bare container

    return certifi.where()


def _fields(head: re.Match[bytes]) -> dict[bytes, bytes]:
    """The fields that decide how to read on, in lower case; one that comes twice is a list."""
    fields: dict[bytes, bytes] = {}
    for found, given in _FIELD.findall(head.string, 0, head.end()):
        name, value = found.lower(), given.strip(b" \t").lower()
        fields[name] = fields[name] + b"," + value if name in fields else value
    return fields


def _kept_for(head: re.Match[bytes], fields: dict[bytes, bytes]) -> float:
    """Seconds for which the connection can be used again."""
    wishes = [wish.strip(b" \t") for wish in fields.get(b"connection", b"").split(b",")]
    # HTTP/1.0 knows no chunks: whoever sends them there has passed on what he does not understand.
    if head[1] == b"0" and (b"keep-alive" not in wishes or b"transfer-encoding" in fields):
        return 0
    if b"close" in wishes:
        return 0
    told = _KEPT_FOR.search(fields.get(b"keep-alive", b""))
    # A little less than the server says, or a request could meet its goodbye.
    return min(_IDLE_MOST, 0.8 * int(told[1])) if told else _IDLE_MOST


def _decoded(content: bytes, coding: bytes, most: int) -> bytes:
    """The content without its compression, of which there is one layer at most."""
    if coding == b"identity":
        return content
    import zlib  # noqa: PLC0415 - hardly ever

    if coding in {b"gzip", b"x-gzip"}:
        window = 16 + zlib.MAX_WBITS
    elif coding == b"deflate":
        # By the book it is wrapped as zlib does it; some servers leave the wrapping out.
        wrapped = content[0] & 0x0F == zlib.DEFLATED and int.from_bytes(content[:2]) % 31 == 0
        window = zlib.MAX_WBITS if wrapped else -zlib.MAX_WBITS
    else:
        raise _FaultError("AnswerUnreadable")
    decompressor = zlib.decompressobj(window)
    try:
        decoded = decompressor.decompress(content, most + 1)
    except zlib.error:
        raise _FaultError("AnswerUnreadable") from None
    if len(decoded) > most:
        raise _FaultError("AnswerTooLarge")
    if not decompressor.eof or decompressor.unused_data:
        raise _FaultError("AnswerUnreadable")
    return decoded
