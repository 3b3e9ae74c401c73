"""The person's messages in the ledger: entries without a text, which name them by the keyed hash.

An entry stays, and what names the person goes: the hash, and the digest of the message. It keeps a copy of the
message that is still on the queue from being sent, and its broadcast's counts right. One whose id names the
openid, which ids must not, is deleted.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator, Sequence
from functools import cached_property
from http import HTTPStatus
from typing import Any, Final

from wxn.api import Api, ApiError, part
from wxn.erasing.person import Person
from wxn.erasing.place import Count, Found
from wxn.errors import CommandError, ExitCode
from wxn.language import text
from wxn.stacks import Stack
from wxn.times import local_time

_INDEX: Final = "people"
_KEYS_A_CALL: Final = 100
"""BatchGetItem's most."""
_FIELDS: Final = "pk, id, #status, updated_at, lease_until, version, openid_hash"
_COPY_SECONDS: Final = 3900
"""Seconds for which the queue may hide a copy of a message: an hour at most, and clocks that differ."""
_SENDING_SECONDS: Final = 300
_ERASED: Final = "erased"
"""In the place of the message's digest: no message has it, so that a repeat under the id is refused."""


class Entries:
    """The entries of one person."""

    def __init__(self, stack: Stack, api: Api, account: str, person: Person) -> None:
        self.name = text("messages", "消息记录")
        self._table = stack.outputs["LedgerTableName"]
        self._dynamodb = stack.client("dynamodb")
        self._api = api
        self._account = account
        self._person = person

    def find(self, count: Count) -> Iterator[Found]:
        """Ask the index of people for the person's keys, and the table for their entries.

        Raises
        ------
        CommandError
            The table has no such index (yet).
        """
        self._require_index()
        searched = 0
        for keys in self._pages_of_keys():
            for item in self._read(keys):
                if self._is_of_person(item):
                    yield self._found(item)
            searched += len(keys)
            count(searched, None)

    def erase(self, found: Sequence[Found]) -> None:
        """Cancel what waits, then take the person's hash away."""
        for each in found:
            if each.data["status"]["S"] == "queued":
                self._cancel(each.name)
            else:
                self._write(each.data)

    def _require_index(self) -> None:
        table = self._dynamodb.describe_table(TableName=self._table)["Table"]
        indexes = {each["IndexName"]: each for each in table.get("GlobalSecondaryIndexes", [])}
        if _INDEX not in indexes:
            raise CommandError(
                text(f"The table has no index {_INDEX}.", f"数据表没有索引 {_INDEX}。"),
                text("Deploy this version first.", "请先部署此版本。"),
            )
        if indexes[_INDEX].get("IndexStatus") == "CREATING":  # the emulator has none
            raise CommandError(
                text(f"DynamoDB is still filling the index {_INDEX}.", f"DynamoDB 仍在创建索引 {_INDEX}。"),
                text("Repeat the command in some minutes.", "请几分钟后重新执行。"),
                ExitCode.UNAVAILABLE,
            )

    def _pages_of_keys(self) -> Iterator[list[dict[str, Any]]]:
        """The keys of the person's entries. A message may have a hash of each key that was in use."""
        for hashed in self._person.hashes:
            pages = self._dynamodb.get_paginator("query").paginate(
                TableName=self._table,
                IndexName=_INDEX,
                KeyConditionExpression="openid_hash = :hash AND account = :account",
                ExpressionAttributeValues={":hash": {"S": hashed}, ":account": {"S": self._account}},
                PaginationConfig={"PageSize": _KEYS_A_CALL},
            )
            for page in pages:
                keys = [item["pk"] for item in page["Items"]]
                yield [{"pk": key} for key in keys if key["S"].startswith("message#")]

    def _read(self, keys: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
        """The entries as they are now: the index may be behind them."""
        while keys:
            answer = self._dynamodb.batch_get_item(
                RequestItems={
                    self._table: {
                        "Keys": keys,
                        "ConsistentRead": True,
                        "ProjectionExpression": _FIELDS,
                        "ExpressionAttributeNames": {"#status": "status"},
                    }
                }
            )
            yield from answer["Responses"].get(self._table, [])
            keys = answer["UnprocessedKeys"].get(self._table, {}).get("Keys", [])

    def _found(self, item: dict[str, Any]) -> Found:
        status, now = item["status"]["S"], time.time()
        does = text("remove the hash of the openid", "删除 openid 的哈希值")
        if self._has_openid_as_id(item):
            does = text("delete it: its id names the openid", "删除该记录：其 ID 中含有 openid")
        if status == "queued":
            does = text("cancel it, then remove the hash", "取消发送，并删除哈希值")
        blocked = again = ""
        lease_until = float(item.get("lease_until", {"N": "0"})["N"])
        gone_at = float(item["updated_at"]["N"]) + _COPY_SECONDS
        if status == "sending" and now < lease_until + _SENDING_SECONDS:
            blocked = text("it is being sent", "正在发送")
            again = text("in 10 minutes", "10 分钟后")
        elif (status == "cancelled" or self._has_openid_as_id(item)) and now < gone_at:
            blocked = text(
                "its copy may still be on the queue, and is dropped there", "队列中可能仍有副本，届时会被丢弃"
            )
            again = text(f"after {local_time(gone_at)}", f"{local_time(gone_at)} 之后")
        elif status == "cancelled" and self._holds:
            blocked = text(
                "its copy may still be on the queue, while the account is held",
                "账号暂停发送期间，队列中可能仍有副本",
            )
            names = ", ".join(self._holds)
            again = text(
                f"15 minutes after the holds have ended ({names})", f"暂停（{names}）结束 15 分钟之后"
            )
        return Found(self.name, item["id"]["S"], does, blocked, again, item)

    @cached_property
    def _holds(self) -> list[str]:
        """Ids of the account's holds: while one lasts, copies of messages go back to the queue, whatever the ledger says."""
        return [hold["id"] for hold in self._api.call("GET", "holds")["holds"]]

    def _cancel(self, message_id: str) -> None:
        try:
            self._api.call("DELETE", f"messages/{part(message_id)}")
        except ApiError as error:
            # It was started meanwhile, or is gone: the next search tells.
            if error.status not in {HTTPStatus.CONFLICT, HTTPStatus.NOT_FOUND}:
                raise

    def _write(self, item: dict[str, Any]) -> None:
        """Take away what names the person. As every write of the service, it follows one version."""
        entry = {
            "TableName": self._table,
            "Key": {"pk": item["pk"]},
            "ConditionExpression": "version = :version",
        }
        version = {":version": item["version"]}
        try:
            if self._has_openid_as_id(item):
                self._dynamodb.delete_item(**entry, ExpressionAttributeValues=version)
                return
            self._dynamodb.update_item(
                **entry,
                # The key in the index of receipts may hold the hash; a receipt finds the entry no more.
                UpdateExpression=(
                    "REMOVE openid_hash, receipt_key "
                    "SET fingerprint = :erased, writer = :writer, version = version + :one"
                ),
                ExpressionAttributeValues={
                    **version,
                    ":erased": {"S": _ERASED},
                    ":writer": {"S": uuid.uuid4().hex},
                    ":one": {"N": "1"},
                },
            )
        except self._dynamodb.exceptions.ConditionalCheckFailedException:
            return  # it has changed meanwhile: the next search tells

    def _is_of_person(self, item: dict[str, Any]) -> bool:
        return item.get("openid_hash", {}).get("S") in self._person.hashes

    def _has_openid_as_id(self, item: dict[str, Any]) -> bool:
        return self._person.is_named_in(item["id"]["S"])
