"""The secret with the keys of openids' hashes: a key, or ``{"current", "earlier"}`` after a rotation.

Keys are read once a process and then every few minutes, so that a rotation reaches the functions without a
deployment. Where a later reading fails, the keys of the one before stay in use.

A new key is known to every process before one of them uses it: until then the key before it is the one to
hash with. Two that hash a person under different keys would not meet at the person's consents.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from typing import NamedTuple

from wechat_notify.aws.clients import Clients
from wechat_notify.core.errors import StorageError
from wechat_notify.core.openid_hashes import HashKeys

FRESH_FOR = 300.0
"""Seconds after which keys are read again. A rotation keeps the former key, so nothing is lost in them."""
SETTLES_AFTER = 2 * FRESH_FOR
"""Seconds from a rotation on for which the former key stays in use: one reading may fail."""
RETRY_FOR = 1.0
"""Seconds in which the first reading is repeated; a later one is not, for there are keys."""
_AGAIN_AFTER = 60.0
"""Seconds after a later reading that failed."""


class StoredHashKeys:
    """Reads the keys from Secrets Manager; safe to use from any number of threads.

    Parameters
    ----------
    aws
        boto3's clients.
    secret
        Gives the ARN of the secret, when it is read.
    now
        Seconds since the epoch. A clock that stands still while the process is frozen would let it miss a
        rotation.
    """

    def __init__(self, aws: Clients, secret: Callable[[], str], now: Callable[[], float] = time.time) -> None:
        self._aws = aws
        self._secret = secret
        self._now = now
        self._lock = threading.Lock()
        self._read_keys: _ReadKeys | None = None
        self._due = 0.0

    def load(self) -> HashKeys:
        """The keys, read again where they are older than ``FRESH_FOR``.

        Raises
        ------
        StorageError
            None were read yet, and AWS does not answer or the secret is no such one.
        """
        if self._read_keys is None:
            with self._lock:
                if self._read_keys is None:
                    self._read_keys = self._read(RETRY_FOR)
                    self._due = self._now() + FRESH_FOR
        # One thread reads, once. The others wait where the process was idle: it may have missed a rotation.
        elif (late := self._now() - self._due) >= 0 and self._lock.acquire(
            timeout=-1 if late >= _AGAIN_AFTER else 0
        ):
            try:
                if self._now() >= self._due:
                    self._read_again()
            finally:
                self._lock.release()
        return self._read_keys.at(self._now())

    def loaded(self) -> HashKeys:
        """The keys as they were read last; the first time they are read. Raises ``StorageError``."""
        return self._read_keys.at(self._now()) if self._read_keys else self.load()

    def _read_again(self) -> None:
        try:
            self._read_keys, pause = self._read(0.0), FRESH_FOR
        except StorageError:
            pause = _AGAIN_AFTER
        self._due = self._now() + pause

    def _read(self, retry_for: float) -> _ReadKeys:
        secret = self._secret()
        answer = self._aws.call(
            "read the openid hash key",
            lambda: self._aws.secretsmanager.get_secret_value(SecretId=secret),
            retry_for=retry_for,
        )
        keys = parse_keys(answer["SecretString"])
        return _ReadKeys(keys, answer["CreatedDate"].timestamp() + SETTLES_AFTER)


class _ReadKeys(NamedTuple):
    """What a secret holds, and from when on its current key is in use."""

    keys: HashKeys
    settled_at: float

    def at(self, now: float) -> HashKeys:
        """The keys as they are used at a time."""
        if now >= self.settled_at or not self.keys.others:
            return self.keys
        former, *others = self.keys.others
        return HashKeys(former, (*others, self.keys.current))


def parse_keys(value: str) -> HashKeys:
    """The keys in a secret; raises ``StorageError``, which quotes nothing of it."""
    if not value.startswith("{"):
        if not value:
            raise StorageError("read the openid hash key", "Malformed")
        return HashKeys(value.encode())
    try:
        given = json.loads(value)
        current, earlier = given["current"], given.get("earlier", [])
        keys = [key.encode() for key in (current, *earlier)]
    except (ValueError, TypeError, KeyError, AttributeError):
        keys = []
    if not keys or not all(keys):  # an empty key hashes as well, for everybody
        raise StorageError("read the openid hash key", "Malformed") from None
    return HashKeys(keys[0], tuple(keys[1:]))
