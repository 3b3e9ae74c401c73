"""Templates as CloudFormation creates them: ``python -m scanners.transform TEMPLATE ... > TEMPLATES.json``.

Those of SAM are transformed, with the defaults of their parameters. It runs in ``.venv``, whose translator
the laptop uses too.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from samtranslator.yaml_helper import yaml_parse

from local.cloudformation.sam import translate
from scanners.excuses import Templates


def transformed(path: Path) -> dict[str, Any]:
    """One template without SAM's own resources."""
    source: dict[str, Any] = yaml_parse(path.read_text("utf-8"))
    if "Transform" not in source:
        return source
    for resource in source["Resources"].values():
        for key in {"CodeUri", "ContentUri"} & resource["Properties"].keys():
            resource["Properties"][key] = "s3://bucket/key"  # SAM transforms packaged templates only
    parameters = {name: str(each["Default"]) for name, each in source["Parameters"].items()}
    translated = translate(source, parameters, "eu-west-1")
    for name, resource in translated["Resources"].items():
        if name not in source["Resources"]:
            resource.pop("Metadata", None)  # SAM gives a function's to what it makes of it
    return translated


def main() -> None:
    """Print the templates as JSON, by their paths."""
    templates: Templates = {path: transformed(Path(path)) for path in sys.argv[1:]}
    json.dump(templates, sys.stdout, indent=1)


if __name__ == "__main__":
    main()
