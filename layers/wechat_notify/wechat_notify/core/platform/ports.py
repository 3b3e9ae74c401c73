"""Third-party platforms and their merchants: what is known of them, and what is needed to act for them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from wechat_notify.core.callbacks.events import Ticket
from wechat_notify.core.tokens.token import Grant


@dataclass(frozen=True, slots=True)
class Component:
    """A third-party platform.

    ``token_parameter`` is the query parameter in which its calls carry their token: WeChat's older pages say
    ``component_access_token``, its newer ones ``access_token``.
    """

    account: str
    app_id: str
    app_secret: str
    token_parameter: str = "component_access_token"  # noqa: S105 - a parameter's name

    def __repr__(self) -> str:
        """Without the secret."""
        return f"Component(account={self.account!r})"


@dataclass(frozen=True, slots=True)
class Merchant:
    """An account whose owner authorized a third-party platform.

    Parameters
    ----------
    account, app_id
        Its name here, and its appid at WeChat.
    component
        The name of the platform's account.
    permissions
        The ids of the permission sets that were granted; None where that is not known.
    authorized_at, revoked_at
        ``CreateTime`` of the last events that said so, in seconds since 1970.
    """

    account: str
    app_id: str
    component: str
    permissions: tuple[int, ...] | None = None
    authorized_at: int = 0
    revoked_at: int | None = None


@dataclass(frozen=True, slots=True)
class AuthorizerGrant:
    """WeChat's answer about a merchant: an access token, and the refresh token for the next one."""

    grant: Grant
    refresh_token: str

    def __repr__(self) -> str:
        """Without the tokens."""
        return f"AuthorizerGrant({self.grant!r})"


@dataclass(frozen=True, slots=True)
class Authorization:
    """The result of exchanging an authorization code; ``permissions`` as in ``Merchant``."""

    app_id: str
    tokens: AuthorizerGrant
    permissions: tuple[int, ...] | None


@dataclass(frozen=True, slots=True)
class PreAuthCode:
    """The code of an authorization page, valid for ``expires_in`` seconds."""

    component_app_id: str
    value: str
    expires_in: float

    def __repr__(self) -> str:
        """Without the code."""
        return f"PreAuthCode(expires_in={self.expires_in:.0f})"


class PlatformStore(Protocol):
    """The store of platforms and merchants; every method raises ``StorageError``."""

    def read_component(self, component: str) -> Component:
        """A platform's credentials; raises ``UnknownAccountError``, ``NotAPlatformError``."""

    def read_ticket(self, component: str) -> Ticket | None:
        """The newest ticket that WeChat pushed."""

    def read_ticket_request(self, component: str) -> float:
        """The time at which WeChat last agreed to push tickets; 0 where it never did."""

    def save_ticket_request(self, component: str, at: float) -> None:
        """Remember that time."""

    def read_merchant(self, account: str) -> Merchant | None:
        """A merchant's credentials; raises ``AccountTakenError`` where the name is another kind's."""

    def save_merchant(self, merchant: Merchant) -> None:
        """Replace a merchant's credentials."""

    def read_refresh_token(self, account: str) -> str | None:
        """A merchant's refresh token."""

    def save_refresh_token(self, account: str, refresh_token: str) -> None:
        """Replace it."""

    def delete_tokens(self, account: str) -> None:
        """Delete a merchant's refresh token and its access token."""


class PlatformApi(Protocol):
    """WeChat's calls of a platform; every method raises ``TokenUnavailableError``.

    ``token`` is the component's. WeChat takes these calls from the platform's registered addresses alone.
    """

    def start_ticket_push(self, component: Component) -> None:
        """Ask WeChat to push tickets."""

    def component_token(self, component: Component, ticket: str) -> Grant:
        """A new token of the platform; the number of such calls is limited."""

    def pre_auth_code(self, component: Component, token: str) -> PreAuthCode:
        """The code of an authorization page."""

    def query_auth(self, component: Component, token: str, code: str) -> Authorization:
        """The grant of a merchant; a code works once."""

    def authorizer_token(
        self, component: Component, token: str, app_id: str, refresh_token: str
    ) -> AuthorizerGrant:
        """A merchant's access token, and its next refresh token."""

    def listed_refresh_token(self, component: Component, token: str, app_id: str) -> str | None:
        """A merchant's refresh token from the list of all; None where the list has it not."""

    def send_text(self, token: str, openid: str, text: str) -> None:
        """Send a customer-service text with a merchant's ``token``; WeChat's release test asks for one."""
