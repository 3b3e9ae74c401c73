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


def with_snapshots(template: dict[str, Any], deployment: str) -> dict[str, Any]:
    """A SAM template whose senders are invoked by an alias, with one new version for each deployment."""
    for name in SENDERS:
        template["Resources"][name]["Properties"] |= {
            "SnapStart": {"ApplyOn": "PublishedVersions"},
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
