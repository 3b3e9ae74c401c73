"""CloudFormation's intrinsic functions: references, conditions and texts made of others."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from local.cloudformation.deployment import Deployment
from local.processes import LocalStackError

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
