"""WeChat, written from its documentation alone: its tokens, its sends, and the log of what it accepted.

It stands where the sockets would be, so that the service's own client is part of what is tested. The log
of acceptances is the only witness of what was sent; nothing of the service writes it.
"""

from __future__ import annotations

import errno
import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
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
    msgid: int


@dataclass(frozen=True, slots=True)
class Window:
    """For so long all calls of an account's endpoint are answered with one errcode."""

    account: str
    path: str
    since: float
    until: float
    errcode: int

    def covers(self, account: str, at: float, path: str = "*") -> bool:
        """Whether it is about this call."""
        return account == self.account and self.path in {path, "*"} and self.since <= at < self.until


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


Drawn = Callable[[float], bool]
"""Whether a fault with this share happens."""
Judge = Callable[..., dict[str, Any]]


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
    (keyword,) = body["data"].values()
    return str(keyword["value"])


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
        self._now = now
        self._chance = chance
        self._tokens = StableTokens[App](now, lambda app: f"TOKEN-CANARY-{app.account}-{app.issued}")
        self._in_flight: dict[tuple[str, str], float] = {}
        self._used: Counter[tuple[str, str, str]] = Counter()
        self._deduplicated: dict[tuple[str, str, str], tuple[float, int]] = {}
        self._number = count(1)
        self._msgids: dict[str, Iterator[int]] = defaultdict(lambda: count(1864323726461255680))
        """Of each account: two accounts may have the same ones."""
        self.on_accepted: Callable[[Accepted], None] = lambda _: None
        """Is told each message that was taken."""
        self.lets_out: Callable[[str, str, dict[str, Any]], bool] = lambda *_: True
        """Takes an account, a path and a message; False where its receiver has not consented."""

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

    def covering(self, windows: list[Window], account: str, path: str = "*") -> Window | None:
        """The first of the windows that is about a call at this moment."""
        return next((each for each in windows if each.covers(account, self._now(), path)), None)

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
        app = self.apps[request["appid"]]
        force = request.get("force_refresh", False)
        if force:
            app.force_calls.append(now)
            app.forced_by.append(by)
        if request["secret"] != app.secret:
            return _error(40125, "invalid appsecret")
        if refused := self.covering(self.token_windows, app.account):
            return _error(refused.errcode, "refused")
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
        if window := self.covering(self.windows, app.account, path):
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
        if not self.lets_out(app.account, path, body):
            return _error(43101, "user refuse to accept the msg")
        msgid = next(self._msgids[app.account])
        if path == TEMPLATE and body.get("client_msg_id"):
            key = (app.account, body["touser"], body["client_msg_id"])
            taken_at, taken_as = self._deduplicated.get(key, (-DEDUPLICATED, 0))
            if taken_at + DEDUPLICATED > now:
                return {"errcode": 0, "errmsg": "ok", "msgid": taken_as}
            self._deduplicated[key] = now, msgid
        self._used[today] += 1
        accepted = Accepted(now, app.account, path, marker, body["touser"], body, msgid)
        self.accepted.append(accepted)
        self.on_accepted(accepted)
        self._count_epoch()
        return {"errcode": 0, "errmsg": "ok", "msgid": msgid}

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
        body, wechat, network = json.loads(data), self._wechat, self._network()
        token = unquote(query).removeprefix("access_token=")
        for_token = path == TOKENS
        account = token.removeprefix("TOKEN-CANARY-").rpartition("-")[0]
        app = wechat.apps[body["appid"]] if for_token else wechat.app_of(account)
        subject = path if for_token else marker_of(body)
        drawn = self._draw()
        latency = 0.03 + 0.12 * self._chance.random()
        fates = wechat.fates.get(subject)
        fate = fates.pop(0) if fates else None
        if wechat.covering(wechat.unreachable, app.account) or (not fate and drawn(network.unreachable)):
            _note_in_vain(app, body)
            self._exchange("unreachable", path, _LIMITS.connect / 2, lambda: None)
            raise ConnectionFault("ConnectTimeout", may_have_arrived=False)
        if not fate and drawn(network.timeout_before):
            _note_in_vain(app, body)
            self._lose(subject, _LIMITS.read, "timeout before")
            raise ConnectionFault("ReadTimeout", may_have_arrived=True)
        if for_token:
            return self._token(app, body, latency, drawn)
        judge = self._judge(app, path, token, body, latency)
        return self._by_fate(fate, subject, judge) if fate else self._send(subject, judge, latency, drawn)

    def _draw(self) -> Drawn:
        """Decide by one draw which of several faults there is, each of which has its share."""
        draw = self._chance.random()

        def drawn(share: float) -> bool:
            nonlocal draw
            draw -= share
            return draw < 0

        return drawn

    def _judge(self, app: App, path: str, token: str, body: dict[str, Any], latency: float) -> Judge:
        """What WeChat does with a message once it arrives; ``lost`` is about its answer."""
        wechat, marker, caller = self._wechat, marker_of(body), self._whose()
        sent_at = wechat._now() + caller.skew

        def judge(fault: int | None = None, *, lost: bool = False) -> dict[str, Any]:
            answer = wechat.take(path, token, body, latency * 0.4, fault)
            now, errcode = wechat._now(), answer["errcode"]
            wechat.answers[marker].append(errcode)
            if lost:
                wechat.lost[marker].append(now)
            told = None if lost else errcode
            wechat.attempts.append(
                Attempt(now, app.account, path, marker, told, caller.began, caller.name, sent_at)
            )
            return answer

        return judge

    def _send(self, marker: str, judge: Judge, latency: float, drawn: Drawn) -> tuple[int, bytes]:
        network, chance = self._network(), self._chance
        unheard = partial(judge, lost=True)
        if drawn(network.timeout_after):
            self._exchange("timeout after", marker, _LIMITS.read, unheard, early=True)
            raise ConnectionFault("ReadTimeout", may_have_arrived=True)
        for share, what in ((network.reset, "reset"), (network.server_error, "502")):
            if not drawn(share):
                continue
            if chance.random() < 0.5:
                self._exchange(f"{what} after", marker, latency, unheard)
            else:
                self._lose(marker, latency, f"{what} before")
            if what == "reset":
                raise _reset()
            return (502, b"<html>Bad Gateway</html>")
        if drawn(network.truncated):
            answer = self._exchange("truncated", marker, latency, unheard)
            return (200, json.dumps(answer).encode()[:-9])
        faults = (
            (network.busy, -1),
            (network.template_refused, 40037),
            (network.unknown_code, 99_999),
            (network.too_often, 43117),
        )
        fault = next((errcode for share, errcode in faults if drawn(share)), None)
        maybe_double = fault is None and marker in self._wechat.lost
        if maybe_double and self._wechat.took_lately(marker) and chance.random() < network.duplicate_refused:
            fault = 40241
        return _answered(self._exchange("send", marker, latency, lambda: judge(fault)))

    def _by_fate(self, fate: Fate, marker: str, judge: Judge) -> tuple[int, bytes]:
        caller = self._whose()

        def happen() -> dict[str, Any]:
            answer = judge(fate.errcode, lost=fate.lost)
            if fate.killed:
                caller.kill_next()
            fate.then()
            return answer

        answer = self._exchange("fate", marker, fate.seconds, happen, early=True)
        if fate.lost:
            raise _reset()
        return _answered(answer)

    def _lose(self, subject: str, seconds: float, what: str) -> None:
        """What never reached WeChat, as whoever asked cannot know."""

        def note() -> None:
            self._wechat.lost[subject].append(self._wechat._now())

        self._exchange(what, subject, seconds, note, early=True)

    def _token(self, app: App, request: dict[str, Any], latency: float, drawn: Drawn) -> tuple[int, bytes]:
        wechat, network, by = self._wechat, self._network(), self._whose().name
        asked, stored = self._asked(app.account)
        app.asked_calls += asked
        if slow := wechat.covering(wechat.slow_tokens, app.account):
            latency = float(slow.errcode)
        if asked and stored is not None and wechat.lasts(stored):
            wechat.needless.append(f"{app.account} at {wechat._now():.3f}")
        lost, busy = drawn(network.timeout_after), drawn(network.busy)
        if request["force_refresh"] and wechat.busy_when_forced[app.account]:
            wechat.busy_when_forced[app.account] -= 1
            lost, busy = False, True
        if lost or busy:
            _note_in_vain(app, request)
        give = partial(wechat.give_token, request, by)
        if lost:
            self._exchange("token lost", app.app_id, _LIMITS.read, give)
            raise ConnectionFault("ReadTimeout", may_have_arrived=True)
        if busy:
            if request["force_refresh"]:
                app.force_calls.append(wechat._now())
                app.forced_by.append(by)
            self._exchange("token busy", app.app_id, latency, lambda: None)
            return _answered(_error(-1, "system error"))
        return _answered(self._exchange("token", app.app_id, latency, give))


def _note_in_vain(app: App, request: dict[str, Any]) -> None:
    """Note a call of the token endpoint that comes to nothing; a message is another matter."""
    if "force_refresh" in request:
        app.refused_by_fault += 1
        app.forced_in_vain += request["force_refresh"]


def _reset() -> ConnectionResetError:
    return ConnectionResetError(errno.ECONNRESET, "Connection reset by peer")


def _answered(answer: dict[str, Any]) -> tuple[int, bytes]:
    return (200, json.dumps(answer, ensure_ascii=False).encode())
