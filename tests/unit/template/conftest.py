"""template.yaml as CloudFormation would create it. No AWS call, no socket."""

import fnmatch
from collections.abc import Callable, Iterator
from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from samtranslator.yaml_helper import yaml_parse

from local.cloudformation.deployment import Deployment
from local.cloudformation.intrinsic_functions import resolve
from local.cloudformation.sam import translate

ROOT = Path(__file__).parents[3]
TEMPLATE = (ROOT / "template.yaml").read_text("utf-8")
SOURCE: dict[str, Any] = yaml_parse(TEMPLATE)
PARAMETERS: dict[str, Any] = SOURCE["Parameters"]
FUNCTIONS = (
    "SendApiFunction",
    "SendQueueFunction",
    "SendBroadcastFunction",
    "BroadcastFunction",
    "TeamApiFunction",
    "TemplateSyncFunction",
    "CallbackFunction",
    "CallbackEventsFunction",
    "TokenRefreshFunction",
    "CanaryFunction",
)
SENDERS = FUNCTIONS[:3]
VPC = {"SubnetIds": "subnet-1,subnet-2", "SecurityGroupIds": "sg-1"}
EGRESS = {"FixedEgress": "true", "FixedEgressZones": "2"}
REGIONS = {"aws": "eu-west-1", "aws-cn": "cn-north-1", "aws-us-gov": "us-gov-west-1"}

Node = dict[str, Any]


class Stack:
    """The resources with everything resolved; a reference to a resource reads ``<Name.Arn>``."""

    def __init__(
        self,
        change: Callable[[Node], Node] = lambda template: template,
        /,
        partition: str = "aws",
        **given: str,
    ) -> None:
        source = change(deepcopy(SOURCE))
        region = REGIONS[partition]
        for resource in source["Resources"].values():
            for key in {"CodeUri", "ContentUri"} & resource["Properties"].keys():
                resource["Properties"][key] = "s3://bucket/key"  # SAM transforms packaged templates only
        parameters = {name: parameter["Default"] for name, parameter in PARAMETERS.items()} | given
        translated = translate(source, parameters, region)
        names = {name: f"<{name}>" for name in translated["Resources"]}
        self._deployment = Deployment("stack", "123456789012", region, translated, parameters, {}, names)
        self.resources: dict[str, Node] = {
            name: self._resolved(resource)
            for name, resource in translated["Resources"].items()
            if self._is_made(resource)
        }
        made = {name: output for name, output in translated["Outputs"].items() if self._is_made(output)}
        self.outputs: Node = self._resolved(made)

    def _is_made(self, node: Node) -> bool:
        return "Condition" not in node or self._resolved({"Condition": node["Condition"]})

    def _resolved(self, node: Any) -> Any:
        return resolve(node, self._deployment, lambda name, attribute: f"<{name}.{attribute}>")

    def __getitem__(self, name: str) -> Node:
        """The properties of a resource."""
        properties: Node = self.resources[name]["Properties"]
        return properties

    def of_type(self, kind: str) -> dict[str, Node]:
        return {name: node["Properties"] for name, node in self.resources.items() if node["Type"] == kind}

    def only(self, kind: str) -> Node:
        """The properties of the one resource of a type."""
        (properties,) = self.of_type(kind).values()
        return properties

    @property
    def roles(self) -> list[str]:
        return list(self.of_type("AWS::IAM::Role"))

    def role_of(self, function: str) -> str:
        role: str = self[function]["Role"]
        return role.removeprefix("<").removesuffix(".Arn>")

    def statements(self, role: str, action: str = "*") -> list[Node]:
        """What a role may do, by itself and by the stack's managed policies; single values in lists.

        Parameters
        ----------
        action
            Only the statements with an action of this pattern.
        """
        managed = [arn for arn in self[role].get("ManagedPolicyArns", []) if arn.startswith("<")]
        documents = [policy["PolicyDocument"] for policy in self[role].get("Policies", [])]
        documents += [self[name.strip("<>")]["PolicyDocument"] for name in managed]
        return [
            listed
            for document in documents
            for listed in map(_listed, document["Statement"])
            if fnmatch.filter(listed["Action"], action)
        ]

    def resources_for(self, action: str) -> dict[str, list[str]]:
        """The resources on which roles may do what has this pattern, by role."""
        found = {
            role: [each for statement in self.statements(role, action) for each in statement["Resource"]]
            for role in self.roles
        }
        return {role: resources for role, resources in found.items() if resources}

    def allows(self, function: str, action: str, resource: str) -> bool:
        allowed = self.resources_for(action).get(self.role_of(function), [])
        return any(fnmatch.fnmatchcase(resource, pattern) for pattern in allowed)

    def event_targets(self) -> Iterator[Node]:
        for rule in self.of_type("AWS::Events::Rule").values():
            yield from rule["Targets"]
        for schedule in self.of_type("AWS::Scheduler::Schedule").values():
            yield schedule["Target"]


def _listed(statement: Node) -> Node:
    return {
        name: [value] if name in ("Action", "Resource") and isinstance(value, str) else value
        for name, value in statement.items()
    }


@cache
def deployed(**given: str) -> Stack:
    return Stack(**given)


VARIANTS: dict[str, dict[str, str]] = {
    "arm64": {},
    "x86_64": {"Architecture": "x86_64"},
    "traced": {"Tracing": "Active"},
    "x86_64-traced": {"Architecture": "x86_64", "Tracing": "Active"},
    "vpc": VPC,
    "fixed-egress": EGRESS,
}


@pytest.fixture(params=VARIANTS)
def stack(request: pytest.FixtureRequest) -> Stack:
    return deployed(**VARIANTS[request.param])
