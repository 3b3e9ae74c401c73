"""One rejected token, one refresh."""

from concurrent.futures import ThreadPoolExecutor
from functools import partial

from local.examples import Message, addressed, examples
from tests.e2e.conftest import Service, post_until_taken

SENDERS = 24
"""Each is an execution environment: a process of its own on the laptop."""


def test_revoked_token_costs_one_refresh(service: Service, touser: str) -> None:
    messages = [addressed(examples()[0], f"{touser}-{number}") for number in range(SENDERS)]

    def statuses(messages: list[Message]) -> set[int]:
        answers = pool.map(partial(post_until_taken, service.state), messages)
        return {answer.status_code for answer in answers}

    with ThreadPoolExecutor(SENDERS) as pool:
        # Every execution environment holds the token before it is revoked.
        assert statuses(messages) == {200}
        before = service.token_calls()
        service.tell("tokens/revoke")
        again = [addressed(message, f"{message['touser']}-again") for message in messages]
        assert statuses(again) == {200}
    assert service.token_calls() == before + 1
    assert all(sum(m["accepted"] for m in service.arrived(message["touser"])) == 1 for message in again)
