"""``wxn explain``: what an error code or a problem means, and what to do; without a stack."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from wxn.errors import CommandError, ExitCode
from wxn.explanations import Explanation, Unknown, data, find
from wxn.language import text, translated
from wxn.run import Run, command

if TYPE_CHECKING:
    from rich.console import Console

app = typer.Typer()

_CERTAINTY = {
    "documented": text("documented", "官方文档"),
    "reported": text("reported by users", "用户反馈"),
    "inferred": text("inferred", "推断"),
    "sdk": text("from the source of libraries", "见于 SDK 源码"),
}


@command(
    app,
    help=text(
        "Explain error codes of WeChat and problems of this service: meaning, cause, what to do. Works offline.",
        "解释微信错误码和本服务的错误：含义、原因、处理方法。无需联网。",
    ),
    stack=False,
    negative_numbers=True,
)
def explain(
    run: Run,
    asked: Annotated[
        list[str],
        typer.Argument(
            metavar="CODE...",
            help=text(
                "A code (40164), its name, a problem (unknown-hold), or a whole errmsg or log line.",
                "错误码（如 40164）、错误名、错误类型（如 unknown-hold），或整段 errmsg、日志。",
            ),
        ),
    ],
) -> None:
    """Explain what is asked.

    With ``--json``: ``explanations``, each with its ``name``, a code also with its ``code``, and the other fields
    of the data file, with texts in both languages.
    """
    if options := [word for word in asked if word.startswith("--")]:
        raise CommandError(
            text(f"There is no option {options[0]}.", f"没有名为 {options[0]} 的选项。"),
            text("Read wxn explain --help.", "请查看 wxn explain --help。"),
        )
    found = find(asked)
    known = [each for each in found if isinstance(each, Explanation)]
    unknown = [each for each in found if isinstance(each, Unknown)]

    def render(console: Console) -> None:
        for number, each in enumerate(known):
            if number:
                console.print()
            _print(console, each)

    if known:
        run.output.show({"explanations": [each.as_json() for each in known]}, render)
    if unknown:
        raise _not_found(unknown)


def _not_found(unknown: Sequence[Unknown]) -> CommandError:
    names = ", ".join(each.asked for each in unknown)
    nearest = list(dict.fromkeys(name for each in unknown for name in each.nearest))
    return CommandError(
        text(f"Nothing is known of {names}.", f"没有关于 {names} 的说明。"),
        text(f"Nearest: {', '.join(nearest)}.", f"相近的有：{'、'.join(nearest)}。")
        if nearest
        else text(
            "docs/error-codes.md lists the codes, docs/problems.md the problems.",
            "全部错误码见 docs/zh/error-codes.md，错误类型见 docs/zh/problems.md。",
        ),
        ExitCode.FAILED,
    )


def _print(console: Console, explanation: Explanation) -> None:
    title = explanation.name if explanation.errcode is None else f"{explanation.errcode} {explanation.name}"
    console.print(title, style="bold", markup=False)
    sections = _of_problem(explanation) if explanation.errcode is None else _of_code(explanation)
    for name, lines in sections:
        if len(lines) == 1:
            console.print(f"{name}{text(': ', '：')}{lines[0]}", markup=False)
        elif lines:
            console.print(f"{name}{text(':', '：')}", markup=False)
            for line in lines:
                console.print(f"  {line}", markup=False)


def _of_problem(problem: Explanation) -> Iterator[tuple[str, list[str]]]:
    yield text("HTTP status", "HTTP 状态码"), [", ".join(map(str, problem.fields["statuses"]))]
    yield text("Meaning", "含义"), [problem.text("meaning")]
    yield text("What to do", "处理方法"), [problem.text("remedy")]


def _of_code(code: Explanation) -> Iterator[tuple[str, list[str]]]:
    fields = code.fields
    kind = data()["classes"][fields["class"]]
    yield text("Meaning", "含义"), [code.text("meaning")]
    yield text("Class", "类别"), [f"{fields['class']}{text(': ', '：')}{translated(kind['meaning'])}"]
    yield text("What to do", "处理方法"), code.what_to_do
    yield (
        text("Causes", "原因"),
        [
            f"- {translated(cause)} {text('(', '（')}{_CERTAINTY[cause['certainty']]}{text(')', '）')}"
            for cause in fields["causes"]
        ],
    )
    for place, name in (
        ("send", text("After a message, the service", "发送消息时返回，本服务")),
        ("token", text("When it asks for a token, the service", "获取 access_token 时返回，本服务")),
    ):
        yield name, [str(translated(fields[place]))] if fields[place] else []
    yield text("WeChat's text", "微信返回的文字"), list(fields["errmsg"])
    yield text("Met at", "见于"), [str(translated(data()["places"][place])) for place in fields["met"]]
    yield text("See also", "另见"), [", ".join(map(str, fields["related"]))] if fields["related"] else []
    yield text("More", "更多"), [code.page]
