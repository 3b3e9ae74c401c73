"""The canary on the whole stack: by hand, through the HTTP API, to the WeChat simulator."""

from __future__ import annotations

import json
from typing import Any

from tests.e2e.conftest import Service

MESSAGE = {"kind": "template", "template_id": "canary", "data": {"thing1": {"value": "canary"}}}


def run(service: Service, **order: Any) -> dict[str, Any]:
    outputs = service.stack.deployment.outputs
    value = json.dumps({"account": service.state.account, "message": MESSAGE, **order})
    service.client("ssm").put_parameter(
        Name=outputs["CanaryParameterName"], Value=value, Type="SecureString", Overwrite=True
    )
    answer = service.client("lambda").invoke(FunctionName=outputs["CanaryFunctionName"], Payload=b"{}")
    service.client("ssm").delete_parameter(Name=outputs["CanaryParameterName"])
    seen: dict[str, Any] = json.loads(answer["Payload"].read())
    return seen


def test_message_goes_all_the_way(service: Service, touser: str) -> None:
    seen = run(service, openid=touser)
    assert (seen["result"], seen["step"], seen["status_code"]) == ("arrived", "sent", 200), seen
    assert seen["latency_ms"] > 0
    assert seen["message_id"].startswith("canary-")
    assert len(service.arrived(touser)) == 1


def test_dry_run_asks_wechat_with_a_real_token(service: Service) -> None:
    seen = run(service)
    assert (seen["result"], seen["step"], seen["dry_run"]) == ("arrived", "token", True), seen
