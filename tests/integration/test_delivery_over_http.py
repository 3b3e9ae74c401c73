"""A message's whole way in one process: doors, ledger, token store, refresher, client, simulator."""

from __future__ import annotations

import io
import itertools
import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import requests
from aws_lambda_powertools import Logger

from functions.send_api.handler import lambda_handler as send_api
from functions.send_queue.handler import lambda_handler as send_queue
from local.simulator.errcodes import ERRMSG
from local.simulator.server import Simulator
from tests.fakes import FakeContext, load_event
from tests.integration.conftest import ENVIRON, PATH, SHORT, ClientsAt, RefreshLambda
from tests.integration.raw_server import RawServer
from wechat_notify import bootstrap
from wechat_notify.aws.ledger_table import LedgerTable
from wechat_notify.aws.parameters import StoredTokens
from wechat_notify.core.delivery.sender import Delivery
from wechat_notify.core.errors import TokenUnavailableError, UnknownAccountError
from wechat_notify.core.messages.kinds import Message
from wechat_notify.core.messages.parser import parse_message
from wechat_notify.core.outcomes import ErrorClass, Status
from wechat_notify.telemetry import Telemetry
from wechat_notify.wechat.client import WeChatClient
from wechat_notify.wechat.error_codes import lookup

BODIES = Path(__file__).parents[1] / "bodies"
ENDPOINTS = {
    "subscription": "/cgi-bin/message/subscribe/bizsend",
    "one_time_subscription": "/cgi-bin/message/template/subscribe",
    "mini_program_template": "/cgi-bin/message/wxopen/template/send",
    "mini_program_subscription": "/cgi-bin/message/subscribe/send",
    "template": "/cgi-bin/message/template/send",
}
_services = itertools.count()


class Service:
    """The service as ``bootstrap`` puts it together, and what the simulator saw of it."""

    def __init__(
        self, simulator: Simulator, lambda_service: RefreshLambda, put: Callable[[str, str], None]
    ) -> None:
        self.lambda_service = lambda_service
        self.put = put
        self._url = simulator.url

    def add_account(self, name: str, app_id: str, secret: str) -> None:
        credentials = {"type": "app", "app_id": app_id, "app_secret": secret}
        self.put(f"{name}/credentials", json.dumps(credentials))

    def send(self, message: Message, account: str = "shop") -> Delivery:
        """Send a message past the ledger and the circuits."""
        sender = bootstrap.dispatcher()._sender
        try:
            token = sender.token(account, lambda: 60.0)
        except TokenUnavailableError as error:
            return Delivery(error.outcome._replace(unjudged=True), 0, 0.0)
        return sender.send(account, message, token, lambda: 60.0)

    def post(self, content: object, key: str, account: str = "shop") -> tuple[int, dict[str, str], str]:
        """Hand a message over by HTTP; the status, the headers and the body of the answer."""
        event = load_event("send_api/idempotency_key")
        event["headers"]["idempotency-key"] = key
        event["pathParameters"]["account"] = account
        event["body"] = json.dumps(content)
        return self._api(event)

    def look(self, key: str, account: str = "shop") -> dict[str, Any]:
        event = load_event("send_api/get_message")
        event["pathParameters"] = {"account": account, "id": key}
        status, _, content = self._api(event)
        assert status == 200
        looked_up: dict[str, Any] = json.loads(content)
        return looked_up

    def deliver(self, content: object, key: str) -> list[str]:
        """Hand a message over by the queue; the ids of the records that go back."""
        event = load_event("send_queue/parked")
        (record,) = event["Records"]
        record["messageAttributes"] = {}
        record["body"] = json.dumps({"account": "shop", "id": key, "message": content})
        return [str(item["itemIdentifier"]) for item in send_queue(event, FakeContext())["batchItemFailures"]]

    def _api(self, event: dict[str, Any]) -> tuple[int, dict[str, str], str]:
        response = send_api(event, FakeContext(29.0))
        return response["statusCode"], response["headers"], response["body"]

    def tell(self, order: str, **body: object) -> None:
        """Give the simulator an order."""
        requests.post(f"{self._url}/_sim/{order}", json=body, timeout=5).raise_for_status()

    def ask(self, path: str) -> Any:
        return requests.get(f"{self._url}/_sim/{path}", timeout=5).json()

    def arrivals(self) -> list[dict[str, Any]]:
        """The oldest first."""
        newest: list[dict[str, Any]] = self.ask("messages")["messages"]
        return newest[::-1]

    def token_calls(self, app_id: str = "wxapp") -> dict[str, int]:
        calls: dict[str, int] = self.ask("stats")["by_app"][app_id]["token_calls"]
        return {kind: count for kind, count in calls.items() if count}


