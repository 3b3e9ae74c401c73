"""docs/doctor.md has every finding and every permission, and advice leads to pages that are there."""

import json
import re
import runpy
from collections.abc import Mapping
from typing import Any

import pytest
from samtranslator.yaml_helper import yaml_parse
from typer.main import get_command

from tests.documents.translations import TRANSLATIONS
from tests.unit.test_docs import DOCS, ROOT, anchors
from tests.unit.wxn.doctor.world import World, resources
from wxn import language
from wxn.app import app
from wxn.doctor import advice
from wxn.doctor.advice import ADVICE, Advice
from wxn.doctor.examination import examine
from wxn.doctor.queues import MAPPINGS

PAGE = (DOCS / "doctor.md").read_text("utf-8")


def test_every_finding_is_documented() -> None:
    rows = re.findall(r"^\| `([a-z-]+)` \| (\w+) \|", PAGE, re.MULTILINE)

    assert dict(rows) == {name: advice.severity.name.lower() for name, advice in ADVICE.items()}
    assert len(rows) == len(ADVICE)


def chinese(monkeypatch: pytest.MonkeyPatch) -> Mapping[str, Advice]:
    """The advice as a process in Chinese has it."""
    monkeypatch.setattr(language, "LANGUAGE", "zh")
    return dict(runpy.run_path(advice.__file__)["ADVICE"])


@pytest.mark.parametrize("name", ADVICE)
def test_advice_leads_to_a_section(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """In both languages to the same one."""
    (path, anchor), (chinese_path, chinese_anchor) = (
        docs.split("#") for docs in (ADVICE[name].docs, chinese(monkeypatch)[name].docs)
    )
    page, chinese_page = ROOT / path, ROOT / chinese_path

    assert chinese_page == TRANSLATIONS.get(page, page)
    assert list(anchors(chinese_page)).index(chinese_anchor) == list(anchors(page)).index(anchor)


def test_both_languages_advise_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """They have the same placeholders and options, and the Chinese is Chinese."""
    in_chinese = chinese(monkeypatch)

    def named(step: str) -> set[str]:
        return set(re.findall(r"{\w+}|--[a-z-]+", step))

    assert {name: named(known.next_step) for name, known in in_chinese.items()} == {
        name: named(known.next_step) for name, known in ADVICE.items()
    }
    assert [
        name for name, known in in_chinese.items() if not re.search(r"[\u4e00-\u9fff]", known.next_step)
    ] == []


def test_policy_is_what_checks_need() -> None:
    world = World()
    examine(world.context())
    (policy,) = re.findall(r"```json\n(.+?)```", PAGE, re.DOTALL)
    granted = {
        action
        for statement in json.loads(policy)["Statement"]
        for action in ([statement["Action"]] if isinstance(statement["Action"], str) else statement["Action"])
    }

    asked = set(world.actions) - {"sts:GetCallerIdentity", "lambda:Invoke"}
    assert granted == asked | {"lambda:InvokeFunction", "execute-api:Invoke"}


def test_resources_are_in_the_template() -> None:
    template = yaml_parse((ROOT / "template.yaml").read_text("utf-8"))["Resources"]
    # SAM names a mapping after its function and its event.
    mappings = {
        f"{name}{event}"
        for name, resource in template.items()
        for event, source in resource["Properties"].get("Events", {}).items()
        if source["Type"] == "SQS"
    }

    assert mappings == MAPPINGS.keys()
    assert {resource["LogicalResourceId"] for resource in resources()} <= template.keys() | mappings


def test_advice_names_commands_that_exist() -> None:
    known: dict[str, Any] = dict(vars(get_command(app))["commands"])
    for group in [command for command in known.values() if hasattr(command, "commands")]:
        known |= {f"{group.name} {name}": command for name, command in group.commands.items()}
    told = " ".join(advice.next_step for advice in ADVICE.values())

    named = re.findall(r"wxn ([a-z]+(?: [a-z]+)?)", told)

    assert named
    assert [words for words in named if not _is_command(words.split(), known)] == []


def _is_command(words: list[str], known: Mapping[str, Any]) -> bool:
    """The first word is a command that has no others, or the first two are one."""
    command = known.get(words[0])
    return command is not None and (not hasattr(command, "commands") or " ".join(words[:2]) in known)
