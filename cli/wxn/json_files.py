"""JSON that a person wrote into a file, with errors that show the place."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, NamedTuple

from wxn.errors import CommandError
from wxn.language import text
from wxn.system_errors import unreadable

STANDARD_INPUT: Final = "-"
_LINES: Final = {".jsonl", ".ndjson"}
_MAX_BYTES: Final = 64 * 1024 * 1024
_SHOWN_BEFORE, _SHOWN_AFTER = 50, 30
"""Characters of a line that are shown before and behind the mistake."""
_CORRECT: Final = text("Correct it and repeat the command.", "请修正后重新执行。")


class Document(NamedTuple):
    """A JSON object, and the line of the file that it begins in, from 1."""

    line: int
    value: dict[str, Any]


def read_object(path: str) -> dict[str, Any]:
    """The one JSON object of a file, or of standard input for ``-``; raises CommandError as `read_objects`."""
    content, name = _read(path), _name(path)
    return _object(_parse(content, name), name)


def read_objects(path: str) -> Sequence[Document]:
    """The JSON objects of a file, or of standard input for ``-``: one, or one in each line.

    Decimal numbers come as the text of their digits, which is the same to the service where it takes them.

    Raises
    ------
    CommandError
        If the file cannot be read, or holds something else. Of broken JSON it shows the place.
    """
    content, name = _read(path), _name(path)
    if Path(path).suffix not in _LINES and not _is_lines(content):
        return [Document(1, _object(_parse(content, name), name))]
    return [
        Document(number, _object(_parse(line, name, number), f"{name}:{number}"))
        for number, line in enumerate(content.split("\n"), 1)
        if line.strip()
    ]


def _name(path: str) -> str:
    return text("standard input", "标准输入") if path == STANDARD_INPUT else path


def _read(path: str) -> str:
    name = _name(path)
    try:
        with sys.stdin.buffer if path == STANDARD_INPUT else Path(path).open("rb") as file:
            content = file.read(_MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        next_step = text(
            "Check the path and its permissions; - reads standard input.",
            "请检查路径和权限；- 表示从标准输入读取。",
        )
        raise unreadable(path, error, next_step) from None
    if len(content) > _MAX_BYTES:
        raise CommandError(
            text(f"{name} is larger than 64 MiB.", f"{name} 超过 64 MiB。"),
            text("To send one message to many: wxn broadcast.", "向多人发送同一消息请用 wxn broadcast。"),
        )
    try:
        decoded = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise CommandError(
            text(f"{name} is not UTF-8 (line {line}).", f"{name} 不是 UTF-8 编码（第 {line} 行）。"),
            text("Save it as UTF-8 and repeat the command.", "请另存为 UTF-8 编码后重试。"),
        ) from None
    if not decoded.strip():
        raise CommandError(text(f"{name} is empty.", f"{name} 是空的。"), _CORRECT)
    return decoded


def _is_lines(content: str) -> bool:
    """Its first line is an object of its own, and more lines follow."""
    first, _, rest = content.strip().partition("\n")
    try:
        return bool(rest) and isinstance(json.loads(first), dict)
    except ValueError:
        return False


def _parse(content: str, name: str, line: int = 1) -> Any:
    """Decode JSON; ``line`` is the number of its first line in the file."""
    try:
        value = json.loads(
            content, object_pairs_hook=_unique, parse_constant=_refuse_constant, parse_float=_digits
        )
        json.dumps(value, ensure_ascii=False).encode()
    except json.JSONDecodeError as error:
        raise _broken(error, name, line) from None
    except _StrictError as error:
        told = text(f"{name}, line {line}: {error}.", f"{name} 第 {line} 行：{error}。")
        raise CommandError(told if line > 1 else f"{name}: {error}", _CORRECT) from None
    except UnicodeEncodeError:
        raise CommandError(
            text(f"{name} holds half of a surrogate pair.", f"{name} 含不成对的代理字符。"), _CORRECT
        ) from None
    except (RecursionError, ValueError):
        raise CommandError(
            text(
                f"{name} is nested too deeply, or has a number of too many digits.",
                f"{name} 嵌套过深，或含有过长的数字。",
            ),
            _CORRECT,
        ) from None
    return value


class _StrictError(Exception):
    """JSON that Python reads and the service refuses."""


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for key, value in pairs:
        if key in result:
            raise _StrictError(text(f'"{key}" is given twice in one object', f"同一对象中 “{key}” 重复"))
        result[key] = value
    return result


def _refuse_constant(constant: str) -> None:
    raise _StrictError(text(f"{constant} is not JSON", f"{constant} 不是合法的 JSON"))


def _digits(number: str) -> str | float:
    # A float has lost the zero of 39.80. With an exponent the text would be another one than the number's.
    if "e" not in number.lower():
        return str(Decimal(number))
    if math.isinf(value := float(number)):
        raise _StrictError(text(f"{number} is too large a number", f"{number} 超出数值范围"))
    return value


def _broken(error: json.JSONDecodeError, name: str, line: int) -> CommandError:
    from rich.cells import cell_len  # noqa: PLC0415 - for broken files alone

    number, column = line + error.lineno - 1, error.colno
    written = error.doc.split("\n")[error.lineno - 1].rstrip("\r").expandtabs(1)
    start = max(0, column - 1 - _SHOWN_BEFORE)
    shown = written[start : column - 1 + _SHOWN_AFTER]
    # A Chinese character is two columns wide.
    caret = " " * cell_len(written[start : column - 1]) + "^"
    what = error.msg.removesuffix(" at")
    told = text(
        f"{name} is not JSON: {what}, line {number}, column {column}",
        f"{name} 不是合法的 JSON：第 {number} 行第 {column} 列（{what}）",
    )
    several = text(
        "Several objects: write each into a line of its own.", "若有多个对象，请将每个单独写成一行。"
    )
    next_step = several if what == "Extra data" else _CORRECT
    return CommandError(f"{told}\n  {shown}\n  {caret}", next_step)


def _object(value: Any, name: str) -> dict[str, Any]:
    if isinstance(value, dict):
        return value
    if isinstance(value, list):
        next_step = text(
            "Write each object of the list into a line of its own.", "请将列表中的每个对象单独写成一行。"
        )
        raise CommandError(
            text(f"{name} holds a list, not a JSON object.", f"{name} 是列表，而不是 JSON 对象。"), next_step
        )
    raise CommandError(text(f"{name} holds no JSON object.", f"{name} 不是 JSON 对象。"), _CORRECT)
