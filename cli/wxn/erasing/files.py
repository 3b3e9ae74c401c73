"""The person's rows in the bucket of broadcasts: recipients' files, working files and results."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple

from wxn.erasing import rewriting
from wxn.erasing.person import Person
from wxn.erasing.place import Count, Found
from wxn.language import text
from wxn.stacks import Stack

_BLOCK: Final = 1024 * 1024
_IN_MEMORY: Final = 16 * 1024 * 1024
_NEW_SECONDS: Final = 3600
"""Seconds for which a file may be of a broadcast whose record is not stored yet."""
_MAX_NAME: Final = 1024
"""Bytes that an openid has at most, with escapes."""
_KEYS_A_CALL: Final = 100
_INDEX: Final = "listed"
_DIGESTS: Final = re.compile(r"/runs/openids-[^/]+$")
_DOCUMENTS: Final = re.compile(r"/(request|check)-[^/]+\.json$")
_NO_TEXT: Final = (
    b"PK\x03\x04",
    b"\xd0\xcf\x11\xe0",
    b"\x1f\x8b",
    b"BZh",
    b"\xfd7zXZ",
    b"7z\xbc\xaf",
    b"Rar!",
)
"""The first bytes of spreadsheets and archives, in which nothing can be searched."""


class _Broadcast(NamedTuple):
    """A broadcast's record, as far as files depend on it. ``source`` is the key of its recipients' file."""

    id: str
    state: str
    source: str
    has_ended: bool


class Files:
    """The objects of one account that name one person."""

    def __init__(self, stack: Stack, account: str, person: Person) -> None:
        self.name = text("files of broadcasts", "群发文件")
        self._bucket = stack.outputs["BroadcastBucketName"]
        self._table = stack.outputs["LedgerTableName"]
        self._s3 = stack.client("s3")
        self._dynamodb = stack.client("dynamodb")
        self._account = account
        self._person = person

    def find(self, count: Count) -> Iterator[Found]:
        """Read every object of the account."""
        broadcasts = self._broadcasts()
        pages = self._s3.get_paginator("list_objects_v2").paginate(
            Bucket=self._bucket, Prefix=f"{self._account}/"
        )
        objects = (each for page in pages for each in page.get("Contents", []))
        for searched, listed in enumerate(objects, 1):
            count(searched, None)
            key = listed["Key"]
            is_searchable, is_named = self._look(key)
            if is_named or not is_searchable:
                blocked, again = self._obstacle(key, listed["LastModified"], broadcasts)
                if not is_searchable:
                    blocked = text("it is no text, and cannot be searched", "不是文本文件，无法检索")
                    again = text(
                        "after you have looked into it, or when it has expired", "人工检查或文件过期之后"
                    )
                does = text("rewrite it without the person", "重写文件，去除此人")
                yield Found(self.name, key, does, blocked, again, listed["LastModified"])

    def erase(self, found: Sequence[Found]) -> None:
        """Rewrite the objects that no broadcast has begun to use since they were found."""
        import tempfile  # noqa: PLC0415 - --help starts without it

        broadcasts = self._broadcasts() if found else {}
        for each in found:
            if any(self._obstacle(each.name, each.data, broadcasts)):
                continue  # the next search tells
            with tempfile.SpooledTemporaryFile(_IN_MEMORY) as rewritten:
                try:
                    for block in self._rewritten(each.name):
                        rewritten.write(block)
                except self._s3.exceptions.NoSuchKey:
                    continue  # it has expired meanwhile
                rewritten.seek(0)
                self._s3.upload_fileobj(rewritten, self._bucket, each.name)

    def _look(self, key: str) -> tuple[bool, bool]:
        """Return whether an object can be searched, and whether it names the person."""
        try:
            if _DIGESTS.search(key):
                data = b"".join(self._read(key))
                return True, rewriting.without_digests(data, self._person) != data
            first = next(self._read(key), b"")
            if "/uploads/" in key and (first.startswith(_NO_TEXT) or b"\0" in first):
                return False, False
            return True, self._may_name(key) and self._names(key)
        except self._s3.exceptions.NoSuchKey:
            return True, False

    def _may_name(self, key: str) -> bool:
        """False where an object cannot name the person: most do not, which their bytes tell quickly."""
        end = b""
        for block in self._read(key):
            if self._person.may_be_in(end + block):
                return True
            end = block[-_MAX_NAME:]
        return False

    def _names(self, key: str) -> bool:
        lines = rewriting.lines_of(self._read(key))
        return any(self._person.is_named_in(rewriting.decoded(line)[0]) for line in lines)

    def _rewritten(self, key: str) -> Iterator[bytes]:
        if _DIGESTS.search(key):
            yield rewriting.without_digests(b"".join(self._read(key)), self._person)
        elif _DOCUMENTS.search(key):
            yield rewriting.document(b"".join(self._read(key)), self._person)
        else:
            yield from rewriting.without_rows(rewriting.lines_of(self._read(key)), self._person)

    def _read(self, key: str) -> Iterator[bytes]:
        body = self._s3.get_object(Bucket=self._bucket, Key=key)["Body"]
        while block := body.read(_BLOCK):
            yield block

    def _obstacle(self, key: str, changed: datetime, broadcasts: Mapping[str, _Broadcast]) -> tuple[str, str]:
        """The reason why an object may not be changed, and when it may; nothing where it may."""
        _, folder, name, *_ = [*key.split("/"), ""]
        own = broadcasts.get(name) if folder == "broadcasts" else None
        users = [each for each in broadcasts.values() if each.source == key or each is own]
        working = [each for each in users if not each.has_ended]
        if working:
            first = working[0]
            return (
                text(f"broadcast {first.id} is {first.state}", f"群发 {first.id} 的状态为 {first.state}"),
                text("after the broadcast has ended or was cancelled", "群发结束或取消之后"),
            )
        if folder == "broadcasts" and own is None and time.time() - changed.timestamp() < _NEW_SECONDS:
            return (
                text("its broadcast may be being created", "对应的群发可能正在创建"),
                text("in an hour", "1 小时后"),
            )
        return "", ""

    def _broadcasts(self) -> dict[str, _Broadcast]:
        """The account's broadcasts by their ids."""
        pages = self._dynamodb.get_paginator("query").paginate(
            TableName=self._table,
            IndexName=_INDEX,
            KeyConditionExpression="listed = :listed",
            ExpressionAttributeValues={":listed": {"S": f"{self._account}#broadcasts"}},
        )
        keys = [{"pk": item["pk"]} for page in pages for item in page["Items"]]
        found = (
            item
            for start in range(0, len(keys), _KEYS_A_CALL)
            for item in self._records(keys[start : start + _KEYS_A_CALL])
        )
        return {broadcast.id: broadcast for broadcast in map(_broadcast, found)}

    def _records(self, keys: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
        asked: dict[str, Any] = {
            self._table: {
                "Keys": keys,
                "ConsistentRead": True,
                "ProjectionExpression": "id, #state, #source, finished_at",
                "ExpressionAttributeNames": {"#state": "state", "#source": "source"},
            }
        }
        while asked:
            answer = self._dynamodb.batch_get_item(RequestItems=asked)
            yield from answer["Responses"].get(self._table, [])
            asked = answer.get("UnprocessedKeys") or {}


def _broadcast(item: Mapping[str, Any]) -> _Broadcast:
    return _Broadcast(
        item["id"]["S"], item["state"]["S"], item.get("source", {"S": ""})["S"], "finished_at" in item
    )
