"""The person who is erased: how they are named in what is stored."""

from __future__ import annotations

import hmac
import re
from functools import cached_property
from hashlib import blake2b
from typing import Final, Self

from wxn import hash_keys
from wxn.errors import CommandError
from wxn.language import text
from wxn.stacks import Stack

_OPENID: Final = re.compile(r"[A-Za-z0-9_-]{6,128}")
_ESCAPED: Final = re.compile(r"\\u00(2[dD]|3[0-9]|[46][1-9a-fA-F]|[57][0-9aA]|5[fF])")
"""Characters of openids that a producer of JSON has written as escapes; allowed, if unusual."""
_BEFORE: Final = r"(?:(?<![A-Za-z0-9])|(?<=\\[bfnrt])|(?<=\\u[0-9A-Fa-f]{4}))"
"""No letter and no digit, unless it ends an escape of JSON: a line break, a character that is not ASCII."""
_HASH_DIGITS: Final = 16
_DIGEST_BYTES: Final = 16


class Person:
    """One person by their openid to one account; raises CommandError where it can be nobody's.

    Parameters
    ----------
    openid
        As the account's messages have it as ``touser``.
    key
        The stack's current key of hashes.
    earlier
        The keys before it.
    """

    def __init__(self, openid: str, key: bytes, *earlier: bytes) -> None:
        if not _OPENID.fullmatch(openid):
            raise CommandError(
                text("This is no openid.", "openid 格式不正确。"),
                text(
                    "An openid has 6 to 128 of A-Z, a-z, 0-9, - and _.",
                    "openid 由 6 到 128 个字母、数字、- 或 _ 组成。",
                ),
            )
        self.openid = openid
        self.hashes = tuple(hash_openid(openid, each) for each in (key, *earlier))
        # All openids have one length at WeChat; those of a test may be the beginning of another one. A hyphen
        # beside it may be a caller's, as in an id made of it.
        self._alone = re.compile(rf"{_BEFORE}{re.escape(openid)}(?![A-Za-z0-9])")

    @classmethod
    def of(cls, openid: str, stack: Stack) -> Self:
        """The person to a stack; raises CommandError where it can be nobody's openid."""
        return cls(openid, *(key.encode() for key in hash_keys.read(stack).keys.all))

    @cached_property
    def digest(self) -> bytes:
        """Their digest in the files with which a broadcast finds rows that are listed twice."""
        return blake2b(self.openid.encode(), digest_size=_DIGEST_BYTES).digest()

    def is_named_in(self, content: str) -> bool:
        """True where the openid stands in a text, also in JSON with escapes."""
        return self._alone.search(unescaped(content)) is not None

    def without(self, content: str) -> str:
        """A text without the openid."""
        return self._alone.sub("", unescaped(content)) if self.is_named_in(content) else content

    def may_be_in(self, block: bytes) -> bool:
        """False where a block cannot name them; quick, and right for UTF-8 and GB18030."""
        return self.openid.encode() in block or b"\\u00" in block


def hash_openid(openid: str, key: bytes) -> str:
    """The keyed hash by which the ledger and the log name a person (docs/privacy.md).

    The first 16 hex digits of the HMAC-SHA256 of the openid under the stack's key, both as UTF-8.
    """
    return hmac.new(key, openid.encode(), "sha256").hexdigest()[:_HASH_DIGITS]


def unescaped(content: str) -> str:
    """A text of JSON in which letters, digits, ``-`` and ``_`` are no escapes; its meaning is the same."""
    return _ESCAPED.sub(lambda found: chr(int(found[1], 16)), content)
