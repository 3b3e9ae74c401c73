from typing import Any

import pytest

from local.cloudformation.http_apis import expand_http_apis
from local.processes import LocalStackError

URI = {"Fn::Sub": "arn:${AWS::Partition}:apigateway:…"}
IAM = {"AWS_IAM": {"type": "apiKey", "x-amazon-apigateway-authtype": "awsSigv4"}}


def template_with(**body: Any) -> dict[str, Any]:
    operation = {
        "x-amazon-apigateway-integration": {
            "httpMethod": "POST",
            "type": "aws_proxy",
            "uri": URI,
            "payloadFormatVersion": "2.0",
        },
        "security": [{"AWS_IAM": []}],
    }
    whole = {
        "openapi": "3.0.1",
        "info": {"title": {"Ref": "AWS::StackName"}},
        "paths": {"/v1/{account}/messages": {"post": operation}},
        "components": {"securitySchemes": IAM},
        **body,
    }
    return {"Resources": {"Api": {"Type": "AWS::ApiGatewayV2::Api", "Properties": {"Body": whole}}}}


def test_openapi_body_becomes_routes() -> None:
    resources = expand_http_apis(template_with())["Resources"]
    assert resources["Api"]["Properties"] == {"Name": {"Ref": "AWS::StackName"}, "ProtocolType": "HTTP"}
    route = resources["ApiPostV1AccountMessagesRoute"]["Properties"]
    assert route["RouteKey"] == "POST /v1/{account}/messages"
    assert route["AuthorizationType"] == "AWS_IAM"
    integration = resources["ApiPostV1AccountMessagesIntegration"]["Properties"]
    assert (integration["IntegrationType"], integration["IntegrationUri"]) == ("AWS_PROXY", URI)


def test_route_without_authorizer_is_public() -> None:
    template = template_with()
    body = template["Resources"]["Api"]["Properties"]["Body"]
    body["paths"]["/v1/{account}/messages"]["post"]["security"] = [{"NONE": []}]
    resources = expand_http_apis(template)["Resources"]
    assert resources["ApiPostV1AccountMessagesRoute"]["Properties"]["AuthorizationType"] == "NONE"


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ({"x-amazon-apigateway-cors": {}}, "x-amazon-apigateway-cors"),
        ({"components": {"securitySchemes": {"AWS_IAM": {}}}}, "AWS_IAM"),
    ],
)
def test_unknown_parts_are_refused(body: dict[str, Any], told: str) -> None:
    with pytest.raises(LocalStackError, match=told):
        expand_http_apis(template_with(**body))
