"""One message by HTTP, by the queue, or by both."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.integration.delivery.conftest import ENDPOINTS, NAMES, Service, body

SPELLING = {"templateId": "template_id", "formId": "form_id", "emphasisKeyword": "emphasis_keyword"}


@pytest.mark.parametrize("name", NAMES)
def test_every_kind_arrives_once(service: Service, name: str) -> None:
    """As it was given; the answer is given again."""
    given = body(name)
    first = service.post(given, "order-1")
    status, headers, content = service.post(given, "order-1")
    assert (status, content) == (200, first[2])
    assert headers == {**first[1], "Idempotent-Replayed": "true"}
    (arrival,) = service.arrivals()
    assert (arrival["accepted"], arrival["app_id"]) == (True, "wxapp")
    assert arrival["path"] == ENDPOINTS[given.pop("kind")]
    assert json.loads(arrival["body"]) == {SPELLING.get(key, key): value for key, value in given.items()}
    assert "\\u" not in arrival["body"]
    assert json.loads(content)["wechat"].get("msgid") == arrival["msgid"]
    assert arrival["msgid"] is None or arrival["msgid"] > 2**53
    assert service.look("order-1")["wechat"].get("msgid") == arrival["msgid"]


def test_all_kinds_have_a_body() -> None:
    assert {body(name)["kind"] for name in NAMES} == ENDPOINTS.keys()


def test_refusal_is_replayed(service: Service) -> None:
    """It names the field, which the template has not."""
    service.tell("templates", app_id="wxapp", template_id="T", keywords=["thing1", "date2"])
    content = body("subscription") | {"template_id": "T", "data": {"thing1": {"value": "x"}}}
    first, again = service.post(content, "order-1"), service.post(content, "order-1")
    assert (again[0], again[2]) == (first[0], first[2])
    refused = json.loads(again[2])
    assert (refused["errcode"], refused["field"]) == (47003, "data.date2.value")
    assert again[1]["Idempotent-Replayed"] == "true"
    assert len(service.arrivals()) == 1
    looked_up = service.look("order-1")
    assert (looked_up["status"], looked_up["wechat"]["errcode"]) == ("failed", 47003)
    assert looked_up["wechat"]["rid"]


@pytest.mark.parametrize("doors", ["HTTP, SQS", "SQS, HTTP"])
def test_one_message_through_several_entry_points(service: Service, doors: str) -> None:
    for door in doors.split(", "):
        if door == "HTTP":
            assert service.post(body("template"), "order-1")[0] == 200
        else:
            assert service.deliver(body("template"), "order-1") == []
    assert len(service.arrivals()) == 1
    assert service.look("order-1")["attempts"] == 1


def test_second_copy_of_template_is_deduplicated(service: Service) -> None:
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


def test_other_kinds_are_not_repeated(service: Service) -> None:
    service.tell("faults", effect="reset", when="after", path="/cgi-bin/message/*", count=1)
    statuses = [service.post(body("subscription"), "order-1")[0] for _ in range(2)]
    assert (statuses, service.deliver(body("subscription"), "order-1")) == ([504, 504], [])
    (arrival,) = service.arrivals()
    assert arrival["accepted"]


def test_concurrent_requests_are_one_message(service: Service) -> None:
    service.post(body("subscription"), "warm-up")
    service.tell("settings", latency=0.2)
    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda _number: service.post(body("template"), "order-1"), range(6)))
    statuses = sorted(status for status, _, _ in answers)
    assert statuses[0] == 200
    assert set(statuses) == {200, 409}
    assert sum("Idempotent-Replayed" not in headers for status, headers, _ in answers if status == 200) == 1
    assert len(service.arrivals()) == 2


def test_used_up_quota_holds_its_kind(service: Service) -> None:
    path = ENDPOINTS["subscription"]
    service.tell("quotas", app_id="wxapp", path=path, daily=0)
    assert service.post(body("subscription"), "first")[0] == 429
    status, headers, _ = service.post(body("subscription"), "second")
    assert (status, int(headers["Retry-After"]) > 0) == (429, True)
    assert service.deliver(body("subscription"), "third") == []
    assert service.look("third")["reason"] == "held"
    assert service.post(body("template"), "fourth")[0] == 200
    assert [arrival["path"] for arrival in service.arrivals()] == [path, ENDPOINTS["template"]]
