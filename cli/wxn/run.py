"""One run of a command: its options, its stack, its output, its end."""

from __future__ import annotations

import functools
import inspect
import os
import sys
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Concatenate, Literal, ParamSpec

import typer

from wxn import aws_errors, stacks, system_errors
from wxn.api import Api
from wxn.errors import CommandError, ExitCode
from wxn.language import text
from wxn.output import Output, discard
from wxn.stacks import Stack, StackOptions

COMMANDS = text("Commands", "命令")
_PANEL = text("Options of all commands", "通用选项")


def show_help(context: typer.Context, asked: bool) -> None:  # noqa: FBT001 - called by typer
    """Print the help of a command and end it. The parser's own has an English text alone."""
    if asked:
        context.get_help()  # prints it
        raise typer.Exit


Help = Annotated[
    bool,
    typer.Option(
        "--help",
        callback=show_help,
        is_eager=True,
        help=text("Show this help.", "显示帮助。"),
        rich_help_panel=_PANEL,
    ),
]


Lang = Annotated[
    Literal["en", "zh"] | None,
    typer.Option(
        "--lang",
        metavar="en|zh",
        help=text("The language; that of the locale by default.", "语言，默认取自系统区域设置。"),
        rich_help_panel=_PANEL,
    ),
]


def _everywhere(
    as_json: Annotated[
        bool, typer.Option("--json", help=text("Print JSON.", "输出 JSON。"), rich_help_panel=_PANEL)
    ] = False,
    lang: Lang = None,
    show_help: Help = False,
) -> None:
    """Name the options that every command has."""


def _of_stacks(
    account: Annotated[
        str | None,
        typer.Option(
            "--account",
            metavar="NAME",
            envvar="WXN_ACCOUNT",
            help=text("The WeChat account.", "微信账号名。"),
            rich_help_panel=_PANEL,
        ),
    ] = None,
    stack: Annotated[
        str | None,
        typer.Option(
            "--stack",
            metavar="NAME",
            envvar="WXN_STACK",
            help=text(
                "A stack in AWS; the one on this machine by default.", "AWS 上的环境名，默认使用本机环境。"
            ),
            rich_help_panel=_PANEL,
        ),
    ] = None,
    profile: Annotated[
        str | None,
        typer.Option(
            "--profile",
            metavar="NAME",
            help=text("A profile of the AWS configuration.", "AWS 配置文件中的身份。"),
            rich_help_panel=_PANEL,
        ),
    ] = None,
    region: Annotated[
        str | None,
        typer.Option(
            "--region", metavar="NAME", help=text("The AWS region.", "AWS 区域。"), rich_help_panel=_PANEL
        ),
    ] = None,
) -> None:
    """Name the options of the commands that work on a stack."""


class Run:
    """The stack, the account, the API and the output that a command works with.

    Parameters
    ----------
    as_json
        Print JSON.
    account
        The WeChat account that was named.
    options
        The stack that was named.
    """

    def __init__(
        self, *, as_json: bool, account: str | None = None, options: StackOptions | None = None
    ) -> None:
        self.output = Output(as_json=as_json)
        self._account = account
        self._options = options or StackOptions()

    @cached_property
    def stack(self) -> Stack:
        """The stack to work on; CommandError if there is none."""
        return stacks.find(self._options, os.environ, Path.cwd())

    @property
    def named_account(self) -> str | None:
        """The account that the person named; None if they named none."""
        return self._account

    @property
    def account(self) -> str:
        """The WeChat account to work on; CommandError if none was named."""
        laptop = self.stack.laptop
        account = self._account or (laptop and laptop.get("account"))
        if not account:
            raise CommandError(
                text("No WeChat account is named.", "没有指定微信账号。"),
                text(
                    "Give --account, or set WXN_ACCOUNT; see what there is: wxn account list",
                    "请用 --account 指定，或设置 WXN_ACCOUNT；查看已有的：wxn account list",
                ),
            )
        return str(account)

    @cached_property
    def api(self) -> Api:
        """The HTTP API of the account."""
        return self.api_of(self.account)

    def api_of(self, account: str) -> Api:
        """The HTTP API of an account."""
        return Api(self.stack, account)


