"""The queue's function: Powertools' batch processor and parser around wechatpy."""

from typing import Any

from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType, process_partial_response
from aws_lambda_powertools.utilities.parser.models import SqsRecordModel
from pydantic import Json

from benchmarks.naive.messages import Envelope
from benchmarks.naive.sending import logger, metrics, send


class Record(SqsRecordModel):
    """An SQS record whose body is an envelope."""

    body: Json[Envelope]


processor = BatchProcessor(event_type=EventType.SQS, model=Record)


def record_handler(record: Record) -> None:
    """Send one record's message."""
    send(record.body.account, record.body.message, record.messageId)


@logger.inject_lambda_context
@metrics.log_metrics
def lambda_handler(event: dict[str, Any], context: Any) -> Any:
    """Send one batch; what may be tried again is a batch item failure."""
    return process_partial_response(event, record_handler, processor, context)