@pytest.fixture
def service(
    simulator: Simulator,
    put: Callable[[str, str], None],
    aws: Callable[[str], Any],
    clients_at: ClientsAt,
    ledger_table: LedgerTable,  # noqa: ARG001 - it is there now
    *,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Service]:
    refresher = RefreshLambda()
    parts = [part for part in vars(bootstrap).values() if hasattr(part, "cache_clear")]
    for part in parts:
        part.cache_clear()
    telemetry = Telemetry(Logger(service=f"delivery-{next(_services)}", stream=io.StringIO()))
    monkeypatch.setattr(bootstrap, "telemetry", lambda: telemetry)
    with RawServer(refresher.script) as lambda_service:
        environment = {
            **ENVIRON,
            "PARAMETER_PATH": PATH,
            "WECHAT_API_BASE": simulator.url,
            "TOKEN_REFRESH_FUNCTION": "token-refresh",
            "LEDGER_TABLE": "ledger",
            "LEDGER_RETENTION_DAYS": "30",
            "QUOTA_RESET": "00:00+08:00",
            "OPENID_HASH_KEY": "a key for tests",
            "SEND_QUEUE_URL": aws("sqs").create_queue(QueueName="send")["QueueUrl"],
            "DEAD_LETTER_QUEUE_URL": aws("sqs").create_queue(QueueName="dead")["QueueUrl"],
            "EVENT_BUS_NAME": aws("events").create_event_bus(Name="bus") and "bus",
        }
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        clients = clients_at(None, refresher=lambda_service.url)
        monkeypatch.setattr(bootstrap, "aws", lambda: clients)
        built = Service(simulator, refresher, put)
        built.add_account("shop", "wxapp", "app-secret")
        yield built
        bootstrap.wechat()._session.close()
    for part in parts:
        part.cache_clear()


@pytest.fixture
def impatient(
    service: Service, client_at: Callable[..., WeChatClient], monkeypatch: pytest.MonkeyPatch
) -> Service:
    """The service with less time for WeChat."""
    client = client_at(bootstrap.settings().wechat_api_base, limits=SHORT)
    monkeypatch.setattr(bootstrap, "wechat", lambda: client)
    return service


def body(name: str) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((BODIES / f"{name}.json").read_text(encoding="utf-8"))
    return loaded


def message(touser: str = "OPENID", **fields: object) -> Message:
    return parse_message(
        {
            "kind": "template",
            "touser": touser,
            "template_id": "T",
            "data": {"thing1": {"value": "深圳"}},
            **fields,
        }
    )[0]


# Every kind


@pytest.mark.parametrize("name", sorted(path.stem for path in BODIES.glob("*.json")))
def test_every_kind_arrives_at_its_endpoint_word_for_word(service: Service, name: str) -> None:
    given = body(name)
    parsed, _warnings = parse_message(given)
    delivery = service.send(parsed)
    assert delivery.outcome.status is Status.SENT
    (arrival,) = service.arrivals()
    kind = given.pop("kind")
    names = {"templateId": "template_id", "formId": "form_id", "emphasisKeyword": "emphasis_keyword"}
    assert arrival["path"] == ENDPOINTS[kind]
    assert json.loads(arrival["body"]) == {names.get(key, key): value for key, value in given.items()}
    assert "\\u" not in arrival["body"]
    assert arrival["accepted"]
    assert arrival["app_id"] == "wxapp"
    assert delivery.outcome.msgid == arrival["msgid"]


