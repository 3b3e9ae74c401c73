"""The signature of a callback.

https://developers.weixin.qq.com/doc/oplatform/Third-party_Platforms/2.0/api/Before_Develop/Technical_Plan.html
"""

from __future__ import annotations

import hashlib
import hmac


def signature(token: str, timestamp: str, nonce: str, encrypted: str | None = None) -> str:
    """The SHA-1 of the parts in their sorted order, in hex.

    With ``encrypted`` it is the ``msg_signature``, which covers the body. Without it, it is the ``signature``
    of the server check and of the plain mode, which does not.
    """
    parts = [token, timestamp, nonce] if encrypted is None else [token, timestamp, nonce, encrypted]
    return hashlib.sha1("".join(sorted(parts)).encode()).hexdigest()  # noqa: S324 # nosec B324 # WeChat's choice


def is_signed(given: str, token: str, timestamp: str, nonce: str, encrypted: str | None = None) -> bool:
    """Compare in constant time; text that is no UTF-8 (half of a surrogate pair) is not signed."""
    try:
        expected = signature(token, timestamp, nonce, encrypted)
        return hmac.compare_digest(expected.encode(), given.encode())
    except UnicodeEncodeError:
        return False
