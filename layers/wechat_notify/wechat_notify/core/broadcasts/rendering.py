"""Render a broadcast's message for a row, and check the result."""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from operator import itemgetter
from typing import Any, NamedTuple

from wechat_notify.core.broadcasts.recipients import Row, column_name
from wechat_notify.core.errors import InvalidFieldsError, InvalidMessageError
from wechat_notify.core.messages.field_types import REQUIRED
from wechat_notify.core.messages.identifiers import is_message_id
from wechat_notify.core.messages.intake import MAX_BODY_BYTES
from wechat_notify.core.messages.keywords import MAX_PATH
from wechat_notify.core.messages.kinds import Message
from wechat_notify.core.messages.parser import parse_message
from wechat_notify.core.messages.strict_json import written_out
from wechat_notify.core.templates.check import check_template
from wechat_notify.core.templates.template import AccountTemplates
from wechat_notify.core.texts import Bilingual
from wechat_notify.core.violations import Violation

_PLACEHOLDER = re.compile(r"\{\{([^{}]*)\}\}")

_DIGEST = 31
"""Characters, so that a message's id has 64 at most: a broadcast's has 32."""
_MAX_BYTES = 6
"""Bytes of a character in JSON: the escape of a control character."""

_Fields = Mapping[str, str]
_Render = Callable[[_Fields], Any]


class CheckedRow(NamedTuple):
    """A row whose message keeps the rules of its kind.

    ``own_id`` is the row's ``id`` where the file has such a column. ``body`` is the message as a send request
    has it.
    """

    number: int
    message_id: str
    openid: str
    own_id: str | None
    message: Message
    body: dict[str, Any]
    warnings: Sequence[Violation] = ()


class BadRow(NamedTuple):
    """A row that cannot be sent."""

    number: int
    violations: Sequence[Violation]


class MessageTemplate:
    """A message with ``{{column}}`` placeholders in its texts, at any depth; compiled once.

    ``touser`` is ``{{openid}}`` where the message has none. Keys have no placeholders.

    Parameters
    ----------
    message : Mapping
        The message as JSON has it. It must not be changed afterwards.

    Raises
    ------
    InvalidFieldsError
        A placeholder is not closed, or names nothing.
    """

    def __init__(self, message: Mapping[str, Any]) -> None:
        self._columns: set[str] = set()
        self._paths: set[str] = set()
        self._uses: Counter[str] = Counter()
        self._violations: list[Violation] = []
        self.message = {**message, "touser": message.get("touser", "{{openid}}")}
        """The message with its placeholders."""
        render = self._object(self.message, "")
        if self._violations:
            raise InvalidFieldsError(self._violations)
        self._size = len(_json(self.message))
        self._render = render or (lambda _fields: dict(self.message))
        self.columns = frozenset(self._columns)
        """The columns that the placeholders name."""
        self.paths = frozenset(self._paths)
        """The dotted paths of the texts that hold placeholders."""

    def render(self, fields: _Fields) -> dict[str, Any]:
        """Return the message of a row; raises ``KeyError`` where the row lacks a column.

        Parts without placeholders are the same objects in every message: they must not be changed.
        """
        message: dict[str, Any] = self._render(fields)
        return message

    def too_large(self, fields: _Fields) -> bool:
        """Return whether a row's message is larger than one may be: it might not fit on the queue.

        The row must have all columns.
        """
        # Nearly every message is far from it, which is seen without making it; and one that is far beyond it
        # may be gigabytes.
        growth = sum(uses * len(fields[name]) for name, uses in self._uses.items())
        return growth > MAX_BODY_BYTES or (
            self._size + _MAX_BYTES * growth > MAX_BODY_BYTES
            and len(_json(self.render(fields))) > MAX_BODY_BYTES
        )

    def _compile(self, value: object, path: str) -> _Render | None:
        """Return the function that renders a value, None where it has no placeholder."""
        if isinstance(value, str):
            return self._text(value, path) if "{{" in value else None
        if isinstance(value, dict):
            return self._object(value, path)
        if isinstance(value, list):
            return self._array(value, path)
        return None

    def _object(self, value: Mapping[str, Any], path: str) -> _Render | None:
        compiled = [
            (key, self._compile(part, f"{path}.{key}" if path else key)) for key, part in value.items()
        ]
        changing = [(key, render) for key, render in compiled if render]

        def render_object(fields: _Fields) -> dict[str, Any]:
            result = dict(value)
            for key, render in changing:
                result[key] = render(fields)
            return result

        return render_object if changing else None

    def _array(self, value: Sequence[Any], path: str) -> _Render | None:
        compiled = [self._compile(part, f"{path}.{place}") for place, part in enumerate(value)]

        def render_array(fields: _Fields) -> list[Any]:
            return [render(fields) if render else part for part, render in zip(value, compiled, strict=True)]

        return render_array if any(compiled) else None

    def _text(self, text: str, path: str) -> _Render | None:
        """Return the function that renders a text; texts between placeholders stay as they are."""
        *pairs, last = _PLACEHOLDER.split(text)
        names = [column_name(name) for name in pairs[1::2]]
        if "{{" in "\0".join([*pairs[::2], last]) or "" in names:
            self._violations.append(Violation(path[:MAX_PATH], "placeholder", _NO_PLACEHOLDER))
            return None
        self._columns.update(names)
        self._paths.add(path[:MAX_PATH])
        self._uses.update(names)
        column = itemgetter(*names)
        if pairs == ["", pairs[1]] and not last:
            return column
        form = "%s".join(part.replace("%", "%%") for part in [*pairs[::2], last])
        return lambda fields: form % column(fields)


