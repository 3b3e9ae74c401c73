"""From template.yaml to a running stack on the emulator.

CloudFormation itself would translate SAM, read an API's OpenAPI body and apply every property. The
emulator's does not, so those steps are taken here: translate, spell the API out as routes, create the
stack, then set by service call what was dropped. What is deployed stays the template's.
"""

from __future__ import annotations

import functools
import hashlib
import io
import json
import os
import re
import time
import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final

from local.processes import LocalStackError

_BUCKET: Final = "deployment"
_TEMPLATE: Final = "template.json"
_RESOURCE_POLICY: Final = "AWS::SecretsManager::ResourcePolicy"
_REFUSED: Final = (_RESOURCE_POLICY, "AWS::Logs::QueryDefinition")
"""Types that the emulator has no idea of; the policies are set afterwards."""
_POLL_SECONDS: Final = 0.05
_DEPLOY_SECONDS: Final = 30

# Makes a client for a service of AWS by its boto3 name.
Clients = Callable[[str], Any]
Resource = dict[str, Any]
Template = dict[str, Any]


@dataclass(frozen=True)
class Deployment:
    """A stack that was deployed, with the template that CloudFormation was given."""

    stack_name: str
    account_id: str
    region: str
    template: Template
    parameters: Mapping[str, str]
    outputs: Mapping[str, str]
    physical_ids: Mapping[str, str]

    def resources(self, kind: str) -> Iterator[tuple[str, Resource]]:
        """Logical name and definition of the deployed resources of a type, such as ``AWS::SQS::Queue``."""
        for name, resource in self.template["Resources"].items():
            if resource["Type"] == kind and name in self.physical_ids:
                yield name, resource


def deploy(
    clients: Clients, region: str, template: Path, stack_name: str, parameters: Mapping[str, str]
) -> Deployment:
    """Deploy a SAM template.

    Raises
    ------
    LocalStackError
        If the stack cannot be created, with CloudFormation's reasons.
    """
    source = _read(template)
    s3 = clients("s3")
    s3.create_bucket(Bucket=_BUCKET)
    for key, content in package(source, template.parent).items():
        s3.put_object(Bucket=_BUCKET, Key=key, Body=content)
    planned = Deployment(
        stack_name,
        clients("sts").get_caller_identity()["Account"],
        region,
        expand_http_apis(translate(source, parameters, region)),
        {**{n: str(p["Default"]) for n, p in source["Parameters"].items() if "Default" in p}, **parameters},
        outputs={},
        physical_ids={},
    )
    # A template of more than 51,200 bytes is taken from S3.
    deployed = _without_unknown_alarms(_as_the_emulator_takes_it(planned))
    body = json.dumps(deployed, separators=(",", ":"))
    s3.put_object(Bucket=_BUCKET, Key=_TEMPLATE, Body=body.encode())
    cloudformation = clients("cloudformation")
    cloudformation.create_stack(
        StackName=stack_name,
        TemplateURL=f"{s3.meta.endpoint_url}/{_BUCKET}/{_TEMPLATE}",
        Parameters=[{"ParameterKey": k, "ParameterValue": v} for k, v in parameters.items()],
        Capabilities=["CAPABILITY_IAM"],
    )
    deadline = time.monotonic() + _DEPLOY_SECONDS
    while (stack := cloudformation.describe_stacks(StackName=stack_name)["Stacks"][0])[
        "StackStatus"
    ] == "CREATE_IN_PROGRESS" and time.monotonic() < deadline:
        time.sleep(_POLL_SECONDS)
    if stack["StackStatus"] != "CREATE_COMPLETE":
        events = cloudformation.describe_stack_events(StackName=stack_name)["StackEvents"]
        failures = [
            f"{e['LogicalResourceId']}: {e.get('ResourceStatusReason', '')}"
            for e in events
            if "FAILED" in e.get("ResourceStatus", "")
        ]
        raise LocalStackError(f"the stack is {stack['StackStatus']}:\n" + "\n".join(failures))
    described = cloudformation.describe_stack_resources(StackName=stack_name)["StackResources"]
    deployment = replace(
        planned,
        outputs={o["OutputKey"]: o["OutputValue"] for o in stack.get("Outputs", [])},
        physical_ids={
            r["LogicalResourceId"]: r["PhysicalResourceId"] for r in described if r.get("PhysicalResourceId")
        },
    )
    _apply_dropped(clients, deployment)
    return deployment


