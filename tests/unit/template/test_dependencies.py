"""CloudFormation can order the resources, the policies of their updates included."""

import json
import re
from graphlib import TopologicalSorter

from tests.unit.template.conftest import EGRESS, Stack


def test_no_resource_waits_for_itself() -> None:
    """An alarm that rolls an alias back must not be made of what is made of that alias, such as the API."""
    stack = Stack(
        Stage="prod",
        AlarmEmail="ops@example.com",
        CanarySchedule="rate(5 minutes)",
        Tracing="Active",
        **EGRESS,
    )
    needs = {
        name: set(re.findall(r"<(\w+)[.>]", json.dumps(resource))) & stack.resources.keys() - {name}
        for name, resource in stack.resources.items()
    }
    order = list(TopologicalSorter(needs).static_order())
    assert order.index("SendApiErrorAlarm") < order.index("SendApiFunctionDeploymentGroup")
    assert order.index("SendApiFunctionDeploymentGroup") < order.index("SendApiFunctionAliaslive")
