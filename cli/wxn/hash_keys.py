"""The keys under which the stack hashes openids, in its secret ``OpenidHashKey``.

The secret is a key, or ``{"current": key, "earlier": [keys]}`` after a rotation: new hashes are made under the
current key, people are looked for under all of them.
"""

from __future__ import annotations

import json
import secrets
import uuid
from typing import Any, Final, NamedTuple, Self

from wxn.errors import CommandError, ExitCode
from wxn.language import text
from wxn.stacks import Stack

SECRET: Final = "OpenidHashKey"  # noqa: S105 - a resource's name
SECONDS_UNTIL_USED: Final = 600
"""Functions use a new key so many seconds after it was stored: by then all of them have read it."""
_KEY_BYTES: Final = 32


class HashKeys(NamedTuple):
    """The current key and the earlier ones, the newest first."""

    current: str
    earlier: tuple[str, ...] = ()

    @classmethod
    def parse(cls, value: str) -> Self:
        """Read the content of the secret; raises CommandError, which quotes nothing of it."""
        if value and not value.startswith("{"):
            return cls(value)
        try:
            given: Any = json.loads(value)
            keys: list[Any] = [given["current"], *given.get("earlier", ())]
        except (ValueError, TypeError, KeyError, AttributeError):
            keys = []
        if not keys or not all(isinstance(key, str) and key for key in keys):
            raise CommandError(
                text("The secret of the openid hash key cannot be read.", "openid 哈希密钥的内容无法识别。"),
                text(
                    'It must be a key, or {"current": key, "earlier": [keys]}; see docs/operations.md.',
                    '应为单个密钥，或 {"current": 密钥, "earlier": [密钥]}，见 docs/zh/operations.md。',
                ),
                ExitCode.FAILED,
            )
        return cls(keys[0], tuple(keys[1:]))

    @property
    def all(self) -> tuple[str, ...]:
        """Every key, the current one first."""
        return (self.current, *self.earlier)

    def rotated(self) -> Self:
        """The keys with a new current one."""
        return type(self)(secrets.token_hex(_KEY_BYTES), self.all)

    def as_secret(self) -> str:
        """The content of the secret."""
        return json.dumps({"current": self.current, "earlier": list(self.earlier)})


class StoredKeys(NamedTuple):
    """The keys of a version of the secret, its id, and when it was written, in seconds since 1970."""

    keys: HashKeys
    version: str
    written_at: float


def read(stack: Stack) -> StoredKeys:
    """The keys of a stack."""
    answer = stack.client("secretsmanager").get_secret_value(SecretId=stack.resources[SECRET])
    keys = HashKeys.parse(str(answer["SecretString"]))
    return StoredKeys(keys, answer["VersionId"], answer["CreatedDate"].timestamp())


def write(stack: Stack, keys: HashKeys, *, after: StoredKeys) -> None:
    """Store the keys of a stack; the version before stays in the secret as ``AWSPREVIOUS``.

    Raises
    ------
    CommandError
        Somebody else has changed them since they were read: their key would be lost, under which openids are
        hashed already.
    """
    client = stack.client("secretsmanager")
    try:
        client.put_secret_value(
            SecretId=stack.resources[SECRET],
            SecretString=keys.as_secret(),
            # The id of the new version. One version has one successor: AWS refuses the id a second time.
            ClientRequestToken=str(uuid.uuid5(uuid.NAMESPACE_OID, after.version)),
        )
    except client.exceptions.ResourceExistsException:
        raise CommandError(
            text("Somebody else has changed the keys meanwhile.", "密钥在此期间已被他人更改。"),
            text("Repeat the command if another change is needed.", "如仍需更改，请重新执行该命令。"),
            ExitCode.FAILED,
        ) from None
