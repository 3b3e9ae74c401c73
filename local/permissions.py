"""IAM on the emulator: what AWS asks policies about and ministack does not, and a record of the decisions.

``POST /_local/decisions`` tells what roles have asked for and whether they were let, so that tests can hold
the template's permissions against what is used of them.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Mapping
from typing import Any, Final

PATH: Final = "/_local/decisions"
MAX_DECISIONS: Final = 10_000
"""Different decisions that are remembered; a stack that is up for days asks for ever new files."""

_KEY: Final = "pk"
"""The key of the service's table."""
_ASSUMED_ROLE: Final = re.compile(r"arn:[^:]+:sts::\d+:assumed-role/(?P<role>[^/]+)/(?P<session>.+)")
_PARAMETER: Final = re.compile(r"""['"](\w+)['"]\s*[:=]\s*\?""")
_STATEMENT: Final = re.compile(
    r"""\s*(?P<verb>INSERT|UPDATE|DELETE|SELECT)\b.*?"(?P<table>[^"]+)\"""", re.IGNORECASE | re.DOTALL
)


class Decisions:
    """What roles asked for and whether they were let: each decision once, in order of their first time."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str, str, str, bool], None] = {}

    def note(self, context: Any, *, allowed: bool) -> None:
        """Remember a decision about a role; those about users are nobody's business."""
        found = _ASSUMED_ROLE.fullmatch(context.principal_arn)
        if found is not None and len(self._known) < MAX_DECISIONS:
            decision = found["role"], found["session"], context.action, context.resource_arn, allowed
            self._known[decision] = None

    def told(self) -> list[dict[str, Any]]:
        """The decisions for JSON; ``session`` is the name of the function that asked."""
        names = ("role", "session", "action", "resource", "allowed")
        return [dict(zip(names, decision, strict=True)) for decision in list(self._known)]


def patch(iam_actions: Any, iam_evaluator: Any) -> Decisions:
    """Mend what concerns policies, and begin the record."""
    decisions = record_decisions(iam_evaluator)
    patch_parameter_arns(iam_actions, iam_evaluator)
    patch_schedule_arns(iam_actions)
    patch_batch_actions(iam_actions)
    patch_statements(iam_actions, iam_evaluator)
    patch_request_context(iam_actions)
    return decisions


def record_decisions(iam_evaluator: Any) -> Decisions:
    """Note each answer to a request, by all policies together."""
    evaluate, enforce = iam_evaluator.evaluate, iam_evaluator.enforce
    decisions, asked = Decisions(), threading.local()

    def noting_evaluate(context: Any, *policies: Any) -> Any:
        asked.context = context
        return evaluate(context, *policies)

    def noting_enforce(*args: Any, **options: Any) -> Any:
        asked.context = None  # root and strangers are not evaluated
        denied = enforce(*args, **options)
        if asked.context is not None:
            decisions.note(asked.context, allowed=denied is None)
        return denied

    iam_evaluator.evaluate, iam_evaluator.enforce = noting_evaluate, noting_enforce
    return decisions


def patch_statements(iam_actions: Any, iam_evaluator: Any) -> None:
    """Authorise PartiQL statements of a group as what each does; ministack asks for an action of the group.

    https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/ql-iam.html
    """
    original_action = iam_actions.extract_iam_action
    original_arn = iam_actions.extract_resource_arn
    original_enforce = iam_evaluator.enforce

    def extract_iam_action(
        service: str, method: str, path: str, headers: Mapping[str, str], body: bytes, *rest: Any
    ) -> str | None:
        action: str | None = original_action(service, method, path, headers, body, *rest)
        if action != "dynamodb:BatchExecuteStatement":
            return action
        # Several travel as one, as parameters' ARNs do.
        return " ".join(sorted({f"dynamodb:PartiQL{verb}" for verb, _ in statements(body)}))

    def extract_resource_arn(
        service: str, method: str, path: str, headers: Mapping[str, str], body: bytes, *rest: Any
    ) -> str:
        if headers.get("x-amz-target", "").endswith(".BatchExecuteStatement"):
            _query_params, region, account_id = rest
            tables = sorted({table for _, table in statements(body)})
            return " ".join(f"arn:aws:dynamodb:{region}:{account_id}:table/{table}" for table in tables)
        arn: str = original_arn(service, method, path, headers, body, *rest)
        return arn

    def enforce(
        access_key_id: str, iam_action: str, service: str, region: str, resource_arn: str = "*", **rest: Any
    ) -> Any:
        arns = resource_arn.split() if "PartiQL" in iam_action else [resource_arn]
        denials = (
            original_enforce(access_key_id, action, service, region, resource_arn=arn, **rest)
            for action in iam_action.split()
            for arn in arns
        )
        return next(filter(None, denials), None)

    iam_actions.extract_iam_action = extract_iam_action
    iam_actions.extract_resource_arn = extract_resource_arn
    iam_evaluator.enforce = enforce


