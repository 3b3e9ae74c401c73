"""A SAM template as CloudFormation creates it: ``python -m scanners.transform TEMPLATE``.

Parameters have their defaults. It runs in ``.venv``, whose translator the laptop uses too.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from samtranslator.yaml_helper import yaml_parse

from local.cloudformation.sam import translate


def main() -> None:
    """Print the template as JSON."""
    source = yaml_parse(Path(sys.argv[1]).read_text("utf-8"))
    for resource in source["Resources"].values():
        for key in {"CodeUri", "ContentUri"} & resource["Properties"].keys():
            resource["Properties"][key] = "s3://bucket/key"  # SAM transforms packaged templates only
    parameters = {name: str(each["Default"]) for name, each in source["Parameters"].items()}
    translated = translate(source, parameters, "eu-west-1")
    for name, resource in translated["Resources"].items():
        if name not in source["Resources"]:
            resource.pop("Metadata", None)  # SAM gives a function's to what it makes of it
    json.dump(translated, sys.stdout, indent=1)


if __name__ == "__main__":
    main()
