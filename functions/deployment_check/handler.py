"""Tries a new version of a function before it gets traffic, for CodeDeploy.

https://docs.aws.amazon.com/codedeploy/latest/userguide/reference-appspec-file-structure-hooks.html#appspec-hooks-lambda
"""

from __future__ import annotations

from typing import Any, Final

from functions.deployment_check.checks import CHECKS, Check
from wechat_notify import bootstrap
from wechat_notify.bootstrap import deployment_check
from wechat_notify.core.errors import StorageError

_ATTEMPTS: Final = 3
"""A first start may take longer than AWS's client waits for, and token_refresh may be busy for longer than a
dry run waits. A check may be repeated at will."""


def lambda_handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Try the versions of a deployment and tell CodeDeploy the result.

    CodeDeploy waits for an hour for a result that does not come, so it is told one whatever goes wrong.

    Parameters
    ----------
    event : dict
        ``DeploymentId`` and ``LifecycleEventHookExecutionId``, from CodeDeploy.

    Returns
    -------
    dict
        ``result``: ``Succeeded`` or ``Failed``.
    """
    telemetry = bootstrap.telemetry()
    deployment = event["DeploymentId"]
    deployments = deployment_check.deployments()
    with telemetry.invocation(context, deployment) as line:
        passed = False
        try:
            passed = _check(deployment, line)
        finally:
            line.update(result="Succeeded" if passed else "Failed")
            deployments.report(deployment, event["LifecycleEventHookExecutionId"], passed=passed)
        return {"result": line["result"]}


def _check(deployment: str, line: dict[str, Any]) -> bool:
    """Return whether every version of the deployment gives the right answer; there is one as a rule."""
    checked = bootstrap.settings().checked_functions
    versions = deployment_check.deployments().new_versions(deployment)
    line.update(versions=[f"{function}:{version}" for function, version in versions])
    for function, version in versions:
        if not _passes(function, version, CHECKS[checked[function]]):
            line.update(failed=f"{function}:{version}", detail="no answer that is right")
            return False
    return bool(versions)


def _passes(function: str, version: str, check: Check) -> bool:
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            answer = deployment_check.deployments().invoke(function, version, check.event)
            detail = "an answer that is not right"
        except StorageError as error:
            answer, detail = None, str(error)
        if check.accepts(answer):
            return True
        bootstrap.telemetry().logger.warning(
            "version does not pass", version=f"{function}:{version}", attempt=attempt, detail=detail
        )
    return False
