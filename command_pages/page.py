"""The page: what holds for all commands, then each command with its arguments and options."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import typer

from command_pages.json_shapes import JSON
from wxn.app import app
from wxn.errors import ExitCode
from wxn.language import text

_SHARED = frozenset({"account", "stack", "profile", "region", "as_json", "lang", "show_help"})
"""The options that are told once, for all commands."""

_HAN = "[\u4e00-\u9fff]"

_EXIT_CODES = {
    ExitCode.OK: text("done", "成功"),
    ExitCode.FAILED: text(
        "the command ran, and its result is not what was asked for: a message that was refused, a hold that is unknown, "
        "a question that was answered with no",
        "命令已执行，但结果不符合要求：消息被拒绝、找不到暂停、确认时回答了否等",
    ),
    ExitCode.USAGE: text(
        "a command, an option, a file or a message is wrong; nothing was sent",
        "命令、选项、文件或消息有误，没有发送任何内容",
    ),
    ExitCode.NO_ACCESS: text("no stack, no credentials, or no permission", "没有环境、凭证或权限"),
    ExitCode.UNAVAILABLE: text(
        "AWS, the stack or WeChat does not answer; the same command can work later",
        "AWS、环境或微信没有响应，稍后重试可能成功",
    ),
    ExitCode.BUG: text("a bug of the command", "命令自身的错误"),
    ExitCode.HUNG_UP: text("its terminal was closed (SIGHUP)", "终端已关闭（SIGHUP）"),
    ExitCode.INTERRUPTED: text("stopped with Ctrl-C", "被 Ctrl-C 中断"),
    ExitCode.TERMINATED: text("ended from outside (SIGTERM)", "被外部终止（SIGTERM）"),
}


def page() -> str:
    """The page in the language of this process, as Markdown."""
    commands = all_commands()
    return "\n".join([*_head(commands), *_sections(commands)]) + "\n"


def all_commands() -> dict[str, Any]:
    """The commands by their words, such as ``holds list``."""
    root: Any = typer.main.get_command(app)
    return dict(_commands(root, ""))


def _commands(group: Any, before: str) -> Iterator[tuple[str, Any]]:
    """All commands that do something, by their words."""
    for name, command in group.commands.items():
        words = f"{before} {name}".strip()
        if getattr(command, "commands", None):
            yield from _commands(command, words)
        else:
            yield words, command


def _head(commands: dict[str, Any]) -> Iterator[str]:
    yield from text(_ENGLISH, _CHINESE).strip().splitlines()
    yield ""
    yield f"## {text('Options of all commands', '通用选项')}"
    yield ""
    longest = max(commands.values(), key=lambda command: len(command.params))
    yield from _table([each for each in longest.params if each.name in _SHARED])
    yield f"## {text('Exit codes', '退出码')}"
    yield ""
    yield text("| code | meaning |", "| 退出码 | 含义 |")
    yield "|---|---|"
    yield from (f"| {code.value} | {_EXIT_CODES[code]} |" for code in ExitCode)
    yield ""
    yield "## JSON"
    yield ""
    yield from text(_JSON_ENGLISH, _JSON_CHINESE).strip().splitlines()
    yield ""
    yield text("| command | JSON |", "| 命令 | JSON |")
    yield "|---|---|"
    yield from (f"| `{words}` | {JSON[words]} |" for words in commands)
    yield ""


def _sections(commands: dict[str, Any]) -> Iterator[str]:
    yield f"## {text('Commands', '命令')}"
    for words, command in commands.items():
        own = [each for each in command.params if each.name not in _SHARED]
        arguments = "".join(f" {_argument(each)}" for each in own if not _is_option(each))
        options = text(" [OPTIONS]", " [选项]") if any(map(_is_option, own)) else ""
        yield ""
        yield f"### wxn {words}"
        yield ""
        yield f"`wxn {words}{arguments}{options}`"
        yield ""
        yield (command.help or "").partition("\n")[0]
        if own:
            yield ""
            yield from _table(own)[:-1]


def _table(parameters: list[Any]) -> list[str]:
    rows = [f"| `{_shown(each)}` | {_told(each)} |" for each in parameters]
    return [text("| option | meaning |", "| 选项 | 含义 |"), "|---|---|", *rows, ""]


def _is_option(parameter: Any) -> bool:
    return bool(parameter.opts[0].startswith("-"))


def _argument(parameter: Any) -> str:
    name = (parameter.metavar or parameter.name).strip("{}.").upper()
    name += "…" if parameter.nargs == -1 else ""
    return name if parameter.required else f"[{name}]"


def _shown(parameter: Any) -> str:
    if not _is_option(parameter):
        return _argument(parameter)
    value = "" if parameter.is_flag else f" {parameter.metavar or parameter.name.upper()}"
    return f"{parameter.opts[0]}{value}".replace("|", "/")


def _told(parameter: Any) -> str:
    # A terminal breaks lines at the blanks that Chinese texts have for that alone.
    told = re.sub(f"(?<=、) |(?<={_HAN}) (?={_HAN})", "", (parameter.help or "").replace("|", "/"))
    if parameter.envvar:
        told += text(f" Variable: `{parameter.envvar}`.", f"环境变量：`{parameter.envvar}`。")
    if isinstance(parameter.default, str | int) and not isinstance(parameter.default, bool):
        told += text(f" Default: {parameter.default}.", f"默认：{parameter.default}。")
    return told


_ENGLISH = """
# The command line

