"""The JSON examples of the documents, and proof that a wrong one is found."""

import json

import pytest

from tests.documents.blocks import PAGES, Block, page_blocks
from tests.documents.examples import problems

EXAMPLES = [block for page in PAGES for block in page_blocks(page) if block.is_example]

MESSAGE = {
    "kind": "template",
    "touser": "OPENID",
    "template_id": "TEMPLATE_ID",
    "data": {"thing1": {"value": "巧克力"}},
}
WRONG = {
    "no JSON": '{"kind": "template",}',
    "unknown field of a message": json.dumps(MESSAGE | {"topcolor": "#FF0000"}),
    "value that breaks a rule": json.dumps(MESSAGE | {"data": {"thing1": {"value": "长" * 21}}}),
    "message without its receiver": json.dumps({**MESSAGE, "touser": ""}),
    "unknown field of a queue body": json.dumps({"account": "shop", "message": MESSAGE, "ids": "order-1"}),
    "unknown field of a canary's order": json.dumps(
        {"account": "shop", "openid": "OPENID", "message": MESSAGE, "receipts": True}
    ),
    "wrong message in a queue body": json.dumps({"account": "shop", "message": {**MESSAGE, "kind": "x"}}),
    "unknown field of a broadcast": json.dumps({"message": MESSAGE, "recipients": ["OPENID"], "speed": 50}),
    "placeholder in a field that is none": json.dumps({**MESSAGE, "titel": "{{name}}"}),
    "unknown field of an answer": '{"account": "shop", "holds": [], "hold": null}',
    "wrong type in an answer": '{"account": "shop", "holds": "none"}',
    "policy with a misspelt effect": json.dumps(
        {
            "Version": "2012-10-17",
            "Statement": [{"Effect": "Alow", "Action": "execute-api:Invoke", "Resource": "*"}],
        }
    ),
    "event that is never published": '{"detail-type": "message.lost", "detail": {}}',
    "unknown field of a detail": '{"account": "shop", "class": "token", "errcode": 40164, "why": "address"}',
    "pattern for a field that is none": '{"detail-type": ["message.failed"], "detail": {"openid": ["O"]}}',
    "nothing that is known": '{"colour": "red"}',
}


@pytest.mark.parametrize("block", EXAMPLES, ids=lambda block: block.place)
def test_example_is_valid(block: Block) -> None:
    assert problems(block.text) == []


@pytest.mark.parametrize("text", WRONG.values(), ids=WRONG)
def test_wrong_example_is_found(text: str) -> None:
    assert problems(text) != []
