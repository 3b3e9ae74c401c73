"""Have queues and logs outlive the stack: ``python -m operations.retention --env prod TEMPLATE``.

``make deploy`` calls it for the built template. It is no condition in the template, because CloudFormation
takes literals alone as a deletion policy, and the transform that takes functions cannot be tried without AWS
(docs/decisions/0055-protection.md). The ledger, the bucket and the secret are kept in every environment, by
the template itself.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from samtranslator.yaml_helper import yaml_parse

from operations.environments import environment, template_parameters

_ROOT: Final = Path(__file__).parents[1]
RETAINED: Final = frozenset({"AWS::SQS::Queue", "AWS::Logs::LogGroup"})
"""They have names: where they are left, no stack of that name can be created before they are deleted by hand.
So a stack for development goes without a trace."""


def protects_data(parameters: dict[str, str]) -> bool:
    """What the template's condition ``ProtectsData`` says."""
    given = parameters["ProtectData"]
    return given == "true" or (given == "auto" and parameters["Stage"] == "prod")


def with_retention(template: dict[str, Any]) -> dict[str, Any]:
    """A template whose queues and log groups are kept when the stack is deleted, or they are replaced.

    Those with a condition are not kept. They come and go with a parameter such as ``GradualDeployment``, and
    have names: the deployment that brings one back would fail because of the one that was left.
    """
    for resource in template["Resources"].values():
        if resource["Type"] in RETAINED and "Condition" not in resource:
            resource |= {"DeletionPolicy": "RetainExceptOnCreate", "UpdateReplacePolicy": "Retain"}
    return template


def main(arguments: Sequence[str] | None = None) -> None:
    """Change the built template in its place where its environment protects data; JSON is YAML."""
    parser = argparse.ArgumentParser(description="Have queues and logs outlive a protected stack.")
    parser.add_argument("template", type=Path)
    parser.add_argument("--env", required=True, help="an environment of samconfig.toml")
    parser.add_argument("--config", type=Path, default=_ROOT / "samconfig.toml", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    source = (_ROOT / "template.yaml").read_text("utf-8")
    if protects_data(template_parameters(environment(options.env, options.config), source)):
        template = with_retention(yaml_parse(options.template.read_text("utf-8")))
        options.template.write_text(json.dumps(template, indent=1, ensure_ascii=False), "utf-8")


if __name__ == "__main__":
    main()
