"""The network that gives token_refresh the same addresses for good."""

import ast
from ipaddress import ip_network
from pathlib import Path

import pytest

from tests.unit.template.conftest import EGRESS, FUNCTIONS, ROOT, SOURCE, VPC, Node, Stack, deployed

ZONES = ("1", "2")


def egress(zones: str) -> Stack:
    return deployed(**EGRESS | {"FixedEgressZones": zones})


@pytest.mark.parametrize("zones", ZONES)
def test_only_token_refresh_has_fixed_addresses(zones: str) -> None:
    stack = egress(zones)
    inside = {name: stack[name]["VpcConfig"] for name in FUNCTIONS if "VpcConfig" in stack[name]}
    subnets = [f"<EgressPrivateSubnet{number}>" for number in ZONES[: int(zones)]]
    group = ["<EgressSecurityGroup>"]
    assert inside == {"TokenRefreshFunction": {"SubnetIds": subnets, "SecurityGroupIds": group}}
    assert stack.allows("TokenRefreshFunction", "ec2:CreateNetworkInterface", "*")


@pytest.mark.parametrize("zones", ZONES)
def test_private_subnets_leave_by_their_own_address(zones: str) -> None:
    stack = egress(zones)
    addresses = stack.of_type("AWS::EC2::EIP")
    assert list(addresses) == [f"EgressAddress{number}" for number in ZONES[: int(zones)]]
    used = [way_out(stack, subnet) for subnet in stack["TokenRefreshFunction"]["VpcConfig"]["SubnetIds"]]
    assert used == [f"<{address}.AllocationId>" for address in addresses]
    assert stack.outputs["EgressAddresses"]["Value"] == ", ".join(f"<{address}>" for address in addresses)


def way_out(stack: Stack, subnet: str) -> str:
    """The address with which a private subnet leaves the network, found by its routes."""
    nat = stack[route_of(stack, subnet)["NatGatewayId"].strip("<>")]
    public = nat["SubnetId"]
    assert route_of(stack, public)["GatewayId"] == "<EgressGateway>"
    zones = [stack[each.strip("<>")]["AvailabilityZone"] for each in (subnet, public)]
    assert zones[0] == zones[1]  # traffic between zones costs, and falls with either
    address: str = nat["AllocationId"]
    return address


def route_of(stack: Stack, subnet: str) -> Node:
    (table,) = (
        each["RouteTableId"]
        for each in stack.of_type("AWS::EC2::SubnetRouteTableAssociation").values()
        if each["SubnetId"] == subnet
    )
    (route,) = (r for r in stack.of_type("AWS::EC2::Route").values() if r["RouteTableId"] == table)
    assert route["DestinationCidrBlock"] == "0.0.0.0/0"
    return route


def test_subnets_fit_into_the_network() -> None:
    """In two zones: with only one of them a zone's failure would end the refresh."""
    stack = egress("2")
    subnets = [ip_network(each["CidrBlock"]) for each in stack.of_type("AWS::EC2::Subnet").values()]
    network = ip_network(stack.only("AWS::EC2::VPC")["CidrBlock"])
    assert len(subnets) == 4
    assert all(each.subnet_of(network) for each in subnets)  # type: ignore[arg-type]
    assert not any(a.overlaps(b) for a in subnets for b in subnets if a is not b)
    zones = {each["AvailabilityZone"] for each in stack.of_type("AWS::EC2::Subnet").values()}
    assert zones == {"eu-west-1a", "eu-west-1b"}


@pytest.mark.parametrize("number", ZONES)
def test_addresses_outlive_the_network(number: str) -> None:
    """They stand on WeChat's lists. No update replaces them: they have nothing that could change."""
    address = SOURCE["Resources"][f"EgressAddress{number}"]
    assert (address["DeletionPolicy"], address["UpdateReplacePolicy"]) == ("RetainExceptOnCreate", "Retain")
    assert address["Properties"].keys() == {"Domain", "Tags"}


