import io

from rich.console import Console

from wxn.commands import erase
from wxn.erasing.place import Found


def files(count: int, blocked: str = "") -> list[Found]:
    return [
        Found("files", f"f{number}", "rewrite it", blocked, blocked and "later") for number in range(count)
    ]


def test_thousands_are_not_listed() -> None:
    shown = io.StringIO()
    erase._print(Console(file=shown, width=100), "shop", [*files(1000), *files(2, "busy")])

    lines = [" ".join(line.split()) for line in shown.getvalue().splitlines()[2:]]
    assert len(lines) == 13
    assert lines[9:] == [
        "files f9 rewrite it",
        "files and 990 more rewrite it",
        "files f0 stays: busy",
        "files f1 stays: busy",
    ]


def test_left_is_told_by_reason() -> None:
    told = erase._left([*files(2, "busy"), Found("messages", "m1", "erase it")])

    assert told.message.splitlines() == [
        "3 are left.",
        "  files: busy: f0, f1",
        "  messages: it has changed meanwhile: m1",
    ]
    assert told.next_step == "Repeat the command later; at once."
