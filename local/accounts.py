from __future__ import annotations

import json
import secrets
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, Final

from local.client import post_json

ACCOUNT: Final = "demo"
"""The account that every stack has."""

_AES_KEY: Final = 43


@dataclass(frozen=True)
class CallbackKey:
    """The keys of an account's callbacks, as its parameter has them."""

    token: str
    encoding_aes_key: str


class Accounts:
    """The accounts of a stack: their parameters, and their apps at the simulator.

    Parameters
    ----------
    ssm
        A client of Parameter Store.
    path
        The path of the accounts' parameters.
    api_url
        Where the simulator finds the stack's API.
    simulator_url
        None where messages go to another server.
    """

    def __init__(self, ssm: Any, path: str, api_url: str, simulator_url: str | None) -> None:
        self._ssm = ssm
        self._path = path
        self._api_url = api_url
        self._simulator_url = simulator_url

    def set_callback(self, account: str, app_id: str, **options: str) -> CallbackKey:
        """Have the simulator push the receipts of an app's messages to the account's callback address."""
        key = CallbackKey(secrets.token_hex(16), secrets.token_hex(22)[:_AES_KEY])
        stored = {"app_id": app_id, "mode": options.get("mode", "secure"), "keys": [asdict(key)]}
        self.store(account, callback=stored)
        if self._simulator_url:
            url = f"{self._api_url}/v1/callbacks/{account}"
            order = {"app_id": app_id, "url": url, **asdict(key), **options}
            post_json(f"{self._simulator_url}/_sim/callbacks", **order)
        return key

    def add_component(self, name: str, **callback: object) -> str:
        """A third-party platform under this name, to which the simulator pushes a ticket; its appid.

        ``callback`` are more fields of its callback parameter.
        """
        app_id, secret = f"wx{name}", secrets.token_hex(16)
        key = asdict(CallbackKey(secrets.token_hex(16), secrets.token_hex(22)[:_AES_KEY]))
        self.store(
            name,
            credentials={"type": "component", "app_id": app_id, "app_secret": secret},
            callback={"app_id": app_id, "keys": [key], **callback},
        )
        url = f"{self._api_url}/v1/callbacks/components/{name}"
        orders = f"{self._simulator_url}/_sim/components"
        post_json(orders, component=app_id, secret=secret, url=url, **key)
        post_json(f"{orders}/ticket", component=app_id)
        return app_id

    def add_with_consents(self, name: str) -> None:
        """An account under this name that sends nothing without a consent, here as at the simulator."""
        app_id, secret = f"wx{name}", secrets.token_hex(16)
        post_json(f"{self._simulator_url}/_sim/apps", app_id=app_id, secret=secret, consents=True)
        app = {"type": "app", "app_id": app_id, "app_secret": secret}
        self.store(name, credentials={**app, "consents": "enforce"})

    def store(self, account: str, **parameters: object) -> None:
        """Give an account parameters, such as ``credentials``."""
        for part, value in parameters.items():
            self._ssm.put_parameter(
                Name=f"{self._path}/{account}/{part}",
                Type="SecureString",
                Value=json.dumps(value),
                Overwrite=True,
            )

    def introduce(self, report: Callable[[str], None]) -> None:
        """Tell the simulator, which begins anew, of the apps of the accounts that were kept."""
        from requests import HTTPError  # noqa: PLC0415 - as in client

        pages = self._ssm.get_paginator("get_parameters_by_path").paginate(
            Path=self._path, Recursive=True, WithDecryption=True
        )
        for parameter in (found for page in pages for found in page["Parameters"]):
            path, _, name = parameter["Name"].rpartition("/")
            account = path.rpartition("/")[2]
            if name != "credentials" or account == ACCOUNT:
                continue
            try:
                credentials = json.loads(parameter["Value"])
                app = {"app_id": credentials["app_id"], "secret": credentials["app_secret"]}
                post_json(f"{self._simulator_url}/_sim/apps", **app)
            except (ValueError, LookupError, TypeError, HTTPError):
                report(f"The credentials of account {account} are not those of an app at the simulator.")
