"""The routes of HTTP APIs, from their OpenAPI documents."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from local.cloudformation.deployment import Resource, Template
from local.processes import LocalStackError


def expand_http_apis(template: Template) -> Template:
    """Spell the OpenAPI body of HTTP APIs out as integrations and routes.

    The emulator ignores a body: the stack is complete and has no routes. Everything that is in a body
    is either carried over or refused here.
    """
    resources: dict[str, Resource] = {}
    for api, resource in template["Resources"].items():
        resources[api] = resource
        if resource["Type"] != "AWS::ApiGatewayV2::Api" or "Body" not in resource["Properties"]:
            continue
        properties = dict(resource["Properties"])
        body = properties.pop("Body")
        unknown = set(body) - {"openapi", "info", "tags", "paths", "components"}
        if unknown:
            raise LocalStackError(f"{api}: the local stack does not know {', '.join(sorted(unknown))}")
        properties |= {"Name": body["info"]["title"], "ProtocolType": "HTTP"}
        resources[api] = {**resource, "Properties": properties}
        schemes = body.get("components", {}).get("securitySchemes", {})
        for path, methods in body["paths"].items():
            for method, operation in methods.items():
                # Logical names are letters and digits only.
                name = re.sub(r"[^A-Za-z0-9]", "", f"{api}{method.title()}{path.title()}")
                resources |= _route(api, name, f"{method.upper()} {path}", operation, schemes)
    return {**template, "Resources": resources}


def _route(
    api: str, name: str, key: str, operation: Mapping[str, Any], schemes: Mapping[str, Any]
) -> dict[str, Resource]:
    integration = operation["x-amazon-apigateway-integration"]
    if key.startswith("X-AMAZON-APIGATEWAY-ANY-METHOD "):
        key = key.replace("X-AMAZON-APIGATEWAY-ANY-METHOD", "ANY")
    return {
        f"{name}Integration": {
            "Type": "AWS::ApiGatewayV2::Integration",
            "Properties": {
                "ApiId": {"Ref": api},
                "IntegrationType": integration["type"].upper(),
                "IntegrationMethod": integration["httpMethod"],
                "IntegrationUri": integration["uri"],
                "PayloadFormatVersion": integration["payloadFormatVersion"],
            },
        },
        f"{name}Route": {
            "Type": "AWS::ApiGatewayV2::Route",
            "Properties": {
                "ApiId": {"Ref": api},
                "RouteKey": key,
                "Target": {"Fn::Join": ["/", ["integrations", {"Ref": f"{name}Integration"}]]},
                "AuthorizationType": _authorization_type(key, operation, schemes),
            },
        },
    }


def _authorization_type(key: str, operation: Mapping[str, Any], schemes: Mapping[str, Any]) -> str:
    names = [name for requirement in operation.get("security", []) for name in requirement]
    if names in ([], ["NONE"]):
        return "NONE"
    kinds = {schemes.get(name, {}).get("x-amazon-apigateway-authtype") for name in names}
    if kinds == {"awsSigv4"}:
        return "AWS_IAM"
    raise LocalStackError(f"{key}: the local stack does not know the authorizer {', '.join(names)}")
