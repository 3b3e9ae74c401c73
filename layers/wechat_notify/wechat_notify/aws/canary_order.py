"""The SSM parameter that says what the canary sends."""

from __future__ import annotations

from pydantic import ValidationError

from wechat_notify.aws.clients import Clients
from wechat_notify.core.canary import CanaryOrder
from wechat_notify.core.errors import StorageError

_RETRY_FOR = 5.0


class StoredOrder:
    """The order in a SecureString."""

    def __init__(self, clients: Clients, name: str) -> None:
        self._clients = clients
        self._name = name

    def read(self) -> CanaryOrder:
        """Return the order.

        Raises
        ------
        StorageError
            ``ParameterNotFound``, ``MalformedOrder`` or another of AWS's codes.
        """
        answer = self._clients.call(
            "read the canary's order",
            lambda: self._clients.ssm.get_parameter(Name=self._name, WithDecryption=True),
            retry_for=_RETRY_FOR,
        )
        try:
            return CanaryOrder.model_validate_json(answer["Parameter"]["Value"])
        except ValidationError:
            # Without its text, which may quote the order.
            raise StorageError("read the canary's order", "MalformedOrder") from None
