"""Have a deployment publish a version of each function.

``make deploy`` calls ``python -m operations.versions --env prod`` for the built template. Functions are
invoked by an alias, and SAM has it moved only where a function's own code or environment has changed in the
template: a layer behind an ``If``, a parameter of samconfig.toml or another resource would change, and the
alias would go on pointing to the old state. So all that a deployment consists of goes into one digest. The
same digest again changes nothing.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from samtranslator.yaml_helper import yaml_parse

from operations.environments import PreflightError, environment

_ROOT: Final = Path(__file__).parents[1]
_CODE: Final = {"AWS::Serverless::Function": "CodeUri", "AWS::Serverless::LayerVersion": "ContentUri"}
_DERIVED: Final = {"__pycache__"}
"""Compiled modules carry the time of their source."""


def digest(template: dict[str, Any], folder: Path, parameters: dict[str, Any]) -> str:
    """The SHA-256 of a built template, its functions' and layers' files and its parameters, in hexadecimal.

    Parameters
    ----------
    template
        As ``sam build`` has written it; the folders of the code are beside it.
    folder
        The folder that the template is in.
    parameters
        One environment of ``samconfig.toml``.
    """
    found = hashlib.sha256()
    for part in (template, parameters):
        found.update(json.dumps(part, sort_keys=True, default=str).encode())
    for name, resource in sorted(template["Resources"].items()):
        code = _CODE.get(resource["Type"])
        if code is None:
            continue
        root = folder / resource["Properties"][code]
        for path in sorted(root.rglob("*")):
            if path.is_file() and not _DERIVED & set(path.parts):
                found.update(f"{name}/{path.relative_to(root).as_posix()}\0".encode())
                found.update(hashlib.sha256(path.read_bytes()).digest())
    return found.hexdigest()


def with_versions(template: dict[str, Any], deployment: str) -> dict[str, Any]:
    """A SAM template that publishes a version of each function under the digest of its deployment."""
    for resource in template["Resources"].values():
        if resource["Type"] == "AWS::Serverless::Function":
            properties = resource["Properties"]
            properties |= {
                "AutoPublishCodeSha256": deployment,
                # Lambda publishes no version of a function in which nothing has changed, and CloudFormation
                # fails then ("A version for this Lambda function exists").
                "Description": f"{properties['Description']} [{deployment[:12]}]",
                # The old one goes when its alias has moved on: further back is deploying an older release.
                "VersionDeletionPolicy": "Delete",
            }
    return template


def main(arguments: Sequence[str] | None = None) -> int:
    """Change the built template in its place; JSON is YAML."""
    parser = argparse.ArgumentParser(description="Have a deployment publish a version of each function.")
    parser.add_argument("--env", default="default", help="an environment of samconfig.toml")
    parser.add_argument("--config", type=Path, default=_ROOT / "samconfig.toml", help=argparse.SUPPRESS)
    parser.add_argument("template", type=Path, help="the built template")
    options = parser.parse_args(arguments)
    try:
        parameters = environment(options.env, options.config)
    except PreflightError as error:
        print(error, file=sys.stderr)
        return 1
    template = yaml_parse(options.template.read_text("utf-8"))
    deployment = digest(template, options.template.parent, parameters)
    built = with_versions(template, deployment)
    options.template.write_text(json.dumps(built, indent=1, ensure_ascii=False), "utf-8")
    print(f"Deployment {deployment[:12]}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
