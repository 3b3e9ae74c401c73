"""Orders about people: what they agree to, and what they do on their phones."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from local.simulator.apps import App
from local.simulator.consents import Consent
from local.simulator.events import CHANGE, POPUP, REVOCATIONS, UNSUBSCRIBE, PersonEvent
from local.simulator.orders import ControlError, Input
from local.simulator.receipts import Push
from local.simulator.wechat import WeChat

_POPUP_SCENES: Final = (0, 1, 2)
"""The page of a mini program; of official accounts a web page, an article."""
_LASTS: Final = 3


class People:
    """The orders of ``consents``.

    Parameters
    ----------
    app
        Finds the app of an order.
    push
        Pushes an event.
    """

    def __init__(self, wechat: WeChat, app: Callable[[Input], App], push: Callable[[Push], object]) -> None:
        self._wechat = wechat
        self._app = app
        self._push = push
        self.routes: dict[tuple[str, str], Callable[[Input], dict[str, Any]]] = {
            ("GET", "consents"): self._list,
            ("POST", "consents"): self._set,
            ("POST", "consents/popup"): self._answer_popup,
            ("POST", "consents/change"): self._change_settings,
            ("POST", "consents/unsubscribe"): self._unsubscribe,
            ("POST", "consents/revoke"): self._revoke,
        }

    def _list(self, given: Input) -> dict[str, Any]:
        app, openid = self._app(given), given.text("openid", None)
        given.end()
        return {
            "required": app.consents,
            "consents": list(self._wechat.consents.listed(app.app_id, openid)),
            "templates": {name: each.title for name, each in self._wechat.templates_of(app.app_id).items()},
        }

    def _set(self, given: Input) -> dict[str, Any]:
        scene = given.take("scene", None)
        consent = Consent(
            self._app(given).app_id,
            given.text("openid"),
            given.text("template_id"),
            str(scene) if scene is not None else None,
        )
        given.has("credits") or given.take("credits")
        left = given.limit("credits", None)
        given.end()
        self._wechat.consents.set(consent, left)
        return {"credits": left}

    def _answer_popup(self, given: Input) -> dict[str, Any]:
        app, openid, answers = self._app(given), given.text("openid"), given.take("answers")
        if not isinstance(answers, Mapping) or not answers or not {*answers.values()} <= {"accept", "reject"}:
            raise ControlError("answers must be accept or reject by template id")
        scene = given.choice("popup_scene", _POPUP_SCENES, 0)
        items = tuple(
            {"TemplateId": name, "SubscribeStatusString": answer, "PopupScene": str(scene)}
            for name, answer in answers.items()
        )
        event = self._event(given, app, openid, POPUP, items=items)
        templates = self._wechat.templates_of(app.app_id)
        for name, answer in answers.items():
            if answer == "accept":
                lasting = name in templates and templates[name].type == _LASTS
                self._wechat.consents.accept(Consent(app.app_id, openid, name), lasting=lasting)
        return event

    def _change_settings(self, given: Input) -> dict[str, Any]:
        app, openid, refused = self._app(given), given.text("openid"), given.texts("template_ids")
        items = tuple({"TemplateId": name, "SubscribeStatusString": "reject"} for name in refused)
        if not items:
            raise ControlError("template_ids is missing")
        event = self._event(given, app, openid, CHANGE, items=items)
        for name in refused:
            self._wechat.consents.withdraw(app.app_id, openid, name)
        return event

    def _unsubscribe(self, given: Input) -> dict[str, Any]:
        app, openid = self._app(given), given.text("openid")
        event = self._event(given, app, openid, UNSUBSCRIBE, more={"EventKey": ""})
        self._wechat.consents.withdraw(app.app_id, openid)
        return event

    def _revoke(self, given: Input) -> dict[str, Any]:
        app, openid = self._app(given), given.text("openid")
        name = given.choice("event", REVOCATIONS, REVOCATIONS[0])
        more = {"OpenID": openid, "AppID": app.app_id, "RevokeInfo": "1"}
        event = self._event(given, app, openid, name, more=more)
        self._wechat.consents.withdraw(app.app_id, openid)
        return event

    def _event(
        self,
        given: Input,
        app: App,
        openid: str,
        name: str,
        *,
        items: tuple[Mapping[str, str], ...] = (),
        more: Mapping[str, str] | None = None,
    ) -> dict[str, Any]:
        """Push an event as the rest of an order says, which may be wrong: nothing has changed yet."""
        age = given.number("age_seconds", 0, 10**9, 0)
        malformed = given.flag("malformed", default=False)
        times, when = given.integer("times", 1, 1, 10), given.choice("when", ("soon", "late"), "soon")
        given.end()
        event = PersonEvent(
            app.app_id, openid, name, int(self._wechat.now - age), items, more or {}, malformed=malformed
        )
        callback = self._wechat.callback_of(app.app_id)
        if callback is not None:
            self._push(Push(callback, event, times, when))
        return {"event": name, "at": event.at, "pushed": callback is not None}
