"""The secret with the keys of openids' hashes: a key, or ``{"current", "earlier"}`` after a rotation.

Keys are read once a process and then every few minutes, so that a rotation reaches the functions without a
deployment. Where a later reading fails, the keys of the one before stay in use.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable

from wechat_notify.aws.clients import Clients
from wechat_notify.core.errors import StorageError
from wechat_notify.core.openid_hashes import HashKeys

FRESH_FOR = 300.0
"""Seconds after which keys are read again. A rotation keeps the former key, so nothing is lost in them."""
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
    clock
        Seconds on a clock that never goes back.
    """

    def __init__(
        self, aws: Clients, secret: Callable[[], str], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._aws = aws
        self._secret = secret
        self._clock = clock
        self._lock = threading.Lock()
        self._keys: HashKeys | None = None
        self._due = 0.0

    def load(self) -> HashKeys:
        """The keys, read again where they are older than ``FRESH_FOR``.

        Raises
        ------
        StorageError
            None were read yet, and AWS does not answer or the secret is no such one.
        """
        if self._keys is None:
            with self._lock:
                if self._keys is None:
                    self._keys = self._read(RETRY_FOR)
                    self._due = self._clock() + FRESH_FOR
        elif self._clock() >= self._due and self._lock.acquire(blocking=False):  # one thread, once
            try:
                self._read_again()
            finally:
                self._lock.release()
        return self._keys

    def loaded(self) -> HashKeys:
        """The keys as they were read last; the first time they are read. Raises ``StorageError``."""
        return self._keys or self.load()

    def _read_again(self) -> None:
        try:
            self._keys, pause = self._read(0.0), FRESH_FOR
        except StorageError:
            pause = _AGAIN_AFTER
        self._due = self._clock() + pause

    def _read(self, retry_for: float) -> HashKeys:
        secret = self._secret()
        value = self._aws.call(
            "read the openid hash key",
            lambda: self._aws.secretsmanager.get_secret_value(SecretId=secret)["SecretString"],
            retry_for=retry_for,
        )
        return parse_keys(value)


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
