"""Properties and types that the emulator's CloudFormation refuses, drops or mangles."""

from __future__ import annotations

import json
from typing import Final

from local.cloudformation.deployment import Clients, Deployment, Resource, Template
from local.cloudformation.intrinsic_functions import resolve

_RESOURCE_POLICY: Final = "AWS::SecretsManager::ResourcePolicy"
_REFUSED: Final = (_RESOURCE_POLICY, "AWS::Logs::QueryDefinition")
"""Types that the emulator has no idea of; the policies are set afterwards."""


def as_the_emulator_takes_it(planned: Deployment) -> Template:
    """The template without what the emulator refuses, and with its conditions evaluated.

    It takes every ``Fn::Join`` in a condition for true.
    """
    conditions = {
        name: {"Fn::Equals": ["true", "true" if resolve({"Condition": name}, planned) else "false"]}
        for name in planned.template.get("Conditions", {})
    }
    resources = {
        name: resource
        for name, resource in planned.template["Resources"].items()
        if resource["Type"] not in _REFUSED and not is_unknown_alarm(resource)
    }
    return {**planned.template, "Conditions": conditions, "Resources": resources}


def is_unknown_alarm(resource: Resource) -> bool:
    """Return whether the emulator cannot have an alarm: one on several metrics, or on other alarms."""
    return resource["Type"] == "AWS::CloudWatch::CompositeAlarm" or (
        resource["Type"] == "AWS::CloudWatch::Alarm" and "Metrics" in resource["Properties"]
    )


def apply_dropped(clients: Clients, deployment: Deployment) -> None:
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
