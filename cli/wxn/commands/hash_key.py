"""``wxn hash-key``: rotate the key under which openids are hashed, and forget earlier ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from wxn import hash_keys
from wxn.hash_keys import SECONDS_UNTIL_USED, HashKeys
from wxn.language import text
from wxn.options import Yes
from wxn.questions import confirm
from wxn.run import Run, command

if TYPE_CHECKING:
    from rich.console import Console

app = typer.Typer(
    name="hash-key",
    help=text("Rotate the key of the openids' hashes.", "轮换 openid 哈希密钥。"),
    no_args_is_help=True,
)

_MINUTES = SECONDS_UNTIL_USED // 60


@command(
    app,
    help=text(
        "Make a new key; people are still found under the earlier ones.",
        "生成新密钥；仍可用以前的密钥查找用户。",
    ),
)
def rotate(run: Run, yes: Yes = False) -> None:
    """Put a new key before the others. With ``--json``: ``keys``, a count."""
    keys = hash_keys.read(run.stack)
    question = text(
        f"{run.stack.title}: hash openids under a new key from now on?",
        f"{run.stack.title}：从现在起使用新密钥计算 openid 的哈希值？",
    )
    confirm(run.output, question, yes=yes, declined=text("The key stays.", "密钥未改变。"))
    _store(run, keys.rotated())


@command(
    app,
    help=text(
        "Forget the earlier keys: what was written under them is not found any more.",
        "删除以前的密钥：用它们写入的内容将无法再按用户查找。",
    ),
)
def forget(run: Run, yes: Yes = False) -> None:
    """Keep the current key alone. With ``--json``: ``keys``, a count."""
    keys = hash_keys.read(run.stack)
    days = run.stack.parameters["LedgerRetentionDays"]
    question = text(
        f"{run.stack.title}: forget {len(keys.earlier)} earlier keys? Messages that were written under them are not "
        f"found by receipts without an id and by wxn erase any more, nor consents that were not read since. The last is needed until {days} days after its "
        "rotation.",
        f"{run.stack.title}：删除 {len(keys.earlier)} 个以前的密钥？用它们写入的消息将无法被不带 ID 的回执和 wxn erase "
        f"找到，此后未读取过的订阅授权也会失效。最近一个密钥在轮换后的 {days} 天内仍需保留。",
    )
    confirm(run.output, question, yes=yes, declined=text("The keys stay.", "密钥未改变。"))
    _store(run, HashKeys(keys.current))


def _store(run: Run, keys: HashKeys) -> None:
    hash_keys.write(run.stack, keys)

    def render(console: Console) -> None:
        told = text(
            f"Stored: 1 current key, {len(keys.earlier)} earlier ones. All functions use them in {_MINUTES} minutes.",
            f"已保存：1 个当前密钥，{len(keys.earlier)} 个以前的密钥。所有函数会在 {_MINUTES} 分钟内生效。",
        )
        console.print(told, markup=False)

    run.output.show({"keys": len(keys.all)}, render)
