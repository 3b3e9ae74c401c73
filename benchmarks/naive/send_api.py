"""The HTTP function: Powertools' resolver with validation around wechatpy."""

from typing import Any

from aws_lambda_powertools.event_handler import APIGatewayHttpResolver
from aws_lambda_powertools.event_handler.exceptions import ServiceError

from benchmarks.naive.messages import TemplateMessage
from benchmarks.naive.sending import TryAgainError, logger, metrics, send

app = APIGatewayHttpResolver(enable_validation=True)


@app.post("/v1/accounts/<account>/messages")
def post_message(account: str, message: TemplateMessage) -> dict[str, Any]:
    """Send one message while the caller waits."""
    request_id = app.current_event.request_context.request_id
    try:
        return {"id": request_id, **send(account, message, request_id)}
    except TryAgainError:
        raise ServiceError(503, "try again") from None


@logger.inject_lambda_context
@metrics.log_metrics
def lambda_handler(event: dict[str, Any], context: Any) -> Any:
    """Answer one request."""
    return app.resolve(event, context)
