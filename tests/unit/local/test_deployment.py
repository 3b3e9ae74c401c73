import io
import zipfile
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from local import deployment
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
    resources = deployment.expand_http_apis(template_with())["Resources"]
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
    resources = deployment.expand_http_apis(template)["Resources"]
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
        deployment.expand_http_apis(template_with(**body))


@pytest.fixture
def deployed() -> deployment.Deployment:
    template = {
        "Conditions": {
            "IsLocal": {"Fn::Equals": [{"Ref": "Stage"}, "local"]},
            "IsInVpc": {"Fn::Not": [{"Fn::Equals": [{"Fn::Join": ["", {"Ref": "Subnets"}]}, ""]}]},
        },
        "Resources": {},
    }
    return deployment.Deployment(
        "stack", "1", "us-east-1", template, {"Stage": "local", "Subnets": ""}, {}, {"Queue": "http://queue"}
    )


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (7, 7),
        ({"Ref": "Stage"}, "local"),
        ({"Ref": "Queue"}, "http://queue"),
        ({"Fn::Sub": "${AWS::StackName}/${Stage}"}, "stack/local"),
        ({"Fn::Sub": ["${A}-${Queue.Arn}", {"A": {"Ref": "Stage"}}]}, "local-Queue/Arn"),
        ({"Fn::GetAtt": ["Queue", "Arn"]}, "Queue/Arn"),
        ({"Fn::If": ["IsLocal", 1, 2]}, 1),
        ({"Fn::If": ["IsInVpc", 1, 2]}, 2),
        ([1, {"Fn::If": ["IsInVpc", 2, {"Ref": "AWS::NoValue"}]}], [1]),
        ({"a": 1, "b": {"Fn::If": ["IsInVpc", 2, {"Ref": "AWS::NoValue"}]}}, {"a": 1}),
    ],
)
def test_template_functions_are_resolved(deployed: deployment.Deployment, value: Any, expected: Any) -> None:
    assert deployment.resolve(value, deployed, lambda name, attribute: f"{name}/{attribute}") == expected


@pytest.mark.parametrize("value", [{"Ref": "Nowhere"}, {"Fn::Base64": "x"}])
def test_nothing_is_guessed(deployed: deployment.Deployment, value: Any) -> None:
    with pytest.raises(LocalStackError):
        deployment.resolve(value, deployed)


def test_packages_are_as_built(tmp_path: Path) -> None:
    for name in ("functions/send/handler.py", "functions/send/__pycache__/x.pyc", "layer/core/__init__.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("")
    (tmp_path / "layer/requirements.txt").write_text("")

    source = {
        "Resources": {
            "Function": {
                "Type": "AWS::Serverless::Function",
                "Metadata": {"BuildProperties": {"ParentPackages": "functions.send"}},
                "Properties": {"CodeUri": "functions/send"},
            },
            "Layer": {"Type": "AWS::Serverless::LayerVersion", "Properties": {"ContentUri": "layer"}},
            "Queue": {"Type": "AWS::SQS::Queue"},
        }
    }
    again = deepcopy(source)
    zips = deployment.package(source, tmp_path)
    contents = {key: zipfile.ZipFile(io.BytesIO(content)).namelist() for key, content in zips.items()}
    resources: dict[str, Any] = source["Resources"]
    assert contents[resources["Function"]["Properties"]["CodeUri"]["Key"]] == ["functions/send/handler.py"]
    assert contents[resources["Layer"]["Properties"]["ContentUri"]["Key"]] == ["python/core/__init__.py"]
    assert deployment.package(again, tmp_path) == zips


def test_secrets_are_referred_to_by_their_arn() -> None:
    """As AWS resolves the reference; nothing else is changed."""
    policy = {"Resource": {"Ref": "Key"}, "Actions": ["a", {"Ref": "Table"}]}
    resources = {
        "Key": {"Type": "AWS::SecretsManager::Secret"},
        "Table": {"Type": "AWS::DynamoDB::Table"},
        "Role": {"Type": "AWS::IAM::Role", "Properties": policy},
    }
    changed = deployment._with_arns_of_secrets({"Resources": deepcopy(resources)})
    told = {"Resource": {"Fn::GetAtt": ["Key", "Arn"]}, "Actions": ["a", {"Ref": "Table"}]}
    assert changed["Resources"] == {**resources, "Role": {"Type": "AWS::IAM::Role", "Properties": told}}
