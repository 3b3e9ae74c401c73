"""A deployed stack, and the types that its definition is made of."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

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