def test_all_kinds_have_a_body() -> None:
    assert {body(path.stem)["kind"] for path in BODIES.glob("*.json")} == ENDPOINTS.keys()


# Every code


def test_every_errcode_of_wechats_becomes_the_class_of_the_table(
    simulator: Simulator, client_at: Callable[..., WeChatClient]
) -> None:
    client = client_at(simulator.url)
    token = client.fetch_token("wxapp", "app-secret", force=False).value
    for errcode in sorted({*ERRMSG, 99999, -99999} - {0}):
        outcome = client.send(message(f"errcode-{errcode}"), token)
        row = lookup(errcode)
        assert outcome.errcode == errcode
        assert (outcome.error_class, outcome.retryable) == (row.error_class, row.retryable)
        assert (outcome.status is Status.SENT) == (errcode in {40241, 44007, 45065})
        assert outcome.rid
        assert outcome.msgid is None


@pytest.mark.parametrize(
    ("errcode", "error_class", "retryable", "retry_after"),
    [
        (-1, ErrorClass.TRANSIENT, True, 2),
        (40003, ErrorClass.RECIPIENT, False, None),
        (40037, ErrorClass.TEMPLATE, False, None),
        (43101, ErrorClass.RECIPIENT, False, None),
        (43107, ErrorClass.BANNED, False, None),
        (43108, ErrorClass.RATE_LIMIT, True, 1),
        (43117, ErrorClass.RATE_LIMIT, True, 60),
        (45009, ErrorClass.QUOTA, False, None),
        (45011, ErrorClass.RATE_LIMIT, True, 60),
        (46101, ErrorClass.DEPRECATED, False, None),
        (47003, ErrorClass.REQUEST, False, None),
        (48001, ErrorClass.PERMISSION, False, None),
        (50007, ErrorClass.BANNED, False, None),
        (12345, ErrorClass.OTHER, False, None),
    ],
)
def test_a_refused_message_is_attempted_once(
    service: Service, errcode: int, error_class: ErrorClass, *, retryable: bool, retry_after: float | None
) -> None:
    delivery = service.send(message(f"errcode-{errcode}"))
    outcome = delivery.outcome
    assert (outcome.status, outcome.errcode, outcome.error_class) == (Status.FAILED, errcode, error_class)
    assert (outcome.retryable, outcome.retry_after) == (retryable, retry_after)
    assert delivery.attempts == len(service.arrivals()) == 1


def test_the_field_that_wechat_complains_of_is_named(service: Service) -> None:
    service.tell("templates", app_id="wxapp", template_id="T", keywords=["thing1", "date2"])
    outcome = service.send(message()).outcome
    assert (outcome.errcode, outcome.field) == (47003, "date2")


# Tokens


def test_the_first_message_has_a_token_fetched_and_the_next_ones_use_it(service: Service) -> None:
    for _ in range(3):
        assert service.send(message()).attempts == 1
    assert service.lambda_service.invoked == [{"account": "shop", "rejected": None}]
    assert service.token_calls() == {"normal": 1}


def test_a_revoked_token_is_replaced_once_and_the_message_goes_out(service: Service) -> None:
    service.send(message())
    service.tell("tokens/revoke", app_id="wxapp")
    delivery = service.send(message())
    assert (delivery.outcome.status, delivery.attempts) == (Status.SENT, 2)
    assert service.token_calls() == {"normal": 2}
    assert [arrival["errcode"] for arrival in service.arrivals()] == [0, 40001, 0]
    assert service.send(message()).attempts == 1


def test_an_expired_token_is_replaced_once_and_the_message_goes_out(service: Service) -> None:
    service.send(message())
    service.tell("tokens/expire", app_id="wxapp")
    delivery = service.send(message())
    assert (delivery.outcome.status, delivery.attempts) == (Status.SENT, 2)
    assert service.token_calls() == {"normal": 2}
    assert [arrival["errcode"] for arrival in service.arrivals()] == [0, 42001, 0]