<!-- Made by `make command-pages` from the commands of cli/wxn: edit those, or command_pages/page.py. -->

`wxn` sends messages and broadcasts, looks messages up, shows what stops them, and mends it. It works on a stack in AWS
and on the one of `make up`.

```sh
pipx install ./cli
wxn --help
```

**The stack.** Without `--stack` and `WXN_STACK`, `wxn` works on the stack that `make up` runs from this folder or one
above it. `--stack` is the name of a stack in AWS, such as `wechat-notify-prod`; `--profile` and `--region` are those of
the AWS command line, and permissions are [those of callers](deploy.md#permissions-of-callers). **The account** is
`--account` or `WXN_ACCOUNT`.

**The language** is that of the locale (`LC_ALL`, `LC_MESSAGES`, `LANG`), English or Chinese, or `--lang`.

Results are on standard output; progress, questions and errors on standard error. An error has two lines: the cause, and
what to do next. `NO_COLOR` switches colours off. `wxn --install-completion` lets the Tab key complete commands.
"""

_CHINESE = """
# 命令行

<!-- 由 `make command-pages` 根据 cli/wxn 的命令生成：请修改命令本身，或 command_pages/page.py。 -->

`wxn` 用于发送消息和群发、查询消息、找出并排除导致无法发送的原因。它既可以操作 AWS 上的环境（即 CloudFormation 堆栈），也可以操作 `make up` 启动的本机环境。

```sh
pipx install ./cli
wxn --help
```

**环境。** 不指定 `--stack` 和 `WXN_STACK` 时，`wxn` 使用 `make up` 在当前目录或上级目录启动的本机环境。`--stack` 是 AWS 上的堆栈名，例如 `wechat-notify-prod`；`--profile` 和 `--region` 与 AWS 命令行相同，所需权限见[调用方的权限](deploy.md#调用方的权限)。**账号**用 `--account` 或 `WXN_ACCOUNT` 指定。

**语言**取自系统区域设置（`LC_ALL`、`LC_MESSAGES`、`LANG`），支持中文和英文，也可用 `--lang` 指定。

结果输出到标准输出，进度、确认和错误输出到标准错误。错误信息有两行：原因和下一步操作。设置 `NO_COLOR` 可关闭颜色。`wxn --install-completion` 可启用 Tab 补全。
"""

_JSON_ENGLISH = """
With `--json` a result is JSON on standard output, without line breaks; nothing else is printed there. Where it is an
answer of the HTTP API, [openapi.json](openapi.json) has its schema. An error is a document on standard error:

<!-- exit 1 -->
```sh
wxn holds release account --json
```

```json
{"error": {"message": "Not found (404). …", "next": "…", "exit_code": 1, "problem": {"…": "…"}}}
```

`problem` is the [problem document](api.md#problem-documents) of a request that the service refused.
"""

_JSON_CHINESE = """
加 `--json` 时，结果以不换行的 JSON 输出到标准输出，不含其他内容。凡是 HTTP API 的应答，其结构见 [openapi.json](../openapi.json)。错误以 JSON 输出到标准错误：

<!-- exit 1 -->
```sh
wxn holds release account --json
```

```json
{"error": {"message": "该账号没有此 id 的暂停，…", "next": "…", "exit_code": 1, "problem": {"…": "…"}}}
```

请求被服务拒绝时，`problem` 为其[错误应答](api.md#错误应答)。
"""
