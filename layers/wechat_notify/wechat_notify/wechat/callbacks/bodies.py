"""The bodies of callbacks, XML or JSON, as fields.

Official accounts get XML alone, mini programs one of the two, third-party platforms XML.
"""

from __future__ import annotations

from typing import Any, Final
from xml.etree.ElementTree import Element, ParseError  # nosec B405 # its types only: defusedxml parses

import defusedxml.ElementTree
from defusedxml import DefusedXmlException

from wechat_notify.core.callbacks.events import CallbackBodyError
from wechat_notify.core.errors import MalformedBodyError
from wechat_notify.core.messages.strict_json import parse_json

MAX_BYTES: Final = 65_536
"""Maximum size of a body, in bytes. An event has some hundred, a person's text some thousand."""
_MAX_ELEMENTS: Final = 2_000
_MAX_DEPTH: Final = 6
_TOO_DEEP: Final = "the body is nested too deeply"


def parse_fields(body: bytes) -> dict[str, Any]:
    """The fields of a body: texts, numbers, objects and lists. An element that comes again in XML is a list.

    Raises
    ------
    CallbackBodyError
        If it is neither XML nor JSON, too large, or nested too deeply.
    """
    if len(body) > MAX_BYTES:
        raise CallbackBodyError("the body is too large")
    text = body.lstrip(b"\xef\xbb\xbf \t\r\n")
    fields = _from_xml(text) if text.startswith(b"<") else _from_json(text)
    if not isinstance(fields, dict):
        raise CallbackBodyError("the body is not an object")
    return fields


def _from_json(text: bytes) -> Any:
    try:
        value = parse_json(text)
    except MalformedBodyError as error:
        raise CallbackBodyError(str(error)) from None
    _check_depth(value, depth=0)
    return value


def _check_depth(value: Any, depth: int) -> None:
    if not isinstance(value, dict | list):
        return
    if depth > _MAX_DEPTH:
        raise CallbackBodyError(_TOO_DEEP)
    for inner in value.values() if isinstance(value, dict) else value:
        _check_depth(inner, depth + 1)


def _from_xml(text: bytes) -> Any:
    # WeChat's own examples of authorized and updateauthorized end with a second opening tag.
    if text.rstrip().endswith(b"<xml>"):
        text = text.rstrip().removesuffix(b"<xml>") + b"</xml>"
    try:
        root = defusedxml.ElementTree.fromstring(text, forbid_dtd=True)
    except (DefusedXmlException, ParseError, ValueError, LookupError, RecursionError):
        raise CallbackBodyError("the body is not the XML of a callback") from None
    if sum(1 for _ in root.iter()) > _MAX_ELEMENTS:
        raise CallbackBodyError("the body has too many elements")
    return _of_element(root, depth=0)


def _of_element(element: Element, depth: int) -> Any:
    if not len(element):
        return (element.text or "").strip()
    if depth > _MAX_DEPTH:
        raise CallbackBodyError(_TOO_DEEP)
    # Events that nothing here needs have lists of other names, such as the photos that somebody has picked.
    fields: dict[str, list[Any]] = {}
    for child in element:
        fields.setdefault(child.tag, []).append(_of_element(child, depth + 1))
    return {name: values if len(values) > 1 else values[0] for name, values in fields.items()}
