"""WeChat, written from its documentation alone: its tokens, its sends, and the log of what it accepted.

It stands where the sockets would be, so that the service's own client is part of what is tested. The log
of acceptances is the only witness of what was sent; nothing of the service writes it.
"""

from __future__ import annotations

import errno
import json
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
from random import Random
from typing import Any, Protocol
from urllib.parse import unquote

from tests.fakes.stable_token import StableTokens, TokenApp, local_day
from wechat_notify.wechat.connections import ConnectionFault, Limits

DEDUPLICATED = 600.0
RID = "66695e1c-5d4a8e9f-0b2c3d4e"
SUBSCRIPTION = "/cgi-bin/message/subscribe/bizsend"
ONE_TIME = "/cgi-bin/message/template/subscribe"
MINI_PROGRAM_TEMPLATE = "/cgi-bin/message/wxopen/template/send"
MINI_PROGRAM_SUBSCRIPTION = "/cgi-bin/message/subscribe/send"
TEMPLATE = "/cgi-bin/message/template/send"
TOKENS = "/cgi-bin/stable_token"
_REJECTIONS = (40001, 42001, 40014, 48012)
"""The codes with which a token is refused that was replaced."""
_LIMITS = Limits()


@dataclass
class App(TokenApp):
    """One app of the world's, and the calls for its token."""

    account: str = ""
    force_calls: list[float] = field(default_factory=list)
    forced_by: list[str] = field(default_factory=list)
    """The process that each forced call came from."""
    calls: int = 0
    asked_calls: int = 0
    """Those that a sender caused."""
    refused_by_fault: int = 0
    forced_in_vain: int = 0


@dataclass(frozen=True, slots=True)
class Accepted:
    """One message that WeChat took."""

    at: float
    account: str
    path: str
    marker: str
    openid: str
    body: dict[str, Any]
    answered: bool
    """Whether the answer was sent off whole: it may still find nobody at home."""
    attempt: int


@dataclass(frozen=True, slots=True)
class Window:
    """For so long all calls of an account's endpoint are answered with one errcode."""

    account: str
    path: str
    since: float
    until: float
    errcode: int


@dataclass(frozen=True, slots=True)
class Fate:
    """What happens to one attempt of one message, chance aside.

    ``errcode`` is a refusal; without one the message is judged as any other. ``lost``: the connection is
    reset before the answer. ``killed``: the sender is killed before it hears the answer. ``seconds`` is how
    long the answer takes. ``then`` follows at once.
    """

    errcode: int | None = None
    lost: bool = False
    killed: bool = False
    seconds: float = 0.1
    then: Callable[[], None] = lambda: None


class Caller(Protocol):
    """The invocation that a request comes from."""

    began: float

    @property
    def name(self) -> str:
        """Its process's."""

    @property
    def skew(self) -> float:
        """Seconds by which its clock is fast."""

    def kill_next(self) -> None:
        """Have it killed at its next request, or while this one is under way."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One call of a send endpoint and how it was answered; None where no errcode got through."""

    at: float
    account: str
    path: str
    marker: str
    errcode: int | None
    invocation_began: float
    sandbox: str
    by_its_clock: float = 0.0
    """When its sender sent it off, by the sender's own clock."""


def marker_of(body: dict[str, Any]) -> str:
    """What makes a message of the workload known again."""
    for keyword in body["data"].values():
        return str(keyword["value"])
    raise AssertionError("a message without a marker")


