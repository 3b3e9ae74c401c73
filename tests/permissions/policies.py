"""The statements of a rendered template, and what they decide together.

They are evaluated by the emulator's own evaluator, the one that enforces them in the end-to-end tests.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

from ministack.core.iam_evaluator import EvalContext, evaluate, parse_policy_document

from tests.unit.template.conftest import Node, Stack

OPERATOR = "an operator"
"""Somebody whose own policies allow everything, as an administrator's do."""
_DOCUMENTS = ("PolicyDocument", "ResourcePolicyDocument", "ResourcePolicy", "KeyPolicy")
"""The properties in which resources have their policies."""


@dataclass(frozen=True)
class Call:
    """One request to AWS, and who makes it: a role of the template, a service, or an operator."""

    principal: str
    action: str
    resource: str
    context: Mapping[str, Any] = field(default_factory=dict, hash=False)

    def __str__(self) -> str:
        """For a failure's message."""
        told = "".join(f", {key}={value}" for key, value in self.context.items())
        return f"{self.principal}: {self.action} on {self.resource}{told}"


@dataclass(frozen=True)
class Statement:
    """A statement; ``owner`` is the role or the resource that has it, ``node`` its content in lists."""

    owner: str
    principals: tuple[str, ...]
    node: Node

    @property
    def name(self) -> str:
        return f"{self.owner}.{self.node.get('Sid', 'AssumeRole')}"

    def concerns(self, principal: str) -> bool:
        return "*" in self.principals or principal in self.principals


def statements(stack: Stack) -> list[Statement]:
    """All that the template says: of roles, of who may assume them, and of queues, buckets and log groups."""
    found: list[Statement] = []
    for role in stack.roles:
        found += [Statement(role, (role,), node) for node in stack.statements(role)]
        for trust in stack[role]["AssumeRolePolicyDocument"]["Statement"]:
            found += _of_resource(role, {"Resource": f"<{role}.Arn>", **trust})
    for owner, resource in stack.resources.items():
        for name in _DOCUMENTS if not resource["Type"].startswith("AWS::IAM::") else ():
            for node in resource["Properties"].get(name, {}).get("Statement", []):
                # In the policy of a key, "*" is that key.
                own = {"Resource": f"<{owner}.Arn>"} if name == "KeyPolicy" else {}
                found += _of_resource(owner, node | own)
    return found


def _of_resource(owner: str, node: Node) -> Iterator[Statement]:
    principal = node["Principal"]
    names = ["*"] if principal == "*" else [each for kind in principal.values() for each in _list(kind)]
    content = {name: value for name, value in node.items() if name != "Principal"}
    for name in ("Action", "Resource"):
        content[name] = _list(content[name])
    yield Statement(owner, tuple(names), content)


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def allowed(call: Call, among: Iterable[Statement]) -> bool:
    """The decision about a call."""
    nodes = [statement.node for statement in among if statement.concerns(call.principal)]
    if call.principal == OPERATOR:
        nodes.append({"Effect": "Allow", "Action": ["*"], "Resource": ["*"]})
    context = {"aws:SecureTransport": "true", **call.context}
    asked = EvalContext(
        principal_arn=f"arn:aws:iam::123456789012:role/{call.principal}",
        principal_type="AssumedRole",
        principal_account="123456789012",
        action=call.action,
        resource_arn=call.resource,
        region="eu-west-1",
        source_ip="192.0.2.1",
        secure_transport=context["aws:SecureTransport"] == "true",
        service_context={key.lower(): value for key, value in context.items()},
    )
    result = evaluate(asked, [parse_policy_document({"Statement": nodes})])
    return bool(result.decision == "Allow")


def users(statement: Statement, calls: Iterable[Call]) -> list[Call]:
    """The calls that a statement allows by itself."""
    return [call for call in calls if statement.concerns(call.principal) and allowed(call, [statement])]


def mutations(statement: Statement) -> Iterator[tuple[str, Statement | None]]:
    """Everything that could be taken away from a statement: itself, an action, a resource, a condition."""
    yield statement.name, None
    node = statement.node
    for name in ("Action", "Resource"):
        for value in node[name] if len(node[name]) > 1 else []:
            rest = {**node, name: [each for each in node[name] if each != value]}
            yield f"{statement.name}: {value}", Statement(statement.owner, statement.principals, rest)
    for service in statement.principals if len(statement.principals) > 1 else ():
        rest_of_them = tuple(each for each in statement.principals if each != service)
        yield f"{statement.name}: {service}", Statement(statement.owner, rest_of_them, node)
    for operator, keys in node.get("Condition", {}).items():
        for key, value in keys.items():
            changed = deepcopy(node)
            del changed["Condition"][operator][key]
            yield f"{statement.name}: {key}", Statement(statement.owner, statement.principals, changed)
            for each in value if isinstance(value, list) and len(value) > 1 else []:
                changed = deepcopy(node)
                changed["Condition"][operator][key] = [other for other in value if other != each]
                yield f"{statement.name}: {each}", Statement(statement.owner, statement.principals, changed)


def unnoticed(
    among: Sequence[Statement], expected: Mapping[Call, bool], chosen: Iterable[Statement]
) -> list[str]:
    """What could be taken away from ``chosen`` without changing the decision about any call."""
    left: list[str] = []
    for statement in chosen:
        concerned = [call for call in expected if statement.concerns(call.principal)]
        for name, mutant in mutations(statement):
            others = [each for each in among if each is not statement]
            mutated = [*others, mutant] if mutant else others
            if all(allowed(call, mutated) is expected[call] for call in concerned):
                left.append(name)
    return left
