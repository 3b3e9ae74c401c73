"""WeChat as a state machine: calls go in, answers come out, and the clock is handed in.

Nothing here knows of sockets; ``server`` carries calls in and answers out.
"""

import json
import random
import re
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import ceil
from typing import Any

from local.simulator import callback_check, components, errcodes, faults, messages, template_lists
from local.simulator.apps import App
from local.simulator.calls import Answer, Call
from local.simulator.client_msg_ids import ClientMsgId, ClientMsgIds
from local.simulator.components import Components
from local.simulator.consents import Consent, Consents
from local.simulator.errcodes import Refusal
from local.simulator.faults import Fault, Faults
from local.simulator.form_ids import FormIds
from local.simulator.journal import Arrival, Journal
from local.simulator.messages import ENDPOINTS, Endpoint, Template
from local.simulator.paths import CALLBACK_CHECK, PATHS, QUOTA, STABLE_TOKEN
from local.simulator.quotas import Quotas
from local.simulator.receipts import WITH_RECEIPTS, Callback, Push, PushRequest, Receipt, push_of
from local.simulator.tokens import Token, Tokens

_OPENID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_FIRST_MSGID = 3_000_000_000_000_000_000  # as large as WeChat's own, far beyond what a double holds


@dataclass(slots=True)
class Settings:
    """What can be set for all apps; both are seconds."""

    latency: float = 0.0
    fault_seconds: float = 30.0