@functools.cache
def session() -> Any:
    """The boto3 session, which knows nothing of the host's profiles, endpoints and keys.

    One for the process: for its first client it reads AWS's list of endpoints, a tenth of a second's work.
    """
    import boto3  # noqa: PLC0415 - the stack imports it while its processes start
    import botocore.session  # noqa: PLC0415

    absent = (None, None, os.devnull, None)
    host = {"profile": (None, None, None, None), "config_file": absent, "credentials_file": absent}
    return boto3.Session(botocore_session=botocore.session.Session(session_vars=host))


def _read(template: Path) -> Template:
    from samtranslator.yaml_helper import yaml_parse  # noqa: PLC0415 - a quarter of a second

    source: Template = yaml_parse(template.read_text(encoding="utf-8"))
    return source


# ------------------------------------------------------------------------------------------ packages


def package(template: Template, root: Path) -> dict[str, bytes]:
    """Zip the code of functions and layers, and point the template at the zips.

    Libraries are not packed: the workers' interpreter has them (``processes.worker_python``).

    Returns
    -------
    dict
        The zips by their key in the deployment bucket.
    """
    zips: dict[str, bytes] = {}
    for resource in template["Resources"].values():
        if resource["Type"] == "AWS::Serverless::Function":
            name, content = "CodeUri", _function_files(resource, root)
        elif resource["Type"] == "AWS::Serverless::LayerVersion":
            name, content = "ContentUri", _layer_files(resource, root)
        else:
            continue
        archive = _zip(content)
        key = hashlib.sha256(archive).hexdigest() + ".zip"
        zips[key] = archive
        resource["Properties"][name] = {"Bucket": _BUCKET, "Key": key}
    return zips


def _function_files(resource: Resource, root: Path) -> dict[str, Path]:
    # As the SAM builder lays them out: the code's folder below its parent packages.
    parents = resource.get("Metadata", {}).get("BuildProperties", {}).get("ParentPackages", "")
    folder = root / resource["Properties"]["CodeUri"]
    return {str(Path(*parents.split("."), p.relative_to(folder))): p for p in _sources(folder)}


def _layer_files(resource: Resource, root: Path) -> dict[str, Path]:
    # As the layer's Makefile lays them out: the packages below python/.
    folder = root / resource["Properties"]["ContentUri"]
    packages = [p.parent for p in folder.glob("*/__init__.py")]
    return {str(Path("python", p.relative_to(folder))): p for package in packages for p in _sources(package)}


