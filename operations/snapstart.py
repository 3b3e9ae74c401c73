"""Have the senders start from snapshots: ``python operations/snapstart.py .aws-sam/build/template.yaml``.

``make deploy SNAPSTART=on`` calls it for the built template. It is no parameter of the template, because SAM
makes versions and aliases unconditionally or not at all, and publishes no version when only a layer behind
an ``If`` has changed: such a deployment would go on running the old code.
"""

from __future__ import annotations

import json
import sys
import uuid
from pathlib import Path
from typing import Any, Final

from samtranslator.yaml_helper import yaml_parse

SENDERS: Final = ("SendApiFunction", "SendQueueFunction", "SendBroadcastFunction")
"""The others are left out: no message waits for them. token_refresh is invoked without an alias."""


_HAS_SNAPSHOTS: Final = "HasSnapshots"
"""The condition in the changed template. Neither the China regions nor GovCloud offer SnapStart for Python.
https://docs.amazonaws.cn/en_us/aws/latest/userguide/lambda.html
https://docs.aws.amazon.com/govcloud-us/latest/UserGuide/govcloud-lambda.html"""


def with_snapshots(template: dict[str, Any], deployment: str) -> dict[str, Any]:
    """A SAM template whose senders are invoked by an alias, with one new version for each deployment."""
    template["Conditions"][_HAS_SNAPSHOTS] = {"Fn::Equals": [{"Ref": "AWS::Partition"}, "aws"]}
    snapshots = {"ApplyOn": "PublishedVersions"}
    for name in SENDERS:
        template["Resources"][name]["Properties"] |= {
            "SnapStart": {"Fn::If": [_HAS_SNAPSHOTS, snapshots, {"Ref": "AWS::NoValue"}]},
            "AutoPublishAlias": "live",
            "AutoPublishCodeSha256": deployment,
            # The old one goes when the alias has moved on: a snapshot is billed as long as it is there.
            "VersionDeletionPolicy": "Delete",
        }
    return template


def main() -> None:
    """Change the built template in its place; JSON is YAML."""
    path = Path(sys.argv[1])
    template = with_snapshots(yaml_parse(path.read_text("utf-8")), uuid.uuid4().hex)
    path.write_text(json.dumps(template, indent=1, ensure_ascii=False), "utf-8")


if __name__ == "__main__":
    main()
