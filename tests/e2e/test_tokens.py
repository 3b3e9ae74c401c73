"""One rejected token, one refresh."""

from concurrent.futures import ThreadPoolExecutor

from local.examples import addressed, examples
from tests.e2e.conftest import Service

SENDERS = 100


def test_revoked_token_costs_one_refresh(service: Service, touser: str) -> None:
    messages = [addressed(examples()[0], f"{touser}-{number}") for number in range(SENDERS)]
    with ThreadPoolExecutor(SENDERS) as pool:
        # Every execution environment holds the token before it is revoked.
        assert {answer.status_code for answer in pool.map(service.post, messages)} == {200}
        before = service.token_calls()
        service.tell("tokens/revoke")
        again = [addressed(message, f"{message['touser']}-again") for message in messages]
        assert {answer.status_code for answer in pool.map(service.post, again)} == {200}
    assert service.token_calls() == before + 1
    assert all(sum(m["accepted"] for m in service.arrived(message["touser"])) == 1 for message in again)