class FakeWeChat:
    """WeChat's server: rules without faults; those are the network's (``Wire``)."""

    def __init__(self, now: Callable[[], float], chance: Random) -> None:
        self.apps: dict[str, App] = {}
        self.accepted: list[Accepted] = []
        self.attempts: list[Attempt] = []
        self.answers: dict[str, list[int]] = defaultdict(list)
        """The errcodes that a marker's attempts were answered with, whether they arrived or not."""
        self.lost: dict[str, list[float]] = defaultdict(list)
        """When an answer about a marker was lost."""
        self.refused_openids: dict[str, int] = {}
        self.refused_markers: dict[str, int] = {}
        self.quotas: dict[tuple[str, str, str], int] = {}
        """How many messages of an account's endpoint there may be on a day."""
        self.quota_reached: dict[tuple[str, str], float] = {}
        self.windows: list[Window] = []
        self.token_windows: list[Window] = []
        self.slow_tokens: list[Window] = []
        """For so long the token endpoint takes ``errcode`` seconds to answer."""
        self.unreachable: list[Window] = []
        """For so long nothing gets through from an account."""
        self.fates: dict[str, list[Fate]] = {}
        """Of a marker's next attempts."""
        self.busy_when_forced: Counter[str] = Counter()
        """Forced refreshes of an account that are still to be answered with -1."""
        self.late_reset = 0.0
        """Seconds after midnight at which the daily quotas start again."""
        self.epoch_every = 0
        self.epochs: list[tuple[float, str, str]] = []
        self.needless: list[str] = []
        """Calls of the token endpoint while a good token was there for whoever asked."""
        self.on_accepted: Callable[[Accepted], None] = lambda _: None
        self._now = now
        self._chance = chance
        self._tokens = StableTokens[App](now, lambda app: f"TOKEN-CANARY-{app.account}-{app.issued}")
        self._in_flight: dict[tuple[str, str], float] = {}
        self._used: Counter[tuple[str, str, str]] = Counter()
        self._deduplicated: dict[tuple[str, str, str], float] = {}
        self._number = count(1)
        self._msgid = count(1864323726461255680)

    def add(self, account: str, secret: str) -> App:
        """An app for an account."""
        app = App(f"wx-{account}", secret, account=account)
        self.apps[app.app_id] = app
        return app

    def app_of(self, account: str) -> App:
        """The account's app."""
        return self.apps[f"wx-{account}"]

    def replace_token(self, app: App) -> None:
        """What another program's forced refresh does."""
        self._tokens.replace(app)

    def revoke_token(self, app: App) -> None:
        """Have every call with the token refused."""
        self._tokens.revoke(app)

    def lasts(self, token: str) -> bool:
        """Whether a token is good, and will be by any clock."""
        return self._tokens.app_with(token, for_seconds=150) is not None

    def took_lately(self, marker: str) -> bool:
        """Whether a copy of the message was accepted in the last minute."""
        for accepted in reversed(self.accepted):
            if accepted.at < self._now() - 60:
                break
            if accepted.marker == marker:
                return True
        return False

    # ------------------------------------------------------------ stable_token

    def give_token(self, request: dict[str, Any], by: str = "") -> dict[str, Any]:
        """Answer the token endpoint."""
        now = self._now()
        app = self.apps.get(request["appid"])
        if app is None:
            return _error(40013, "invalid appid")
        app.calls += 1
        force = request.get("force_refresh", False)
        if force:
            app.force_calls.append(now)
            app.forced_by.append(by)
        if request["secret"] != app.secret:
            return _error(40125, "invalid appsecret")
        for window in self.token_windows:
            if window.account == app.account and window.since <= now < window.until:
                return _error(window.errcode, "refused")
        seconds = self._tokens.give(app, force=force)
        return {"access_token": app.token, "expires_in": int(seconds)}

    # ------------------------------------------------------------ sends

    def take(
        self, path: str, token: str, body: dict[str, Any], busy_for: float, fault: int | None
    ) -> dict[str, Any]:
        """Judge one message; ``fault`` is an errcode out of the blue.

        ``busy_for`` is for how many seconds the openid's next message is refused.
        """
        now = self._now()
        app = self._tokens.app_with(token)
        if app is None:
            number = int(token.rpartition("-")[2]) if token in self._tokens.void else 0
            return _error(_REJECTIONS[number % len(_REJECTIONS)], "invalid credential, or not latest")
        person = (app.account, body["touser"])
        if self._in_flight.get(person, 0.0) > now:
            return _error(43108, "concurrent messages to one user")
        self._in_flight[person] = now + busy_for
        for window in self.windows:
            if (
                window.account == app.account
                and window.path in {path, "*"}
                and window.since <= now < window.until
            ):
                return _error(window.errcode, "refused")
        endpoint = (app.account, path)
        today = (*endpoint, local_day(now - self.late_reset))
        if today in self.quotas and self._used[today] >= self.quotas[today]:
            self.quota_reached.setdefault(endpoint, now)
            return _error(45009, "reach max api daily quota limit")
        if fault is not None:
            return _error(fault, "system error" if fault == -1 else "refused")
        marker = marker_of(body)
        refused = self.refused_openids.get(body["touser"]) or self.refused_markers.get(marker)
        if refused:
            return _error(refused, "data.thing1.value invalid" if refused == 47003 else "refused")
        if path == TEMPLATE and body.get("client_msg_id"):
            key = (app.account, body["touser"], body["client_msg_id"])
            if self._deduplicated.get(key, -DEDUPLICATED) + DEDUPLICATED > now:
                return {"errcode": 0, "errmsg": "ok", "msgid": next(self._msgid)}
            self._deduplicated[key] = now
        self._used[today] += 1
        accepted = Accepted(
            now, app.account, path, marker, body["touser"], body, answered=True, attempt=len(self.accepted)
        )
        self.accepted.append(accepted)
        self.on_accepted(accepted)
        self._count_epoch()
        return {"errcode": 0, "errmsg": "ok", "msgid": next(self._msgid)}

    def _count_epoch(self) -> None:
        if not self.epoch_every or len(self.accepted) % self.epoch_every:
            return
        # In turn: one that leaves normal mode right, and one that only a forced refresh mends.
        number = len(self.accepted) // self.epoch_every
        app = sorted(self.apps.values(), key=lambda app: app.account)[number % len(self.apps)]
        if app.token is None:
            return
        if number % 2:
            self.replace_token(app)
        else:
            self.revoke_token(app)
        self.epochs.append((self._now(), app.account, "replaced" if number % 2 else "revoked"))


