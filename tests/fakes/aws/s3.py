"""S3: one bucket's objects, whole and in ranges, and uploads in parts.

It takes the requests of ``aws.objects``. Not modelled: other conditions than ``IfMatch``, versions, expiry,
signed URLs (boto3 makes those by itself).
"""

# ruff: noqa: N803 - the names of a request's fields are AWS's

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from datetime import UTC, datetime
from io import BytesIO
from itertools import count
from typing import Any

from tests.fakes.aws import Refusal

MIN_PART = 5 * 1024 * 1024
"""Bytes that every part but the last one has at least."""


class FakeS3:
    """The objects of one bucket, by key."""

    def __init__(self, now: Callable[[], float]) -> None:
        self.objects: dict[str, bytes] = {}
        self.uploads: dict[str, dict[int, bytes]] = {}
        """The parts of uploads that are not over."""
        self.modified: dict[str, float] = {}
        """When each was stored, seconds since the epoch."""
        self._now = now
        self._numbers = count(1)

    def put_object(self, *, Bucket: str, Key: str, Body: bytes) -> dict[str, Any]:  # noqa: ARG002
        """Store an object."""
        self.objects[Key], self.modified[Key] = bytes(Body), self._now()
        return {"ETag": _etag(self.objects[Key])}

    def head_object(self, *, Bucket: str, Key: str) -> dict[str, Any]:  # noqa: ARG002
        """What is known of an object; an answer without a body has no other code for a missing one."""
        if Key not in self.objects:
            raise Refusal("404")
        return self._known(Key)

    def get_object(
        self,
        *,
        Bucket: str,  # noqa: ARG002
        Key: str,
        Range: str | None = None,
        IfMatch: str | None = None,
    ) -> dict[str, Any]:
        """An object, or some of its bytes."""
        if Key not in self.objects:
            raise Refusal("NoSuchKey")
        data = self.objects[Key]
        if IfMatch is not None and IfMatch != _etag(data):
            raise Refusal("PreconditionFailed")
        if Range is not None:
            found = re.fullmatch(r"bytes=(\d+)-(\d+)", Range)
            assert found, Range
            start, last = int(found[1]), int(found[2])
            if start >= len(data):
                raise Refusal("InvalidRange")
            data = data[start : last + 1]
        return {**self._known(Key), "ContentLength": len(data), "Body": BytesIO(data)}

    def create_multipart_upload(self, *, Bucket: str, Key: str) -> dict[str, Any]:  # noqa: ARG002
        """Begin an upload in parts."""
        upload = f"{Key}?{next(self._numbers)}"
        self.uploads[upload] = {}
        return {"UploadId": upload}

    def upload_part(
        self,
        *,
        Bucket: str,  # noqa: ARG002
        Key: str,  # noqa: ARG002
        UploadId: str,
        PartNumber: int,
        Body: bytes,
    ) -> dict[str, Any]:
        """Store a part."""
        self._parts(UploadId)[PartNumber] = bytes(Body)
        return {"ETag": _etag(Body)}

    def complete_multipart_upload(
        self, *, Bucket: str, Key: str, UploadId: str, MultipartUpload: dict[str, Any]
    ) -> dict[str, Any]:
        """Make an object of the parts."""
        stored = self._parts(UploadId)
        listed = MultipartUpload["Parts"]
        numbers = [part["PartNumber"] for part in listed]
        if numbers != sorted(set(numbers)):
            raise Refusal("InvalidPartOrder")
        if any(_etag(stored.get(part["PartNumber"], b"")) != part["ETag"] for part in listed):
            raise Refusal("InvalidPart")
        if any(len(stored[number]) < MIN_PART for number in numbers[:-1]):
            raise Refusal("EntityTooSmall")
        del self.uploads[UploadId]
        return self.put_object(Bucket=Bucket, Key=Key, Body=b"".join(stored[number] for number in numbers))

    def abort_multipart_upload(self, *, Bucket: str, Key: str, UploadId: str) -> dict[str, Any]:  # noqa: ARG002
        """Forget the parts."""
        self._parts(UploadId)
        del self.uploads[UploadId]
        return {}

    def _parts(self, upload: str) -> dict[int, bytes]:
        if upload not in self.uploads:
            raise Refusal("NoSuchUpload")
        return self.uploads[upload]

    def _known(self, key: str) -> dict[str, Any]:
        data = self.objects[key]
        modified = datetime.fromtimestamp(self.modified[key], UTC)
        return {"ContentLength": len(data), "ETag": _etag(data), "LastModified": modified}


def _etag(data: bytes) -> str:
    return f'"{hashlib.sha256(data).hexdigest()[:32]}"'
