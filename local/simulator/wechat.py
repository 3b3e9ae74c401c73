"""WeChat as a state machine: calls go in, answers come out, and the clock is handed in.

Nothing here knows of sockets; ``server`` carries calls in and answers out.
"""

import json
import random
import re
import threading
import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network
from math import ceil
from typing import Any

from local.simulator import components, errcodes, faults, messages, template_lists
from local.simulator.components import Components
from local.simulator.errcodes import Refusal
from local.simulator.faults import Fault, Faults
from local.simulator.journal import Arrival, Journal
from local.simulator.messages import ENDPOINTS, Endpoint, Template
from local.simulator.receipts import WITH_RECEIPTS, Callback, Push, PushRequest, Receipt, push_of
from local.simulator.tokens import Token, Tokens, beijing_day

STABLE_TOKEN = "/cgi-bin/stable_token"  # nosec B105 # a name, not a secret
TOKEN = "/cgi-bin/token"  # nosec B105 # a name, not a secret
QUOTA = "/cgi-bin/openapi/quota/get"
PATHS = (*ENDPOINTS, *template_lists.PATHS, *components.PATHS, STABLE_TOKEN, TOKEN, QUOTA)

_OPENID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_DEDUPLICATED = 600  # seconds in which client_msg_id holds a repeat back
_FORM_ID_LIFE = 7 * 86_400
_PREPAY_ID = re.compile(r"wx[0-9]{14}|prepay")
_PREPAY_USES = 3
_REMEMBERED = 200_000  # form ids and client_msg_ids
_FIRST_MSGID = 3_000_000_000_000_000_000  # as large as WeChat's own, far beyond what a double holds


@dataclass(frozen=True, slots=True)
class Call:
    """A request, as far as WeChat looks at it."""

    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    client_ip: str = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Answer:
    """WeChat's answer, and the fault that it is to suffer on its way."""

    payload: Mapping[str, Any]
    status: int = 200
    fault: Fault | None = None


