"""Errors of the command line itself, in the language of this process."""

from __future__ import annotations

import re
from typing import Any

from wxn.errors import CommandError, ExitCode
from wxn.language import text


def usage_error(error: Any) -> CommandError | None:
    """The reason that a command tells for an error of the parser; None if it has printed the help.

    Parameters
    ----------
    error : typer.exceptions.TyperException
        The parser's error, told apart by its fields: its classes are not public.
    """
    message = str(error.format_message())
    if not message:
        return None
    context = getattr(error, "ctx", None)
    help_command = f"{context.command_path if context else 'wxn'} --help"
    next_step = text(f"Read {help_command}.", f"请查看 {help_command}。")
    if re.fullmatch(r"-\d", str(getattr(error, "option_name", ""))[:2]):
        next_step = text("Write -- before a negative number.", "负数前请加上 --。")
    return CommandError(_told(error, message), next_step, ExitCode.USAGE)


def _told(error: Any, message: str) -> str:
    if hasattr(error, "possibilities"):
        return _unknown(
            text("option", "选项"), error.option_name, next(iter(error.possibilities or []), None)
        )
    if unknown := re.match(r"No such command '(.+?)'\.(?: Did you mean '(.+?)')?", message):
        return _unknown(text("command", "命令"), unknown[1], unknown[2])
    if missing := re.match(r"Missing (argument|option|parameter)[: ]*'?([^'.]*)'?", message):
        return text(f"{missing[2]} is missing.", f"缺少 {missing[2]}。")
    if incomplete := re.match(r"Option '(.+?)' requires an argument", message):
        return text(f"{incomplete[1]} needs a value.", f"{incomplete[1]} 缺少取值。")
    if choices := re.match(r"Invalid value for '(.+?)': Value error, '(.*)' is not one of (.+)\.$", message):
        allowed = choices[3].replace("'", "")
        return text(
            f"{choices[1]} {choices[2]}: it is one of {allowed}.",
            f"{choices[1]} 不能是 {choices[2]}，可选：{allowed}。",
        )
    return _of_a_number(message) or text(message, f"用法有误：{message}")


def _of_a_number(message: str) -> str | None:
    """The rule of its number that an option's value breaks; the parser tells it in English alone."""
    if limit := re.match(
        r"Invalid value for '(.+?)': Input should be (greater|less) than or equal to (\S+)", message
    ):
        if limit[2] == "greater":
            return text(f"{limit[1]} is at least {limit[3]}.", f"{limit[1]} 不能小于 {limit[3]}。")
        return text(f"{limit[1]} is at most {limit[3]}.", f"{limit[1]} 不能大于 {limit[3]}。")
    if number := re.match(r"Invalid value for '(.+?)': Input should be a valid (integer|number)", message):
        if number[2] == "integer":
            return text(f"{number[1]} is a whole number.", f"{number[1]} 必须是整数。")
        return text(f"{number[1]} is a number.", f"{number[1]} 必须是数字。")
    return None


def _unknown(what: str, name: str, nearest: str | None) -> str:
    told = text(f"There is no {what} {name}.", f"没有名为 {name} 的{what}。")
    return told + (text(f" Did you mean {nearest}?", f"您是否想用 {nearest}？") if nearest else "")