Own = ParamSpec("Own")
"""The options of one command."""


def command(
    app: typer.Typer,
    name: str | None = None,
    *,
    help: str,  # noqa: A002 - typer's word
    stack: bool = True,
    negative_numbers: bool = False,
) -> Callable[[Callable[Concatenate[Run, Own], None]], Callable[Concatenate[Run, Own], None]]:
    """Register a function as a command, with the options that all commands have.

    The function gets a `Run` and its own options. A `CommandError`, and an error of AWS, ends the process
    with the reason and the exit code.

    Parameters
    ----------
    app
        The group that the command belongs to.
    name
        The command's name; the function's without it.
    help
        Its help text, in the language of this process.
    stack
        It works on a stack; otherwise it has no options that choose one.
    negative_numbers
        An argument such as -1 is no option; then the command refuses unknown options itself.
    """

    def register(function: Callable[Concatenate[Run, Own], None]) -> Callable[Concatenate[Run, Own], None]:
        _, *own = inspect.signature(function, eval_str=True).parameters.values()
        shared = _parameters(_of_stacks) if stack else []
        everywhere = _parameters(_everywhere)

        @functools.wraps(function)
        def run(**values: Any) -> None:
            as_json = values.pop("as_json")
            del values["lang"], values["show_help"]  # wxn.language has read the one, its callback the other
            chosen = {parameter.name: values.pop(parameter.name) for parameter in shared}
            account = chosen.pop("account", None)
            attempt = Run(as_json=as_json, account=account, options=StackOptions(**chosen))
            _ended(attempt.output, functools.partial(function, attempt, **values))

        parameters = [p.replace(kind=p.KEYWORD_ONLY) for p in (*map(_titled, own), *shared, *everywhere)]
        del run.__wrapped__
        run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
        settings = {"ignore_unknown_options": negative_numbers}
        app.command(
            name, help=help, add_help_option=False, rich_help_panel=COMMANDS, context_settings=settings
        )(run)
        return function

    return register


def _titled(parameter: inspect.Parameter) -> inspect.Parameter:
    """The parameter of a command, under a title in the language of this process."""
    for told in getattr(parameter.annotation, "__metadata__", ()):
        if told.rich_help_panel is None:
            is_argument = isinstance(told, typer.models.ArgumentInfo)
            told.rich_help_panel = text("Arguments", "参数") if is_argument else text("Options", "选项")
    return parameter


def _parameters(declaration: Callable[..., None]) -> list[inspect.Parameter]:
    return list(inspect.signature(declaration, eval_str=True).parameters.values())


def _ended(output: Output, call: Callable[[], None]) -> None:
    """Call it; an error ends the process with its exit code."""
    try:
        call()
        sys.stdout.flush()
    except CommandError as error:
        output.fail(error)
        raise typer.Exit(error.exit_code) from None
    except BrokenPipeError:  # the reader of the pipe has what it wanted (head, grep -q)
        discard(sys.stdout)
        raise typer.Exit(ExitCode.OK) from None
    except (typer.Exit, typer.Abort):
        raise
    except Exception as error:
        known = aws_errors.translate(error) or system_errors.translate(error)
        if isinstance(error, OSError):
            discard(sys.stdout)
        if known is None and "WXN_TRACEBACK" in os.environ:
            raise
        # Its text may quote what was sent.
        unforeseen = CommandError(
            text(f"Unforeseen error: {type(error).__name__}.", f"意外错误：{type(error).__name__}。"),
            text(
                "Set WXN_TRACEBACK=1, repeat the command, and report it.",
                "请设置 WXN_TRACEBACK=1 后重试，并反馈该问题。",
            ),
            ExitCode.BUG,
        )
        output.fail(known or unforeseen)
        raise typer.Exit((known or unforeseen).exit_code) from None
