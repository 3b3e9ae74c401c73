"""The schedule's function: a new token for each account, by wechatpy, into Parameter Store."""

import json
import os
import time
from typing import Any

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities import parameters
from wechatpy import WeChatClient

logger = Logger()
metrics = Metrics()

PATH = os.environ["PARAMETER_PATH"]


class Client(WeChatClient):  # type: ignore[misc] # it has no types
    """wechatpy's client, whose token URL is fixed otherwise."""

    def fetch_access_token(self) -> Any:
        """Ask WeChat for a token."""
        return self._fetch_access_token(
            url=os.environ["WECHAT_API_BASE"] + "/cgi-bin/token",
            params={"grant_type": "client_credential", "appid": self.appid, "secret": self.secret},
        )


@logger.inject_lambda_context
@metrics.log_metrics
def lambda_handler(event: dict[str, Any], context: Any) -> dict[str, int]:  # noqa: ARG001 - Lambda's signature
    """Refresh every account's token."""
    refreshed = 0
    stored = parameters.get_parameters(PATH, transform="json", decrypt=True, recursive=True, max_age=0)
    for name, credentials in stored.items():
        if not name.endswith("credentials"):
            continue
        account = name.split("/")[0]
        client = Client(credentials["app_id"], credentials["app_secret"], timeout=5)
        answer = client.fetch_access_token()
        now = time.time()
        token = {
            "value": answer["access_token"],
            "expires_at": now + answer["expires_in"],
            "obtained_at": now,
        }
        parameters.set_parameter(
            f"{PATH}/{account}/access-token", json.dumps(token), parameter_type="SecureString", overwrite=True
        )
        metrics.add_metric(name="TokenRefreshes", unit=MetricUnit.Count, value=1)
        logger.info("token refreshed", account=account)
        refreshed += 1
    return {"refreshed": refreshed}
