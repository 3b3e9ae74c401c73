from __future__ import annotations

import tracemalloc
from collections.abc import Iterable, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.core.messages.bodies import quick
from wechat_notify.core.broadcasts.duplicates import Selection, merge, run_of

numbers = st.sets(st.integers(1, 300))


def runs(identities: Iterable[str], size: int) -> list[bytes]:
    """The runs of a file that is read so many rows at a time."""
    rows = list(zip(identities, range(1, 10_000), strict=False))
    return [run_of(rows[start : start + size]) for start in range(0, len(rows), size)]


def blocks(run: bytes, size: int = 100) -> Iterator[bytes]:
    for start in range(0, len(run), size):
        yield run[start : start + size]


def expected(identities: list[str]) -> list[int]:
    """Every row but the first of its identity."""
    return [row for row, each in enumerate(identities, 1) if each in identities[: row - 1]]


@quick
@given(st.lists(st.sampled_from(["a", "b", "c", "中", "\ud800", ""]), max_size=60), st.integers(1, 20))
def test_repeated_rows_are_found(identities: list[str], size: int) -> None:
    found = runs(identities, size)
    assert list(merge(map(blocks, found))) == expected(identities)


def test_rows_left_out_count_as_absent() -> None:
    """Row 2 repeats an id, so that row 3 is the first that the recipient gets."""
    left_out = merge([[run_of([("id1", 1), ("id1", 2), ("id2", 3), ("id3", 4)])]])
    assert list(left_out) == [2]
    openids = run_of([("o1", 1), ("o2", 2), ("o2", 3), ("o2", 4)])
    assert list(merge([[openids]], without=left_out)) == [4]


def test_order_of_runs_is_free() -> None:
    late, early = run_of([("a", 300), ("b", 301)]), run_of([("a", 7), ("c", 8)])
    assert list(merge([[late], [early]])) == [300]


def test_memory_is_flat() -> None:
    """Of 20 runs of 2,000 rows a block each is held, and two bits for eight rows."""

    def run(first: int) -> Iterator[bytes]:
        yield from blocks(run_of((f"o{row % 1000}", row) for row in range(first, first + 2000)), 2400)

    found = [list(run(first)) for first in range(0, 40_000, 2000)]
    tracemalloc.start()
    repeated = merge(found)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(repeated) == 39_000
    assert peak < 250_000


@quick
@given(numbers, st.integers(1, 300), st.integers(0, 50))
def test_selection_is_a_set(rows: set[int], first: int, more: int) -> None:
    selection = Selection()
    for row in rows:
        selection.add(row)
    assert list(selection) == sorted(rows)
    assert len(selection) == len(rows)
    stored = selection.to_bytes()
    assert list(Selection(stored)) == sorted(rows)
    start, end = Selection.span(first, first + more)
    assert (start, end) == (first // 8, (first + more) // 8 + 1)
    part = Selection(stored[start:end], first_byte=start)
    wanted = range(first, first + more + 1)
    assert [row for row in wanted if row in part] == [row for row in wanted if row in rows]


def test_selection_is_small() -> None:
    selection = Selection()
    selection.add(8_000_000)
    assert len(selection.to_bytes()) == 1_000_001
    assert Selection().to_bytes() == b""


def test_selection_of_a_part_grows_forwards() -> None:
    part = Selection(b"\x01", first_byte=2)
    part.add(17)
    assert list(part) == [16, 17]
    with pytest.raises(IndexError):
        part.add(15)
