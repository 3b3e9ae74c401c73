"""Holds: which part of an account waits, for what and until when; and an early end to one."""

from __future__ import annotations

from typing import Any

from wechat_notify import bootstrap
from wechat_notify.bootstrap import teams
from wechat_notify.core.clocks import SecondsLeft
from wechat_notify.core.delivery.circuit import Circuit
from wechat_notify.core.delivery.circuits import circuit_event
from wechat_notify.core.texts import iso_time, without_none
from wechat_notify.http import requests
from wechat_notify.http.requests import HttpEvent
from wechat_notify.http.responses import ApiResponse


def list_holds(http: HttpEvent, _seconds_left: SecondsLeft) -> ApiResponse:
    """``GET …/holds``."""
    account = requests.account(http)
    holds = [_as_dict(circuit) for circuit in teams.open_holds().of(account)]
    return ApiResponse(200, {"account": account, "holds": holds})


def end_hold(http: HttpEvent, _seconds_left: SecondsLeft) -> ApiResponse:
    """``DELETE …/holds/{hold}``: the answer is the hold that was ended."""
    account = requests.account(http)
    ended = teams.open_holds().end(account, http["pathParameters"]["hold"])
    telemetry = bootstrap.telemetry()
    telemetry.logger.info("hold ended by request", account=account, hold=ended.scope)
    telemetry.publish([circuit_event("circuit.closed", account, ended)], bootstrap.event_bus)
    return ApiResponse(200, _as_dict(ended))


def _as_dict(circuit: Circuit) -> dict[str, Any]:
    part, _, name = circuit.scope.partition(":")
    return {
        "id": circuit.scope,
        "scope": part,
        **without_none(
            kind=name if part == "kind" else None,
            template_id=name if part == "template" else None,
            errcode=circuit.errcode,
            hint=circuit.hint and circuit.hint.as_dict(),
        ),
        "class": circuit.error_class.value,
        "opened_at": iso_time(circuit.opened_at),
        "held_until": iso_time(circuit.held_until),
        "failed_probes": circuit.probes,
    }
