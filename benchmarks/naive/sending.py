"""One message to WeChat, and what an error means."""

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit
from wechatpy.exceptions import WeChatClientException

from benchmarks.naive.accounts import client_for
from benchmarks.naive.messages import TemplateMessage

logger = Logger()
metrics = Metrics()

RETRYABLE = {-1, 40001, 40014, 42001, 45009, 45011}


class TryAgainError(Exception):
    """WeChat may take it another time."""


def send(account: str, message: TemplateMessage, message_id: str) -> dict[str, object]:
    """Send one message; raises where a repeat may work."""
    body = message.model_dump(exclude_none=True)
    try:
        answer: dict[str, object] = client_for(account).message.send_template(
            body["touser"], body["template_id"], body["data"], body.get("url"), body.get("miniprogram")
        )
    except WeChatClientException as error:
        metrics.add_metric(name="MessagesFailed", unit=MetricUnit.Count, value=1)
        logger.warning(
            "message failed",
            message_id=message_id,
            account=account,
            errcode=error.errcode,
            errmsg=error.errmsg,
        )
        if error.errcode in RETRYABLE:
            raise TryAgainError from error
        return {"errcode": error.errcode, "errmsg": error.errmsg}
    metrics.add_metric(name="MessagesSent", unit=MetricUnit.Count, value=1)
    logger.info("message sent", message_id=message_id, account=account, msgid=answer.get("msgid"))
    return {"errcode": 0, "msgid": answer.get("msgid")}
