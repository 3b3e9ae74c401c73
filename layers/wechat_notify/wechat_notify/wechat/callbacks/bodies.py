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


def parse_fields(body: bytes) -> dict[str, Any]:
    """The fields of a body: texts, numbers, objects and lists.

    Raises
    ------
    CallbackBodyError
        If it is neither XML nor JSON, too large, nested too deeply, or has a field twice.
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
        return parse_json(text)
    except MalformedBodyError as error:
        raise CallbackBodyError(str(error)) from None


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
        raise CallbackBodyError("the body is nested too deeply")
    fields: dict[str, Any] = {}
    for child in element:
        value = _of_element(child, depth + 1)
        if child.tag not in fields:
            fields[child.tag] = value
        elif child.tag != "List":
            raise CallbackBodyError("a field comes twice")
        else:
            before = fields[child.tag]
            fields[child.tag] = [*before, value] if isinstance(before, list) else [before, value]
    return fields
