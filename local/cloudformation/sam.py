from __future__ import annotations

import json
from collections.abc import Mapping
from types import SimpleNamespace

from local.cloudformation.deployment import Template


def translate(template: Template, parameters: Mapping[str, str], region: str) -> Template:
    """SAM to CloudFormation, by the translator that AWS runs."""
    from samtranslator.parser.parser import Parser  # noqa: PLC0415
    from samtranslator.translator.translator import Translator  # noqa: PLC0415

    # Managed policies would be looked up by name here; the template has its own policies.
    # All that it asks of the session is the region.
    translator = Translator({}, Parser(), boto_session=SimpleNamespace(region_name=region))
    translated: Template = translator.translate(template, parameter_values=dict(parameters))
    return json.loads(json.dumps(translated))  # type: ignore[no-any-return] # without the translator's string classes
