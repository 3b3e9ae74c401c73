"""The control API under ``/_sim/``: look at what arrived, and decide how WeChat behaves."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from ipaddress import ip_network
from typing import Any

from local.simulator import errcodes, template_lists
from local.simulator.apps import App
from local.simulator.faults import EFFECTS, Effect, Fault, When
from local.simulator.messages import ENDPOINTS, Template
from local.simulator.orders import MISSING, PREFIX, ControlError, Input, parse_object
from local.simulator.paths import PATHS
from local.simulator.people import People
from local.simulator.platforms import Platforms
from local.simulator.pusher import Pauses, Pusher
from local.simulator.quotas import Limits
from local.simulator.receipts import FAILURES, FORMS, MODES, WITH_RECEIPTS, Callback, Push, Receipt
from local.simulator.wechat import WeChat

_LISTED = 100
_MAX_LISTED = 10_000
_AES_KEY = 43


class Control:
    """The control API of one simulated WeChat."""

    def __init__(self, wechat: WeChat, pusher: Pusher) -> None:
        self._wechat = wechat
        self._pusher = pusher
        self._redirects_followed = 0
        self._routes: dict[tuple[str, str], Callable[[Input], dict[str, Any]]] = {
            ("GET", "health"): self._health,
            ("GET", "messages"): self._messages,
            ("DELETE", "messages"): self._clear_messages,
            ("GET", "stats"): self._stats,
            ("GET", "faults"): self._list_faults,
            ("POST", "faults"): self._plant_fault,
            ("DELETE", "faults"): self._clear_faults,
            ("POST", "tokens/revoke"): self._revoke_tokens,
            ("POST", "tokens/expire"): self._expire_tokens,
            ("GET", "apps"): self._list_apps,
            ("POST", "apps"): self._set_app,
            ("POST", "templates"): self._register_template,
            ("POST", "form_ids"): self._register_form_id,
            ("POST", "quotas"): self._set_quota,
            ("GET", "callbacks"): self._list_callbacks,
            ("POST", "callbacks"): self._set_callback,
            ("POST", "receipts"): self._push_receipt,
            ("GET", "settings"): self._list_settings,
            ("POST", "settings"): self._set_settings,
            ("POST", "reset"): self._reset,
            **People(wechat, self._app, pusher.take).routes,
            **Platforms(wechat, pusher).routes,
        }

    def handle(self, method: str, path: str, query: Mapping[str, str], body: bytes) -> dict[str, Any]:
        """Answer a call.

        Raises
        ------
        ControlError
            With a message for the caller.
        """
        name = path.removeprefix(PREFIX)
        if name == "redirected":  # where a planted redirect leads: a sender must not come here
            self._redirects_followed += 1
            return {"redirected": True}
        route = self._routes.get((method, name))
        if route is None:
            known = sorted(of_method for of_method, of_name in self._routes if of_name == name)
            if known:
                raise ControlError(f"{path} takes {' and '.join(known)}", 405)
            raise ControlError(f"there is no {path}", 404)
        given = Input(parse_object(body) if method == "POST" else query)
        with self._wechat.lock:
            return route(given)

    def _app(self, given: Input) -> App:
        app_id = given.text("app_id")
        app = self._wechat.apps.get(app_id)
        if app is None:
            raise ControlError(f"there is no app {app_id}; POST {PREFIX}apps adds one")
        return app

    def _known_app_id(self, given: Input) -> str | None:
        return self._app(given).app_id if given.has("app_id") else None

    def _health(self, given: Input) -> dict[str, Any]:
        given.end()
        return {"status": "ok", "apps": len(self._wechat.apps)}

    def _messages(self, given: Input) -> dict[str, Any]:
        limit = given.text("limit", str(_LISTED))
        if not (limit.isascii() and limit.isdigit() and int(limit[:9]) <= _MAX_LISTED):
            raise ControlError(f"limit must be a whole number up to {_MAX_LISTED}")
        app_id, path = given.text("app_id", None), given.text("path", None)
        given.end()
        total, newest = self._wechat.journal.newest(int(limit), app_id, path)
        return {"total": total, "messages": [arrival.listed() for arrival in newest]}

    def _clear_messages(self, given: Input) -> dict[str, Any]:
        given.end()
        return {"cleared": self._wechat.journal.clear()}

    def _stats(self, given: Input) -> dict[str, Any]:
        given.end()
        journal, calls = self._wechat.journal, self._wechat.token_calls
        by_app = {
            app_id: {
                **journal.counts(app_id=app_id),
                "token_calls": {
                    kind: calls[app_id, kind] for kind in ("normal", "forced", "plain", "refused")
                },
            }
            for app_id in self._wechat.apps
        }
        return {
            **journal.counts(),
            "by_path": {path: journal.counts(path=path) for path in journal.paths()},
            "by_app": by_app,
            "unknown_paths": self._wechat.unknown_calls,
            "redirects_followed": self._redirects_followed,
        }

    def _list_faults(self, given: Input) -> dict[str, Any]:
        given.end()
        return {"faults": self._wechat.faults.listed()}

    def _plant_fault(self, given: Input) -> dict[str, Any]:
        effect: Effect = given.choice("effect", EFFECTS)
        # A cut or slow answer is usually meant to hide that the message was accepted.
        when: When = given.choice(
            "when", ("before", "after"), "after" if effect in ("truncated", "drip") else "before"
        )
        fault = Fault(
            effect,
            when,
            path=given.text("path", "*"),
            count=given.integer("count", 1, None),
            probability=given.number("probability", 0, 1, 1.0),
            seconds=given.number("seconds", 0, 3600, self._wechat.settings.fault_seconds),
        )
        if effect == "errcode":
            fault.errcode = given.integer("errcode", -(10**7))
            fault.errmsg = given.text("errmsg", None)
        elif effect == "status":
            fault.status = given.integer("status", 400, 500, 599)
        elif effect == "redirect":
            fault.status = given.integer("status", 300, 302, 399)
            fault.location = given.text("location", fault.location)
            if not fault.location.isascii() or not fault.location.isprintable():
                raise ControlError("location must be an address in ASCII")
        given.end()
        if not any(fault.concerns(path) for path in PATHS):
            raise ControlError(f"path must be *, a prefix with * or one of {', '.join(PATHS)}")
        self._wechat.faults.plant(fault)
        return {"faults": self._wechat.faults.listed()}

    def _clear_faults(self, given: Input) -> dict[str, Any]:
        given.end()
        return {"cleared": self._wechat.faults.clear()}

    def _revoke_tokens(self, given: Input) -> dict[str, Any]:
        app_id = self._known_app_id(given)
        sticky = given.flag("sticky", default=False)
        given.end()
        return {"revoked": self._wechat.tokens.revoke(app_id, sticky=sticky)}

    def _expire_tokens(self, given: Input) -> dict[str, Any]:
        app_id = self._known_app_id(given)
        seconds = given.number("seconds", 0, 7200, 0)
        given.end()
        return {"expiring": self._wechat.tokens.expire(app_id, seconds)}

    def _list_apps(self, given: Input) -> dict[str, Any]:
        given.end()
        return {"apps": [_listed_app(app) for app in self._wechat.apps.values()]}

    def _set_app(self, given: Input) -> dict[str, Any]:
        app_id = given.text("app_id")
        old = self._wechat.apps.get(app_id) or App(app_id, "")
        app = replace(
            old,
            secret=given.text("secret", old.secret or MISSING),
            secret_frozen=given.flag("secret_frozen", default=old.secret_frozen),
            account_frozen=given.flag("account_frozen", default=old.account_frozen),
            ip_whitelist=given.texts("ip_whitelist", old.ip_whitelist),
            retired=given.choice(
                "retired",
                (None, errcodes.WXOPEN_TEMPLATE_RETIRED, errcodes.API_RETIRED),
                old.retired,
            ),
            pages=frozenset(given.texts("pages", tuple(old.pages))),
            openids=frozenset(given.texts("openids", tuple(old.openids))),
            without=frozenset(given.texts("without", tuple(old.without))),
            consents=given.flag("consents", default=old.consents),
            domains=frozenset(given.texts("domains", tuple(old.domains))),
        )
        given.end()
        for entry in app.ip_whitelist:
            try:
                ip_network(entry, strict=False)
            except ValueError:
                raise ControlError(f"ip_whitelist: {entry} is neither an address nor a network") from None
        known = (*template_lists.PATHS, *ENDPOINTS)
        if not app.without <= set(known):
            raise ControlError(f"without: the paths are {', '.join(known)}")
        self._wechat.apps[app_id] = app
        return _listed_app(app)

    def _register_template(self, given: Input) -> dict[str, Any]:
        app_id = self._app(given).app_id
        enums = given.take("enums", {})
        if not isinstance(enums, dict):
            raise ControlError("enums must be an object of lists by keyword")
        values = Input(enums)
        template = Template(
            given.text("template_id"),
            given.choice("path", (None, *ENDPOINTS), None),
            given.texts("keywords"),
            {str(keyword): values.texts(keyword) for keyword in enums},
            given.text("title", ""),
            given.text("content", ""),
            given.text("example", ""),
            given.choice("type", (2, 3), 2),
        )
        given.end()
        registered = self._wechat.templates.setdefault(app_id, {})
        registered[template.template_id] = template
        return {"templates": sorted(registered)}

    def _register_form_id(self, given: Input) -> dict[str, Any]:
        app_id = self._app(given).app_id
        value = given.text("form_id")
        openid = given.text("openid", None)
        age = given.number("age_seconds", 0, 10**9, 0)
        given.end()
        form_id = self._wechat.form_ids.register(app_id, value, openid, age)
        return {"form_id": value, "uses": form_id.left}

    def _set_quota(self, given: Input) -> dict[str, Any]:
        app_id = self._app(given).app_id
        path = given.choice("path", PATHS)
        old = self._wechat.quotas.limits_of(app_id, path)
        limits = Limits(
            given.limit("daily", old.daily),
            given.limit("per_minute", old.per_minute),
            given.limit("openid_per_minute", old.openid_per_minute),
        )
        given.end()
        self._wechat.quotas.limits[app_id, path] = limits
        return {
            "daily": limits.daily,
            "per_minute": limits.per_minute,
            "openid_per_minute": limits.openid_per_minute,
        }

    def _list_callbacks(self, given: Input) -> dict[str, Any]:
        given.end()
        callbacks = {
            app_id: {"url": callback.url, "mode": callback.mode, "form": callback.form}
            for app_id, callback in self._wechat.callbacks.items()
        }
        return {"callbacks": callbacks, "pushes": dict(self._pusher.counts)}

    def _set_callback(self, given: Input) -> dict[str, Any]:
        app_id = self._app(given).app_id
        callback = Callback(
            given.text("url"),
            given.text("token"),
            given.text("encoding_aes_key", None),
            given.choice("mode", MODES, "secure"),
            given.choice("form", FORMS, "xml"),
        )
        given.end()
        if not callback.url.startswith(("http://", "https://")):
            raise ControlError("url must be an address of http or https")
        key = callback.encoding_aes_key or ""
        if callback.mode != "plain" and not (len(key) == _AES_KEY and key.isascii() and key.isalnum()):
            raise ControlError(f"encoding_aes_key must be {_AES_KEY} letters and digits")
        self._wechat.callbacks[app_id] = callback
        return self._list_callbacks(Input({}))

    def _push_receipt(self, given: Input) -> dict[str, Any]:
        """Push a receipt of a message that another program of the account has sent, or that never was."""
        app_id = self._app(given).app_id
        callback = self._wechat.callback_of(app_id)
        if callback is None:
            raise ControlError(f"{app_id} has no callback; POST {PREFIX}callbacks sets one")
        receipt = Receipt(
            app_id,
            given.text("touser"),
            given.choice("path", WITH_RECEIPTS),
            given.text("template_id", "T"),
            given.integer("msgid", 1, high=2**63),
            given.choice("status", ("success", *FAILURES.values()), "success"),
        )
        given.end()
        self._pusher.take(Push(callback, receipt))
        return {"msgid": receipt.msgid}

    def _list_settings(self, given: Input) -> dict[str, Any]:
        given.end()
        settings = self._wechat.settings
        return {
            "latency": settings.latency,
            "fault_seconds": settings.fault_seconds,
            "token_seconds": self._wechat.tokens.lifetime,
            "receipt_seconds": self._pusher.pauses.soon,
            "late_receipt_seconds": self._pusher.pauses.late,
            "push_again_seconds": self._pusher.pauses.repeat,
            "mark_fail_seconds": self._pusher.pauses.mark_fail,
        }

    def _set_settings(self, given: Input) -> dict[str, Any]:
        settings, tokens = self._wechat.settings, self._wechat.tokens
        latency = given.number("latency", 0, 60, settings.latency)
        fault_seconds = given.number("fault_seconds", 0, 3600, settings.fault_seconds)
        lifetime = given.integer("token_seconds", 301, tokens.lifetime, 7200)
        pauses = self._pusher.pauses
        changed = Pauses(
            given.number("receipt_seconds", 0, 3600, pauses.soon),
            given.number("late_receipt_seconds", 0, 3600, pauses.late),
            given.number("push_again_seconds", 0, 3600, pauses.repeat),
            given.number("mark_fail_seconds", 0, 3600, pauses.mark_fail),
        )
        given.end()
        self._pusher.pauses = changed
        settings.latency, settings.fault_seconds, tokens.lifetime = latency, fault_seconds, lifetime
        return self._list_settings(Input({}))

    def _reset(self, given: Input) -> dict[str, Any]:
        given.end()
        self._wechat.reset()
        self._pusher.reset()
        self._redirects_followed = 0
        return {"reset": True}


def _listed_app(app: App) -> dict[str, Any]:
    """An app as it may be shown: without its secret."""
    return {
        "app_id": app.app_id,
        "secret_frozen": app.secret_frozen,
        "account_frozen": app.account_frozen,
        "ip_whitelist": list(app.ip_whitelist),
        "retired": app.retired,
        "pages": sorted(app.pages),
        "openids": len(app.openids),
        "without": sorted(app.without),
        "consents": app.consents,
        "domains": sorted(app.domains),
    }