@dataclass(frozen=True, slots=True)
class _Message:
    endpoint: Endpoint
    app: App
    touser: str
    body: Mapping[str, Any]
    fault: Fault | None


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
            self.consents = Consents()
            self.quotas = Quotas(self._clock)
            self.form_ids = FormIds(self._clock)
            self.token_calls: Counter[tuple[str, str]] = Counter()
            self.callbacks: dict[str, Callback] = {}
            self.components = Components(self._clock, self._rng, self.tokens, self.notify)
            self.unknown_calls = 0
            self._client_msg_ids = ClientMsgIds(self._clock)
            self._in_progress: set[tuple[str, str]] = set()

    def callback_of(self, app_id: str) -> Callback | None:
        """The address that an app's events are pushed to: its own, or that of a merchant's platform."""
        return self.callbacks.get(app_id) or self.components.callback_of(app_id)

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
        if fault is not None and fault.when == "before":
            with self.lock:
                return Answer(self._faulty(fault), fault=fault)
        self._spend_latency()
        with self.lock:
            try:
                payload = self._answer(call)
            except Refusal as refusal:
                payload = self._refused(refusal)
            if fault is not None and fault.effect == "errcode":
                payload = self._faulty(fault)
            return Answer(payload, fault=fault)

    def _answer(self, call: Call) -> dict[str, Any]:
        if call.path in template_lists.PATHS:
            return self._of_account(call, "GET", self._templates)
        if call.path in components.PATHS:
            return self._component(call)
        if call.path in (QUOTA, CALLBACK_CHECK):
            answer = self._quota if call.path == QUOTA else self._callback_check
            return self._of_account(call, "POST", answer)
        return self._token(call)

    def _refused(self, refusal: Refusal) -> dict[str, Any]:
        # The first part of a rid is the time in hex, as in 66695e1c-xxxxxxxx-xxxxxxxx.
        rid = f"{int(self.now):08x}-{self._rng.getrandbits(32):08x}-{self._rng.getrandbits(32):08x}"
        return {"errcode": refusal.errcode, "errmsg": f"{refusal.errmsg} rid: {rid}"}

    def _faulty(self, fault: Fault) -> dict[str, Any]:
        """The answer under a fault that struck before WeChat looked at the call."""
        return self._refused(Refusal(fault.errcode, fault.errmsg))

    # Tokens

    def _token(self, call: Call) -> dict[str, Any]:
        token = self._stable_token(call) if call.path == STABLE_TOKEN else self._plain_token(call)
        return {"access_token": token.value, "expires_in": ceil(token.remaining(self.now))}

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
            self.quotas.count_call(app.app_id, call.path)
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
        if not app.admits(call.client_ip):
            raise Refusal(errcodes.IP_NOT_IN_WHITELIST, f"invalid ip {call.client_ip}, not in whitelist")

    # Questions about an account

    def _of_account(
        self, call: Call, method: str, answer: Callable[[App, Call], dict[str, Any]]
    ) -> dict[str, Any]:
        if call.method != method:
            raise Refusal(errcodes.REQUIRE_GET if method == "GET" else errcodes.REQUIRE_POST)
        app = self._caller(call)
        self.quotas.count_call(app.app_id, call.path)
        return answer(app, call)

    def _component(self, call: Call) -> dict[str, Any]:
        if call.method != "POST":
            raise Refusal(errcodes.REQUIRE_POST)
        body = messages.parse_object(call.body)
        return self.components.answer(call.path, call.query, body, call.client_ip)

    def _templates(self, app: App, call: Call) -> dict[str, Any]:
        if call.path in app.without:
            raise Refusal(template_lists.PATHS[call.path])
        return template_lists.listed(call.path, self.templates_of(app.app_id).values())

    def _quota(self, app: App, call: Call) -> dict[str, Any]:
        try:
            path = json.loads(call.body)["cgi_path"]
        except (ValueError, KeyError, TypeError):
            raise Refusal(errcodes.CGI_PATH_NOT_FOUND) from None
        if path not in PATHS:
            raise Refusal(errcodes.CGI_PATH_NOT_FOUND)
        if path in app.without:
            raise Refusal(errcodes.CGI_PATH_NO_PERMISSION)
        return self.quotas.told(app.app_id, path)

    def _callback_check(self, app: App, call: Call) -> dict[str, Any]:
        return callback_check.check(self.callbacks.get(app.app_id), messages.parse_object(call.body))

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
        callback = self.callback_of(message.app.app_id)
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
        self.quotas.count_call(app.app_id, call.path)
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
        first = self._client_msg_ids.msgid_of(client_msg_id) if client_msg_id is not None else None
        if first is not None:
            arrival.outcome = "duplicate"
            return first
        form_id = None
        if endpoint.path == messages.WXOPEN_TEMPLATE_SEND:
            form_id = self.form_ids.usable(message.app.app_id, body.get("form_id"), message.touser)
        consent = self._consent(message, template_id)
        self.quotas.count_openid(message.app.app_id, endpoint.path, message.touser)
        # Nothing refuses it any more, so that a refused call leaves consents and form ids as they were.
        if consent is not None and endpoint.consent == "credit":
            self.consents.use(consent)
        if form_id is not None:
            form_id.left -= 1
            form_id.openid = message.touser
        arrival.outcome = "accepted"
        self._msgid += self._rng.randrange(1, 10**9)
        if client_msg_id is not None:
            self._client_msg_ids.remember(client_msg_id, self._msgid)
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

    @staticmethod
    def _client_msg_id(message: _Message) -> ClientMsgId | None:
        """The key under which a repeat is held back; only ``template/send`` documents that."""
        value = message.body.get("client_msg_id")
        if message.endpoint.path != messages.TEMPLATE_SEND or not isinstance(value, str):
            return None
        return ClientMsgId(message.app.app_id, message.touser, value)

    def _consent(self, message: _Message, template_id: str) -> Consent | None:
        """The consent that a message needs, ``None`` where nothing is known of it and it goes unchecked."""
        wanted = message.endpoint.consent
        if wanted is None:
            return None
        # Consent to a one-time message belongs to the scene in which it was given.
        scenes = (str(message.body.get("scene")), None) if "scene" in message.body else (None,)
        for scene in scenes:
            consent = Consent(message.app.app_id, message.touser, template_id, scene)
            left = self.consents.left(consent)
            if left is not None:
                if left <= 0:
                    raise Refusal(errcodes.NOT_SUBSCRIBED)
                return consent
        if wanted == "credit" and message.app.consents:
            raise Refusal(errcodes.NOT_SUBSCRIBED)
        return None
