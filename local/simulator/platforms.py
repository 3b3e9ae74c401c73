"""Orders about third-party platforms: their components, tickets and merchants."""

from collections.abc import Callable
from typing import Any

from local.simulator.apps import App
from local.simulator.components import Component, Pushing
from local.simulator.errcodes import Refusal
from local.simulator.orders import MISSING, PREFIX, ControlError, Input
from local.simulator.pusher import Pusher
from local.simulator.receipts import Callback
from local.simulator.wechat import WeChat


class Platforms:
    """The orders of ``components``."""

    def __init__(self, wechat: WeChat, pusher: Pusher) -> None:
        self._wechat = wechat
        self._pusher = pusher
        self.routes: dict[tuple[str, str], Callable[[Input], dict[str, Any]]] = {
            ("GET", "components"): self._list,
            ("POST", "components"): self._set,
            ("POST", "components/ticket"): self._push_ticket,
            ("POST", "components/authorize"): self._authorize,
            ("POST", "components/unauthorize"): self._unauthorize,
            ("POST", "components/lose"): self._lose_refresh_token,
            ("POST", "components/message"): self._push_message,
        }

    def _component(self, given: Input) -> Component:
        app_id = given.text("component")
        component = self._wechat.components.all.get(app_id)
        if component is None:
            raise ControlError(f"there is no component {app_id}; POST {PREFIX}components adds one")
        return component

    def _list(self, given: Input) -> dict[str, Any]:
        given.end()
        listed = {
            app_id: {
                "merchants": {name: list(each.func_info) for name, each in component.merchants.items()},
                "calls": dict(component.calls),
            }
            for app_id, component in self._wechat.components.all.items()
        }
        return {"components": listed, "texts": self._wechat.components.texts}

    def _set(self, given: Input) -> dict[str, Any]:
        app_id = given.text("component")
        old = self._wechat.components.all.get(app_id)
        component = Component(
            app_id,
            given.text("secret", old.secret if old else MISSING),
            Callback(
                given.text("url", old.callback.url if old else MISSING),
                given.text("token", old.callback.token if old else MISSING),
                given.text("encoding_aes_key", old.callback.encoding_aes_key if old else MISSING),
            ),
            given.texts("ip_whitelist", old.ip_whitelist if old else ()),
            given.choice(
                "token_parameter",
                ("component_access_token", "access_token"),
                old.token_parameter if old else "component_access_token",
            ),
        )
        given.end()
        if old:
            old.secret, old.callback, old.ip_whitelist, old.token_parameter = (
                component.secret,
                component.callback,
                component.ip_whitelist,
                component.token_parameter,
            )
        else:
            self._wechat.components.all[app_id] = component
        return self._list(Input({}))

    def _push_ticket(self, given: Input) -> dict[str, Any]:
        component, pushing = self._component(given), _pushing(given)
        given.end()
        self._wechat.components.push_ticket(component, pushing)
        return {"pushed": True}

    def _authorize(self, given: Input) -> dict[str, Any]:
        """A merchant's administrator confirms the page; the merchant is an app from then on."""
        component, app_id = self._component(given), given.text("app_id")
        func_info = given.take("func_info", [7, 18, 89])
        code, pushing = given.text("pre_auth_code"), _pushing(given)
        given.end()
        if not isinstance(func_info, list) or not all(isinstance(each, int) for each in func_info):
            raise ControlError("func_info must be a list of numbers")
        self._wechat.apps.setdefault(app_id, App(app_id, "nobody's"))
        try:
            bought = self._wechat.components.authorize(component, app_id, tuple(func_info), code, pushing)
        except Refusal as refusal:
            raise ControlError(refusal.errmsg) from None
        return {"authorization_code": bought}

    def _unauthorize(self, given: Input) -> dict[str, Any]:
        component, app_id, pushing = self._component(given), given.text("app_id"), _pushing(given)
        given.end()
        self._wechat.components.unauthorize(component, app_id, pushing)
        return {"unauthorized": app_id}

    def _lose_refresh_token(self, given: Input) -> dict[str, Any]:
        component, app_id = self._component(given), given.text("app_id")
        given.end()
        if app_id not in component.merchants:
            raise ControlError(f"{app_id} has not authorized {component.app_id}")
        self._wechat.components.lose(component, app_id)
        return {"lost": app_id}

    def _push_message(self, given: Input) -> dict[str, Any]:
        """Push a person's text to a merchant; what the platform answers is an encrypted text, or nothing."""
        component = self._component(given)
        request = self._wechat.components.message(
            component, given.text("app_id"), given.text("openid"), given.text("content")
        )
        given.end()
        status, body = self._pusher.ask(request)
        return {"status": status, "body": body.decode(errors="replace")}


def _pushing(given: Input) -> Pushing:
    """The way of a platform's event, as the order says."""
    late, malformed = (given.flag(name, default=False) for name in ("late", "malformed"))
    return Pushing(given.integer("events", 0, 1, 10), late, malformed)
