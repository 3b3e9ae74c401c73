"""The parameters of third-party platforms and their merchants, beside those of any account.

``<path>/<component>/ticket``
    SecureString, JSON ``{"app_id", "ticket", "at"}``: the newest ``component_verify_ticket``, written by
    callback_events.
``<path>/<component>/ticket-request``
    String: when WeChat last agreed to push tickets, in seconds since 1970.
``<path>/<merchant>/refresh-token``
    SecureString: the merchant's ``authorizer_refresh_token``.
"""

from __future__ import annotations

import json
from typing import Final, Literal

from pydantic import ValidationError

from wechat_notify.aws.clients import Clients
from wechat_notify.aws.parameters import (
    PATIENT_RETRY_FOR,
    AuthorizerCredentials,
    ComponentCredentials,
    read_credentials,
)
from wechat_notify.core.callbacks.events import Ticket
from wechat_notify.core.errors import AccountTakenError, NotAPlatformError, StorageError, UnknownAccountError
from wechat_notify.core.messages.identifiers import is_account_name
from wechat_notify.core.platform.ports import Component, Merchant

_CREDENTIALS: Final = "credentials"
_TICKET: Final = "ticket"
_TICKET_REQUEST: Final = "ticket-request"
_REFRESH_TOKEN: Final = "refresh-token"  # noqa: S105 - a parameter's name
_ACCESS_TOKEN: Final = "access-token"  # noqa: S105


class _Parameters:
    """Reads and writes single parameters."""

    def __init__(self, aws: Clients, path: str) -> None:
        self._aws = aws
        self._path = path

    def read(self, account: str, name: str) -> str | None:
        full_name = f"{self._path}/{account}/{name}"
        try:
            return self._aws.call(
                f"read the {name}",
                lambda: self._aws.ssm.get_parameter(Name=full_name, WithDecryption=True)["Parameter"][
                    "Value"
                ],
                retry_for=PATIENT_RETRY_FOR,
            )
        except StorageError as error:
            if error.code == "ParameterNotFound":
                return None
            raise

    def save(
        self,
        account: str,
        name: str,
        value: str,
        kind: Literal["SecureString", "String"] = "SecureString",
    ) -> None:
        full_name = f"{self._path}/{account}/{name}"
        self._aws.put_parameter(f"store the {name}", full_name, value, kind=kind, retry_for=PATIENT_RETRY_FOR)

    def delete(self, account: str, *names: str) -> None:
        full_names = [f"{self._path}/{account}/{name}" for name in names]
        self._aws.call(
            "delete the tokens",
            lambda: self._aws.ssm.delete_parameters(Names=full_names),
            retry_for=PATIENT_RETRY_FOR,
        )


class Tickets:
    """The tickets of platforms: read by token_refresh, written by callback_events."""

    def __init__(self, aws: Clients, path: str) -> None:
        self._parameters = _Parameters(aws, path)

    def read(self, component: str) -> Ticket | None:
        """The newest ticket; None where there is none that can be read. Raises ``StorageError``."""
        value = self._parameters.read(component, _TICKET)
        try:
            stored = json.loads(value or "null")
            return Ticket(str(stored["app_id"]), str(stored["ticket"]), int(stored["at"]))
        except (ValueError, TypeError, KeyError):
            return None

    def save(self, component: str, ticket: Ticket) -> bool:
        """Keep a ticket, unless a newer one is stored; returns whether it was kept."""
        stored = self.read(component)
        if stored and (stored.at > ticket.at or stored == ticket):
            return False
        value = {"app_id": ticket.component_appid, "ticket": ticket.ticket, "at": ticket.at}
        self._parameters.save(component, _TICKET, json.dumps(value))
        return True


class PlatformParameters:
    """The stored data of platforms and merchants, as token_refresh has it."""

    def __init__(self, aws: Clients, path: str) -> None:
        self._parameters = _Parameters(aws, path)
        self._tickets = Tickets(aws, path)

    def read_component(self, component: str) -> Component:
        """A platform's credentials; raises ``UnknownAccountError``, ``NotAPlatformError``."""
        value = self._parameters.read(component, _CREDENTIALS) if is_account_name(component) else None
        if value is None:
            raise UnknownAccountError(component)
        try:
            credentials = read_credentials(value)
        except ValidationError:
            raise NotAPlatformError(component) from None
        if not isinstance(credentials, ComponentCredentials):
            raise NotAPlatformError(component)
        return credentials.component(component)

    def read_ticket(self, component: str) -> Ticket | None:
        """The newest ticket that WeChat pushed."""
        return self._tickets.read(component)

    def read_ticket_request(self, component: str) -> float:
        """The time at which WeChat last agreed to push tickets; 0 where it never did."""
        value = self._parameters.read(component, _TICKET_REQUEST)
        return float(value) if value and value.isdigit() else 0.0

    def save_ticket_request(self, component: str, at: float) -> None:
        """Remember that time."""
        self._parameters.save(component, _TICKET_REQUEST, str(int(at)), "String")

    def read_merchant(self, account: str) -> Merchant | None:
        """A merchant's credentials; raises ``AccountTakenError`` where the name is another kind's."""
        value = self._parameters.read(account, _CREDENTIALS)
        if value is None:
            return None
        try:
            credentials = read_credentials(value)
        except ValidationError:
            raise AccountTakenError(account) from None
        if not isinstance(credentials, AuthorizerCredentials):
            raise AccountTakenError(account)
        return credentials.merchant(account)

    def save_merchant(self, merchant: Merchant) -> None:
        """Replace a merchant's credentials."""
        credentials = AuthorizerCredentials(
            type="authorizer",
            component=merchant.component,
            app_id=merchant.app_id,
            func_info=merchant.permissions,
            authorized_at=merchant.authorized_at or None,
            revoked_at=merchant.revoked_at,
        )
        value = credentials.model_dump_json(exclude_none=True)
        self._parameters.save(merchant.account, _CREDENTIALS, value)

    def read_refresh_token(self, account: str) -> str | None:
        """A merchant's refresh token."""
        return self._parameters.read(account, _REFRESH_TOKEN)

    def save_refresh_token(self, account: str, refresh_token: str) -> None:
        """Replace it."""
        self._parameters.save(account, _REFRESH_TOKEN, refresh_token)

    def delete_tokens(self, account: str) -> None:
        """Delete a merchant's refresh token and its access token."""
        self._parameters.delete(account, _REFRESH_TOKEN, _ACCESS_TOKEN)
