"""Consents on the stack: a link, its confirmation, events, what sends use up, and the end of it all."""

from __future__ import annotations

import json
import math
import time
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest

from local.client import call_api, http
from local.examples import addressed, examples
from local.simulator.receipts import sign
from tests.e2e.conftest import CommandLine, Service, eventually

BY_KIND = {message["kind"]: message for message in examples()}
ACCOUNT, TOKEN = "consents", "aB3dE5gH"
ONE_TIME, SUBSCRIPTION = BY_KIND["one_time_subscription"], BY_KIND["subscription"]


@pytest.fixture(scope="module")
def shop(service: Service, wxn: CommandLine) -> Service:
    """An account that sends nothing without a consent, and hears of decisions."""
    service.add_account(ACCOUNT)
    assert wxn("account", "consents", ACCOUNT, "enforce").exit_code == 0
    keys = {"app_id": f"wx{ACCOUNT}", "mode": "plain", "keys": [{"token": TOKEN}]}
    service.put_parameter(f"{ACCOUNT}/callback", keys)
    service.refresh(ACCOUNT)
    return service


def left(shop: Service, openid: str) -> dict[tuple[str, str | None], int]:
    answer = call_api(shop.state, "GET", f"/v1/accounts/{ACCOUNT}/consents?openid={openid}").json()
    assert answer["policy"] == "enforce"
    return {(each["template_id"], each.get("scene")): each["unused"] for each in answer["templates"]}


def told(shop: Service, openid: str, event: str, **fields: Any) -> None:
    """Push an event to the public address, as WeChat does in plain mode."""
    body = {
        "FromUserName": openid,
        "OpenID": openid,
        # WeChat's times are whole seconds: this one is later than all that came before.
        "CreateTime": math.ceil(time.time()),
        "MsgType": "event",
        "Event": event,
        **fields,
    }
    timestamp = str(int(time.time()))
    query = {"signature": sign(TOKEN, timestamp, event), "timestamp": timestamp, "nonce": event}
    url = f"{shop.state.api_url}/v1/callbacks/{ACCOUNT}?{urlencode(query)}"
    # Again where a function listed the accounts just before this one was added, and refuses strangers' names.
    assert eventually(lambda: http("POST", url, json.dumps(body).encode()).text == "success")


def test_a_person_from_the_link_to_the_last_word(shop: Service, wxn: CommandLine) -> None:
    openid, other = "oConsents0000000000000000001", "oConsents0000000000000000002"
    refused = shop.post(addressed(ONE_TIME, openid), account=ACCOUNT)
    assert (refused.status_code, refused.json()["class"]) == (422, "recipient")
    # A link, as the command line makes it. WeChat would lead back with these parameters.
    page = f"{shop.state.api_url}/v1/consents/confirm"
    made = wxn(
        "consents", "link", "TEMPLATE_ID", "--scene", "1000", "--redirect-url", page, "--account", ACCOUNT
    )
    assert made.exit_code == 0, made.stderr
    query = {name: values[0] for name, values in parse_qs(urlsplit(made.stdout.strip()).query).items()}
    assert (query["appid"], query["redirect_url"]) == (f"wx{ACCOUNT}", page)
    given = {name: query[name] for name in ("template_id", "scene", "reserved")} | {"action": "confirm"}
    # Unsigned: the page is public, and shows nothing that it was given.
    # WeChat documents its way back with a slash.
    shown = http("GET", f"{page}/?{urlencode({**given, 'openid': openid})}", headers={"Accept": "text/html"})
    assert (shown.status_code, "订阅成功" in shown.text, openid in shown.text) == (200, True, False)
    stolen = http(
        "GET", f"{page}?{urlencode({**given, 'openid': other})}", headers={"Accept": "application/json"}
    )
    assert (stolen.status_code, stolen.json()["reason"]) == (422, "used")
    assert left(shop, openid) == {("TEMPLATE_ID", "1000"): 1}
    # One confirmation is one message.
    assert shop.post(addressed(ONE_TIME, openid), account=ACCOUNT).status_code == 200
    assert shop.post(addressed(ONE_TIME, openid), account=ACCOUNT).status_code == 422
    # Another kind, by a popup.
    template = str(SUBSCRIPTION["template_id"])
    popup = {"TemplateId": template, "SubscribeStatusString": "accept", "PopupScene": "1"}
    told(shop, openid, "subscribe_msg_popup_event", List=[popup])
    assert eventually(lambda: left(shop, openid).get((template, None)) == 1)
    assert shop.post(addressed(SUBSCRIPTION, openid), account=ACCOUNT).status_code == 200
    assert left(shop, openid) == {("TEMPLATE_ID", "1000"): 0, (template, None): 0}
    # WeChat demands that the person's data be erased.
    told(shop, openid, "user_authorization_revoke")
    assert eventually(lambda: left(shop, openid) == {})
