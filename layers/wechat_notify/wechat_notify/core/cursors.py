"""Cursors: where a list goes on, as its caller hands it back. Opaque, and of no use in another list."""

from __future__ import annotations

import base64
import hmac
import json
from collections.abc import Sequence

from wechat_notify.core.errors import CursorError

_TAG_BYTES = 12


class Cursors:
    """Writes and reads cursors; ``key`` keeps others from making any."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def write(self, of: Sequence[object], position: Sequence[object]) -> str:
        """Return the cursor of a position in a list; ``of`` says which list it is, with its filters."""
        content = _json(position)
        return base64.urlsafe_b64encode(self._tag(of, content) + content).decode().rstrip("=")

    def read(self, of: Sequence[object], cursor: str) -> list[object]:
        """Return the position that a cursor of this list holds; raises ``CursorError``."""
        try:
            decoded = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        except ValueError:
            decoded = b""
        tag, content = decoded[:_TAG_BYTES], decoded[_TAG_BYTES:]
        if not hmac.compare_digest(tag, self._tag(of, content)):
            raise CursorError
        position: list[object] = json.loads(content)
        return position

    def _tag(self, of: Sequence[object], content: bytes) -> bytes:
        return hmac.digest(self._key, _json(of) + b"\n" + content, "sha256")[:_TAG_BYTES]


def _json(value: Sequence[object]) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()
