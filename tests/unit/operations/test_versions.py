"""The built template with one version of each function for each deployment."""

import json
from copy import deepcopy
from functools import partial
from pathlib import Path

import pytest

from operations import versions
from tests.unit.template.conftest import FUNCTIONS, SOURCE, Node, Stack

CONFIG = """
[prod.global.parameters]
stack_name = "s"
[prod.deploy.parameters]
parameter_overrides = ["Stage=prod"]
"""


@pytest.fixture
def built(tmp_path: Path) -> Path:
    """What ``sam build`` leaves: a template, and each function's and layer's folder beside it."""
    # The rest plays no part, and takes a second to parse.
    packed = {
        n: r for n, r in SOURCE["Resources"].items() if {"CodeUri", "ContentUri"} & r["Properties"].keys()
    }
    template: Node = deepcopy({**SOURCE, "Resources": packed})
    for name, resource in template["Resources"].items():
        for key in {"CodeUri", "ContentUri"} & resource["Properties"].keys():
            resource["Properties"][key] = name
            (tmp_path / name).mkdir()
            (tmp_path / name / "handler.py").write_text("code", "utf-8")
    (tmp_path / "template.yaml").write_text(json.dumps(template), "utf-8")
    (tmp_path / "samconfig.toml").write_text(CONFIG, "utf-8")
    return tmp_path


def deploy(built: Path) -> str:
    """The digest of a deployment; the template is left as it was built."""
    path = built / "template.yaml"
    before = path.read_text("utf-8")
    assert versions.main(["--env", "prod", "--config", str(built / "samconfig.toml"), str(path)]) == 0
    resources = json.loads(path.read_text("utf-8"))["Resources"]
    functions = [resources[name]["Properties"] for name in FUNCTIONS]
    path.write_text(before, "utf-8")
    (deployment,) = {function["AutoPublishCodeSha256"] for function in functions}
    assert all(function["Description"].endswith(f" [{deployment[:12]}]") for function in functions)
    return str(deployment)


def change(built: Path, name: str, old: str, new: str) -> None:
    text = (built / name).read_text("utf-8")
    assert old in text
    (built / name).write_text(text.replace(old, new), "utf-8")


def test_same_again_changes_nothing(built: Path) -> None:
    first = deploy(built)
    (built / "LayerArm64" / "__pycache__").mkdir()
    (built / "LayerArm64" / "__pycache__" / "handler.pyc").write_bytes(b"later")
    assert deploy(built) == first


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("LayerX8664/handler.py", "code", "another"),
        ("SendQueueFunction/handler.py", "code", "another"),
        ("samconfig.toml", "Stage=prod", "Stage=prod LogLevel=DEBUG"),
        ("template.yaml", '"MemorySize": 768', '"MemorySize": 1024'),
    ],
    ids=["layer", "function", "parameter", "template"],
)
def test_any_change_has_its_versions(built: Path, name: str, old: str, new: str) -> None:
    """A layer behind an ``If`` and a parameter are what SAM itself does not see."""
    first = deploy(built)
    change(built, name, old, new)
    assert deploy(built) != first


def test_each_deployment_replaces_every_version() -> None:
    first, second = (Stack(partial(versions.with_versions, deployment=each * 64)) for each in "ab")
    published = [stack.of_type("AWS::Lambda::Version") for stack in (first, second)]
    assert [len(each) for each in published] == [len(FUNCTIONS)] * 2
    assert not published[0].keys() & published[1].keys()
    assert first.of_type("AWS::Lambda::Alias").keys() == second.of_type("AWS::Lambda::Alias").keys()
    assert all(first.resources[name].get("DeletionPolicy") == "Delete" for name in published[0])
    # Lambda publishes no version of what has not changed.
    assert all(first[name]["Description"] != second[name]["Description"] for name in FUNCTIONS)
    assert all(len(first[name]["Description"]) <= 256 for name in FUNCTIONS)


def test_unknown_environment_is_told(built: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--env", "moon", "--config", str(built / "samconfig.toml"), str(built / "template.yaml")]
    assert versions.main(arguments) == 1
    assert "ENV=moon is not in samconfig.toml" in capsys.readouterr().err
