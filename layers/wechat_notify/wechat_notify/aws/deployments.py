"""CodeDeploy as deployment_check meets it: a deployment's new versions, and the result of their check."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

from wechat_notify.aws.clients import Clients
from wechat_notify.core.errors import StorageError

_RETRY_FOR = 20.0
"""Seconds; CodeDeploy waits for an hour for a result."""


class Deployments:
    """Deployments of Lambda functions."""

    def __init__(self, aws: Clients) -> None:
        self._aws = aws

    def new_versions(self, deployment: str) -> list[tuple[str, str]]:
        """The functions that a deployment is about, by name, each with its new version, such as ``"7"``.

        Raises
        ------
        StorageError
            CodeDeploy did not answer.
        """
        listed = self._aws.call(
            "list what is deployed",
            lambda: self._aws.codedeploy.list_deployment_targets(deploymentId=deployment),
            retry_for=_RETRY_FOR,
        )
        if not listed["targetIds"]:
            return []
        found = self._aws.call(
            "look up what is deployed",
            lambda: self._aws.codedeploy.batch_get_deployment_targets(
                deploymentId=deployment, targetIds=listed["targetIds"]
            ),
            retry_for=_RETRY_FOR,
        )
        functions = [target["lambdaTarget"]["lambdaFunctionInfo"] for target in found["deploymentTargets"]]
        return [(function["functionName"], function["targetVersion"]) for function in functions]

    def report(self, deployment: str, execution: str, *, passed: bool) -> None:
        """Tell CodeDeploy the result of a check.

        Raises
        ------
        StorageError
            CodeDeploy did not take it.
        """
        self._aws.call(
            "report a check",
            lambda: self._aws.codedeploy.put_lifecycle_event_hook_execution_status(
                deploymentId=deployment,
                lifecycleEventHookExecutionId=execution,
                status="Succeeded" if passed else "Failed",
            ),
            retry_for=_RETRY_FOR,
        )

    def invoke(self, function: str, version: str, event: dict[str, Any]) -> Any:
        """Invoke a version and wait for its answer, parsed; raises ``StorageError`` where it has none."""
        action = f"try {function}"

        def request() -> tuple[bytes, Any]:
            answer = self._aws.lambda_.invoke(
                FunctionName=function, Qualifier=version, Payload=json.dumps(event)
            )
            return answer["Payload"].read(), answer.get("FunctionError")

        payload, failed = self._aws.call(action, request)
        if failed:  # its text and traceback are in the payload
            raise StorageError(action, "FunctionError")
        with suppress(ValueError):
            return json.loads(payload)
        raise StorageError(action, "UnreadableAnswer")
