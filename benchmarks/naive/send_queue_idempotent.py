"""The same with Powertools' idempotency on DynamoDB, so that a message delivered twice is sent once."""

import os
from typing import Any

from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType, process_partial_response
from aws_lambda_powertools.utilities.idempotency import (
    DynamoDBPersistenceLayer,
    IdempotencyConfig,
    idempotent_function,
)

from benchmarks.naive.send_queue import Record
from benchmarks.naive.sending import logger, metrics, send

processor = BatchProcessor(event_type=EventType.SQS, model=Record)
persistence = DynamoDBPersistenceLayer(table_name=os.environ["LEDGER_TABLE"])
config = IdempotencyConfig(event_key_jmespath="messageId", expires_after_seconds=30 * 86400)


@idempotent_function(data_keyword_argument="record", persistence_store=persistence, config=config)  # type: ignore[untyped-decorator]
def send_once(record: Record) -> dict[str, object]:
    """Send one record's message, unless that was done before."""
    return send(record.body.account, record.body.message, record.messageId)


def record_handler(record: Record) -> None:
    """Send one record's message once."""
    send_once(record=record)


@logger.inject_lambda_context
@metrics.log_metrics
def lambda_handler(event: dict[str, Any], context: Any) -> Any:
    """Send one batch; what may be tried again is a batch item failure."""
    config.register_lambda_context(context)
    return process_partial_response(event, record_handler, processor, context)
