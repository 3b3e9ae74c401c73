import pytest

from local.processes import LocalStackError
from local.settings import Settings


def test_settings_without_an_environment() -> None:
    settings = Settings.from_environment({})
    assert (settings.emulator_port, settings.simulator_port) == (4566, 8066)
    assert settings.wechat_api_base is None
    assert not settings.fresh


def test_settings_from_the_environment() -> None:
    settings = Settings.from_environment(
        {
            "EMULATOR_PORT": "0",
            "SIMULATOR_PORT": "65535",
            "WECHAT_API_BASE": "https://api.weixin.qq.com/",
            "WECHAT_APP_ID": "wx1",
            "WECHAT_APP_SECRET": "s",
            "FRESH": "1",
        }
    )
    assert settings == Settings(0, 65535, "https://api.weixin.qq.com", "wx1", "s", fresh=True)


@pytest.mark.parametrize("value", ["-1", "65536", "1.5", "²"])
def test_wrong_port_is_told(value: str) -> None:
    with pytest.raises(LocalStackError, match=f"SIMULATOR_PORT={value}"):
        Settings.from_environment({"SIMULATOR_PORT": value})


@pytest.mark.parametrize("value", ["ftp://127.0.0.1", "http://", "http://127.0.0.1?x", "127.0.0.1:80"])
def test_wrong_address_is_told(value: str) -> None:
    with pytest.raises(LocalStackError, match="WECHAT_API_BASE"):
        Settings.from_environment({"WECHAT_API_BASE": value})
