"""One-time confirmation links: a ``reserved`` that is bound, signed and single-use.

WeChat brings ``reserved`` back unchanged beside parameters that nothing signs. ``[a-zA-Z0-9]``, 128 bytes at
most: 24 hex digits of a nonce, 8 of the expiry (seconds since the epoch), 32 of an HMAC-SHA256 of both. The
nonce names the stored link with its account, scene and template.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple
from urllib.parse import quote, urlencode

from wechat_notify.core.errors import ConsentLinkError

LIFETIME: Final = 86400
"""Seconds for which a link can be confirmed."""
_RESERVED: Final = re.compile(r"[0-9a-f]{64}")
_NONCE_BITS: Final = 96


class ConsentLink(NamedTuple):
    """One link, stored under its nonce. Times are seconds since the epoch.

    ``person`` is a keyed hash of the openid that confirmed it, salted with the nonce so that it says nothing
    beside other data; ``confirmed_at`` and ``refused_at`` are when that came.
    """

    nonce: str
    account: str
    template_id: str
    scene: str
    expires_at: float
    version: int = 1
    writer: str = ""
    person: str | None = None
    confirmed_at: float | None = None
    refused_at: float | None = None

    def successor(
        self,
        *,
        writer: str,
        person: str | None = None,
        confirmed_at: float | None = None,
        refused_at: float | None = None,
    ) -> ConsentLink:
        """The version after this one."""
        return self._replace(
            version=self.version + 1,
            writer=writer,
            person=person or self.person,
            confirmed_at=confirmed_at or self.confirmed_at,
            refused_at=refused_at or self.refused_at,
        )


class Signer:
    """Writes and reads ``reserved``.

    ``keys`` returns the keys that keep others from making any, the one to write with first.
    """

    def __init__(self, keys: Callable[[], Sequence[bytes]]) -> None:
        self._keys = keys

    def write(self, nonce: str, expires_at: int) -> str:
        """Return the ``reserved`` of a link."""
        signed = f"{nonce}{expires_at:08x}"
        return signed + _tag(self._keys()[0], signed)

    def read(self, reserved: str, now: float) -> str:
        """Return the nonce of a link; nothing is stored or looked up. Raises ``ConsentLinkError``."""
        if not _RESERVED.fullmatch(reserved):
            raise ConsentLinkError("forged")
        nonce, expiry, tag = reserved[:24], reserved[24:32], reserved[32:]
        if not any(hmac.compare_digest(tag, _tag(key, nonce + expiry)) for key in self._keys()):
            raise ConsentLinkError("forged")
        if int(expiry, 16) <= now:
            raise ConsentLinkError("expired")
        return nonce


def _tag(key: bytes, signed: str) -> str:
    return hmac.digest(key, signed.encode(), "sha256")[:16].hex()


def new_nonce(random_bits: int) -> str:
    """A nonce of random bits, of which 96 are used."""
    return f"{random_bits % 2**_NONCE_BITS:024x}"


def page_url(
    base: str, app_id: str, *, scene: str, template_id: str, redirect_url: str, reserved: str
) -> str:
    """The address of WeChat's confirmation page; its parameters stand in the order of the documentation."""
    query = {
        "action": "get_confirm",
        "appid": app_id,
        "scene": scene,
        "template_id": template_id,
        "redirect_url": redirect_url,
        "reserved": reserved,
    }
    return f"{base}/mp/subscribemsg?{urlencode(query, quote_via=quote, safe='')}#wechat_redirect"