def test_a_token_that_wechat_goes_on_handing_out_is_replaced_by_force_once(service: Service) -> None:
    service.send(message())
    service.tell("tokens/revoke", app_id="wxapp", sticky=True)
    delivery = service.send(message())
    assert (delivery.outcome.status, delivery.attempts) == (Status.SENT, 2)
    assert service.token_calls() == {"normal": 2, "forced": 1}
    # Once more within half a minute WeChat would not refresh, so it is not asked to.
    service.tell("tokens/revoke", app_id="wxapp", sticky=True)
    delivery = service.send(message())
    assert (delivery.outcome.status, delivery.outcome.error_class) == (Status.FAILED, ErrorClass.TOKEN)
    assert delivery.outcome.unjudged
    assert delivery.outcome.retryable
    assert delivery.outcome.retry_after is not None
    assert 0 < delivery.outcome.retry_after <= 40
    assert service.token_calls() == {"normal": 3, "forced": 1}
    assert [arrival["accepted"] for arrival in service.arrivals()] == [True, False, True, False]


def test_a_token_of_another_account_is_found_out_and_replaced(service: Service) -> None:
    service.tell("apps", app_id="wxother", secret="other-secret")
    service.add_account("other", "wxother", "other-secret")
    service.send(message(), "other")
    others = StoredTokens(bootstrap.aws(), PATH).read("other")
    assert others
    service.put("shop/access-token", json.dumps(asdict(others)))
    service.tell("tokens/revoke", app_id="wxother")
    delivery = service.send(message())
    assert (delivery.outcome.status, delivery.attempts) == (Status.SENT, 2)
    assert [arrival["app_id"] for arrival in service.arrivals()] == ["wxother", "wxother", "wxapp"]


def test_an_openid_of_another_account_is_the_recipients_trouble(service: Service) -> None:
    service.tell("apps", app_id="wxapp", openids=["oA"])
    delivery = service.send(message("oB"))
    assert (delivery.outcome.errcode, delivery.outcome.error_class) == (40003, ErrorClass.RECIPIENT)
    assert service.send(message("oA")).outcome.status is Status.SENT


def test_an_account_is_known_by_its_token_or_by_the_refresher(service: Service) -> None:
    sender = bootstrap.dispatcher()._sender
    assert not sender.knows("nobody")
    assert sender.knows("shop")
    assert service.lambda_service.invoked == [
        {"account": "nobody", "rejected": None},
        {"account": "shop", "rejected": None},
    ]
    assert sender.knows("shop")
    assert len(service.lambda_service.invoked) == 2
    assert service.token_calls() == {"normal": 1}


def test_an_unknown_account_sends_nothing(service: Service) -> None:
    with pytest.raises(UnknownAccountError):
        service.send(message(), "nobody")
    assert service.arrivals() == []


@pytest.mark.parametrize(
    ("app_id", "secret", "errcode"), [("wxapp", "wrong", 40125), ("wxnone", "app-secret", 40013)]
)
def test_wrong_credentials_leave_the_message_unattempted(
    service: Service, app_id: str, secret: str, errcode: int
) -> None:
    service.add_account("wrong", app_id, secret)
    delivery = service.send(message(), "wrong")
    assert (delivery.outcome.errcode, delivery.outcome.error_class) == (errcode, ErrorClass.CONFIG)
    assert delivery.outcome.unjudged
    assert not delivery.outcome.retryable
    assert (delivery.attempts, service.arrivals()) == (0, [])


def test_credentials_that_cannot_be_read_leave_the_message_unattempted(service: Service) -> None:
    service.put("broken/credentials", "wxapp app-secret")
    outcome = service.send(message(), "broken").outcome
    assert (outcome.error_class, outcome.unjudged) == (ErrorClass.CONFIG, True)
    assert "app-secret" not in repr(outcome)
    assert service.token_calls() == {}


