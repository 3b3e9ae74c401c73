"""The samples of WeChat's documentation; the second secure one is that of a third-party platform."""

import pytest

from tests.unit.wechat.callbacks.samples import PLATFORM, SECURE, TOKEN
from wechat_notify.wechat.callbacks.signature import is_signed, signature


@pytest.mark.parametrize(
    ("timestamp", "nonce", "expected"),
    [
        ("1714036504", "1514711492", "f464b24fc39322e44b38aa78f5edd27bd1441696"),
        ("1714037059", "486452656", "899cf89e464efb63f54ddac96b0a0a235f53aa78"),
        ("1714112445", "415670741", "6c5c811b55cc85e0e1b54100749188c20beb3f5d"),
        ("1715943329", "1590219412", "cc0c594499c1634947d5b502f158ee518947db27"),
    ],
)
def test_signature_without_body(timestamp: str, nonce: str, expected: str) -> None:
    assert signature(TOKEN, timestamp, nonce) == expected
    assert is_signed(expected, TOKEN, timestamp, nonce)


@pytest.mark.parametrize(
    ("sample", "expected"),
    [
        (SECURE, "046e02f8204d34f8ba5fa3b1db94908f3df2e9b3"),
        (PLATFORM, "6c12a4205838198b8fa631b3220723bb07f1015c"),
    ],
)
def test_signature_of_body(sample: tuple[str, str, str], expected: str) -> None:
    timestamp, nonce, encrypted = sample

    assert signature(TOKEN, timestamp, nonce, encrypted) == expected


@pytest.mark.parametrize("given", ["", "046e", "046E02F8204D34F8BA5FA3B1DB94908F3DF2E9B3", "签名"])
def test_other_signatures(given: str) -> None:
    assert not is_signed(given, TOKEN, *SECURE)
