"""The only reader of the environment. The template sets every variable; nothing has a second name."""

from __future__ import annotations

import os
from collections.abc import Mapping


class MissingSettingError(RuntimeError):
    """A variable that the template sets is not there."""


class Settings:
    """The variables, read when asked for: no function has all of them."""

    def __init__(self, environ: Mapping[str, str] = os.environ) -> None:
        self._environ = environ

    def _required(self, name: str) -> str:
        value = self._environ.get(name)
        if not value:
            raise MissingSettingError(f"the environment variable {name} is not set")
        return value

    @property
    def parameter_path(self) -> str:
        """Where accounts are stored in SSM, such as ``/wechat-notify/prod/accounts``."""
        return self._required("PARAMETER_PATH").rstrip("/")

    @property
    def wechat_api_base(self) -> str:
        """Scheme and host of WeChat's server API or of one of its failover domains."""
        return self._required("WECHAT_API_BASE")

    @property
    def token_refresh_function(self) -> str:
        """The name of the function that senders ask for a token."""
        return self._required("TOKEN_REFRESH_FUNCTION")

    @property
    def send_queue_url(self) -> str:
        """The queue of messages to be sent."""
        return self._required("SEND_QUEUE_URL")

    @property
    def dead_letter_queue_url(self) -> str:
        """The queue of bodies that could not be read."""
        return self._required("DEAD_LETTER_QUEUE_URL")

    @property
    def openid_hash_key(self) -> bytes:
        """The key under which openids are hashed for logs."""
        return self._required("OPENID_HASH_KEY").encode()
