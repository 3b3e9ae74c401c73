import json

import pytest

from tests.unit.wxn.fakes import FakeRun
from wxn.commands.explain import explain
from wxn.errors import CommandError, ExitCode
from wxn.explanations import Explanation, Unknown, data, find


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        (["40164"], ["IP_NOT_IN_WHITELIST"]),
        (["-1"], ["SYSTEM_BUSY"]),
        (["0"], ["OK"]),
        (["ip_not_in_whitelist"], ["IP_NOT_IN_WHITELIST"]),
        (["unknown-hold"], ["unknown-hold"]),
        (["/docs/problems.md#invalid-message"], ["invalid-message"]),
        (["invalid_message"], ["invalid-message"]),
        (["40164,", "43101", "40164"], ["IP_NOT_IN_WHITELIST", "NOT_SUBSCRIBED"]),
        (['{"errcode":43101,"errmsg":"user refuse rid: 40164abc-12345-40001"}'], ["NOT_SUBSCRIBED"]),
        (["errCode: -604101 errMsg: no permission"], ["CLOUD_FUNCTION_NO_PERMISSION"]),
        (["failed", "with", "40001", "at", "2026-11-21T18:00"], ["INVALID_CREDENTIAL"]),
        (["invalid", "ip", "203.0.113.9", "ipv6", "::1,", "not", "in", "whitelist"], ["IP_NOT_IN_WHITELIST"]),
        (["argument invalid! data.thing3.value invalid rid: 43101ab-1"], ["TEMPLATE_PARAM_INVALID"]),
        (["answered", "with", "unknown-upload"], ["unknown-upload"]),
    ],
)
def test_finds_what_is_asked(asked: list[str], found: list[str]) -> None:
    assert [each.name for each in find(asked) if isinstance(each, Explanation)] == found


@pytest.mark.parametrize(
    ("asked", "nearest"),
    [
        ("40126", "40125 INVALID_APPSECRET"),
        ("IP_NOT_IN_WHITELST", "40164 IP_NOT_IN_WHITELIST"),
        ("unkown-hold", "unknown-hold"),
    ],
)
def test_unknown_tells_nearest(asked: str, nearest: str) -> None:
    (found,) = find([asked])

    assert isinstance(found, Unknown)
    assert found.nearest[0] == nearest


def test_every_code_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    codes = list(data()["codes"])
    explain(FakeRun({}), codes)

    out = capsys.readouterr().out
    assert len(codes) > 150
    assert out.count("Meaning: ") == len(codes) == out.count("What to do:")


def test_json_has_both_languages(capsys: pytest.CaptureFixture[str]) -> None:
    explain(FakeRun({}, as_json=True), ["40164", "unknown-hold"])

    code, problem = json.loads(capsys.readouterr().out)["explanations"]
    assert (code["code"], problem["name"]) == (40164, "unknown-hold")
    assert {"en", "zh"} == code["meaning"].keys() == problem["remedy"].keys()


def test_known_and_unknown_together(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(CommandError) as told:
        explain(FakeRun({}), ["40164", "40126"])

    assert told.value.exit_code == ExitCode.FAILED
    assert told.value.message == "Nothing is known of 40126."
    assert "40164 IP_NOT_IN_WHITELIST" in capsys.readouterr().out


def test_unknown_option_is_usage() -> None:
    with pytest.raises(CommandError) as told:
        explain(FakeRun({}), ["40164", "--jsno"])

    assert told.value.exit_code == ExitCode.USAGE