def _sources(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts:
            yield path


def _zip(files: Mapping[str, Path]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, path in files.items():
            # Without the file's time, so that the same code has the same key.
            archive.writestr(zipfile.ZipInfo(name), path.read_bytes())
    return buffer.getvalue()


# --------------------------------------------------------------------------------------- translation


def translate(template: Template, parameters: Mapping[str, str], region: str) -> Template:
    """SAM to CloudFormation, by the translator that AWS runs."""
    from samtranslator.parser.parser import Parser  # noqa: PLC0415
    from samtranslator.translator.translator import Translator  # noqa: PLC0415

    # Managed policies would be looked up by name here; the template has its own policies.
    # All that it asks of the session is the region.
    translator = Translator({}, Parser(), boto_session=SimpleNamespace(region_name=region))
    translated: Template = translator.translate(template, parameter_values=dict(parameters))
    return json.loads(json.dumps(translated))  # type: ignore[no-any-return] # without the translator's string classes


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


def _as_the_emulator_takes_it(planned: Deployment) -> Template:
    """The template without types that the emulator refuses, and with its conditions evaluated.

    It takes every ``Fn::Join`` in a condition for true.
    """
    conditions = {
        name: {"Fn::Equals": ["true", "true" if resolve({"Condition": name}, planned) else "false"]}
        for name in planned.template.get("Conditions", {})
    }
    resources = {n: r for n, r in planned.template["Resources"].items() if r["Type"] not in _REFUSED}
    return {**planned.template, "Conditions": conditions, "Resources": resources}


def is_unknown_alarm(resource: Resource) -> bool:
    """Return whether the emulator cannot have an alarm: one on several metrics, or on other alarms."""
    return resource["Type"] == "AWS::CloudWatch::CompositeAlarm" or (
        resource["Type"] == "AWS::CloudWatch::Alarm" and "Metrics" in resource["Properties"]
    )


def _without_unknown_alarms(template: Template) -> Template:
    known = {name: each for name, each in template["Resources"].items() if not is_unknown_alarm(each)}
    return {**template, "Resources": known}


def _with_arns_of_secrets(template: Template) -> Template:
    """The template with secrets referred to by their ARN; the emulator has the name, which no policy matches.

    https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-secretsmanager-secret.html
    """
    resources = template["Resources"].items()
    secrets = {name for name, resource in resources if resource["Type"] == "AWS::SecretsManager::Secret"}

    def replaced(node: Any) -> Any:
        if isinstance(node, list):
            return [replaced(each) for each in node]
        if not isinstance(node, dict):
            return node
        if node.keys() == {"Ref"} and node["Ref"] in secrets:
            return {"Fn::GetAtt": [node["Ref"], "Arn"]}
        return {name: replaced(each) for name, each in node.items()}

    return {**template, "Resources": replaced(template["Resources"])}


# ------------------------------------------------------------------------------------- after the fact


def _apply_dropped(clients: Clients, deployment: Deployment) -> None:
    """Set what the emulator's CloudFormation drops or mangles. tests/e2e reads everything back."""
    for name, resource in deployment.resources("AWS::Lambda::Function"):
        reserved = resource["Properties"].get("ReservedConcurrentExecutions")
        if reserved is not None:
            clients("lambda").put_function_concurrency(
                FunctionName=deployment.physical_ids[name],
                ReservedConcurrentExecutions=int(resolve(reserved, deployment)),
            )
        recursion = resolve({"set": resource["Properties"].get("RecursiveLoop")}, deployment).get("set")
        if recursion is not None:
            clients("lambda").put_function_recursion_config(
                FunctionName=deployment.physical_ids[name], RecursiveLoop=recursion
            )
    _reach_api(clients, deployment)
    for name, resource in deployment.resources("AWS::Lambda::EventSourceMapping"):
        # A parameter arrives as text, and the emulator's poller cannot compare text with a number.
        scaling = resolve(resource["Properties"].get("ScalingConfig"), deployment)
        if scaling is not None:
            clients("lambda").update_event_source_mapping(
                UUID=deployment.physical_ids[name],
                ScalingConfig={"MaximumConcurrency": int(scaling["MaximumConcurrency"])},
            )
    _apply_stages(clients, deployment)
    for name, resource in deployment.resources("AWS::DynamoDB::Table"):
        time_to_live = resource["Properties"].get("TimeToLiveSpecification")
        if time_to_live is not None:
            clients("dynamodb").update_time_to_live(
                TableName=deployment.physical_ids[name],
                TimeToLiveSpecification=resolve(time_to_live, deployment),
            )


def _reach_api(clients: Clients, deployment: Deployment) -> None:
    """Give functions that call the API its address here; nobody resolves the one that it has in AWS."""
    client = clients("lambda")
    for name, resource in deployment.resources("AWS::Lambda::Function"):
        if "API_URL" not in resource["Properties"].get("Environment", {}).get("Variables", {}):
            continue
        function = deployment.physical_ids[name]
        variables = client.get_function_configuration(FunctionName=function)["Environment"]["Variables"]
        ((api, _),) = deployment.resources("AWS::ApiGatewayV2::Api")
        url = f"{client.meta.endpoint_url}/_aws/execute-api/{deployment.physical_ids[api]}"
        client.update_function_configuration(
            FunctionName=function, Environment={"Variables": {**variables, "API_URL": url}}
        )
        version = client.publish_version(FunctionName=function)["Version"]
        client.update_alias(FunctionName=function, Name="live", FunctionVersion=version)


def _apply_stages(clients: Clients, deployment: Deployment) -> None:
    """Set the throttles of the HTTP APIs, and the policies of secrets, a type that the emulator refuses."""
    names = ("ApiId", "StageName", "DefaultRouteSettings", "RouteSettings")
    for _, resource in deployment.resources("AWS::ApiGatewayV2::Stage"):
        given = resolve({k: v for k, v in resource["Properties"].items() if k in names}, deployment)
        if "DefaultRouteSettings" in given:
            clients("apigatewayv2").update_stage(**given)
    for policy in deployment.template["Resources"].values():
        if policy["Type"] != _RESOURCE_POLICY:
            continue
        properties = resolve(policy["Properties"], deployment)
        clients("secretsmanager").put_resource_policy(
            SecretId=properties["SecretId"], ResourcePolicy=json.dumps(properties["ResourcePolicy"])
        )


_NO_VALUE: Final = object()


def resolve(value: Any, deployment: Deployment, get_att: Callable[[str, str], str] | None = None) -> Any:
    """A property's value as CloudFormation would put it, for the functions that the template uses.

    Parameters
    ----------
    value
        The property as it stands in the template.
    deployment
        What parameters, conditions and references refer to.
    get_att
        Answers ``Fn::GetAtt`` for a logical name and an attribute.
    """
    if isinstance(value, list):
        return [r for r in (resolve(v, deployment, get_att) for v in value) if r is not _NO_VALUE]
    if not isinstance(value, dict):
        return value
    if len(value) == 1:
        ((function, argument),) = value.items()
        if function in {"Ref", "Condition"} or function.startswith("Fn::"):
            return _call(function, argument, deployment, get_att)
    resolved = {k: resolve(v, deployment, get_att) for k, v in value.items()}
    return {k: v for k, v in resolved.items() if v is not _NO_VALUE}


def _call(  # noqa: C901, PLR0911 - one for each function
    function: str, argument: Any, deployment: Deployment, get_att: Callable[[str, str], str] | None
) -> Any:
    def inner(value: Any) -> Any:
        return resolve(value, deployment, get_att)

    match function:
        case "Ref":
            return _reference(argument, deployment)
        case "Condition":
            return inner(deployment.template["Conditions"][argument])
        case "Fn::If":
            condition, then, otherwise = argument
            return inner(then if inner({"Condition": condition}) else otherwise)
        case "Fn::Equals":
            return str(inner(argument[0])) == str(inner(argument[1]))  # a number is text as well
        case "Fn::Not":
            return not inner(argument[0])
        case "Fn::And" | "Fn::Or":
            return (all if function == "Fn::And" else any)(inner(argument))
        case "Fn::Select":
            return inner(argument[1])[int(argument[0])]
        case "Fn::GetAZs":
            region = inner(argument) or deployment.region
            return [f"{region}{letter}" for letter in "abc"]
        case "Fn::Join":
            separator, parts = inner(argument[0]), inner(argument[1])
            return separator.join([parts] if isinstance(parts, str) else parts)
        case "Fn::Sub":
            text, names = argument if isinstance(argument, list) else (argument, {})
            return re.sub(r"\$\{([^}]+)\}", lambda m: str(inner(_substituted(m[1], names))), text)
        case "Fn::GetAtt" if get_att is not None:
            return get_att(*(argument.split(".", 1) if isinstance(argument, str) else argument))
    raise LocalStackError(f"the local stack does not know {function} {argument}")


def _substituted(name: str, names: Mapping[str, Any]) -> Any:
    if name in names:
        return names[name]
    return {"Fn::GetAtt": name} if re.fullmatch(r"\w+\.\w+", name) else {"Ref": name}


_PARTITIONS: Final = {"cn-": ("aws-cn", "amazonaws.com.cn"), "us-gov-": ("aws-us-gov", "amazonaws.com")}
"""Name and DNS suffix of the partitions beside ``aws``, by the beginning of their regions' names."""


def _reference(name: str, deployment: Deployment) -> Any:
    partitions = (each for start, each in _PARTITIONS.items() if deployment.region.startswith(start))
    partition, suffix = next(partitions, ("aws", "amazonaws.com"))
    pseudo = {
        "AWS::NoValue": _NO_VALUE,
        "AWS::StackName": deployment.stack_name,
        "AWS::Partition": partition,
        "AWS::URLSuffix": suffix,
        "AWS::Region": deployment.region,
        "AWS::AccountId": deployment.account_id,
    }
    for names in (pseudo, deployment.parameters, deployment.physical_ids):
        if name in names:
            return names[name]
    raise LocalStackError(f"the template refers to {name}, which is not there")
