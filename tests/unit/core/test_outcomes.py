from __future__ import annotations

import json

import pytest

from tests.fakes import ERRCODES, answer, lost, misdirected, unreachable
from wechat_notify.core.outcomes import Outcome, outcome_from_dict, outcome_to_dict

OUTCOMES = [*map(answer, ERRCODES), lost(), unreachable(), misdirected()]


@pytest.mark.parametrize("outcome", OUTCOMES, ids=lambda outcome: str(outcome.errcode))
def test_outcome_between_functions(outcome: Outcome) -> None:
    assert outcome_from_dict(json.loads(json.dumps(outcome_to_dict(outcome)))) == outcome


def test_outcome_of_another_version() -> None:
    fields = outcome_to_dict(answer(45009)) | {"mood": "fine"}
    assert outcome_from_dict(fields) == answer(45009)
    del fields["holds"], fields["repeats"]
    assert outcome_from_dict(fields) == answer(45009)._replace(holds=None, repeats=None)


def test_outcome_for_people() -> None:
    outcome = answer(47003, field="thing1")
    told = {
        "class": "request",
        "errcode": 47003,
        "errmsg": "error 47003",
        "rid": outcome.rid,
        "field": "thing1",
    }
    assert outcome.as_dict() == told | {"hint": outcome.hint.as_dict()}
    assert lost().as_dict() == {"class": "unknown", "hint": lost().hint.as_dict()}
