"""A dry run: what would become of a message, and what its reader would see. Nothing is sent or written."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from wechat_notify import bootstrap
from wechat_notify.core.delivery import own_outcomes
from wechat_notify.core.delivery.circuit import Circuit
from wechat_notify.core.messages.envelope import SendRequest
from wechat_notify.core.messages.kinds import Message
from wechat_notify.core.templates.preview import preview_of
from wechat_notify.core.texts import iso_time, without_none
from wechat_notify.core.violations import Violation
from wechat_notify.http.responses import ApiResponse


def answer(request: SendRequest, message: Message, warnings: Sequence[Violation]) -> ApiResponse:
    """The answer to a message that keeps every rule; raises as ``Dispatcher.foresee`` does."""
    foreseen = bootstrap.dispatcher().foresee(request, message)
    if foreseen.lacks_consent and not foreseen.refusal:
        warnings = [*warnings, own_outcomes.CONSENT_MISSING]
    body = {
        "id": request.id,
        "account": request.account,
        "kind": message.kind,
        "dry_run": True,
        "would": foreseen.would.value,
        **without_none(
            status=foreseen.status and foreseen.status.value,
            expires_at=request.expires_at and iso_time(request.expires_at.timestamp()),
            hold=foreseen.hold and _hold(foreseen.hold),
            refusal=foreseen.refusal and foreseen.refusal.as_dict(),
        ),
        "warnings": [warning.as_dict() for warning in warnings],
        "preview": preview_of(message, bootstrap.template_registry().of(request.account)),
    }
    bootstrap.telemetry().rehearsed(request.account, message, foreseen.would.value)
    return ApiResponse(200, body)


def _hold(circuit: Circuit) -> dict[str, Any]:
    return {
        "id": circuit.scope,
        "held_until": iso_time(circuit.held_until),
        "class": circuit.error_class.value,
        **without_none(errcode=circuit.errcode, hint=circuit.hint and circuit.hint.as_dict()),
    }
