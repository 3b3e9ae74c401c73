"""The pages of mp.weixin.qq.com, on which people confirm one-time subscriptions and merchants authorize."""

import re
from collections.abc import Mapping
from html import escape
from http import HTTPStatus
from pathlib import Path
from string import Template as Text
from string import punctuation
from typing import Final, NamedTuple
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

from local.simulator.apps import App
from local.simulator.components import CODE_LIFE
from local.simulator.consents import Consent
from local.simulator.errcodes import Refusal
from local.simulator.messages import TEMPLATE_SUBSCRIBE
from local.simulator.wechat import WeChat

CONFIRM: Final = "/mp/subscribemsg"
AUTHORIZE: Final = ("/cgi-bin/componentloginpage", "/safe/bindcomponent")
PATHS: Final = (CONFIRM, *AUTHORIZE)
_PAGE: Final = Text(Path(__file__).with_name("pages.html").read_text(encoding="utf-8"))
_RESERVED: Final = re.compile(r"[a-zA-Z0-9]{0,128}")
_OPENID: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
_APP_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
_LARGEST_SCENE: Final = 10_000
_PERMISSIONS: Final = {
    7: "broadcasts, template messages (7)",
    18: "development of a mini program (18)",
    89: "subscription notifications (89)",
}


class Page(NamedTuple):
    """The answer to a browser: HTML, or the address where it goes on."""

    status: int
    html: str = ""
    location: str | None = None


class _PageError(Exception):
    """The page shows an error."""


class Pages:
    """Answers browsers."""

    def __init__(self, wechat: WeChat) -> None:
        self._wechat = wechat

    def answer(self, method: str, path: str, query: Mapping[str, str], body: bytes) -> Page:
        """Show a page (GET), or do as one of its buttons says (POST, a form)."""
        form = dict(parse_qsl(body.decode(errors="replace"), keep_blank_values=True))
        answer = self._confirm if path == CONFIRM else self._authorize
        with self._wechat.lock:
            try:
                return answer(method, query, form)
            except _PageError as error:
                return _page("Error", f"<p class=error>{escape(str(error))}</p>")

    # A one-time subscription

    def _confirm(self, method: str, query: Mapping[str, str], form: Mapping[str, str]) -> Page:
        app = self._checked(query)
        scene, template_id = query["scene"], query["template_id"]
        if method != "POST":
            return self._confirm_page(app, query)
        decision, openid = form.get("decision"), form.get("openid", "")
        if decision not in {"confirm", "cancel"} or not _OPENID.fullmatch(openid):
            raise _PageError("parameter error: decision, openid")
        told = {"template_id": template_id, "action": decision, "scene": scene}
        if decision == "confirm":
            self._wechat.consents.confirm(Consent(app.app_id, openid, template_id, str(int(scene))))
            told = {"openid": openid, **told}
        if "reserved" in query:
            told["reserved"] = query["reserved"]
        return _redirect(query["redirect_url"], told)

    def _checked(self, query: Mapping[str, str]) -> App:
        """The account of a link; raises `_PageError` where the link is not one."""
        app = self._wechat.apps.get(query.get("appid", ""))
        if query.get("action") != "get_confirm" or app is None:
            raise _PageError("parameter error: " + ("appid" if app is None else "action"))
        scene, template_id = query.get("scene", ""), query.get("template_id", "")
        if not re.fullmatch(r"[0-9]{1,5}", scene) or int(scene) > _LARGEST_SCENE:
            raise _PageError("parameter error: scene")
        known, templates = self._wechat.templates.get(app.app_id), self._wechat.templates_of(app.app_id)
        template = templates.get(template_id)
        # Without templates of its own an app takes any id, as with messages.
        if (
            not template_id
            or (known and template is None)
            or (template is not None and not template.fits(TEMPLATE_SUBSCRIBE))
        ):
            raise _PageError("template error")
        if not _RESERVED.fullmatch(query.get("reserved", "")):
            raise _PageError("parameter error: reserved")
        host = _host(query.get("redirect_url", ""))
        if app.domains and host not in app.domains:
            raise _PageError(f"redirect_url: {host} is not a business domain of the account")
        return app

    def _confirm_page(self, app: App, query: Mapping[str, str]) -> Page:
        template_id = query["template_id"]
        template = self._wechat.templates_of(app.app_id).get(template_id)
        title = template.title if template and template.title else template_id
        return _page(
            "Subscribe to a message",
            f"<p><b>{escape(app.app_id)}</b> asks to send you one message: <b>{escape(title)}</b>"
            f" (scene {escape(query['scene'])}).</p>"
            "<label>Your openid <input name=openid value=oPerson1 required></label>"
            "<p><button name=decision value=confirm>Confirm</button> "
            "<button name=decision value=cancel>Cancel</button></p>",
            fragment="#wechat_redirect",
        )

    # An authorization

    def _authorize(self, method: str, query: Mapping[str, str], form: Mapping[str, str]) -> Page:
        component = self._wechat.components.all.get(query.get("component_appid", ""))
        if component is None:
            raise _PageError("parameter error: component_appid")
        code = query.get("pre_auth_code", "")
        if component.pre_auth_codes.get(code, 0.0) <= self._wechat.now:
            raise _PageError("the pre_auth_code is invalid, or has expired")
        _host(query.get("redirect_uri", ""), "redirect_uri")
        only = query.get("biz_appid", "")
        if method != "POST":
            return _authorize_page(component.app_id, only)
        app_id = form.get("app_id", "")
        if not _APP_ID.fullmatch(app_id) or only not in {"", app_id}:
            raise _PageError("parameter error: app_id")
        granted = tuple(number for number in _PERMISSIONS if f"permission-{number}" in form)
        self._wechat.apps.setdefault(app_id, App(app_id, "nobody's"))
        try:
            auth_code = self._wechat.components.authorize(component, app_id, granted, code)
        except Refusal as refusal:
            raise _PageError(refusal.errmsg) from None
        return _redirect(query["redirect_uri"], {"auth_code": auth_code, "expires_in": str(CODE_LIFE)})


def _authorize_page(component: str, only: str) -> Page:
    sets = "".join(
        f"<label><input type=checkbox name=permission-{number} checked> {title}</label>"
        for number, title in _PERMISSIONS.items()
    )
    return _page(
        "Authorize a platform",
        f"<p>The platform <b>{escape(component)}</b> asks to act for your account.</p>"
        f'<label>Your account <input name=app_id value="{escape(only or "wxmerchant")}" required'
        f"{' readonly' if only else ''}></label>{sets}"
        "<p><button name=decision value=authorize>Authorize</button></p>",
    )


def _host(url: str, name: str = "redirect_url") -> str:
    try:
        parts = urlsplit(url)
    except ValueError:
        raise _PageError(f"parameter error: {name}") from None
    if not parts.hostname or parts.scheme not in {"http", "https"}:
        raise _PageError(f"parameter error: {name}")
    return parts.hostname


def _redirect(url: str, told: Mapping[str, str]) -> Page:
    parts = urlsplit(url)
    query = "&".join(filter(None, (parts.query, urlencode(told))))
    whole = parts._replace(path=parts.path or "/", query=query, fragment="").geturl()
    return Page(HTTPStatus.FOUND, location=quote(whole, safe=punctuation))


def _page(title: str, body: str, fragment: str = "") -> Page:
    return Page(HTTPStatus.OK, _PAGE.substitute(title=escape(title), body=body, fragment=fragment))
