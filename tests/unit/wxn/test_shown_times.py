import pytest

from wxn.shown_times import duration


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (0.0004, "0 ms"),
        (0.18, "180 ms"),
        (1, "1 s"),
        (4.25, "4.2 s"),
        (59.4, "59.4 s"),
        (59.97, "1 min"),
        (125, "2 min 5 s"),
        (3600, "1 h"),
        (11_430, "3 h 10 min"),
        (187_000, "2 d 3 h"),
    ],
)
def test_durations(seconds: float, shown: str) -> None:
    assert duration(seconds) == shown
