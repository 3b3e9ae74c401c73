"""Copy a restored ledger back into the stack's table.

``python -m operations.restore --from <restored table> --to <LedgerTableName>``. DynamoDB restores a backup or
a point in time into a new table; the stack goes on using its own. Items that the stack's table has lost come
back, those that are older there are replaced, and newer ones stay: an older state of a message would have it
sent again. Missing consents stay missing, for they may have been erased. Without ``--apply`` nothing is
written.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, Final

import boto3
from botocore.exceptions import BotoCoreError, ClientError

_ABSENT: Final = "attribute_not_exists(pk)"
_FAILED: Final = "ConditionalCheckFailedException"
_CONSENTS: Final = "consents#"
"""Nothing tells those that were lost from those that were erased. Without one a person is asked again. Who
comes back after that begins with version 1: the time tells which one is older."""

Item = dict[str, Any]


def copy_back(
    dynamodb: Any, source: str, target: str, *, apply: bool, now: Callable[[], float] = time.time
) -> Counter[str]:
    """Copy the items of a table that another one lacks or has in an older version.

    Parameters
    ----------
    dynamodb
        boto3's client.
    source, target
        Names of tables with the key ``pk``.
    apply
        Write; otherwise look only.
    now
        Seconds since the epoch: what has expired since is left out.

    Returns
    -------
    Counter
        Items by what became of them: ``missing`` and ``older`` ones are written, ``kept`` is as new or newer
        in the target, ``expired`` and ``consents`` (missing ones) are left out.
    """
    counts: Counter[str] = Counter()
    for page in dynamodb.get_paginator("scan").paginate(TableName=source, ConsistentRead=True):
        for item in page["Items"]:
            if "ttl" in item and float(item["ttl"]["N"]) <= now():
                counts["expired"] += 1
            else:
                counts[_copy(dynamodb, item, target, apply=apply)] += 1
    return counts


def _copy(dynamodb: Any, item: Item, target: str, *, apply: bool) -> str:
    """Copy one item where it is missing or older; the result."""
    read = dynamodb.get_item(TableName=target, Key={"pk": item["pk"]}, ConsistentRead=True)
    existing = read.get("Item")
    is_consents = item["pk"]["S"].startswith(_CONSENTS)
    order = "updated_at" if is_consents else "version"
    if existing is not None and not _number(existing, order) < _number(item, order):
        return "kept"
    if existing is None and is_consents:
        return "consents"
    if apply:
        condition: Item = {"ConditionExpression": _ABSENT}
        if order in item:
            is_older = f"{order} < :new"
            condition = {
                "ConditionExpression": is_older if is_consents else f"{_ABSENT} OR {is_older}",
                "ExpressionAttributeValues": {":new": item[order]},
            }
        try:
            dynamodb.put_item(TableName=target, Item=item, **condition)
        except ClientError as error:
            if error.response["Error"]["Code"] != _FAILED:
                raise
            return "kept"  # the service has written it in between
    return "missing" if existing is None else "older"


def _number(item: Item, name: str) -> float:
    return float(item[name]["N"]) if name in item else 0.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Copy, and say what was done; the exit code."""
    parser = argparse.ArgumentParser(description="Copy a restored ledger back into the stack's table.")
    parser.add_argument("--from", dest="source", required=True, help="the table that was restored")
    parser.add_argument("--to", dest="target", required=True, help="the stack's table (LedgerTableName)")
    parser.add_argument("--apply", action="store_true", help="write; without it the command only looks")
    options = parser.parse_args(arguments)
    if options.source == options.target:
        parser.error("--from and --to name the same table")
    try:
        counts = copy_back(boto3.client("dynamodb"), options.source, options.target, apply=options.apply)
    except (BotoCoreError, ClientError) as error:
        print(error, file=sys.stderr)
        return 1
    verb = "Written" if options.apply else "To be written (--apply writes them)"
    print(f"{verb}: {counts['missing']} missing and {counts['older']} older items.")
    print(
        f"Left: {counts['kept']} that are as new or newer, {counts['expired']} that have expired, "
        f"{counts['consents']} consents that may have been erased."
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
