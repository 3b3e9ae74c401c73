"""Each target notices the bug that it is for, and passes without it."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest

from tests.fuzz import targets
from tests.fuzz.__main__ import seeds
from wechat_notify.wechat.callbacks import bodies, cipher, door, events

INPUTS = [*seeds(), *(bytes([number, 20, 128, 0]) + b"<xml><a>1</a></xml>" for number in range(6))]


def test_sound_code_passes() -> None:
    rng = Random(1)
    for sample in INPUTS:
        targets.fuzz(sample)
        targets.fuzz(sample[:1] + rng.randbytes(40))


@pytest.mark.parametrize(
    ("module", "name", "bug"),
    [
        (cipher, "_BLOCK", 16),  # paddings of 17 to 32 refused
        (cipher, "_LENGTH", 3),
        (door, "is_signed", lambda *_: True),
        (bodies, "ParseError", KeyError),
        (events, "_safe", lambda name: name + "\n"),
        (events, "_openid", lambda *_: "签名"),
    ],
)
def test_planted_bugs_are_found(module: Any, name: str, bug: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, name, bug)
    with pytest.raises(Exception):  # noqa: B017, PT011 - whatever escapes is a finding
        _give_all()


def _give_all() -> None:
    for sample in INPUTS:
        targets.fuzz(sample)
