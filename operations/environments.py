"""The environments of ``samconfig.toml``: their settings, and the template's parameters in them."""

from __future__ import annotations

import re
import shlex
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

_MAX_STACK_NAME: Final = 64
"""https://docs.aws.amazon.com/scheduler/latest/APIReference/API_CreateScheduleGroup.html"""


class PreflightError(Exception):
    """The deployment cannot work; the text says what to do."""


def environment(name: str, config: Path) -> dict[str, Any]:
    """The settings of one environment of ``samconfig.toml``; raises ``PreflightError``."""
    try:
        parsed = tomllib.loads(config.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise PreflightError(f"{config.name} cannot be read, correct it: {error}") from None
    known = {key: value for key, value in parsed.items() if isinstance(value, dict)}
    if name not in known:
        raise PreflightError(
            f"ENV={name} is not in {config.name}: take one of {', '.join(known)}, or add it there."
        )
    merged: dict[str, Any] = {}
    for command in ("global", "deploy"):
        merged |= known[name].get(command, {}).get("parameters", {})
    stack_name = merged.get("stack_name", "")
    if not 1 <= len(stack_name) <= _MAX_STACK_NAME:
        raise PreflightError(
            f"ENV={name} needs a stack_name of 1 to {_MAX_STACK_NAME} characters in {config.name}: the "
            "schedule group has the same name, and may not be longer."
        )
    return merged


def overrides(settings: Mapping[str, Any]) -> dict[str, str]:
    """The template's parameters that an environment gives, by their names."""
    given = settings.get("parameter_overrides", [])
    pairs = shlex.split(given) if isinstance(given, str) else given
    return {name: value.strip("'\"") for name, _, value in (pair.partition("=") for pair in pairs)}


def template_parameters(settings: Mapping[str, Any], template: str) -> dict[str, str]:
    """The values of the template's parameters in an environment: its overrides over the defaults.

    Parameters
    ----------
    settings
        The settings of the environment, of ``environment``.
    template
        The text of the template; of its parameters those with a default on a line of their own are read.
    """
    section = template.partition("\nParameters:\n")[2].partition("\nRules:\n")[0]
    found = dict(re.findall(r'^  (\w+):\n(?:    .*\n)*?    Default: "?([^"\n]*)"?$', section, re.MULTILINE))
    return found | overrides(settings)
