"""The HTTP API for what teams do every day beside sending: a module for each thing, a route for each verb."""

from __future__ import annotations

from typing import Any

from functions.team_api import (
    authorizations,
    broadcasts,
    consents,
    holds,
    messages,
    quotas,
    schedules,
    templates,
)
from wechat_notify import bootstrap
from wechat_notify.http import router
from wechat_notify.http.router import Routes


def lambda_handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Answer one API Gateway request (HTTP API, payload format 2.0)."""
    return router.respond(event, context, ROUTES, bootstrap.telemetry, shown=consents.shown)


ROUTES: Routes = {
    "POST /v1/accounts/{account}/uploads": broadcasts.create_upload,
    "POST /v1/accounts/{account}/broadcasts": broadcasts.create_broadcast,
    "GET /v1/accounts/{account}/broadcasts": broadcasts.list_broadcasts,
    "GET /v1/accounts/{account}/broadcasts/{id}": broadcasts.get_broadcast,
    "GET /v1/accounts/{account}/broadcasts/{id}/results": broadcasts.get_results,
    "POST /v1/accounts/{account}/broadcasts/{id}/start": broadcasts.start_broadcast,
    "POST /v1/accounts/{account}/broadcasts/{id}/pause": broadcasts.pause_broadcast,
    "POST /v1/accounts/{account}/broadcasts/{id}/resume": broadcasts.resume_broadcast,
    "POST /v1/accounts/{account}/broadcasts/{id}/cancel": broadcasts.cancel_broadcast,
    "POST /v1/accounts/{account}/broadcasts/{id}/retry": broadcasts.retry_broadcast,
    "GET /v1/accounts/{account}/messages": messages.list_messages,
    "GET /v1/accounts/{account}/schedules": schedules.list_schedules,
    "PUT /v1/accounts/{account}/schedules/{name}": schedules.put_schedule,
    "GET /v1/accounts/{account}/schedules/{name}": schedules.get_schedule,
    "DELETE /v1/accounts/{account}/schedules/{name}": schedules.delete_schedule,
    "GET /v1/accounts/{account}/quota": quotas.get_quotas,
    "GET /v1/accounts/{account}/holds": holds.list_holds,
    "DELETE /v1/accounts/{account}/holds/{hold}": holds.end_hold,
    "GET /v1/accounts/{account}/authorization-link": authorizations.get_link,
    "GET /v1/accounts/{account}/consents": consents.get_consents,
    "GET /v1/accounts/{account}/consents/links": consents.make_link,
    consents.CONFIRM: consents.confirm,
    consents.WITH_SLASH: consents.confirm,
    "GET /v1/accounts/{account}/templates": templates.list_templates,
    "GET /v1/accounts/{account}/templates/{id}": templates.get_template,
}
