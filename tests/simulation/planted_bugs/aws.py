"""Bugs of the calls to AWS: which are repeated, and what their answers mean, alone and in a group."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from botocore.exceptions import HTTPClientError

from tests.simulation.planted_bugs.bug import Bug, Patch
from wechat_notify.aws import clients, conditional_put, ledger_table
from wechat_notify.aws.clients import Clients
from wechat_notify.aws.conditional_put import Answer, ConditionalPut
from wechat_notify.aws.ledger_table import LedgerTable


def _invocation_repeated() -> Sequence[Patch]:
    before = Clients.call

    def call(self: Clients, action: str, request: Callable[[], Any], *, retry_for: float = 0.0) -> Any:
        return before(self, action, request, retry_for=retry_for or 1.0)

    return [(Clients, "call", call)]


def _throttled_is_final() -> Sequence[Patch]:
    before = clients._failure
    return [(clients, "_failure", lambda error: before(error)._replace(transient=False))]


def _lost_is_an_answer() -> Sequence[Patch]:
    before = Clients.call

    def call(self: Clients, action: str, request: Callable[[], Any], *, retry_for: float = 0.0) -> Any:
        def attempt() -> Any:
            try:
                return request()
            except HTTPClientError:
                return {}

        return before(self, action, attempt, retry_for=retry_for)

    return [(Clients, "call", call)]


def _no_condition() -> Sequence[Patch]:
    def put(self: LedgerTable, put: ConditionalPut) -> Answer:
        self._aws.dynamodb.put_item(TableName=self._table_name, Item=put.item)
        return Answer(stored=True)

    return [(LedgerTable, "_put_item", put)]


def _refused_in_a_group_is_stored() -> Sequence[Patch]:
    return [(ledger_table, "answer_to_statement", lambda _error: Answer(stored=True))]


def _duplicate_in_a_group_is_stored() -> Sequence[Patch]:
    before = conditional_put.answer_to_statement

    def answer(error: dict[str, Any] | None) -> Answer | None:
        return before(None if error and error["Code"] == "DuplicateItem" else error)

    return [(ledger_table, "answer_to_statement", answer)]


def _groups_answers_are_mixed_up() -> Sequence[Patch]:
    before = LedgerTable._put_group

    def put_group(self: LedgerTable, puts: Sequence[ConditionalPut]) -> list[Answer | None]:
        return before(self, puts)[::-1]

    return [(LedgerTable, "_put_group", put_group)]


def _lost_group_is_stored() -> Sequence[Patch]:
    before = LedgerTable._put_group

    def put_group(self: LedgerTable, puts: Sequence[ConditionalPut]) -> list[Answer | None]:
        answers = before(self, puts)
        return answers if any(answers) else [Answer(stored=True)] * len(puts)

    return [(LedgerTable, "_put_group", put_group)]


BUGS = (
    Bug(
        "invocation_repeated",
        "an invocation is repeated, though the function may be running",
        "a call to AWS ends with its answer or after all its attempts",
        _invocation_repeated,
    ),
    Bug(
        "throttled_is_final",
        "what AWS refuses for the moment is not asked again",
        "a call to AWS ends with its answer or after all its attempts",
        _throttled_is_final,
    ),
    Bug(
        "lost_is_an_answer",
        "a lost answer of AWS's counts as an empty one",
        "a call to AWS ends with its answer or after all its attempts",
        _lost_is_an_answer,
    ),
    Bug(
        "no_condition",
        "an entry is written without a condition",
        "the ledger's rules are kept",
        _no_condition,
    ),
    Bug(
        "refused_in_a_group_is_stored",
        "a write that a group's answer refuses counts as stored",
        "the ledger's rules are kept",
        _refused_in_a_group_is_stored,
    ),
    Bug(
        "duplicate_in_a_group_is_stored",
        "an entry that exists counts as made by a group",
        "twice only where an answer was lost and the sender agreed",
        _duplicate_in_a_group_is_stored,
    ),
    Bug(
        "groups_answers_are_mixed_up",
        "the answers of a group go to the wrong writes",
        "twice only where an answer was lost and the sender agreed",
        _groups_answers_are_mixed_up,
    ),
    Bug(
        "lost_group_is_stored",
        "a group whose call failed counts as stored",
        "the ledger's rules are kept",
        _lost_group_is_stored,
    ),
)
