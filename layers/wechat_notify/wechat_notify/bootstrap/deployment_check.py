"""The parts of deployment_check."""

from __future__ import annotations

from wechat_notify import bootstrap
from wechat_notify.aws.deployments import Deployments


def deployments() -> Deployments:
    """CodeDeploy's deployments; one invocation is all that a process has."""
    return Deployments(bootstrap.aws())
