"""One wechatpy client an account, with the access token that ``token_refresh`` keeps in Parameter Store."""

import os
from functools import lru_cache

from aws_lambda_powertools.utilities import parameters
from wechatpy import WeChatClient

PATH = os.environ["PARAMETER_PATH"]
TIMEOUT = 5


@lru_cache(maxsize=1024)
def _client(account: str) -> WeChatClient:
    client = WeChatClient(account, secret="", timeout=TIMEOUT, auto_retry=False)  # nosec B106 # it is asked for nothing
    client.API_BASE_URL = os.environ["WECHAT_API_BASE"] + "/cgi-bin/"
    return client


def client_for(account: str) -> WeChatClient:
    """The account's client; Powertools keeps its token for a minute."""
    stored = parameters.get_parameter(
        f"{PATH}/{account}/access-token", transform="json", decrypt=True, max_age=60
    )
    client = _client(account)
    client.session.set(client.access_token_key, stored["value"])
    return client
