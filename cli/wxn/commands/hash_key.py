"""``wxn hash-key``: rotate the key under which openids are hashed, and forget earlier ones."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

import typer

from wxn import hash_keys
from wxn.errors import CommandError, ExitCode
from wxn.hash_keys import SECONDS_UNTIL_USED, HashKeys, StoredKeys
from wxn.language import text
from wxn.options import Yes
from wxn.questions import confirm
from wxn.run import Run, command
from wxn.times import local_time

if TYPE_CHECKING:
    from rich.console import Console

app = typer.Typer(
    name="hash-key",
    help=text("Rotate the key of the openids' hashes.", "轮换 openid 哈希密钥。"),
    no_args_is_help=True,
)

_MINUTES: Final = SECONDS_UNTIL_USED // 60
_DAY: Final = 86_400


@command(
    app,
    help=text(
        "Make a new key; people are still found under the earlier ones.",
        "生成新密钥；仍可用以前的密钥查找用户。",
    ),
)
def rotate(run: Run, yes: Yes = False) -> None:
    """Put a new key before the others. With ``--json``: ``keys``, a count.

    Raises
    ------
    CommandError
        The key of the last rotation is not in use yet.
    """
    stored = hash_keys.read(run.stack)
    _require_used(stored)
    question = text(
        f"{run.stack.title}: hash openids under a new key from now on?",
        f"{run.stack.title}：从现在起使用新密钥计算 openid 的哈希值？",
    )
    confirm(run.output, question, yes=yes, declined=text("The key stays.", "密钥未改变。"))
    _store(run, stored.keys.rotated(), stored)


@command(
    app,
    help=text(
        "Forget the earlier keys: what was written under them is not found any more.",
        "删除以前的密钥：用它们写入的内容将无法再按用户查找。",
    ),
)
def forget(run: Run, yes: Yes = False) -> None:
    """Keep the current key alone. With ``--json``: ``keys``, a count.

    Raises
    ------
    CommandError
        Entries that were written under an earlier key may be there still.
    """
    stored = hash_keys.read(run.stack)
    _require_expired(run, stored)
    earlier = len(stored.keys.earlier)
    question = text(
        f"{run.stack.title}: forget {earlier} earlier keys? Log lines that were written under them are not found any "
        "more, and consents that were not read since are lost.",
        f"{run.stack.title}：删除 {earlier} 个以前的密钥？用它们写入的日志将无法再查找，此后未读取过的订阅授权也会失效。",
    )
    confirm(run.output, question, yes=yes, declined=text("The keys stay.", "密钥未改变。"))
    _store(run, HashKeys(stored.keys.current), stored)


def _require_used(stored: StoredKeys) -> None:
    used_from = stored.written_at + SECONDS_UNTIL_USED
    if stored.keys.earlier and time.time() < used_from:
        raise CommandError(
            text(
                f"The key of the last rotation is used from {local_time(used_from)} on. With another one before that, "
                "functions that start now would use it while others do not know it yet.",
                f"上次轮换的密钥从 {local_time(used_from)} 起使用。若在此之前再次轮换，新启动的函数会立即使用它，而其他函数"
                "尚未获知。",
            ),
            text("Rotate again after that.", "请在此之后再轮换。"),
            ExitCode.FAILED,
        )


def _require_expired(run: Run, stored: StoredKeys) -> None:
    used_from = stored.written_at + SECONDS_UNTIL_USED
    needed_until = used_from + int(run.stack.parameters["LedgerRetentionDays"]) * _DAY
    if stored.keys.earlier and time.time() < needed_until:
        raise CommandError(
            text(
                f"The last of the earlier keys is needed until {local_time(needed_until)}: without it neither wxn erase "
                "nor receipts without an id find what was written under it.",
                f"最近一个以前的密钥须保留至 {local_time(needed_until)}：没有它，wxn erase 和不带 ID 的回执都无法找到用它"
                "写入的内容。",
            ),
            text("Forget it after that.", "请在此之后再删除。"),
            ExitCode.FAILED,
        )


def _store(run: Run, keys: HashKeys, before: StoredKeys) -> None:
    hash_keys.write(run.stack, keys, after=before)

    def render(console: Console) -> None:
        told = text(
            f"Stored: 1 current key, {len(keys.earlier)} earlier ones. All functions use them in {_MINUTES} minutes.",
            f"已保存：1 个当前密钥，{len(keys.earlier)} 个以前的密钥。所有函数会在 {_MINUTES} 分钟内生效。",
        )
        console.print(told, markup=False)

    run.output.show({"keys": len(keys.all)}, render)
