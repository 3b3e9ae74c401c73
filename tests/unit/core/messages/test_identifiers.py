from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.core.messages.bodies import quick
from wechat_notify.core.messages.identifiers import is_account_name, is_message_id, new_id, short_id


@pytest.mark.parametrize("account", ["a", "shop-1", "-", "a" * 64])
def test_account_names(account: str) -> None:
    assert is_account_name(account)


@pytest.mark.parametrize(
    "account",
    ["", "a" * 65, "Shop", "shop_1", "../shop", "shop ", "shop\n", "*", "商店", "ſhop", "１", "\ud800"],
)
def test_not_account_names(account: str) -> None:
    assert not is_account_name(account)


@pytest.mark.parametrize("given_id", ["x", "x" * 64, "!~", "<aws.scheduler.schedule-arn>"])
def test_short_id_is_kept(given_id: str) -> None:
    assert is_message_id(given_id)
    assert short_id(given_id) == given_id


@pytest.mark.parametrize(
    ("given_id", "digest"),
    [
        ("x" * 65, "9537c5fdf120482f7d58d25e9ed583f5"),
        (" ", "36a9e7f1c95b82ffb99743e0c5c4ce95"),
        ("", "e3b0c44298fc1c149afbf4c8996fb924"),
        ("编号", "fc14772145c2f2dce29b01b8b8d95b3b"),
        ("x\n", "73cb3858a687a8494ca3323053016282"),
        ("\nx", "bbe56d7c2d0f1f7271eb6f829800598a"),
        ("\x7f", "620bfdaa346b088fb49998d92f19a7ea"),
    ],
    ids=lambda text: ascii(text[:20]),
)
def test_other_ids_become_digests(given_id: str, digest: str) -> None:
    assert not is_message_id(given_id)
    assert short_id(given_id) == digest


bits = st.integers(0, 2**80 - 1).map(lambda number: lambda count: number % 2**count)
# Until the year 10889, when RFC 9562's 48 bits of milliseconds end.
seconds = st.integers(0, 2**48 - 1).map(lambda milliseconds: milliseconds / 1000)


@quick
@given(seconds, bits)
def test_new_id(now: float, random: Callable[[int], int]) -> None:
    """Version and variant of RFC 9562, the time and all random bits; so ids sort by time."""
    made = new_id(lambda: now, random)
    assert re.fullmatch("[0-9a-f]{12}7[0-9a-f]{3}[89ab][0-9a-f]{15}", made)
    assert int(made[:12], 16) == int(now * 1000)
    assert int(made[13:16], 16) == random(74) >> 62
    assert int(made[16:], 16) & 0x3FFF_FFFF_FFFF_FFFF == random(74) % 2**62


def test_new_id_of_the_rfc() -> None:
    """RFC 9562, appendix A.6."""
    randoms = {74: 0xCC3 << 62 | 0x18C4DC0C0C07398F}
    assert new_id(lambda: 1645557742.000, lambda count: randoms[count]) == "017f22e279b07cc398c4dc0c0c07398f"
