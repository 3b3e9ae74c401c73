from typing import Any

import pytest

from local.cloudformation.deployment import Deployment
from local.cloudformation.intrinsic_functions import resolve
from local.processes import LocalStackError


@pytest.fixture
def deployed() -> Deployment:
    template = {
        "Conditions": {
            "IsLocal": {"Fn::Equals": [{"Ref": "Stage"}, "local"]},
            "IsInVpc": {"Fn::Not": [{"Fn::Equals": [{"Fn::Join": ["", {"Ref": "Subnets"}]}, ""]}]},
        },
        "Resources": {},
    }
    return Deployment(
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
def test_template_functions_are_resolved(deployed: Deployment, value: Any, expected: Any) -> None:
    assert resolve(value, deployed, lambda name, attribute: f"{name}/{attribute}") == expected


@pytest.mark.parametrize("value", [{"Ref": "Nowhere"}, {"Fn::Base64": "x"}])
def test_nothing_is_guessed(deployed: Deployment, value: Any) -> None:
    with pytest.raises(LocalStackError):
        resolve(value, deployed)
