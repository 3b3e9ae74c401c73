"""The routes of holds."""

from __future__ import annotations

from collections.abc import Mapping

from typing_extensions import TypedDict

from openapi import examples
from openapi.operation import Answer, Operation
from openapi.values import Account, Hold


class Holds(TypedDict):
    """The account's holds, the one that ends last first."""

    account: Account
    holds: list[Hold]


OPERATIONS: Mapping[str, Operation] = {
    "GET /v1/accounts/{account}/holds": Operation(
        id="listHolds",
        tag="holds",
        summary="List what is held",
        answers={200: Answer("The holds of the account.", (Holds,))},
        example=examples.LIST_HOLDS,
    ),
    "DELETE /v1/accounts/{account}/holds/{hold}": Operation(
        id="endHold",
        tag="holds",
        summary="End a hold early",
        text="Its messages are sent from then on. Use it when a quota was raised or a permission mended.",
        parameters={"hold": "The hold's id, such as `kind:template`."},
        answers={200: Answer("The hold that was ended.", (Hold,))},
        problems=("unknown-hold",),
        example=examples.END_HOLD,
    ),
}