def test_an_address_off_the_whitelist_leaves_the_message_unattempted(service: Service) -> None:
    service.tell("apps", app_id="wxapp", ip_whitelist=["10.0.0.0/8"])
    outcome = service.send(message()).outcome
    assert (outcome.errcode, outcome.error_class, outcome.unjudged) == (40164, ErrorClass.CONFIG, True)
    assert outcome.rid


def test_senders_that_are_rejected_together_cause_one_refresh(service: Service) -> None:
    service.send(message("warm-up"))
    service.tell("tokens/revoke", app_id="wxapp")
    with ThreadPoolExecutor(8) as pool:
        deliveries = list(pool.map(lambda number: service.send(message(f"o{number}")), range(24)))
    assert {delivery.outcome.status for delivery in deliveries} == {Status.SENT}
    assert service.token_calls() == {"normal": 2}
    accepted = [
        json.loads(arrival["body"])["touser"] for arrival in service.arrivals() if arrival["accepted"]
    ]
    assert sorted(accepted) == sorted(["warm-up", *(f"o{number}" for number in range(24))])


@pytest.mark.parametrize("errcode", [40001, 40014, 42001])
def test_a_message_whose_token_is_rejected_whatever_it_is_ends_after_two_attempts(
    service: Service, errcode: int
) -> None:
    """So answers WeChat where the token is good and of the wrong kind of account."""
    delivery = service.send(message(f"errcode-{errcode}"))
    assert (delivery.outcome.errcode, delivery.attempts) == (errcode, 2)
    assert service.token_calls() == {"normal": 2, "forced": 1}


@pytest.mark.parametrize("errcode", [41001, 42002, 42006, 42007])
def test_another_code_of_the_token_class_is_no_reason_to_replace_it(service: Service, errcode: int) -> None:
    delivery = service.send(message(f"errcode-{errcode}"))
    assert (delivery.outcome.errcode, delivery.attempts) == (errcode, 1)
    assert service.token_calls() == {"normal": 1}


# Faults on the way


@pytest.mark.parametrize(
    "touser", ["fault-timeout", "fault-reset", "fault-truncated", "fault-html", "fault-503"]
)
@pytest.mark.parametrize("after", ["", "-after"])
def test_a_lost_answer_is_unknown_and_the_message_is_not_sent_twice(
    impatient: Service, touser: str, after: str
) -> None:
    delivery = impatient.send(message(touser + after))
    assert delivery.outcome.status is Status.UNKNOWN
    assert not delivery.outcome.retryable
    (arrival,) = impatient.arrivals()
    assert arrival["accepted"] == bool(after)


def test_a_redirect_is_refused_and_not_followed(service: Service) -> None:
    outcome = service.send(message("fault-redirect")).outcome
    assert (outcome.status, outcome.error_class) == (Status.FAILED, ErrorClass.CONFIG)
    assert outcome.unjudged
    assert service.ask("stats")["redirects_followed"] == 0


def test_a_slow_answer_is_given_up(impatient: Service) -> None:
    impatient.tell("settings", fault_seconds=5)
    delivery = impatient.send(message("fault-drip"))
    assert delivery.outcome.status is Status.UNKNOWN
    assert delivery.seconds < 2


def test_a_token_endpoint_that_fails_leaves_the_message_unattempted(service: Service) -> None:
    service.tell("faults", effect="status", status=502, path="/cgi-bin/stable_token", count=1)
    delivery = service.send(message())
    assert (delivery.outcome.error_class, delivery.attempts) == (ErrorClass.TRANSIENT, 0)
    assert delivery.outcome.retryable
    assert delivery.outcome.unjudged
    assert service.arrivals() == []


# One message, whatever the door


@pytest.mark.parametrize("name", sorted(path.stem for path in BODIES.glob("*.json")))
def test_a_message_is_answered_again_as_it_was_whatever_its_kind(service: Service, name: str) -> None:
    first = service.post(body(name), "order-1")
    status, headers, content = service.post(body(name), "order-1")
    assert (status, content) == (200, first[2])
    assert headers == {**first[1], "Idempotent-Replayed": "true"}
    (arrival,) = service.arrivals()
    assert (arrival["accepted"], json.loads(content)["wechat"].get("msgid")) == (True, arrival["msgid"])
    assert arrival["msgid"] is None or arrival["msgid"] > 2**53
    assert service.look("order-1")["wechat"].get("msgid") == arrival["msgid"]


