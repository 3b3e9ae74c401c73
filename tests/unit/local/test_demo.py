import pytest

from local.demo.broadcast import ROWS, recipients
from local.demo.report import differences
from local.examples import addressed, examples


@pytest.mark.parametrize(
    ("expected", "accepted", "dead", "found"),
    [
        (["a", "b"], ["b", "a"], 0, []),
        (["a", "b"], ["a"], 0, ["1 messages missing: b"]),
        (["a"], ["a", "a"], 0, ["1 messages twice or unexpected: a"]),
        (["a"], ["a", "x"], 2, ["1 messages twice or unexpected: x", "2 messages in the dead letter queue"]),
    ],
)
def test_messages_are_counted_exactly(
    expected: list[str], accepted: list[str], dead: int, found: list[str]
) -> None:
    assert differences(expected, accepted, dead) == found


def test_form_ids_are_used_once() -> None:
    for message in examples():
        one, other = addressed(message, "o1"), addressed(message, "o2")
        assert one["touser"] == "o1"
        assert ("form_id" in one) == (message["kind"] == "mini_program_template")
        assert "form_id" not in one or one["form_id"] != other["form_id"]


def test_file_of_recipients() -> None:
    """Its bad rows are bad, its duplicates are two of the same, and it is told what becomes of each."""
    found = recipients()
    header, *lines = found.content.decode().splitlines()
    rows = [line.split(",") for line in lines]
    assert (header, len(rows)) == ("openid,gift", ROWS)
    assert found.counts == {"delivered": 1963, "undelivered": 2, "failed": 3, "invalid": 20, "duplicate": 12}
    bad = [row for row in rows if len(row) < 2 or not row[0] or len(row[1]) > 20]
    assert len(bad) == 20
    openids = [row[0] for row in rows if row not in bad]
    assert len(openids) - len(set(openids)) == 12
    assert {openid for openid in openids if not openid.startswith("errcode-")} == set(found.sent)
