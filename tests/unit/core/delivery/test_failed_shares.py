"""The worst account's share of failed messages, as one process sees it."""

import pytest

from wechat_notify.core.delivery.failed_shares import FailedShares


def noted(shares: FailedShares, account: str, results: str) -> None:
    """Note a message for each letter: F is one that failed."""
    for result in results:
        shares.note(account, failed=result == "F")


@pytest.mark.parametrize(
    ("results", "share"),
    [
        ("F" * 19, None),  # too few
        ("F" * 20, 100.0),
        ("F" * 12 + "." * 8, 60.0),
        ("F" * 2 + "." * 18, 10.0),
        ("F" + "." * 19, None),  # not worth a line
        ("." * 50, None),
        ("F" * 50 + "." * 25, 50.0),  # the last fifty
    ],
)
def test_share_of_last_messages(results: str, share: float | None) -> None:
    shares = FailedShares()
    noted(shares, "shop", results)
    assert shares.worst() == share


def test_worst_account_counts() -> None:
    """However many messages the others have."""
    shares = FailedShares()
    noted(shares, "shop", "." * 1000)
    noted(shares, "zoo", "F" * 15 + "." * 5)
    assert shares.worst() == 75.0


def test_share_is_told_once() -> None:
    """An account of which nothing is heard any more is told no more; its messages are remembered."""
    shares = FailedShares()
    noted(shares, "zoo", "F" * 20)
    assert [shares.worst(), shares.worst()] == [100.0, None]
    noted(shares, "zoo", ".")
    assert shares.worst() == pytest.approx(100 * 20 / 21)
