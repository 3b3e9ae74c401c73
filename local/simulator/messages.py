"""The five send endpoints and what their bodies must look like."""

import codecs
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NoReturn

from local.simulator import errcodes, fields
from local.simulator.errcodes import Refusal

BIZSEND = "/cgi-bin/message/subscribe/bizsend"
TEMPLATE_SUBSCRIBE = "/cgi-bin/message/template/subscribe"
WXOPEN_TEMPLATE_SEND = "/cgi-bin/message/wxopen/template/send"
SUBSCRIBE_SEND = "/cgi-bin/message/subscribe/send"
TEMPLATE_SEND = "/cgi-bin/message/template/send"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One way to send.

    Attributes
    ----------
    fields
        The names that its documentation or sample bodies show.
    daily
        Calls a day that WeChat publishes as the default, ``None`` where it publishes none.
    msgid
        Whether answers carry one.
    required
        The names among ``fields`` that a message cannot do without. The others may be empty.
    typed
        The keywords that have a type (``thing1``), so that their values are checked. ``"all"``: those of a
        subscription message. ``"indexed"``: in ``template/send`` a key without a trailing number is a name
        (``date``, ``number``), whatever type it is spelt like. ``None``: the retired mini program template
        only knew free ``keywordN``.
    consent
        ``"credit"``: an accepted message uses one up. ``"refusal"``: followers get messages until they
        refuse the template. ``None``: a form id is the consent.
    """

    path: str
    fields: frozenset[str]
    required: frozenset[str]
    daily: int | None = None
    msgid: bool = False
    typed: Literal["all", "indexed"] | None = None
    consent: Literal["credit", "refusal"] | None = "credit"


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


ENDPOINTS = {
    endpoint.path: endpoint
    for endpoint in (
        Endpoint(
            BIZSEND,
            _names("touser template_id page miniprogram data miniprogram_state lang client_msg_id"),
            _names("touser template_id data"),
            msgid=True,
            typed="all",
        ),
        Endpoint(
            TEMPLATE_SUBSCRIBE,
            _names("touser template_id url miniprogram scene title data"),
            _names("touser template_id scene title data"),
        ),
        Endpoint(
            WXOPEN_TEMPLATE_SEND,
            _names("touser template_id page form_id data emphasis_keyword"),
            _names("touser template_id form_id"),
            daily=1_000_000,
            consent=None,
        ),
        Endpoint(
            SUBSCRIBE_SEND,
            _names("touser template_id page data miniprogram_state lang"),
            _names("touser template_id data"),
            daily=10_000_000,
            msgid=True,
            typed="all",
        ),
        Endpoint(
            TEMPLATE_SEND,
            _names("touser template_id url miniprogram client_msg_id data"),
            _names("touser template_id data"),
            daily=100_000,
            msgid=True,
            typed="indexed",
            consent="refusal",
        ),
    )
}


@dataclass(frozen=True, slots=True)
class Template:
    """A template.

    Attributes
    ----------
    path
        The endpoint of its family, ``None`` for any: a template of another family is 40037.
    keywords
        All of them must be present; empty means not checked.
    enums
        The allowed values of its ``enum`` keywords.
    title, content, example, type
        As WeChat lists it; ``type`` is 2 for a one-time subscription and 3 for one that lasts.
    """

    template_id: str
    path: str | None = None
    keywords: tuple[str, ...] = ()
    enums: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    title: str = ""
    content: str = ""
    example: str = ""
    type: int = 2

    def fits(self, path: str) -> bool:
        """Tell whether messages to an endpoint may use it: the two subscription endpoints share a list."""
        same = {BIZSEND, SUBSCRIBE_SEND}
        return self.path in (None, path) or {self.path, path} == same


_ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|.)", re.DOTALL)
_FIRST_NON_ASCII = 0x80


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def parse_object(body: bytes) -> dict[str, Any]:
    r"""The JSON object in a body, which may begin with a byte order mark.

    WeChat wants raw UTF-8: text outside ASCII written as ``\uXXXX`` has an error code of its own.
    """
    body = body.removeprefix(codecs.BOM_UTF8)
    if not body.strip():
        raise Refusal(errcodes.EMPTY_POST_DATA)
    try:
        text = body.decode()
    except UnicodeDecodeError:
        raise Refusal(errcodes.INVALID_CHARSET) from None
    try:
        parsed = json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        raise Refusal(errcodes.DATA_FORMAT_ERROR) from None
    if not isinstance(parsed, dict):
        raise Refusal(errcodes.DATA_FORMAT_ERROR)
    if "\\u" in text and any(
        int(escape[1], 16) >= _FIRST_NON_ASCII for escape in _ESCAPE.finditer(text) if escape[1]
    ):
        raise Refusal(errcodes.NO_UNICODE_ESCAPES)
    return parsed


# Fields of the message that older pages had and that SDKs still send.
_COLORS = frozenset(("color", "topcolor"))


def is_empty(value: Any) -> bool:
    """Tell whether an optional field with this value is as good as absent: ``""``, null, ``[]`` or ``{}``.

    An object that holds nothing else is empty too, such as ``{"appid": "", "pagepath": ""}``.
    """
    if isinstance(value, dict):
        return all(item is None or item in ("", [], {}) for item in value.values())
    return value is None or value in ("", [])


def without_empty(endpoint: Endpoint, body: Mapping[str, Any]) -> dict[str, Any]:
    """Return a body without the optional fields that are empty."""
    optional = (endpoint.fields - endpoint.required) | _COLORS
    return {name: value for name, value in body.items() if name not in optional or not is_empty(value)}


_CAMEL_CASE = re.compile(r"[a-z]+[A-Z]\w*")


def check_names(endpoint: Endpoint, body: Mapping[str, Any], problems: list[str]) -> None:
    """Refuse names that belong to another layer: camelCase is the cloud call's spelling, ``kind`` nobody's.

    Other unknown names are noted only.
    """
    refusal: Refusal | None = None
    for name in body:
        if name in endpoint.fields:
            continue
        if name in _COLORS:
            problems.append(f"{name} is no longer documented and without effect")
            continue
        problems.append(f"unknown field {name}")
        if name == "templateId":
            # To WeChat this is a body without a template_id.
            refusal = refusal or Refusal(errcodes.INVALID_TEMPLATE_ID_SIZE)
        elif name == "kind" or _CAMEL_CASE.fullmatch(name):
            refusal = refusal or Refusal(errcodes.DATA_FORMAT_ERROR)
    if refusal is not None:
        raise refusal


def check_body(
    endpoint: Endpoint,
    body: Mapping[str, Any],
    template: Template | None,
    pages: frozenset[str],
    problems: list[str],
) -> None:
    """Check everything in a body that needs no memory of other calls.

    Parameters
    ----------
    body
        Without its empty optional fields.
    template
        The registered template that the body names, if any is registered.
    pages
        The pages of the released mini program; empty means not checked.
    problems
        Takes what is doubtful but no reason to refuse.
    """
    _check_page(endpoint, body, pages)
    _check_miniprogram(endpoint, body, problems)
    if endpoint.path == TEMPLATE_SUBSCRIBE:
        _check_title(body)
        _check_scene(body, problems)
    _check_choices(body, problems)
    _check_data(endpoint, body, template, problems)
    _check_emphasis(body, problems)


def _check_page(endpoint: Endpoint, body: Mapping[str, Any], pages: frozenset[str]) -> None:
    if "page" not in body:
        return
    page = body["page"]
    if not isinstance(page, str):
        raise Refusal(errcodes.INVALID_PAGE)
    # WeChat's own sample of bizsend puts a web address here.
    if endpoint.path == BIZSEND and page.startswith(("http://", "https://")):
        return
    if pages and page.partition("?")[0] not in pages:
        raise Refusal(errcodes.INVALID_PAGE)


def _check_miniprogram(endpoint: Endpoint, body: Mapping[str, Any], problems: list[str]) -> None:
    if "miniprogram" not in body:
        return
    miniprogram = body["miniprogram"]
    if not isinstance(miniprogram, dict):
        raise Refusal(errcodes.DATA_FORMAT_ERROR)
    if is_empty(miniprogram.get("pagepath")) and not is_empty(miniprogram.get("path")):
        problems.append("miniprogram.path is read as pagepath")
        miniprogram = {**miniprogram, "pagepath": miniprogram["path"]}
    for name, errcode in (
        ("appid", errcodes.INVALID_WEAPP_APPID),
        ("pagepath", errcodes.INVALID_WEAPP_PAGEPATH),
    ):
        value = miniprogram.get(name)
        if isinstance(value, str) and value:
            continue
        if endpoint.path == TEMPLATE_SUBSCRIBE:  # the one page that marks both as required
            raise Refusal(errcode)
        problems.append(f"miniprogram.{name} is missing")


def _check_title(body: Mapping[str, Any]) -> None:
    title = body.get("title")
    if not isinstance(title, str) or not 1 <= len(title) <= 15:  # noqa: PLR2004 - WeChat's figure
        raise Refusal(errcodes.INVALID_TITLE_SIZE)


def _check_scene(body: Mapping[str, Any], problems: list[str]) -> None:
    scene = body.get("scene")
    if is_empty(scene):
        raise Refusal(errcodes.DATA_FORMAT_ERROR)
    if isinstance(scene, int) and not isinstance(scene, bool):
        problems.append("scene is a number, documented as a string")
        scene = str(scene)
    if not isinstance(scene, str) or not re.fullmatch(r"[0-9]{1,5}", scene) or int(scene) > 10_000:  # noqa: PLR2004 - WeChat's figure
        raise Refusal(errcodes.INVALID_ARGS)


_CHOICES = {
    "miniprogram_state": ("developer", "trial", "formal"),
    "lang": ("zh_CN", "en_US", "zh_HK", "zh_TW"),
}


def _check_choices(body: Mapping[str, Any], problems: list[str]) -> None:
    # The answer to another value is not documented.
    problems.extend(
        f"{name} is not one of {', '.join(choices)}"
        for name, choices in _CHOICES.items()
        if name in body and body[name] not in choices
    )


def _check_data(
    endpoint: Endpoint, body: Mapping[str, Any], template: Template | None, problems: list[str]
) -> None:
    if "data" not in body and "data" not in endpoint.required:
        return  # without data the template is sent empty
    data = body.get("data")
    if isinstance(data, str):
        raise fields.empty(_first_keyword(data, template))
    if data == []:  # an empty object, as PHP writes it
        data = {}
    if endpoint.path == TEMPLATE_SUBSCRIBE and isinstance(data, dict):
        _check_content(data, problems)
        return
    if not isinstance(data, dict) or not data:
        raise Refusal(errcodes.TEMPLATE_PARAM_INVALID, "argument invalid! data is empty")
    for keyword in template.keywords if template else ():
        if keyword not in data:
            raise fields.empty(keyword)
    if endpoint.typed is not None:
        for key, item in data.items():
            _check_keyword(endpoint, key, item, template, problems)


def _first_keyword(stringified: str, template: Template | None) -> str:
    """The keyword that WeChat misses first when ``data`` is a string that holds an object."""
    if template and template.keywords:
        return template.keywords[0]
    try:
        return next((str(key) for key in json.loads(stringified)), "keyword1")
    except (ValueError, TypeError, RecursionError):
        return "keyword1"


_NUMBERED = re.compile(r"keyword[0-9]+")
_DROPPED = ("first", "remark")
_SHOWN = 20


def _check_keyword(
    endpoint: Endpoint, key: str, item: Any, template: Template | None, problems: list[str]
) -> None:
    if key.endswith(".DATA"):
        raise fields.empty(key.removesuffix(".DATA"))  # the name as WeChat looks for it is absent
    indexed = fields.type_of(key) != key
    if endpoint.typed == "indexed" and (not indexed or _NUMBERED.fullmatch(key)):
        _check_free_text(key, item, problems)
        return
    if not indexed:
        # No real template has such a keyword. Its type is checked, because all keywords here have one.
        problems.append(f"data.{key} has no index, every keyword of a subscription has one")
    allowed = template.enums.get(key) if template else None
    problems.extend(fields.check_value(key, item, allowed))
    if template and template.keywords and key not in template.keywords:
        problems.append(f"data.{key} is not a keyword of the template")


def _check_free_text(key: str, item: Any, problems: list[str]) -> None:
    """Note what an older template loses of a value: no text in it is an error."""
    if not isinstance(item, dict):
        raise fields.empty(key)
    value = str(item.get("value", ""))
    if key in _DROPPED or len(value) > _SHOWN or fields.has_control_or_emoji(value):
        problems.append(f"data.{key} is dropped or cut by WeChat without an error")


_COLOR = re.compile(r"#(?:[0-9A-Fa-f]{3}|[0-9A-Fa-f]{6})")
_CONTENT_LIMIT = 200


def _check_content(data: Mapping[str, Any], problems: list[str]) -> None:
    """The one-time subscription message carries ``content`` alone, of at most 200 characters."""
    problems.extend(f"data.{key} is not used, only content is" for key in data if key != "content")
    content = data.get("content")
    if is_empty(content):
        problems.append("data.content is missing")
        return
    if not isinstance(content, dict):
        raise fields.empty("content")
    value = content.get("value")
    if not is_empty(value) and not (isinstance(value, str) and len(value) <= _CONTENT_LIMIT):
        raise fields.invalid("content")
    color = content.get("color")
    if not is_empty(color) and not (isinstance(color, str) and _COLOR.fullmatch(color)):
        problems.append("data.content.color is not #RRGGBB")


def _check_emphasis(body: Mapping[str, Any], problems: list[str]) -> None:
    emphasis = body.get("emphasis_keyword")
    if not isinstance(emphasis, str):
        return
    keyword = emphasis.removesuffix(".DATA")
    if keyword in ("first", "remark"):
        raise Refusal(errcodes.EMPHASIS_KEYWORD_INVALID)
    data = body.get("data")
    if keyword == emphasis or not isinstance(data, dict) or keyword not in data:
        problems.append("emphasis_keyword is not <keyword>.DATA of a keyword in data")