@dataclass(frozen=True, slots=True)
class App:
    """An account.

    Attributes
    ----------
    ip_whitelist
        Addresses and networks that may call the token endpoints; empty means all.
    retired
        The code that ``wxopen/template/send`` answers, ``None`` while it still works.
    pages, openids
        Those that exist; empty means that they are not checked.
    without
        The paths of the lists of templates and of the endpoints that an account of its kind does not have.
    """

    app_id: str
    secret: str
    secret_frozen: bool = False
    account_frozen: bool = False
    ip_whitelist: tuple[str, ...] = ()
    retired: int | None = None
    pages: frozenset[str] = frozenset()
    openids: frozenset[str] = frozenset()
    without: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits of one app at one endpoint, ``None`` where there is none."""

    daily: int | None = None
    per_minute: int | None = None
    openid_per_minute: int | None = None


@dataclass(slots=True)
class Settings:
    """What can be set for all apps; both are seconds."""

    latency: float = 0.0
    fault_seconds: float = 30.0


@dataclass(slots=True)
class FormId:
    """A form id: one message, or three when it is the prepay_id of a payment, to one user, for 7 days."""

    left: int
    openid: str | None = None
    expires_at: float = float("inf")


@dataclass(frozen=True, slots=True)
class _Message:
    endpoint: Endpoint
    app: App
    touser: str
    body: Mapping[str, Any]
    fault: Fault | None


# Token endpoints have limits of their own; what WeChat publishes for sends stands at each endpoint.
_DEFAULT_LIMITS = {
    STABLE_TOKEN: Limits(daily=500_000, per_minute=10_000),
    TOKEN: Limits(daily=2_000),
    **{path: Limits(daily=endpoint.daily) for path, endpoint in ENDPOINTS.items()},
    **dict.fromkeys((*template_lists.PATHS, *components.PATHS, QUOTA), Limits()),
}


class WeChat:
    """api.weixin.qq.com.

    Parameters
    ----------
    apps
        Secrets by app id.
    clock
        Epoch seconds.
    wait
        Spends the configured latency. No lock is held meanwhile.
    rng
        Where tokens, rids, msgids and the chances of faults come from.
    push
        Takes the receipts of accepted messages. No lock is held meanwhile.
    notify
        Takes the events of third-party platforms.
    """

    def __init__(
        self,
        apps: Mapping[str, str] | None = None,
        *,
        clock: Callable[[], float] = time.time,
        wait: Callable[[float], object] = time.sleep,
        rng: random.Random | None = None,
        push: Callable[[Push], object] = lambda _: None,
        notify: Callable[[PushRequest], object] = lambda _: None,
    ) -> None:
        self.lock = threading.RLock()
        self.push = push
        self.notify = notify
        self._first_apps = dict(apps or {})
        self._clock = clock
        self._wait = wait
        self._rng = rng if rng is not None else random.Random()  # noqa: S311 # nosec B311 # nothing here is secret
        self._msgid = _FIRST_MSGID + self._rng.randrange(10**17)
        self.reset()

    def reset(self) -> None:
        """Go back to the start: the first apps, and nothing that happened since."""
        with self.lock:
            self.apps = {app_id: App(app_id, secret) for app_id, secret in self._first_apps.items()}
            self.tokens = Tokens(self._clock, self._rng)
            self.faults = Faults(self._rng)
            self.journal = Journal()
            self.settings = Settings()
            self.templates: dict[str, dict[str, Template]] = {}
            self.consents: dict[tuple[str, str, str, str | None], int] = {}
            self.limits: dict[tuple[str, str], Limits] = {}
            self.form_ids: OrderedDict[tuple[str, str], FormId] = OrderedDict()
            self.form_ids_registered: set[str] = set()
            self.token_calls: Counter[tuple[str, str]] = Counter()
            self.callbacks: dict[str, Callback] = {}
            self.components = Components(self._clock, self._rng, self.tokens, self.notify)
            self.unknown_calls = 0
            self._sent_ids: OrderedDict[tuple[str, str, str], tuple[float, int]] = OrderedDict()
            self._in_progress: set[tuple[str, str]] = set()
            self._today: tuple[int, Counter[tuple[str, str]]] = (0, Counter())
            self._this_minute: tuple[int, Counter[tuple[str, ...]]] = (0, Counter())

    @property
    def now(self) -> float:
        """The time of the simulated WeChat."""
        return self._clock()

    def handle(self, call: Call) -> Answer:
        """Answer a call to the API."""
        if call.path not in PATHS:
            with self.lock:
                self.unknown_calls += 1
                return Answer(self._refused(Refusal(errcodes.NOT_FOUND)), status=404)
        with self.lock:
            fault = self.faults.strike(call.path)
        if call.path in ENDPOINTS:
            return self._send(call, fault)
        if call.path in template_lists.PATHS:
            return self._answer(call, fault, "GET", self._templates)
        if call.path in components.PATHS:
            return self._component(call, fault)
        if call.path == QUOTA:
            return self._answer(call, fault, "POST", self._quota)
        return self._token(call, fault)

    def _refused(self, refusal: Refusal) -> dict[str, Any]:
        # The first part of a rid is the time in hex, as in 66695e1c-xxxxxxxx-xxxxxxxx.
        rid = f"{int(self.now):08x}-{self._rng.getrandbits(32):08x}-{self._rng.getrandbits(32):08x}"
        return {"errcode": refusal.errcode, "errmsg": f"{refusal.errmsg} rid: {rid}"}

    def _faulty(self, fault: Fault) -> dict[str, Any]:
        """The answer under a fault that struck before WeChat looked at the call."""
        return self._refused(Refusal(fault.errcode, fault.errmsg))

    # Tokens

    def _token(self, call: Call, fault: Fault | None) -> Answer:
        if fault is not None and fault.when == "before":
            with self.lock:
                return Answer(self._faulty(fault), fault=fault)
        self._spend_latency()
        with self.lock:
            try:
                token = self._stable_token(call) if call.path == STABLE_TOKEN else self._plain_token(call)
            except Refusal as refusal:
                payload = self._refused(refusal)
            else:
                payload = {"access_token": token.value, "expires_in": ceil(token.remaining(self.now))}
            if fault is not None and fault.effect == "errcode":
                payload = self._faulty(fault)
            return Answer(payload, fault=fault)

    def _stable_token(self, call: Call) -> Token:
        if call.method != "POST":
            raise Refusal(errcodes.REQUIRE_POST)
        try:
            body = messages.parse_object(call.body)
        except Refusal:
            # Everything that is not a JSON body counts as "not a POST" here.
            raise Refusal(errcodes.REQUIRE_POST) from None
        force = body.get("force_refresh", False)
        if messages.is_empty(force):
            force = False
        if not isinstance(force, bool):
            raise Refusal(errcodes.DATA_FORMAT_ERROR)
        app = self._credentials(body, call, wrong_secret=errcodes.INVALID_APPSECRET)
        token = self.tokens.stable(app.app_id, force=force)
        self.token_calls[app.app_id, "forced" if force else "normal"] += 1
        return token

    def _plain_token(self, call: Call) -> Token:
        if call.method != "GET":
            raise Refusal(errcodes.REQUIRE_GET)
        app = self._credentials(call.query, call, wrong_secret=errcodes.INVALID_CREDENTIAL)
        self.token_calls[app.app_id, "plain"] += 1
        return self.tokens.plain(app.app_id)

    def _credentials(self, given: Mapping[str, Any], call: Call, *, wrong_secret: int) -> App:
        if given.get("grant_type") != "client_credential":
            raise Refusal(errcodes.INVALID_GRANT_TYPE)
        app_id, secret = given.get("appid"), given.get("secret")
        if not app_id:
            raise Refusal(errcodes.APPID_MISSING)
        app = self.apps.get(app_id) if isinstance(app_id, str) else None
        if app is None:
            raise Refusal(errcodes.INVALID_APPID)
        try:
            if not secret:
                raise Refusal(errcodes.APPSECRET_MISSING)  # noqa: TRY301 - counted below like the rest
            self._check_standing(app, secret, call, wrong_secret)
            self._count_call(app, call.path)
        except Refusal:
            self.token_calls[app.app_id, "refused"] += 1
            raise
        return app

    def _check_standing(self, app: App, secret: object, call: Call, wrong_secret: int) -> None:
        if secret != app.secret:
            raise Refusal(wrong_secret)
        if app.secret_frozen:
            raise Refusal(errcodes.APPSECRET_FROZEN)
        if app.account_frozen:
            raise Refusal(errcodes.ACCOUNT_FROZEN)
        if app.ip_whitelist and not _whitelisted(call.client_ip, app.ip_whitelist):
            raise Refusal(errcodes.IP_NOT_IN_WHITELIST, f"invalid ip {call.client_ip}, not in whitelist")

    # Questions about an account

    def _answer(
        self, call: Call, fault: Fault | None, method: str, answer: Callable[[App, Call], dict[str, Any]]
    ) -> Answer:
        if fault is not None and fault.when == "before":
            with self.lock:
                return Answer(self._faulty(fault), fault=fault)
        self._spend_latency()
        with self.lock:
            try:
                if call.method != method:
                    wrong = errcodes.REQUIRE_GET if method == "GET" else errcodes.REQUIRE_POST
                    raise Refusal(wrong)  # noqa: TRY301 - answered below like the rest
                app = self._caller(call)
                self._count_call(app, call.path)
                payload = answer(app, call)
            except Refusal as refusal:
                payload = self._refused(refusal)
            if fault is not None and fault.effect == "errcode":
                payload = self._faulty(fault)
            return Answer(payload, fault=fault)

    def _component(self, call: Call, fault: Fault | None) -> Answer:
        if fault is not None and fault.when == "before":
            with self.lock:
                return Answer(self._faulty(fault), fault=fault)
        self._spend_latency()
        with self.lock:
            try:
                if call.method != "POST":
                    raise Refusal(errcodes.REQUIRE_POST)  # noqa: TRY301 - answered below like the rest
                body = messages.parse_object(call.body)
                payload = self.components.answer(call.path, call.query, body, call.client_ip)
            except Refusal as refusal:
                payload = self._refused(refusal)
            if fault is not None and fault.effect == "errcode":
                payload = self._faulty(fault)
            return Answer(payload, fault=fault)

    def _templates(self, app: App, call: Call) -> dict[str, Any]:
        if call.path in app.without:
            raise Refusal(template_lists.PATHS[call.path])
        return template_lists.listed(call.path, self.templates_of(app.app_id).values())

    def _quota(self, app: App, call: Call) -> dict[str, Any]:
        """The quota of an endpoint, without its limit per openid, which WeChat does not tell."""
        try:
            path = json.loads(call.body)["cgi_path"]
        except (ValueError, KeyError, TypeError):
            raise Refusal(errcodes.CGI_PATH_NOT_FOUND) from None
        if path not in PATHS:
            raise Refusal(errcodes.CGI_PATH_NOT_FOUND)
        if path in app.without:
            raise Refusal(errcodes.CGI_PATH_NO_PERMISSION)
        limits = self.limits_of(app.app_id, path)
        is_today = self._today[0] == beijing_day(self.now)
        used = self._today[1][app.app_id, path] if is_today else 0
        daily = limits.daily or 0
        quota = {"daily_limit": daily, "used": used, "remain": max(0, daily - used)}
        told: dict[str, Any] = {"errcode": errcodes.OK, "errmsg": "ok", "quota": quota}
        if limits.per_minute:
            told["rate_limit"] = {"call_count": limits.per_minute, "refresh_second": 60}
        return told

    # Sends

    def _send(self, call: Call, fault: Fault | None) -> Answer:
        with self.lock:
            arrival = Arrival(
                self.now,
                call.path,
                call.body.decode(errors="replace"),
                app_id=self.tokens.last_owner(call.query.get("access_token", "")),
            )
            if fault is not None and fault.when == "before":
                return self._strike(arrival, fault)
            try:
                message = self._identify(ENDPOINTS[call.path], call, arrival)
                if message.fault is not None and message.fault.when == "before":
                    return self._strike(arrival, message.fault)
                self._begin(message)
            except Refusal as refusal:
                return self._finish(arrival, fault, refusal=refusal)
        self._spend_latency()
        with self.lock:
            self._in_progress.discard((message.app.app_id, message.touser))
            try:
                msgid = self._accept(message, arrival)
            except Refusal as refusal:
                return self._finish(arrival, fault or message.fault, refusal=refusal)
            answer = self._finish(arrival, fault or message.fault, msgid=msgid)
            push = self._receipt(message, arrival)
        if push is not None:
            self.push(push)
        return answer

    def _receipt(self, message: _Message, arrival: Arrival) -> Push | None:
        callback = self.callbacks.get(message.app.app_id)
        if callback is None or arrival.outcome != "accepted" or arrival.path not in WITH_RECEIPTS:
            return None
        assert arrival.msgid is not None  # noqa: S101 # nosec B101 # these endpoints have one
        receipt = Receipt(
            message.app.app_id,
            message.touser,
            arrival.path,
            str(message.body["template_id"]),
            arrival.msgid,
        )
        return push_of(callback, receipt)

    def _spend_latency(self) -> None:
        if self.settings.latency:
            self._wait(self.settings.latency)

    def _strike(self, arrival: Arrival, fault: Fault) -> Answer:
        payload = self._faulty(fault)
        arrival.fault = fault.label
        arrival.outcome = "unanswered"
        if fault.effect == "errcode":
            arrival.outcome, arrival.errcode, arrival.errmsg = "refused", fault.errcode, payload["errmsg"]
        self.journal.add(arrival)
        return Answer(payload, fault=fault)

    def _finish(
        self,
        arrival: Arrival,
        fault: Fault | None,
        *,
        refusal: Refusal | None = None,
        msgid: int | None = None,
    ) -> Answer:
        payload: dict[str, Any] = {"errcode": errcodes.OK, "errmsg": "ok"}
        if refusal is not None:
            payload = self._refused(refusal)
        elif msgid is not None:
            payload["msgid"] = msgid
        arrival.errcode, arrival.errmsg, arrival.msgid = payload["errcode"], payload["errmsg"], msgid
        if fault is not None:
            arrival.fault = fault.label
            if fault.effect == "errcode":
                payload = self._faulty(fault)
        self.journal.add(arrival)
        return Answer(payload, fault=fault)

    def _identify(self, endpoint: Endpoint, call: Call, arrival: Arrival) -> _Message:
        """Whose message it is and for whom, as far as the call is well-formed at all."""
        if call.method != "POST":
            raise Refusal(errcodes.REQUIRE_POST)
        app = self._caller(call)
        if endpoint.path in app.without:
            raise Refusal(errcodes.API_UNAUTHORIZED)
        if endpoint.path == messages.WXOPEN_TEMPLATE_SEND and app.retired is not None:
            raise Refusal(app.retired)
        self._count_call(app, call.path)
        body = messages.without_empty(endpoint, messages.parse_object(call.body))
        messages.check_names(endpoint, body, arrival.problems)
        touser = body.get("touser")
        if not isinstance(touser, str) or not _OPENID.fullmatch(touser):
            raise Refusal(errcodes.INVALID_OPENID)
        wanted = re.fullmatch(r"errcode-(-?[0-9]{1,6})", touser)
        if wanted and int(wanted[1]) != errcodes.OK:
            raise Refusal(int(wanted[1]))
        fault = faults.named(touser, self.settings.fault_seconds)
        if fault is None and app.openids and touser not in app.openids:
            raise Refusal(errcodes.INVALID_OPENID)
        return _Message(endpoint, app, touser, body, fault)

    def _caller(self, call: Call) -> App:
        """The app whose access token a call carries."""
        value = call.query.get("access_token")
        if not value:
            raise Refusal(errcodes.ACCESS_TOKEN_MISSING)
        app = self.apps.get(self.tokens.owner(value))
        if app is None:
            raise Refusal(errcodes.INVALID_CREDENTIAL)
        if app.account_frozen:
            raise Refusal(errcodes.ACCOUNT_FROZEN)
        return app

    def _begin(self, message: _Message) -> None:
        key = (message.app.app_id, message.touser)
        if key in self._in_progress:
            raise Refusal(errcodes.CONCURRENT_SEND_SAME_USER)
        self._in_progress.add(key)

    def _accept(self, message: _Message, arrival: Arrival) -> int | None:
        """Check the rest and let the message go out; returns its msgid where the endpoint has one."""
        body, endpoint = message.body, message.endpoint
        template_id, template = self._template(message)
        messages.check_body(endpoint, body, template, message.app.pages, arrival.problems)
        client_msg_id = self._client_msg_id(message)
        if client_msg_id is not None and client_msg_id in self._sent_ids:
            arrival.outcome = "duplicate"
            return self._sent_ids[client_msg_id][1]
        form_id = self._form_id(message) if endpoint.path == messages.WXOPEN_TEMPLATE_SEND else None
        consent = self._consent(message, template_id)
        self._count_openid(message)
        # Nothing refuses it any more, so that a refused call leaves consents and form ids as they were.
        if consent is not None and endpoint.consent == "credit":
            self.consents[consent] -= 1
        if form_id is not None:
            form_id.left -= 1
            form_id.openid = message.touser
        arrival.outcome = "accepted"
        self._msgid += self._rng.randrange(1, 10**9)
        if client_msg_id is not None:
            self._sent_ids[client_msg_id] = (self.now, self._msgid)
        return self._msgid if endpoint.msgid else None

    def _template(self, message: _Message) -> tuple[str, Template | None]:
        template_id = message.body.get("template_id")
        if not isinstance(template_id, str):
            raise Refusal(errcodes.INVALID_TEMPLATE_ID_SIZE)  # in practice the key is missing or misspelled
        app_id = message.app.app_id
        # Without templates of its own an app takes any id, and checks the samples that it lists.
        if not template_id or (self.templates.get(app_id) and template_id not in self.templates_of(app_id)):
            raise Refusal(errcodes.INVALID_TEMPLATE_ID)
        template = self.templates_of(app_id).get(template_id)
        if template is not None and not template.fits(message.endpoint.path):
            raise Refusal(errcodes.INVALID_TEMPLATE_ID)
        return template_id, template

    def templates_of(self, app_id: str) -> Mapping[str, Template]:
        """The templates of an app by their ids: those that were registered, without any the samples."""
        return self.templates.get(app_id) or template_lists.SAMPLES

    def _client_msg_id(self, message: _Message) -> tuple[str, str, str] | None:
        """The key under which a repeat is held back; only ``template/send`` documents that."""
        value = message.body.get("client_msg_id")
        if message.endpoint.path != messages.TEMPLATE_SEND or not isinstance(value, str):
            return None
        while self._sent_ids:
            oldest, (at, _) = next(iter(self._sent_ids.items()))
            if self.now - at < _DEDUPLICATED and len(self._sent_ids) < _REMEMBERED:
                break
            del self._sent_ids[oldest]
        return (message.app.app_id, message.touser, value)

    def _form_id(self, message: _Message) -> FormId:
        value = message.body.get("form_id")
        # The developer tools hand out mock ids, which never work.
        if not isinstance(value, str) or not value or "mock" in value:
            raise Refusal(errcodes.INVALID_FORM_ID)
        key = (message.app.app_id, value)
        form_id = self.form_ids.get(key)
        if form_id is None:
            if message.app.app_id in self.form_ids_registered:
                raise Refusal(errcodes.INVALID_FORM_ID)
            form_id = self.register_form_id(message.app.app_id, value)
        if form_id.left <= 0:
            raise Refusal(errcodes.FORM_ID_USED)
        if self.now >= form_id.expires_at or form_id.openid not in (None, message.touser):
            raise Refusal(errcodes.INVALID_FORM_ID)
        return form_id

    def register_form_id(self, app_id: str, value: str, openid: str | None = None, age: float = 0) -> FormId:
        """Remember a form id that a user's form or payment gave ``age`` seconds ago."""
        uses = _PREPAY_USES if _PREPAY_ID.match(value) else 1
        form_id = self.form_ids[app_id, value] = FormId(uses, openid, self.now - age + _FORM_ID_LIFE)
        while len(self.form_ids) > _REMEMBERED:
            self.form_ids.popitem(last=False)
        return form_id

    def _consent(self, message: _Message, template_id: str) -> tuple[str, str, str, str | None] | None:
        """The consent that a message needs, ``None`` where nothing is known of it and it goes unchecked."""
        if message.endpoint.consent is None:
            return None
        # Consent to a one-time message belongs to the scene in which it was given.
        scenes = (str(message.body.get("scene")), None) if "scene" in message.body else (None,)
        for scene in scenes:
            key = (message.app.app_id, message.touser, template_id, scene)
            credits_left = self.consents.get(key)
            if credits_left is not None:
                if credits_left <= 0:
                    raise Refusal(errcodes.NOT_SUBSCRIBED)
                return key
        return None

    # Limits

    def limits_of(self, app_id: str, path: str) -> Limits:
        """The limits of an app at an endpoint."""
        return self.limits.get((app_id, path), _DEFAULT_LIMITS[path])

    def _count_call(self, app: App, path: str) -> None:
        """Count a call that named its account, and refuse it when that is one too many."""
        limits = self.limits_of(app.app_id, path)
        day = beijing_day(self.now)
        if self._today[0] != day:
            self._today = (day, Counter())
        minute = self._minute()
        key = (app.app_id, path)
        if limits.daily is not None and self._today[1][key] >= limits.daily:
            raise Refusal(errcodes.DAILY_QUOTA_REACHED)
        if limits.per_minute is not None and minute[key] >= limits.per_minute:
            raise Refusal(errcodes.MINUTE_QUOTA_REACHED)
        self._today[1][key] += 1
        minute[key] += 1

    def _count_openid(self, message: _Message) -> None:
        limit = self.limits_of(message.app.app_id, message.endpoint.path).openid_per_minute
        if limit is None:
            return
        key = (message.app.app_id, message.endpoint.path, message.touser)
        minute = self._minute()
        if minute[key] >= limit:
            raise Refusal(errcodes.OPENID_TOO_FREQUENT)
        minute[key] += 1

    def _minute(self) -> Counter[tuple[str, ...]]:
        minute = int(self.now // 60)
        if self._this_minute[0] != minute:
            self._this_minute = (minute, Counter())
        return self._this_minute[1]


def _whitelisted(client_ip: str, whitelist: tuple[str, ...]) -> bool:
    return any(ip_address(client_ip) in ip_network(entry, strict=False) for entry in whitelist)
