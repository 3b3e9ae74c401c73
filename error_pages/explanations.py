"""The data of ``wxn explain``: all codes, with their texts in two languages."""

from __future__ import annotations

import json

from typing_extensions import TypedDict

from error_pages.classes import CLASSES
from error_pages.field_reports import NO_REPORT, REPORTS, Certainty, Place, Report
from error_pages.handling import Handling, of_platform, of_send, of_token
from error_pages.page import advised, anchor, meaning
from error_pages.places import PLACES
from wechat_notify.core.texts import Bilingual
from wechat_notify.wechat.error_codes import ERROR_CODES, ErrorCode


class Text(TypedDict):
    """A text in both languages."""

    en: str
    zh: str


class Cause(Text):
    """A known cause, and the kind of source that it is from."""

    certainty: Certainty


class Service(Text):
    """The action of the service; the HTTP status and ``retryable`` of what its caller is answered."""

    status: int
    retryable: bool


Explanation = TypedDict(
    "Explanation",
    {
        "code": int,
        "name": str,
        "class": str,
        "retryable": bool,
        "meaning": Text,
        "advice": Text,
        "steps": list[Text],
        "causes": list[Cause],
        "errmsg": list[str],
        "met": list[Place],
        "related": list[int],
        "send": Service | None,
        "token": Service | None,
        "anchor": str,
    },
)
"""A code. Lists are empty where nothing is known.

``send`` is what follows where WeChat answers a message with it, ``token`` where it answers the question for a
token or another call of a third-party platform; one of them is null where it is not met there. ``advice`` is one sentence, ``steps`` are in order, ``met``
names keys of ``places``, ``anchor`` is the section of docs/error-codes.md and docs/zh/error-codes.md.
"""


class ClassExplanation(TypedDict):
    """A class of codes: what is wrong, and who can do something about it."""

    meaning: Text
    remedy: Text


class Explanations(TypedDict):
    """The whole file; ``codes`` by the code in decimal, such as ``"40164"`` or ``"-1"``."""

    codes: dict[str, Explanation]
    classes: dict[str, ClassExplanation]
    places: dict[Place, Text]


def explanations() -> Explanations:
    """Return the data."""
    return {
        "codes": {str(code.code): _explanation(code) for code in ERROR_CODES.values()},
        "classes": {
            error_class.value: {"meaning": _text(each.meaning), "remedy": _text(each.remedy)}
            for error_class, each in CLASSES.items()
        },
        "places": {place: _text(endpoint.name) for place, endpoint in PLACES.items()},
    }


def as_json() -> str:
    """Return the data as the file has it: a line for each code."""
    data = explanations()
    codes = ",\n".join(f"{_compact(code)}:{_compact(each)}" for code, each in data["codes"].items())
    return (
        f'{{"classes":{_compact(data["classes"])},\n"places":{_compact(data["places"])},\n'
        f'"codes":{{\n{codes}\n}}}}\n'
    )


def _compact(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _explanation(code: ErrorCode) -> Explanation:
    report = REPORTS.get(code.code, NO_REPORT)
    return {
        "code": code.code,
        "name": code.name,
        "class": code.error_class.value,
        "retryable": code.retryable,
        "meaning": _text(meaning(code)),
        "advice": _text(advised(code)),
        "steps": [_text(step.as_text()) for step in report.steps],
        "causes": [{**_text(cause.as_text()), "certainty": cause.certainty} for cause in report.causes],
        "errmsg": list(report.errmsg),
        "met": list(report.met),
        "related": list(report.related),
        "send": None if report.met == (Place.TOKEN,) else _service(of_send(code.code)),
        "token": _for_a_token(code.code, report),
        "anchor": anchor(code),
    }


def _for_a_token(errcode: int, report: Report) -> Service | None:
    if Place.TOKEN in report.met:
        return _service(of_token(errcode))
    return _service(of_platform(errcode)) if Place.PLATFORM in report.met else None


def _service(handling: Handling) -> Service:
    return {**_text(handling.text), "status": handling.status, "retryable": handling.retryable}


def _text(text: Bilingual) -> Text:
    return {"en": text.en, "zh": text.zh}