def check_row(  # noqa: PLR0911 - one for each reason
    template: MessageTemplate,
    row: Row,
    broadcast_id: str,
    *,
    by_id: bool,
    known: AccountTemplates | None = None,
) -> CheckedRow | BadRow:
    """Render a row's message and check it.

    Parameters
    ----------
    template : MessageTemplate
        The broadcast's message.
    row : Row
        A row of the file.
    broadcast_id : str
        The message's id begins with it.
    by_id : bool
        The file has an ``id`` column. It ends the message's id then, otherwise the row's number does.
    known : AccountTemplates, optional
        The account's templates at WeChat, which messages are checked against.
    """
    fields = row.fields
    if fields is None:
        return BadRow(row.number, [row.problem] if row.problem else [])
    own_id = fields.get("id", "").strip() if by_id else None
    if own_id == "":
        return BadRow(row.number, [_required("id")])
    message_id = _message_id(broadcast_id, own_id or str(row.number))
    missing = template.columns - fields.keys()
    if missing:
        return BadRow(row.number, [_required(name) for name in sorted(missing)])
    if template.too_large(fields):
        return BadRow(row.number, [_TOO_LARGE])
    body = template.render(fields)
    try:
        message, warnings = parse_message(body, message_id)
    except InvalidMessageError as error:
        return BadRow(row.number, error.violations)
    if known is not None:
        by_template = check_template(message, known)
        if by_template.violations:
            return BadRow(row.number, by_template.violations)
        warnings += by_template.warnings
    return CheckedRow(row.number, message_id, message.touser, own_id, message, body, warnings)


def _message_id(broadcast_id: str, end: str) -> str:
    """The broadcast's id and the end, or a digest of that: messages are listed by the id's beginning."""
    given = f"{broadcast_id}:{end}"
    if is_message_id(given):
        return given
    return f"{broadcast_id}:{hashlib.sha256(end.encode()).hexdigest()[:_DIGEST]}"


def _json(message: Mapping[str, Any]) -> bytes:
    return json.dumps(message, ensure_ascii=False, default=written_out).encode()


def _required(column: str) -> Violation:
    return Violation(column[:MAX_PATH], REQUIRED.rule, REQUIRED.text)


_NO_PLACEHOLDER = Bilingual(
    "has a placeholder that is not closed or names no column: write {{column}}",
    "含有未闭合或没有列名的占位符：应写作 {{列名}}",
)
_TOO_LARGE = Violation(
    "",
    "max_length",
    Bilingual(
        f"becomes a message larger than {MAX_BODY_BYTES >> 10} KiB",
        f"生成的消息超过 {MAX_BODY_BYTES >> 10} KiB",
    ),
    limit=MAX_BODY_BYTES,
)
