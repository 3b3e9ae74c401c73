from __future__ import annotations

import base64

import pytest

from wechat_notify.core.cursors import Cursors
from wechat_notify.core.errors import CursorError

LIST = ["messages", "shop", ["failed"], None]
POSITION = [1772348645.123, "order-4711"]
CURSORS = Cursors(lambda: [b"a key for tests"])
CURSOR = CURSORS.write(LIST, POSITION)


def test_cursor_comes_back() -> None:
    assert CURSORS.read(LIST, CURSOR) == POSITION
    assert "order" not in CURSOR
    assert CURSOR.isascii()


def test_cursor_outlives_a_rotation() -> None:
    rotated = Cursors(lambda: [b"a new key", b"a key for tests"])
    assert rotated.read(LIST, CURSOR) == POSITION
    assert rotated.read(LIST, rotated.write(LIST, POSITION)) == POSITION
    assert rotated.write(LIST, POSITION) != CURSOR


@pytest.mark.parametrize(
    ("of", "cursor"),
    [
        (["messages", "other", ["failed"], None], CURSOR),
        (["messages", "shop", ["sent"], None], CURSOR),
        (["broadcasts", "shop", ["failed"], None], CURSOR),
        (LIST, CURSOR[:-1]),
        (LIST, CURSOR[1:]),
        (LIST, ("B" if CURSOR[0] == "A" else "A") + CURSOR[1:]),
        (LIST, ""),
        (LIST, "é"),
        (LIST, "a=b"),
        (LIST, base64.urlsafe_b64encode(b"0" * 12 + b'[0,""]').decode()),
        (LIST, Cursors(lambda: [b"another key"]).write(LIST, POSITION)),
    ],
)
def test_forged_cursor_is_refused(of: list[object], cursor: str) -> None:
    with pytest.raises(CursorError):
        CURSORS.read(of, cursor)
