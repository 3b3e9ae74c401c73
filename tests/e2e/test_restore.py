"""The ledger is backed up, loses and changes items, and is restored: with the emulator's own backups."""

import time
from typing import Any

import pytest

from local.examples import addressed, examples
from operations import restore
from tests.e2e.conftest import Service

RESTORED = "ledger-restored"


@pytest.fixture
def table(service: Service) -> str:
    return str(service.stack.deployment.outputs["LedgerTableName"])


def test_restored_ledger_is_copied_back(
    service: Service, table: str, touser: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was lost comes back; what has happened since the backup stays, and nothing is sent again."""
    dynamodb = service.stack.client("dynamodb")
    lost, changed = f"{touser}-lost", f"{touser}-changed"
    messages = {name: addressed(examples()[0], name) for name in (lost, changed)}
    for name, message in messages.items():
        answer = service.post(message, headers={"Idempotency-Key": name})
        assert answer.status_code == 200, answer.text
        service.becomes(name, "delivered")
    keys = {name: {"pk": {"S": f"message#{service.state.account}#{name}"}} for name in messages}

    def read(name: str) -> dict[str, Any]:
        found: dict[str, Any] = dynamodb.get_item(TableName=table, Key=keys[name])["Item"]
        return found

    before = {name: read(name) for name in messages}
    backup = dynamodb.create_backup(TableName=table, BackupName="rehearsal")["BackupDetails"]["BackupArn"]
    dynamodb.delete_item(TableName=table, Key=keys[lost])
    newer = before[changed] | {"version": {"N": str(int(before[changed]["version"]["N"]) + 1)}}
    dynamodb.put_item(TableName=table, Item=newer)
    assert service.look(lost).status_code == 404

    dynamodb.restore_table_from_backup(TargetTableName=RESTORED, BackupArn=backup)
    dynamodb.get_waiter("table_exists").wait(TableName=RESTORED, WaiterConfig={"Delay": 1, "MaxAttempts": 20})
    try:
        looked = restore.copy_back(dynamodb, RESTORED, table, apply=False)
        assert looked["missing"] >= 1
        assert service.look(lost).status_code == 404
        monkeypatch.setattr("boto3.client", lambda _: dynamodb)
        assert restore.main(["--from", RESTORED, "--to", table, "--apply"]) == 0
        assert read(lost) == before[lost]
        assert read(changed) == newer
        assert restore.copy_back(dynamodb, RESTORED, table, apply=True)["missing"] == 0
        expired = restore.copy_back(dynamodb, RESTORED, table, apply=True, now=lambda: time.time() + 1e9)
        assert expired["expired"] >= len(messages)
    finally:
        dynamodb.delete_table(TableName=RESTORED)
        dynamodb.delete_backup(BackupArn=backup)
    assert service.post(messages[lost], headers={"Idempotency-Key": lost}).status_code == 200
    assert sum(arrived["accepted"] for arrived in service.arrived(lost)) == 1
