"""One rejected token, one refresh."""

from concurrent.futures import ThreadPoolExecutor

from local.demo import addressed, examples
from tests.e2e.conftest import Service, eventually

SENDERS = 200


def test_revoked_token_costs_one_refresh(service: Service, touser: str) -> None:
    messages = [addressed(examples()[0], f"{touser}-{number}") for number in range(SENDERS)]
    with ThreadPoolExecutor(SENDERS) as pool:
        # Every execution environment holds the token before it is revoked.
        assert {answer.status_code for answer in pool.map(service.post, messages)} == {200}
        before = service.token_calls()
        service.revoke_tokens()
        again = [addressed(message, f"{message['touser']}-again") for message in messages]
        assert {answer.status_code for answer in pool.map(service.post, again)} == {200}
    assert service.token_calls() == before + 1
    assert all(sum(m["accepted"] for m in service.arrived(message["touser"])) == 1 for message in again)


def test_queued_message_survives_revoked_token(service: Service, touser: str) -> None:
    # A first one, so that the sender holds the token before it is revoked.
    service.enqueue(service.body(addressed(examples()[0], f"{touser}-first")))
    service.arrives(f"{touser}-first")
    before = service.token_calls()
    service.revoke_tokens()
    message = addressed(examples()[0], touser)
    service.enqueue(service.body(message))
    assert eventually(lambda: any(m["accepted"] for m in service.arrived(touser)))
    assert [m["errcode"] for m in service.arrived(touser)] == [0, 40001]
    assert service.token_calls() == before + 1