@pytest.mark.parametrize("errcode", [43101, 47003, 40003, 48001])
def test_a_refusal_is_answered_again_as_it_was(service: Service, errcode: int) -> None:
    content = body("subscription") | {"touser": f"errcode-{errcode}"}
    first, again = service.post(content, "order-1"), service.post(content, "order-1")
    assert (again[0], again[2]) == (first[0], first[2])
    assert json.loads(again[2])["errcode"] == errcode
    assert again[1]["Idempotent-Replayed"] == "true"
    assert len(service.arrivals()) == 1
    looked_up = service.look("order-1")
    assert (looked_up["status"], looked_up["wechat"]["errcode"]) == ("failed", errcode)
    assert looked_up["wechat"]["rid"]


@pytest.mark.parametrize("doors", ["HTTP, SQS", "SQS, HTTP", "SQS, SQS"])
def test_a_message_is_one_whichever_doors_it_came_through(service: Service, doors: str) -> None:
    for door in doors.split(", "):
        if door == "HTTP":
            assert service.post(body("template"), "order-1")[0] == 200
        else:
            assert service.deliver(body("template"), "order-1") == []
    assert len(service.arrivals()) == 1
    assert service.look("order-1")["attempts"] == 1


def test_a_second_copy_of_a_template_is_dropped_by_wechat_because_it_carries_its_id(service: Service) -> None:
    content = body("template")
    del content["client_msg_id"]
    service.tell("faults", effect="reset", when="after", path="/cgi-bin/message/*", count=1)
    assert service.post(content, "order-1")[0] == 504
    assert service.look("order-1")["status"] == "unknown"
    status, headers, _ = service.post(content, "order-1")
    assert (status, "Idempotent-Replayed" in headers) == (200, False)
    first, second = service.arrivals()
    assert (first["accepted"], second["accepted"], second["duplicate"]) == (True, False, True)
    assert json.loads(second["body"])["client_msg_id"] == "order-1"
    assert [change["status"] for change in service.look("order-1")["timeline"]] == [
        "sending",
        "unknown",
        "sending",
        "sent",
    ]


def test_a_lost_answer_to_any_other_message_is_no_reason_to_send_it_again(service: Service) -> None:
    service.tell("faults", effect="reset", when="after", path="/cgi-bin/message/*", count=1)
    statuses = [service.post(body("subscription"), "order-1")[0] for _ in range(2)]
    assert (statuses, service.deliver(body("subscription"), "order-1")) == ([504, 504], [])
    (arrival,) = service.arrivals()
    assert arrival["accepted"]


def test_requests_that_come_together_are_one_message(service: Service) -> None:
    service.post(body("subscription"), "warm-up")
    service.tell("settings", latency=0.2)
    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda _number: service.post(body("template"), "order-1"), range(6)))
    statuses = sorted(status for status, _, _ in answers)
    assert statuses[0] == 200
    assert set(statuses) == {200, 409}
    assert sum("Idempotent-Replayed" not in headers for status, headers, _ in answers if status == 200) == 1
    assert len(service.arrivals()) == 2


def test_a_used_up_quota_holds_its_kind_for_both_doors_and_nothing_else(service: Service) -> None:
    path = ENDPOINTS["subscription"]
    service.tell("quotas", app_id="wxapp", path=path, daily=0)
    assert service.post(body("subscription"), "first")[0] == 429
    status, headers, _ = service.post(body("subscription"), "second")
    assert (status, int(headers["Retry-After"]) > 0) == (429, True)
    assert service.deliver(body("subscription"), "third") == []
    assert service.look("third")["reason"] == "held"
    assert service.post(body("template"), "fourth")[0] == 200
    assert [arrival["path"] for arrival in service.arrivals()] == [path, ENDPOINTS["template"]]
