"""Create a stack from a SAM template."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final

from local.cloudformation.deployment import Clients, Deployment, Template
from local.cloudformation.emulator_gaps import apply_dropped, as_the_emulator_takes_it
from local.cloudformation.http_apis import expand_http_apis
from local.cloudformation.packages import BUCKET, package
from local.cloudformation.sam import translate
from local.processes import LocalStackError

_TEMPLATE: Final = "template.json"
_POLL_SECONDS: Final = 0.05
_DEPLOY_SECONDS: Final = 30


def deploy(
    clients: Clients, region: str, template: Path, stack_name: str, parameters: Mapping[str, str]
) -> Deployment:
    """Deploy a SAM template.

    Raises
    ------
    LocalStackError
        If the stack cannot be created, with CloudFormation's reasons.
    """
    source = _read(template)
    s3 = clients("s3")
    s3.create_bucket(Bucket=BUCKET)
    for key, content in package(source, template.parent).items():
        s3.put_object(Bucket=BUCKET, Key=key, Body=content)
    planned = Deployment(
        stack_name,
        clients("sts").get_caller_identity()["Account"],
        region,
        expand_http_apis(translate(source, parameters, region)),
        {**{n: str(p["Default"]) for n, p in source["Parameters"].items() if "Default" in p}, **parameters},
        outputs={},
        physical_ids={},
    )
    # A template of more than 51,200 bytes is taken from S3.
    deployed = as_the_emulator_takes_it(planned)
    body = json.dumps(deployed, separators=(",", ":"))
    s3.put_object(Bucket=BUCKET, Key=_TEMPLATE, Body=body.encode())
    cloudformation = clients("cloudformation")
    cloudformation.create_stack(
        StackName=stack_name,
        TemplateURL=f"{s3.meta.endpoint_url}/{BUCKET}/{_TEMPLATE}",
        Parameters=[{"ParameterKey": k, "ParameterValue": v} for k, v in parameters.items()],
        Capabilities=["CAPABILITY_IAM"],
    )
    deadline = time.monotonic() + _DEPLOY_SECONDS
    while (stack := cloudformation.describe_stacks(StackName=stack_name)["Stacks"][0])[
        "StackStatus"
    ] == "CREATE_IN_PROGRESS" and time.monotonic() < deadline:
        time.sleep(_POLL_SECONDS)
    if stack["StackStatus"] != "CREATE_COMPLETE":
        events = cloudformation.describe_stack_events(StackName=stack_name)["StackEvents"]
        failures = [
            f"{e['LogicalResourceId']}: {e.get('ResourceStatusReason', '')}"
            for e in events
            if "FAILED" in e.get("ResourceStatus", "")
        ]
        raise LocalStackError(f"the stack is {stack['StackStatus']}:\n" + "\n".join(failures))
    described = cloudformation.describe_stack_resources(StackName=stack_name)["StackResources"]
    deployment = replace(
        planned,
        outputs={o["OutputKey"]: o["OutputValue"] for o in stack.get("Outputs", [])},
        physical_ids={
            r["LogicalResourceId"]: r["PhysicalResourceId"] for r in described if r.get("PhysicalResourceId")
        },
    )
    apply_dropped(clients, deployment)
    return deployment


def _read(template: Path) -> Template:
    from samtranslator.yaml_helper import yaml_parse  # noqa: PLC0415 - a quarter of a second

    source: Template = yaml_parse(template.read_text(encoding="utf-8"))
    return source
