"""The account of a request that is going to have messages sent."""

from __future__ import annotations

from wechat_notify import bootstrap
from wechat_notify.core.errors import UnknownAccountError
from wechat_notify.http import requests
from wechat_notify.http.requests import HttpEvent


def known_account(http: HttpEvent) -> str:
    """Return the account in the path.

    Raises
    ------
    AccountNameError, UnknownAccountError
        No account can have this name; there are no credentials for it.
    """
    account = requests.account(http)
    if not bootstrap.access_tokens().has_credentials(account):
        raise UnknownAccountError(account)
    return account