def _error(errcode: int, text: str) -> dict[str, Any]:
    return {"errcode": errcode, "errmsg": f"{text} rid: {RID}"}


@dataclass(frozen=True)
class Network:
    """How often what goes wrong on the way to WeChat, as shares of the calls."""

    unreachable: float = 0.0
    timeout_before: float = 0.0
    timeout_after: float = 0.0
    reset: float = 0.0
    server_error: float = 0.0
    truncated: float = 0.0
    busy: float = 0.0
    template_refused: float = 0.0
    unknown_code: float = 0.0
    too_often: float = 0.0
    duplicate_refused: float = 0.0


class Wire:
    """The way to WeChat, with its faults: an answer's status and content, or a connection's error.

    ``exchange`` lets virtual time pass for one request and its answer, and says whether whoever asked is
    still alive.
    """

    def __init__(
        self,
        wechat: FakeWeChat,
        chance: Random,
        *,
        network: Callable[[], Network],
        exchange: Callable[..., Any],
        whose: Callable[[], Caller],
        asked: Callable[[str], tuple[bool, str | None]],
    ) -> None:
        self._wechat = wechat
        self._chance = chance
        self._network = network
        self._exchange = exchange
        self._whose = whose
        self._asked = asked

    def post(self, url: str, data: bytes) -> tuple[int, bytes]:
        """Send one request."""
        path, _mark, query = url.partition("?")
        body = json.loads(data)
        network, chance = self._network(), self._chance
        draw = chance.random()
        connect, read = _LIMITS.connect / 2, _LIMITS.read
        caller = self._whose()
        sent_at = self._wechat._now() + caller.skew

        def drawn(share: float) -> bool:
            nonlocal draw
            draw -= share
            return draw < 0

        latency = 0.03 + 0.12 * chance.random()
        account = (
            self._wechat.apps[body["appid"]].account
            if path == TOKENS
            else unquote(query).removeprefix("access_token=TOKEN-CANARY-").rpartition("-")[0]
        )
        fates = self._wechat.fates.get(marker_of(body)) if path != TOKENS else None
        fate = fates.pop(0) if fates else None
        if self._among(self._wechat.unreachable, account) or (not fate and drawn(network.unreachable)):
            self._fail_token(path, body)
            self._exchange("unreachable", path, connect, lambda: None)
            raise ConnectionFault("ConnectTimeout", may_have_arrived=False)
        if not fate and drawn(network.timeout_before):
            self._fail_token(path, body)
            self._lose(path, body, read, "timeout before")
            raise ConnectionFault("ReadTimeout", may_have_arrived=True)
        if path == TOKENS:
            app = self._wechat.apps[body["appid"]]
            asked, stored = self._asked(app.account)
            app.asked_calls += asked
            slow = self._among(self._wechat.slow_tokens, account)
            latency = float(slow.errcode) if slow else latency
            if asked and stored is not None and self._wechat.lasts(stored):
                self._wechat.needless.append(f"{app.account} at {self._wechat._now():.3f}")
            lost, busy = drawn(network.timeout_after), drawn(network.busy)
            if body["force_refresh"] and self._wechat.busy_when_forced[account]:
                self._wechat.busy_when_forced[account] -= 1
                lost, busy = False, True
            return self._token(body, caller.name, latency, lost=lost, busy=busy)
        token = unquote(query.removeprefix("access_token="))
        marker = marker_of(body)

        def judge(fault: int | None = None, *, lost: bool = False) -> dict[str, Any]:
            answer = self._wechat.take(path, token, body, latency * 0.4, fault)
            app = token.removeprefix("TOKEN-CANARY-").rpartition("-")[0]
            self._wechat.answers[marker].append(answer["errcode"])
            if lost:
                self._wechat.lost[marker].append(self._wechat._now())
            self._wechat.attempts.append(
                Attempt(
                    self._wechat._now(),
                    app,
                    path,
                    marker,
                    None if lost else answer["errcode"],
                    caller.began,
                    caller.name,
                    sent_at,
                )
            )
            return answer

        if fate:
            return self._by_fate(fate, caller, marker, judge)

        if drawn(network.timeout_after):
            self._exchange("timeout after", marker, read, lambda: judge(lost=True), early=True)
            raise ConnectionFault("ReadTimeout", may_have_arrived=True)
        if drawn(network.reset):
            if chance.random() < 0.5:
                self._exchange("reset after", marker, latency, lambda: judge(lost=True))
            else:
                self._lose(path, body, latency, "reset before")
            raise ConnectionResetError(errno.ECONNRESET, "Connection reset by peer")
        if drawn(network.server_error):
            if chance.random() < 0.5:
                self._exchange("502 after", marker, latency, lambda: judge(lost=True))
            else:
                self._lose(path, body, latency, "502 before")
            return (502, b"<html>Bad Gateway</html>")
        if drawn(network.truncated):
            answer = self._exchange("truncated", marker, latency, lambda: judge(lost=True))
            return (200, json.dumps(answer).encode()[:-9])
        fault = None
        for share, errcode in (
            (network.busy, -1),
            (network.template_refused, 40037),
            (network.unknown_code, 99_999),
            (network.too_often, 43117),
        ):
            if drawn(share):
                fault = errcode
                break
        maybe_double = fault is None and marker in self._wechat.lost
        if maybe_double and self._wechat.took_lately(marker) and chance.random() < network.duplicate_refused:
            fault = 40241
        answer = self._exchange("send", marker, latency, lambda: judge(fault))
        return (200, json.dumps(answer, ensure_ascii=False).encode())

    def _among(self, windows: list[Window], account: str) -> Window | None:
        now = self._wechat._now()
        for window in windows:
            if window.account == account and window.since <= now < window.until:
                return window
        return None

    def _by_fate(
        self, fate: Fate, caller: Caller, marker: str, judge: Callable[..., dict[str, Any]]
    ) -> tuple[int, bytes]:
        def happen() -> dict[str, Any]:
            answer = judge(fate.errcode, lost=fate.lost)
            if fate.killed:
                caller.kill_next()
            fate.then()
            return answer

        answer = self._exchange("fate", marker, fate.seconds, happen, early=True)
        if fate.lost:
            raise ConnectionResetError(errno.ECONNRESET, "Connection reset by peer")
        return (200, json.dumps(answer, ensure_ascii=False).encode())

    def _fail_token(self, path: str, request: dict[str, Any]) -> None:
        if path == TOKENS:
            app = self._wechat.apps[request["appid"]]
            app.refused_by_fault += 1
            app.forced_in_vain += request["force_refresh"]

    def _lose(self, path: str, body: dict[str, Any], seconds: float, what: str) -> None:
        """What never reached WeChat, as whoever asked cannot know."""
        marker = marker_of(body) if path != TOKENS else path

        def note() -> None:
            self._wechat.lost[marker].append(self._wechat._now())

        self._exchange(what, marker, seconds, note, early=True)

    def _token(
        self, request: dict[str, Any], by: str, latency: float, *, lost: bool, busy: bool
    ) -> tuple[int, bytes]:
        if lost or busy:
            self._fail_token(TOKENS, request)
        if lost:
            self._exchange(
                "token lost",
                request["appid"],
                _LIMITS.read,
                lambda: self._wechat.give_token(request, by),
            )
            raise ConnectionFault("ReadTimeout", may_have_arrived=True)
        if busy:
            app = self._wechat.apps[request["appid"]]
            if request["force_refresh"]:
                app.force_calls.append(self._wechat._now())
                app.forced_by.append(by)
            self._exchange("token busy", request["appid"], latency, lambda: None)
            return (200, json.dumps(_error(-1, "system error")).encode())
        answer = self._exchange(
            "token", request["appid"], latency, lambda: self._wechat.give_token(request, by)
        )
        return (200, json.dumps(answer).encode())
