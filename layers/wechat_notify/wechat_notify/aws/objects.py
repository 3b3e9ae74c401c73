"""The bucket of broadcasts: recipients' files, what is made of them, and results."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any, TypeVar

from wechat_notify.aws.clients import Clients
from wechat_notify.core.broadcasts.ports import ObjectHead
from wechat_notify.core.errors import ObjectChangedError, StorageError

T = TypeVar("T")

RETRY_FOR = 5.0
_BLOCK = 1024 * 1024
"""Bytes that are read at a time: one request each, so that a read that breaks off is repeated."""
_PART = 8 * 1024 * 1024
"""Bytes of a part of a large object; S3 takes 5 MiB or more, and 10,000 of them."""
_MISSING = frozenset({"404", "NoSuchKey", "NotFound"})
_CHANGED = _MISSING | {"412", "PreconditionFailed"}
_BEYOND_THE_END = frozenset({"416", "InvalidRange"})


class Bucket:
    """One S3 bucket; every method raises ``StorageError``."""

    def __init__(self, aws: Clients, name: str) -> None:
        self._aws = aws
        self._name = name

    def head(self, key: str) -> ObjectHead | None:
        """Return what is known of an object, None where there is none."""

        def look(**request: Any) -> ObjectHead:
            found = self._aws.s3.head_object(**request)
            return ObjectHead(found["ContentLength"], found["ETag"], found["LastModified"].timestamp())

        try:
            return self._call("look at the object", look, Key=key)
        except StorageError as error:
            if error.code in _MISSING:
                return None
            raise

    def read(
        self, key: str, *, start: int = 0, end: int | None = None, etag: str | None = None
    ) -> Iterator[bytes]:
        """The bytes from ``start`` to ``end`` (exclusive), in blocks of at most 1 MiB.

        Raises
        ------
        ObjectChangedError
            There is no such object, or not with this etag.
        """
        condition = {"IfMatch": etag} if etag else {}
        at = start
        while end is None or at < end:
            last = at + _BLOCK if end is None else min(at + _BLOCK, end)
            block = self._read_block(key, at, last, condition)
            if block:
                yield block
            at += len(block)
            if at < last:  # the object ends here
                return

    def write(self, key: str, data: bytes) -> None:
        """Store an object in place of an earlier one."""
        self._call("write the object", self._aws.s3.put_object, Key=key, Body=data)

    def compose(self, key: str, parts: Iterable[str]) -> None:
        """Store objects, one after the other, as one object; raises ``ObjectChangedError``."""
        blocks = (block for part in parts for block in self.read(part))
        pieces = _pieces(blocks)
        first = next(pieces, b"")
        if len(first) < _PART:
            self.write(key, first)
            return
        upload = self._call("begin the upload", self._begin, Key=key)
        try:
            stored = [self._upload(key, upload, 1, first)]
            for piece in pieces:
                stored.append(self._upload(key, upload, len(stored) + 1, piece))
            self._call(
                "end the upload",
                self._aws.s3.complete_multipart_upload,
                Key=key,
                UploadId=upload,
                MultipartUpload={"Parts": stored},
            )
        except BaseException:
            self._call("end the upload", self._aws.s3.abort_multipart_upload, Key=key, UploadId=upload)
            raise

    def presign_upload(self, key: str, *, seconds: int) -> str:
        """A URL to which the object can be PUT for so many seconds."""
        return self._presign("put_object", key, seconds)

    def presign_download(self, key: str, *, seconds: int, filename: str) -> str:
        """A URL from which the object can be fetched for so many seconds, as a file of this name."""
        disposition = f'attachment; filename="{filename}"'
        return self._presign("get_object", key, seconds, ResponseContentDisposition=disposition)

    def _presign(self, operation: str, key: str, seconds: int, **more: str) -> str:
        return self._aws.call(
            "sign a URL",
            lambda: self._aws.s3.generate_presigned_url(
                operation, Params={"Bucket": self._name, "Key": key, **more}, ExpiresIn=seconds
            ),
        )

    def _read_block(self, key: str, start: int, end: int, condition: dict[str, str]) -> bytes:
        get = partial(self._aws.s3.get_object, Key=key, Range=f"bytes={start}-{end - 1}", **condition)  # type: ignore[arg-type] # named arguments, all of them

        def read(**request: Any) -> bytes:
            return get(**request)["Body"].read()

        try:
            return self._call("read the object", read)
        except StorageError as error:
            if error.code in _BEYOND_THE_END:
                return b""
            if error.code not in _CHANGED:
                raise
        raise ObjectChangedError

    def _begin(self, **request: Any) -> str:
        return self._aws.s3.create_multipart_upload(**request)["UploadId"]

    def _upload(self, key: str, upload: str, number: int, data: bytes) -> Any:
        def send(**request: Any) -> str:
            return self._aws.s3.upload_part(**request)["ETag"]

        etag = self._call("upload a part", send, Key=key, UploadId=upload, PartNumber=number, Body=data)
        return {"PartNumber": number, "ETag": etag}

    def _call(self, action: str, method: Callable[..., T], **request: Any) -> T:
        return self._aws.call(action, partial(method, Bucket=self._name, **request), retry_for=RETRY_FOR)


def _pieces(blocks: Iterable[bytes]) -> Iterator[bytes]:
    """Join blocks to pieces of the size of a part; the last one may be smaller."""
    waiting = bytearray()
    for block in blocks:
        waiting += block
        while len(waiting) >= _PART:
            yield bytes(waiting[:_PART])
            del waiting[:_PART]
    if waiting:
        yield bytes(waiting)
