"""Messages as commands take them: from a file, from options, or from a file that options change."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from wxn.errors import CommandError
from wxn.json_files import Document, read_objects
from wxn.language import text
from wxn.suggestions import did_you_mean

Message = dict[str, Any]

KINDS: Final = (
    "subscription",
    "one_time_subscription",
    "mini_program_template",
    "mini_program_subscription",
    "template",
)
_READ: Final = text("docs/messages.md describes every kind.", "各类消息的说明见 docs/zh/messages.md。")


@dataclass(frozen=True)
class MessageOptions:
    """The fields of a message that options give.

    Parameters
    ----------
    data, fields
        Texts ``name=value``. A dot in the name of a field leads into an object.
    """

    kind: str | None = None
    to: str | None = None
    template: str | None = None
    page: str | None = None
    url: str | None = None
    data: Sequence[str] | None = None
    fields: Sequence[str] | None = None

    def applied_to(self, message: Message) -> Message:
        """The message with these fields; CommandError if an option has no ``=``, or a field is no object."""
        changed = copy.deepcopy(message)
        template_id = "templateId" if "templateId" in message else "template_id"
        given = {
            "kind": self.kind, "touser": self.to, template_id: self.template, "page": self.page, "url": self.url
        }  # fmt: skip
        changed.update({name: value for name, value in given.items() if value is not None})
        for option in self.data or ():
            key, value = _pair("--data", option)
            _put(changed, ["data", key], {"value": value})
        for option in self.fields or ():
            name, value = _pair("--set", option)
            _put(changed, name.split("."), value)
        return changed


def read_messages(file: str | None, options: MessageOptions) -> Sequence[Document]:
    """The messages of a file with the fields that options give, or the one that options alone make.

    Raises
    ------
    CommandError
        If the file cannot be read, an option is wrong, or a message has no kind that is known.
    """
    if file is None and options == MessageOptions():
        raise CommandError(
            text("There is no message to send.", "没有要发送的消息。"),
            text(
                "Name a file, or give --kind, --to, --template and --data; wxn send --help.",
                "请指定文件，或用 --kind、--to、--template、--data 给出；见 wxn send --help。",
            ),
        )
    documents = read_objects(file) if file is not None else [Document(1, {})]
    messages = [Document(line, options.applied_to(message)) for line, message in documents]
    for line, message in messages:
        _check_kind(message, line if len(messages) > 1 else None)
    return messages


def read_message(file: str | None, options: MessageOptions) -> Message:
    """The one message of a file or of options; raises CommandError as `read_messages`, and if there are more."""
    first, *more = read_messages(file, options)
    if more:
        raise CommandError(
            text(f"{file} holds {1 + len(more)} messages.", f"{file} 中有 {1 + len(more)} 条消息。"),
            text("Keep one of them.", "请只保留一条。"),
        )
    return first.value


def _check_kind(message: Message, line: int | None) -> None:
    kind = message.get("kind")
    if kind in KINDS:
        return
    place = "" if line is None else text(f"Line {line}: ", f"第 {line} 行：")
    if kind is None:
        raise CommandError(
            place + text('the message has no "kind".', "消息没有 kind 字段。"),
            text(f"Give --kind: one of {', '.join(KINDS)}.", f"请用 --kind 指定：{'、'.join(KINDS)}。"),
        )
    raise CommandError(
        place + text(f"{kind} is no kind of message.", f"{kind} 不是消息类型。"),
        did_you_mean(str(kind), KINDS),
    )


def _pair(option: str, given: str) -> tuple[str, str]:
    name, equals, value = given.partition("=")
    if not equals or not name:
        raise CommandError(
            text(f"{option} {given} has no value.", f"{option} {given} 没有值。"),
            text(f"Write {option} name=value.", f"请写成 {option} 名称=值。"),
        )
    return name, value


def _put(message: Message, path: Sequence[str], value: object) -> None:
    *folders, last = path
    place = message
    for name in folders:
        place = place.setdefault(name, {})
        if not isinstance(place, dict):
            raise CommandError(
                text(f"{name} of the message is no object.", f"消息的 {name} 字段不是对象。"), _READ
            )
    place[last] = value
