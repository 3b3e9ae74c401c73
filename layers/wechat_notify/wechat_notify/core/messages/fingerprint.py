"""The digest by which a message is told from another one under the same id."""

from __future__ import annotations

import hashlib
import json

from wechat_notify.core.messages.envelope import SendRequest
from wechat_notify.core.messages.strict_json import written_out
from wechat_notify.core.messages.validation import SERVICE_FIELDS

_OPTIONS = SERVICE_FIELDS - {"kind"}
"""Not part of the message: a repeat may well expire later."""
KEYED_LENGTH = 16
"""Characters of the fingerprints of entries that were written before decision 30."""


def fingerprint(request: SendRequest) -> str:
    """Return a message's digest: 32 hex digits.

    It hangs on no key: one that is replaced, or differs between functions, would make every message that
    waits another one. Account and id are part of it, so that equal texts do not show.
    """
    text = f"{request.account}\n{request.id}\n{canonical(request.message)}"
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def canonical(body: object) -> str:
    """Return a message's text, the same whatever the order of its fields and the way it came."""
    if isinstance(body, dict):
        body = {name: value for name, value in body.items() if name not in _OPTIONS}
    return _CANONICAL.encode(body)


# Made once: json.dumps makes one for each call that has options.
_CANONICAL = json.JSONEncoder(default=written_out, sort_keys=True, separators=(",", ":"))
