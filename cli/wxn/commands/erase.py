"""``wxn erase``: everything stored of one person."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Final

import typer

from wxn.erasing.person import Person
from wxn.erasing.place import Found, Place
from wxn.erasing.places import all_places
from wxn.errors import CommandError, ExitCode
from wxn.language import text
from wxn.options import DryRun, Yes
from wxn.output import print_table
from wxn.progress import Progress, ProgressView
from wxn.questions import confirm
from wxn.run import Run, command
from wxn.stacks import Stack

if TYPE_CHECKING:
    from rich.console import Console

app = typer.Typer()

_FEW: Final = 10
"""Names that are shown one by one; --json has all."""


@command(
    app,
    help=text(
        "Erase everything that is stored of one person, after a preview and a question.",
        "删除某个用户的全部数据：先预览，确认后执行。",
    ),
)
def erase(
    run: Run,
    openid: Annotated[
        str, typer.Argument(metavar="OPENID", help=text("The person's openid.", "用户的 openid。"))
    ],
    dry_run: DryRun = False,
    yes: Yes = False,
) -> None:
    """Find, ask, erase, and search once more. It may be stopped and repeated at any time.

    With ``--json``: ``account``; ``found`` and ``left``, each of ``place``, ``name``, ``does`` and, where it has to
    stay for now, ``blocked`` and ``again``; ``logs_until``, a date. The openid is not repeated.
    """
    stack, account = run.stack, run.account
    person = Person.of(openid, stack)
    places = all_places(stack, account, person)
    logs_until = _logs_until(stack)
    found = _search(run, places)
    if not run.output.as_json:
        _print(run.output.console, account, found)
    if dry_run or not found:
        if run.output.as_json:
            run.output.line(_document(account, found, [each for each in found if each.blocked], logs_until))
        _tell_what_stays(run, logs_until)
        return
    erasable = [each for each in found if not each.blocked]
    left = found
    if erasable:
        declined = text("Nothing was erased.", "没有删除。")
        confirm(run.output, _question(run, account, erasable), yes=yes, declined=declined)
        for place in places:
            place.erase([each for each in erasable if each.place == place.name])
        left = _search(run, places)
    _show_end(run, _document(account, found, left, logs_until))
    _tell_what_stays(run, logs_until)
    if left:
        raise _left(left)


def _search(run: Run, places: Sequence[Place]) -> list[Found]:
    found: list[Found] = []
    with ProgressView(run.output) as view:
        for place in places:
            title = text(f"Searching: {place.name}", f"正在检索：{place.name}")

            def searched(done: int, total: int | None, title: str = title) -> None:
                view.show(Progress(title, done, total or 0, [f"{done:,}"]))

            found += place.find(searched)
    return found


def _question(run: Run, account: str, found: Sequence[Found]) -> str:
    counts = Counter(each.place for each in found)
    what = ", ".join(f"{count} {place}" for place, count in counts.items())
    return text(
        f"{run.stack.title}, {account}: erase this ({what})? It cannot be undone.",
        f"{run.stack.title}，{account}：确认删除以上内容（{what}）？此操作不可恢复。",
    )


def _print(console: Console, account: str, found: Sequence[Found]) -> None:
    if not found:
        nothing = text(
            f"Nothing is stored of this person for the account {account}.",
            f"账号 {account} 下没有该用户的数据。",
        )
        console.print(nothing, markup=False)
        return
    columns = (text("Place", "位置"), text("Name", "名称"), text("Erasing", "处理"))
    rows = [
        (place, name, f"{text('stays: ', '暂留：')}{blocked}" if blocked else does)
        for (place, blocked, does), each in _grouped(found)
        for name in _few(each)
    ]
    print_table(console, columns, rows)


def _grouped(found: Sequence[Found]) -> Iterable[tuple[tuple[str, str, str], list[str]]]:
    """The names of what is in one place for one reason, in the order in which they were found."""
    groups: dict[tuple[str, str, str], list[str]] = defaultdict(list)
    for each in found:
        groups[each.place, each.blocked, each.does].append(each.name)
    return groups.items()


def _few(names: Sequence[str]) -> list[str]:
    """The first names, and how many more there are: a broadcast has thousands of files."""
    more = len(names) - _FEW
    return [*names[:_FEW], *([text(f"and {more} more", f"等共 {len(names)} 项")] if more > 0 else [])]


def _show_end(run: Run, document: dict[str, object]) -> None:
    def render(console: Console) -> None:
        if not document["left"]:
            console.print(text("Erased; a second search found nothing.", "已删除；再次检索未发现任何数据。"))

    run.output.show(document, render)


def _document(
    account: str, found: Sequence[Found], left: Sequence[Found], logs_until: str
) -> dict[str, object]:
    return {
        "account": account,
        "found": [each.as_json() for each in found],
        "left": [each.as_json() for each in left],
        "logs_until": logs_until,
    }


def _left(left: Sequence[Found]) -> CommandError:
    changed = text("it has changed meanwhile", "期间发生了变化")
    lines = [
        f"{place}: {blocked or changed}: {', '.join(_few(names))}"
        for (place, blocked, _), names in _grouped(left)
    ]
    again = list(dict.fromkeys(each.again or text("at once", "立即") for each in left))
    return CommandError(
        "\n  ".join([text(f"{len(left)} are left.", f"还有 {len(left)} 项未删除。"), *lines]),
        text(f"Repeat the command {'; '.join(again)}.", f"请在以下时间重新执行：{'；'.join(again)}。"),
        ExitCode.FAILED,
    )


def _logs_until(stack: Stack) -> str:
    """The date on which the last log line about the person goes; raises KeyError for another template."""
    days = int(stack.parameters["LogRetentionDays"])
    return (datetime.now(UTC) + timedelta(days=days)).date().isoformat()


def _tell_what_stays(run: Run, logs_until: str) -> None:
    run.output.note(
        text(
            f"Log lines stay until {logs_until} at the latest: they hold the keyed hash only. Messages on the queues "
            "that were never received are not found: repeat in 15 minutes if some may be.",
            f"日志最迟保留至 {logs_until}，其中只有带密钥的哈希值。队列中尚未被接收的消息无法检索，如有可能存在，请 15 分钟后重新执行。",
        )
    )
