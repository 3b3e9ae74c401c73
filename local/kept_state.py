"""The data of a stack over a restart of the emulator: ``POST /_local/restore``, and a file when it ends.

ministack can keep all that it has, definitions of resources included; a stack that is deployed from a
changed template would then meet its former self. Here the template is always deployed anew, and what was
in the stack's tables, buckets and queues goes into those of the same name, with the parameters and
schedules that were added.
"""

from __future__ import annotations

import json
import os
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

PATH: Final = "/_local/restore"

# Of the file's own format.
_FORMAT: Final = 1
_PARTS: Final = {"tables", "buckets", "queues", "secrets", "parameters", "schedules"}
# The WeChat simulator begins anew, and knows no token of its former self.
_ACCESS_TOKEN: Final = "/access-token"

Content = dict[str, Any]


@dataclass(frozen=True)
class Services:
    """ministack's modules, whose stores are read and written."""

    cloudformation: Any
    dynamodb: Any
    persistence: Any
    s3: Any
    scheduler: Any
    secretsmanager: Any
    sqs: Any
    ssm: Any


class KeptState:
    """One stack's data, in a file while the emulator is down.

    Parameters
    ----------
    path
        The file. It has secrets and openids, and is readable by its owner only.
    version
        The emulator's: a file of another one is not read.
    services
        Where the data is while the emulator is up.
    """

    def __init__(self, path: Path, version: str, services: Services) -> None:
        self._path = path
        self._version = version
        self._services = services
        self._restored = False

    def restore(self) -> dict[str, Any]:
        """Put the file's data into the stack, which is deployed and has done nothing yet.

        Returns
        -------
        dict
            ``counts`` of what was restored by its kind, and ``problem``, a sentence, or None.
        """
        counts: dict[str, int] = {}
        problem = None
        try:
            content = self._read()
            if content is not None:
                counts, left_out = _fill(self._services, content)
                problem = (
                    f"the template has no place any more for {', '.join(left_out)}" if left_out else None
                )
        except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
            problem = f"what was kept cannot be read ({error})"
        if problem is not None:
            aside = self._path.with_name(f"{self._path.name}.{time.strftime('%Y%m%d-%H%M%S')}")
            self._path.rename(aside)
            problem += f"; the file is {aside.name} now"
        self._restored = True
        return {"counts": counts, "problem": problem}

    def save(self) -> None:
        """Write the file in one step, unless there was no restore yet: the old one is still needed then."""
        if not self._restored:
            return
        content = {"format": _FORMAT, "emulator": self._version, **_content(self._services)}
        descriptor, name = tempfile.mkstemp(prefix=self._path.name, dir=self._path.parent)  # mode 0600
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                # In one piece, which is ten times as fast as in parts.
                file.write(json.dumps(content, default=self._services.persistence._json_default))
            Path(name).replace(self._path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise

    def _read(self) -> Content | None:
        if not self._path.exists():
            return None
        hook = self._services.persistence._json_object_hook
        content: Any = json.loads(self._path.read_text("utf-8"), object_hook=hook)
        if not isinstance(content, dict) or not content.keys() >= _PARTS:
            raise ValueError("it is not whole")
        if (content.get("format"), content.get("emulator")) != (_FORMAT, self._version):
            raise ValueError("it was written by another version")
        found: Content = content
        return found


def _own(services: Services, kind: str) -> dict[str, str]:
    """The deployed resources of a type: physical ids by logical ids."""
    stacks = services.cloudformation._stacks.values()
    resources = [resource for stack in stacks for resource in stack["_resources"].items()]
    return {name: r["PhysicalResourceId"] for name, r in resources if r["ResourceType"] == kind}


def _stores(services: Services) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """The tables, buckets and queues by logical ids: a bucket has another name each time."""
    tables, buckets, queues = services.dynamodb._tables, services.s3._buckets, services.sqs._queues
    return (
        {name: tables[physical] for name, physical in _own(services, "AWS::DynamoDB::Table").items()},
        {name: buckets[physical] for name, physical in _own(services, "AWS::S3::Bucket").items()},
        {name: queues[physical] for name, physical in _own(services, "AWS::SQS::Queue").items()},
    )


def _content(services: Services) -> Content:
    tables, buckets, queues = _stores(services)
    scheduler, ssm = services.scheduler, services.ssm
    own_schedules = set(_own(services, "AWS::Scheduler::Schedule").values())
    return {
        "tables": {name: {"keys": _keys(table), "items": table["items"]} for name, table in tables.items()},
        "buckets": {name: bucket["objects"] for name, bucket in buckets.items()},
        "queues": {name: queue["messages"] for name, queue in queues.items()},
        "secrets": {name: _value(secret)["SecretString"] for name, secret in _secrets(services).items()},
        "parameters": {
            name: {"record": record, "history": ssm._parameter_history.get(name, [])}
            for name, record in ssm._parameters.items()
            if not name.endswith(_ACCESS_TOKEN)
        },
        "schedules": {
            key: {"record": record, "fired": _scoped(scheduler, key) in scheduler._schedule_last_fired}
            for key, record in scheduler._schedules.items()
            if record["Name"] not in own_schedules
        },
    }


def _fill(services: Services, content: Content) -> tuple[dict[str, int], list[str]]:
    """Put the content where it was; counts by its kind, and the places that are no more."""
    left_out: list[str] = []
    items = files = messages = 0
    tables, buckets, queues = _stores(services)
    for name, kept in content["tables"].items():
        if name not in tables or _keys(tables[name]) != kept["keys"]:
            left_out.append(name)
            continue
        for key, by_sort_key in kept["items"].items():
            for sort_key, item in by_sort_key.items():
                services.dynamodb._set_item(tables[name], key, sort_key, item)
                items += 1
    for name, objects in content["buckets"].items():
        if name not in buckets:
            left_out.append(name)
            continue
        buckets[name]["objects"].update(objects)
        files += len(objects)
    for name, waiting in content["queues"].items():
        if name not in queues:
            left_out.append(name)
            continue
        queues[name]["messages"].extend(waiting)
        messages += len(waiting)
    _fill_secrets(services, content["secrets"])
    for name, kept in content["parameters"].items():
        services.ssm._parameters[name] = kept["record"]
        services.ssm._parameter_history[name] = kept["history"]
    counts = {
        "ledger items": items,
        "files": files,
        "queued messages": messages,
        "parameters": len(content["parameters"]),
        "schedules": _fill_schedules(services.scheduler, content["schedules"], left_out),
    }
    return counts, left_out


def _fill_secrets(services: Services, kept: Mapping[str, str]) -> None:
    """Give the stack its former generated secrets: openids in the ledger are hashed under one of them."""
    for name, secret in _secrets(services).items():
        version = _value(secret)
        version["SecretString"] = kept.get(name, version["SecretString"])


def _secrets(services: Services) -> dict[str, Any]:
    """The secrets that the template generates, by logical ids."""
    own = _own(services, "AWS::SecretsManager::Secret")
    return {name: services.secretsmanager._secrets[physical] for name, physical in own.items()}


def _value(secret: Any) -> Any:
    return next(version for version in secret["Versions"].values() if "AWSCURRENT" in version["Stages"])


def _fill_schedules(scheduler: Any, kept: Content, left_out: list[str]) -> int:
    """Add the schedules; one that fired is over, and a recurring one goes on from now."""
    count = 0
    for key, entry in kept.items():
        record = entry["record"]
        if record["GroupName"] not in scheduler._schedule_groups:
            left_out.append(f"schedule {key}")
            continue
        scheduler._schedules[key] = record
        once = record["ScheduleExpression"].lstrip().startswith("at(")
        if entry["fired"] or not once:
            scheduler._schedule_last_fired[_scoped(scheduler, key)] = time.time()
        count += 1
    return count


def _keys(table: Any) -> list[str | None]:
    return [table["pk_name"], table["sk_name"]]


def _scoped(scheduler: Any, key: str) -> Any:
    # When a schedule fired last is kept by account, region and key.
    return scheduler._schedules._scoped(key)
