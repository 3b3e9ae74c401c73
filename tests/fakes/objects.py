"""The bucket as the core meets it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator

from wechat_notify.core.broadcasts.ports import ObjectHead
from wechat_notify.core.errors import ObjectChangedError, StorageError


class FakeObjects:
    """One bucket: its objects by key; they are read in small blocks.

    ``reads`` are the keys that were read, with the bytes that each read gave out. ``failing`` maps a method's
    name to AWS's error code, for as long as it stands there.
    """

    def __init__(self, now: Callable[[], float], *, block: int = 1024) -> None:
        self.objects: dict[str, bytes] = {}
        self.modified: dict[str, float] = {}
        self.reads: list[tuple[str, int]] = []
        self.failing: dict[str, str] = {}
        self._now = now
        self._block = block

    def head(self, key: str) -> ObjectHead | None:
        self._fail("head")
        if key not in self.objects:
            return None
        return ObjectHead(len(self.objects[key]), self.etag(key), self.modified[key])

    def etag(self, key: str) -> str:
        return hashlib.sha256(self.objects[key]).hexdigest()[:16]

    def read(
        self, key: str, *, start: int = 0, end: int | None = None, etag: str | None = None
    ) -> Iterator[bytes]:
        self._fail("read")
        if key not in self.objects or etag not in {None, self.etag(key)}:
            raise ObjectChangedError
        data = self.objects[key]
        stop = len(data) if end is None else min(end, len(data))
        number = len(self.reads)
        self.reads.append((key, 0))
        for at in range(start, stop, self._block):
            block = data[at : min(at + self._block, stop)]
            self.reads[number] = (key, self.reads[number][1] + len(block))
            yield block

    def write(self, key: str, data: bytes) -> None:
        self._fail("write")
        self.objects[key] = data
        self.modified[key] = self._now()

    def compose(self, key: str, parts: Iterable[str]) -> None:
        self.write(key, b"".join(b"".join(self.read(part)) for part in parts))

    def presign_upload(self, key: str, *, seconds: int) -> str:
        return f"https://bucket.invalid/{key}?put&expires={seconds}"

    def presign_download(self, key: str, *, seconds: int, filename: str) -> str:
        return f"https://bucket.invalid/{key}?expires={seconds}&filename={filename}"

    def _fail(self, method: str) -> None:
        if code := self.failing.get(method):
            raise StorageError("reach the bucket", code)
