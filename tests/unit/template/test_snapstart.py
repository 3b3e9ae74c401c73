"""The template that ``make deploy SNAPSTART=on`` deploys."""

import json
import re
from functools import partial
from pathlib import Path

import pytest
from samtranslator.yaml_helper import yaml_parse

from functions.send_api.handler import ROUTES
from operations.snapstart import SENDERS, main, with_snapshots
from tests.unit.template.conftest import FUNCTIONS, ROOT, TEMPLATE, Stack


def test_no_version_without_snapshots(stack: Stack) -> None:
    assert not stack.of_type("AWS::Lambda::Version")
    assert not stack.of_type("AWS::Lambda::Alias")
    assert not any("SnapStart" in node for node in stack.of_type("AWS::Lambda::Function").values())


def snapshotted(deployment: str = "first") -> Stack:
    return Stack(partial(with_snapshots, deployment=deployment))


def test_only_senders_have_snapshots() -> None:
    """They are invoked by their alias."""
    stack = snapshotted()
    made = {name for name in FUNCTIONS if stack[name].get("SnapStart") == {"ApplyOn": "PublishedVersions"}}
    assert made == {name for name in FUNCTIONS if "SnapStart" in stack[name]} == set(SENDERS)
    mappings = stack.of_type("AWS::Lambda::EventSourceMapping").values()
    assert {mapping["FunctionName"] for mapping in mappings} == {
        "<SendQueueFunctionAliaslive>",
        "<SendBroadcastFunctionAliaslive>",
        "<BroadcastFunction>",
        "<CallbackEventsFunction>",
    }
    uris = re.findall(r"functions/([^/]+)/invocations", json.dumps(stack["HttpApi"]["Body"]))
    assert uris.count("<SendApiFunctionAliaslive>") == len(ROUTES)
    assert set(uris) == {"<SendApiFunctionAliaslive>", "<TeamApiFunction.Arn>", "<CallbackFunction.Arn>"}


def test_each_deployment_has_its_versions() -> None:
    first, second = snapshotted("first"), snapshotted("second")
    versions = [set(stack.of_type("AWS::Lambda::Version")) for stack in (first, second)]
    assert [len(names) for names in versions] == [3, 3]
    assert not versions[0] & versions[1]
    assert first.of_type("AWS::Lambda::Alias").keys() == second.of_type("AWS::Lambda::Alias").keys()


def test_built_template_is_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "template.yaml"
    deployments = []
    for _ in range(2):
        path.write_text(TEMPLATE, "utf-8")
        monkeypatch.setattr("sys.argv", ["snapstart.py", str(path)])
        main()
        found = yaml_parse(path.read_text("utf-8"))
        deployments.append(found["Resources"]["SendApiFunction"]["Properties"]["AutoPublishCodeSha256"])
        assert found == with_snapshots(yaml_parse(TEMPLATE), deployments[-1])
    assert deployments[0] != deployments[1]
    makefile = (ROOT / "build.mk").read_text("utf-8")
    assert "SNAPSTART ?= off\n" in makefile
    assert makefile.index("operations/snapstart.py") < makefile.index("$(SAM) deploy")