def test_second_zone_leaves_the_first_alone() -> None:
    first, both = egress("1"), egress("2")
    own = {name: node for name, node in first.resources.items() if name.startswith("Egress")}
    assert own == {name: both.resources[name] for name in own}


def needs(stack: Stack) -> set[str]:
    return set(stack.resources["TokenRefreshFunction"]["Metadata"]["Needs"])


@pytest.mark.parametrize("zones", ZONES)
def test_function_enters_when_the_way_out_is_there(zones: str) -> None:
    """A NAT gateway takes minutes; without its route each refresh hangs until its time is over."""
    stack = egress(zones)
    kinds = {"AWS::EC2::Route": "NatGatewayId", "AWS::EC2::SubnetRouteTableAssociation": "SubnetId"}
    awaited = {
        f"<{name}>"
        for kind, property_name in kinds.items()
        for name, node in stack.of_type(kind).items()
        if property_name in node
    }
    assert len(awaited) == 3 * int(zones)
    assert needs(stack) == {"<NetworkPolicy>", *awaited}
    assert all(
        SOURCE["Resources"][name]["DependsOn"] == "EgressPublicRoute"
        for name in stack.of_type("AWS::EC2::NatGateway")
    )


@pytest.mark.parametrize("given", [EGRESS, VPC], ids=["own network", "given subnets"])
def test_function_leaves_the_network_again(given: dict[str, str]) -> None:
    """Lambda deletes interfaces by the function's role, when no published version uses them any more.

    A role that loses the right in the update that takes the function out keeps the network from going.
    https://github.com/aws/aws-cdk/issues/34400
    https://repost.aws/knowledge-center/lambda-hyperplane-vpc
    """
    stack = deployed(**given)
    assert stack["NetworkPolicy"]["Roles"] == ["<TokenRefreshRole>"]
    assert "NetworkPolicy" not in str(SOURCE["Resources"]["TokenRefreshRole"])
    assert "<NetworkPolicy>" in needs(stack)
    assert SOURCE["Resources"]["EgressSecurityGroup"]["DependsOn"] == "NetworkPolicy"
    (version,) = (
        node
        for node in stack.resources.values()
        if node["Type"] == "AWS::Lambda::Version"
        and node["Properties"]["FunctionName"] == "<TokenRefreshFunction>"
    )
    assert version["DeletionPolicy"] == "Delete"


def test_nobody_enters_the_network() -> None:
    group = egress("2").only("AWS::EC2::SecurityGroup")
    assert "SecurityGroupIngress" not in group
    assert [(each["IpProtocol"], each["ToPort"]) for each in group["SecurityGroupEgress"]] == [("tcp", 443)]
    assert not any("MapPublicIpOnLaunch" in each for each in egress("2").of_type("AWS::EC2::Subnet").values())


def test_no_network_without_the_parameter() -> None:
    assert not [name for name, node in deployed().resources.items() if "::EC2::" in node["Type"]]
    assert "EgressAddresses" not in deployed().outputs
    alone = deployed(FixedEgressZones="2")
    assert not [name for name in alone.resources if name.startswith("Egress")]


def imports(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


@pytest.mark.parametrize(
    ("module", "importers"),
    [
        ("wechat_notify.wechat.platform", {"wechat_notify/bootstrap/token_refresh.py"}),
        ("wechat_notify.bootstrap.token_refresh", {"token_refresh/handler.py", "token_refresh/platform.py"}),
    ],
)
def test_platforms_are_called_by_token_refresh_alone(module: str, importers: set[str]) -> None:
    """WeChat takes every call of a third-party platform from registered addresses alone."""
    roots = (ROOT / "layers/wechat_notify", ROOT / "functions")
    assert {
        path.relative_to(root).as_posix()
        for root in roots
        for path in root.rglob("*.py")
        if module in imports(path)
    } == importers
