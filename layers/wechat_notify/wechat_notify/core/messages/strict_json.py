"""JSON, decoded strictly and written digit for digit."""

from __future__ import annotations

import json
import re
from decimal import Decimal, InvalidOperation
from typing import Any

from wechat_notify.core.errors import MalformedBodyError
from wechat_notify.core.texts import Bilingual

_ESCAPED_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")


def parse_json(body: str | bytes) -> Any:
    """Decode a request body strictly; decimal numbers come as ``Decimal``, digit for digit.

    Raises
    ------
    MalformedBodyError
        Empty, not UTF-8, not JSON, nested too deeply, a key given twice, NaN or Infinity, a raw
        control character or a lone surrogate in a string. The error never quotes the body.
    """
    problem: Bilingual
    try:
        # A byte order mark is what some editors and SDKs begin a file with; it says nothing.
        text = (body.decode() if isinstance(body, bytes) else body).removeprefix("\ufeff")
        if not text.strip():
            problem = Bilingual("the body is empty", "请求体为空")
        else:
            value = _DECODER.decode(text)
            text.encode()  # fails where half of a pair stands in it as it is
            if _ESCAPED_SURROGATE.search(text):
                json.dumps(value, ensure_ascii=False, default=str).encode()
            return value
    except MalformedBodyError as error:
        problem = error.text
    except RecursionError:
        problem = Bilingual("the body is nested too deeply", "请求体嵌套过深")
    except UnicodeEncodeError:
        problem = Bilingual("the body holds half of a surrogate pair", "请求体含不成对的代理字符")
    except UnicodeDecodeError:
        problem = Bilingual("the body is not UTF-8", "请求体不是 UTF-8 编码")
    except json.JSONDecodeError as error:
        line, column, what = error.lineno, error.colno, error.msg.removesuffix(" at")
        problem = Bilingual(
            f"the body is not JSON: {what} at line {line}, column {column}",
            f"请求体不是合法的 JSON：第 {line} 行第 {column} 列",
        )
    except ValueError:  # an integer of more digits than Python converts
        problem = Bilingual("the body holds a number that is too long", "请求体含有过长的数字")
    raise MalformedBodyError(problem)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        raise MalformedBodyError(Bilingual("a key is given twice in one object", "同一对象中有重复的键"))
    return result


def _refuse_constant(name: str) -> None:
    raise MalformedBodyError(Bilingual(f"{name} is not JSON", f"{name} 不是合法的 JSON"))


def _decimal(text: str) -> Decimal:
    try:
        number = Decimal(text)
    except InvalidOperation:
        raise MalformedBodyError(_OUT_OF_RANGE) from None
    # Somebody will write it out: 1E+240000000 would be 240 MB.
    if max(number.adjusted(), -number.as_tuple().exponent, 0) > len(text) + _MAX_GROWTH:  # type: ignore[operator] # JSON knows no NaN
        raise MalformedBodyError(_OUT_OF_RANGE)
    return number


_MAX_GROWTH = 400
"""Digits by which a number may grow when its exponent is written out: the numbers of programs (up to 1.8E308)
pass, and a body of 64 KiB becomes 5 MB at most."""
_OUT_OF_RANGE = Bilingual("a number is out of range", "数字超出范围")


# Made once: json.loads makes one for each call that has hooks.
_DECODER = json.JSONDecoder(object_pairs_hook=_object, parse_constant=_refuse_constant, parse_float=_decimal)


def written_out(number: Decimal) -> str:
    """For ``json.dumps``: a decimal number digit for digit."""
    return format(number, "f")  # never 1E+3, which is no number to WeChat
