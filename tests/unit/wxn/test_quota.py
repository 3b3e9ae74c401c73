import pytest

from tests.unit.wxn.fakes import FakeRun
from wxn.commands.quota import quota

KIND = {"kind": "template", "wechat": {"daily_limit": 100000, "used": 4, "remain": 99996}, "sent_today": 3}


def test_quota_with_thousands(capsys: pytest.CaptureFixture[str]) -> None:
    quota(FakeRun({"GET quota": {"counted_all": True, "kinds": [KIND]}}))

    assert capsys.readouterr().out.splitlines()[-1].split() == ["template", "100,000", "4", "99,996", "3"]


def test_quota_that_was_not_counted(capsys: pytest.CaptureFixture[str]) -> None:
    quota(FakeRun({"GET quota": {"counted_all": False, "kinds": [KIND]}}))

    assert "more were sent" in capsys.readouterr().out
