"""Bugs of the calls to AWS: which are repeated, and what their answers mean, alone and in a group."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from botocore.exceptions import HTTPClientError

from tests.simulation.planted_bugs.bug import Patches, bug, in_place_of
from wechat_notify.aws import clients, versioned_items
from wechat_notify.aws.clients import Clients
from wechat_notify.aws.conditional_put import Answer, ConditionalPut
from wechat_notify.aws.versioned_items import VersionedItems

_CALLS = "a call to AWS ends with its answer or after all its attempts"
_LEDGER = "the ledger's rules are kept"
_TWICE = "twice only where an answer was lost and the sender agreed"


@in_place_of(Clients, "call", breaks=_CALLS)
def invocation_repeated(right: Any, *args: Any, retry_for: float = 0.0) -> Any:
    """An invocation is repeated, though the function may be running."""
    return right(*args, retry_for=retry_for or 1.0)


@in_place_of(clients, "_failure", breaks=_CALLS)
def throttled_is_final(right: Any, error: Exception) -> Any:
    """What AWS refuses for the moment is not asked again."""
    return right(error)._replace(transient=False)


@in_place_of(Clients, "call", breaks=_CALLS)
def lost_is_an_answer(
    right: Any, self: Clients, action: str, request: Callable[[], Any], *, retry_for: float = 0.0
) -> Any:
    """A lost answer of AWS's counts as an empty one."""

    def attempt() -> Any:
        try:
            return request()
        except HTTPClientError:
            return {}

    return right(self, action, attempt, retry_for=retry_for)


@in_place_of(VersionedItems, "_put_once", breaks=_LEDGER)
def no_condition(_right: Any, self: VersionedItems, put: ConditionalPut) -> Answer:
    """An entry is written without a condition."""
    self._aws.dynamodb.put_item(TableName=self._table_name, Item=put.item)
    return Answer(stored=True)


@bug(breaks=_LEDGER)
def refused_in_a_group_is_stored() -> Patches:
    """A write that a group's answer refuses counts as stored."""
    return [(versioned_items, "answer_to_statement", lambda _error: Answer(stored=True))]


@in_place_of(versioned_items, "answer_to_statement", breaks=_TWICE)
def duplicate_in_a_group_is_stored(right: Any, error: dict[str, Any] | None) -> Any:
    """An entry that exists counts as made by a group."""
    return right(None if error and error["Code"] == "DuplicateItem" else error)


@in_place_of(VersionedItems, "_put_group", breaks=_TWICE)
def groups_answers_are_mixed_up(right: Any, *args: Any) -> Any:
    """The answers of a group go to the wrong writes."""
    return right(*args)[::-1]


@in_place_of(VersionedItems, "_put_group", breaks=_LEDGER)
def lost_group_is_stored(right: Any, self: VersionedItems, puts: Sequence[ConditionalPut]) -> Any:
    """A group whose call failed counts as stored."""
    answers = right(self, puts)
    return answers if any(answers) else [Answer(stored=True)] * len(puts)
