import pytest

from local.demo import addressed, differences, examples


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
