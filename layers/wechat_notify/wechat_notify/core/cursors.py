"""Cursors: where a list goes on, as its caller hands it back. Opaque, and of no use in another list."""

from __future__ import annotations

import base64
import hmac
import json
from collections.abc import Callable, Sequence

from wechat_notify.core.errors import CursorError

_TAG_BYTES = 12


class Cursors:
    """Writes and reads cursors.

    ``keys`` keep others from making any: the first of them writes, all of them read. They may raise
    ``StorageError``.
    """

    def __init__(self, keys: Callable[[], Sequence[bytes]]) -> None:
        self._keys = keys

    def write(self, of: Sequence[object], position: Sequence[object]) -> str:
        """Return the cursor of a position in a list; ``of`` says which list it is, with its filters."""
        content = _json(position)
        return base64.urlsafe_b64encode(_tag(self._keys()[0], of, content) + content).decode().rstrip("=")

    def read(self, of: Sequence[object], cursor: str) -> list[object]:
        """Return the position that a cursor of this list holds; raises ``CursorError``."""
        try:
            decoded = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        except ValueError:
            decoded = b""
        tag, content = decoded[:_TAG_BYTES], decoded[_TAG_BYTES:]
        if not any(hmac.compare_digest(tag, _tag(key, of, content)) for key in self._keys()):
            raise CursorError
        position: list[object] = json.loads(content)
        return position


def _tag(key: bytes, of: Sequence[object], content: bytes) -> bytes:
    return hmac.digest(key, _json(of) + b"\n" + content, "sha256")[:_TAG_BYTES]


def _json(value: Sequence[object]) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()
