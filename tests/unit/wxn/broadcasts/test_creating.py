from __future__ import annotations

import pytest

from wxn.broadcasts.creating import derived_id

REQUEST = {"message": {"kind": "template", "data": {"a": 1, "b": 2}}, "messages_per_second": 5}


@pytest.mark.parametrize(
    ("digest", "request_", "same_content", "same_options"),
    [
        (
            "f",
            {"messages_per_second": 5, "message": {"data": {"b": 2, "a": 1}, "kind": "template"}},
            True,
            True,
        ),
        ("f", REQUEST | {"messages_per_second": 6}, True, False),
        ("f", REQUEST | {"message": {"kind": "template"}}, False, True),
        ("g", REQUEST, False, True),
    ],
)
def test_id_derived_from_content_and_options(
    digest: str, request_: dict[str, object], *, same_content: bool, same_options: bool
) -> None:
    content, options = derived_id("f", REQUEST).split("-")
    other_content, other_options = derived_id(digest, request_).split("-")

    assert (content == other_content, options == other_options) == (same_content, same_options)
    assert len(f"{content}-{options}") <= 32