def statements(body: bytes) -> list[tuple[str, str]]:
    """Each statement's verb (``Insert``, ``Update``, ``Delete``, ``Select``) and table.

    One of another form has the verb ``Unknown``, which no policy allows.
    """
    found = [_STATEMENT.match(each["Statement"]) for each in json.loads(body)["Statements"]]
    return [(match["verb"].title(), match["table"]) if match else ("Unknown", "*") for match in found]


def patch_request_context(iam_actions: Any) -> None:
    """Let policies know the source of events (``events:source``), and the keys of items.

    ministack has neither key: what depends on the first is denied, and the second restricts nothing.
    """
    original = iam_actions.request_tag_context

    def request_context(service: str, action: str, body: bytes, *rest: Any) -> dict[str, Any]:
        context: dict[str, Any] = original(service, action, body, *rest)
        if action == "events:PutEvents":
            context |= event_source(body)
        elif service == "dynamodb" and (keys := leading_keys(body)):
            context["dynamodb:LeadingKeys"] = keys
        return context

    iam_actions.request_tag_context = request_context


def leading_keys(body: bytes) -> list[str]:
    """The keys of the items that a request names.

    https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/specifying-conditions.html
    """
    request = json.loads(body)
    items = [request[name] for name in ("Key", "Item") if name in request]
    for table in request.get("RequestItems", {}).values():
        items += table.get("Keys", [])
    for statement in request.get("Statements", []):
        names = _PARAMETER.findall(statement["Statement"])
        items.append(dict(zip(names, statement["Parameters"], strict=True)))
    return [item[_KEY]["S"] for item in items if _KEY in item]


def patch_parameter_arns(iam_actions: Any, iam_evaluator: Any) -> None:
    """Authorise ssm:GetParametersByPath on its path, and what names several parameters on each of them.

    ministack asks for a policy on ``*`` for all of these.
    """
    original_arn = iam_actions.extract_resource_arn
    original_enforce = iam_evaluator.enforce

    def extract_resource_arn(
        service: str, method: str, path: str, headers: Mapping[str, str], body: bytes, *rest: Any
    ) -> str:
        names = parameter_names(headers.get("x-amz-target", ""), body) if service == "ssm" else []
        if names:
            _query_params, region, account_id = rest
            # No ARN of a parameter has a space in it, so several travel as one.
            return " ".join(f"arn:aws:ssm:{region}:{account_id}:parameter/{name}" for name in names)
        arn: str = original_arn(service, method, path, headers, body, *rest)
        return arn

    def enforce(
        access_key_id: str, iam_action: str, service: str, region: str, resource_arn: str = "*", **rest: Any
    ) -> Any:
        arns = resource_arn.split() if service == "ssm" else [resource_arn]
        denials = (
            original_enforce(access_key_id, iam_action, service, region, resource_arn=arn, **rest)
            for arn in arns
        )
        return next(filter(None, denials), None)

    iam_actions.extract_resource_arn = extract_resource_arn
    iam_evaluator.enforce = enforce


def parameter_names(target: str, body: bytes) -> list[str]:
    """The parameters, or the path of parameters, that a request for several of them is about."""
    if target == "AmazonSSM.GetParametersByPath":
        return [str(json.loads(body)["Path"]).strip("/")]
    if target in {"AmazonSSM.GetParameters", "AmazonSSM.DeleteParameters"}:
        return [str(name).lstrip("/") for name in json.loads(body)["Names"]]
    return []


def patch_schedule_arns(iam_actions: Any) -> None:
    """Authorise what is done to a schedule on the schedule of its own group; ministack takes ``default``."""
    original = iam_actions.extract_resource_arn

    def extract_resource_arn(
        service: str, method: str, path: str, headers: Mapping[str, str], body: bytes, *rest: Any
    ) -> str:
        arn: str = original(service, method, path, headers, body, *rest)
        query_params, *_ = rest
        return (
            arn.replace("/default/", f"/{schedule_group(query_params, body)}/", 1)
            if service == "scheduler"
            else arn
        )

    iam_actions.extract_resource_arn = extract_resource_arn


def schedule_group(query_params: Mapping[str, Any], body: bytes) -> str:
    """The group that a request about a schedule names, in its query or in its body."""
    given = query_params.get("groupName") or (json.loads(body).get("GroupName") if body else None)
    return str(given[0] if isinstance(given, list) else given or "default")


def patch_batch_actions(iam_actions: Any) -> None:
    """Authorise SQS's batches as what they are batches of; ministack asks for an action of their own.

    https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-batch-api-actions.html
    """
    original = iam_actions.extract_iam_action

    def extract_iam_action(service: str, *rest: Any) -> str | None:
        action: str | None = original(service, *rest)
        return action.removesuffix("Batch") if action and service == "sqs" else action

    iam_actions.extract_iam_action = extract_iam_action


def event_source(body: bytes) -> dict[str, str]:
    """The condition key of a PutEvents request.

    AWS asks the policies about each entry. Here they are asked once, so that entries of several sources
    must not look like those of any one.
    """
    sources = {str(entry.get("Source")) for entry in json.loads(body)["Entries"]}
    return {"events:source": " ".join(sorted(sources))}
