"""Good and bad requests, made from the OpenAPI document by schemathesis: bounded, and the same every time."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl, quote, urlencode, urlsplit, urlunsplit

import pytest
import requests
import schemathesis
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import HealthCheck, Phase, settings

from local.state_file import State
from openapi import examples
from openapi.document import document
from tests.e2e.conftest import Service
from tests.unit.functions import contract

ACCOUNT = "fuzz"
EXAMPLES = 10
"""Requests of a route beside the document's own example and the borders of its schemas."""


def shortened() -> dict[str, Any]:
    """The document with one message and one broadcast to schedule: they are sent themselves in all forms."""
    whole = document()
    fields = whole["components"]["schemas"]["ScheduleRequest"]["properties"]
    fields["message"] = {"enum": [examples.SEND.call.body, None]}
    fields["broadcast"] = {"enum": [examples.CREATE_BROADCAST.call.body, None]}
    return whole


SCHEMA = schemathesis.openapi.from_dict(shortened())
SCHEMA.config.phases.update(phases=["examples", "coverage", "fuzzing"])
SCHEMA.config.generation.update(deterministic=True, with_security_parameters=False, database="none")
CHECKS = [
    schemathesis.checks.status_code_conformance,
    schemathesis.checks.content_type_conformance,
    schemathesis.checks.response_schema_conformance,
    schemathesis.checks.response_headers_conformance,
    schemathesis.checks.negative_data_rejection,
]
FROM_WECHAT = {"not-sent", "outcome-unknown"}


class Signature(requests.auth.AuthBase):
    """Signs requests as AWS's clients do."""

    def __init__(self, state: State) -> None:
        self._keys = Credentials(state.access_key_id, state.secret_access_key)
        self._region = state.region

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        parts = urlsplit(str(request.url))
        # What is signed is escaped, commas too.
        query = urlencode(parse_qsl(parts.query, keep_blank_values=True), quote_via=quote)
        request.url = urlunsplit(parts._replace(query=query))
        signed = AWSRequest(request.method, request.url, data=request.body, headers=dict(request.headers))
        SigV4Auth(self._keys, "execute-api", self._region).add_auth(signed)
        request.headers.update(dict(signed.headers))
        return request


@pytest.fixture(scope="module")
def state(service: Service) -> State:
    service.add_account(ACCOUNT)
    service.client("lambda").invoke(FunctionName=service.state.token_refresh_function, Payload=b"{}")
    return service.state


def test_document_is_openapi() -> None:
    schemathesis.openapi.from_dict(document()).validate()


@SCHEMA.parametrize()
@settings(
    max_examples=EXAMPLES,
    derandomize=True,
    database=None,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
def test_answers_conform(case: Any, state: State) -> None:
    """No failure of the service itself; every answer as documented; what the schemas forbid is refused."""
    case.path_parameters = {**case.path_parameters, "account": ACCOUNT}
    response = case.call(base_url=state.api_url, auth=Signature(state), timeout=30)
    if response.status_code >= 500:
        assert contract.problem_name(response.json()["type"]) in FROM_WECHAT, response.json()
    case.validate_response(response, checks=CHECKS)
