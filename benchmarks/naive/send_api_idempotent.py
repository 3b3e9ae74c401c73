"""The same with Powertools' idempotency on DynamoDB, by the caller's ``Idempotency-Key``."""

import os
from typing import Any

from aws_lambda_powertools.utilities.idempotency import (
    DynamoDBPersistenceLayer,
    IdempotencyConfig,
    idempotent,
)

from benchmarks.naive.send_api import app
from benchmarks.naive.sending import logger, metrics

persistence = DynamoDBPersistenceLayer(table_name=os.environ["LEDGER_TABLE"])
config = IdempotencyConfig(event_key_jmespath='headers."idempotency-key"', expires_after_seconds=30 * 86400)


@logger.inject_lambda_context
@metrics.log_metrics
@idempotent(persistence_store=persistence, config=config)
def lambda_handler(event: dict[str, Any], context: Any) -> Any:
    """Answer one request, and the same one twice with the same answer."""
    return app.resolve(event, context)
