"""Keyed hashes of openids without a secret."""

from __future__ import annotations

from collections.abc import Callable

from wechat_notify.core.openid_hashes import HashKeys, OpenidHashes


class FakeHashKeys:
    """The keys that a test sets."""

    def __init__(self, current: bytes, *earlier: bytes) -> None:
        self.keys = HashKeys(current, earlier)

    def load(self) -> HashKeys:
        return self.keys

    def loaded(self) -> HashKeys:
        return self.keys


def hashes(current: bytes, *earlier: bytes) -> OpenidHashes:
    return OpenidHashes(FakeHashKeys(current, *earlier))


class FakeHashes:
    """Hashes by plain functions, of which the first is that of the current key."""

    def __init__(self, *functions: Callable[[str], str]) -> None:
        self._functions = functions

    def __call__(self, text: str) -> str:
        return self._functions[0](text)

    def every(self, text: str) -> tuple[str, ...]:
        return tuple(function(text) for function in self._functions)
