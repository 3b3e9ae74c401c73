"""The layer's wheels must be of its platform."""

import struct
from pathlib import Path

import pytest

import check_wheels

ARM = "aarch64-manylinux_2_28"
WHEEL = "compiled-1.dist-info/WHEEL"


@pytest.fixture
def layer(tmp_path: Path) -> Path:
    tags = "Tag: cp313-cp313-manylinux_2_17_aarch64\nTag: cp313-cp313-manylinux2014_aarch64\n"
    files = {
        "wechat_notify/__init__.py": b"",
        WHEEL: f"Wheel-Version: 1.0\n{tags}".encode(),
        "compiled.so": b"\x7fELF".ljust(18, b"\0") + struct.pack("<H", 183),
        "pure-1.dist-info/WHEEL": b"Tag: py3-none-any\n",
    }
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(content)
    return tmp_path


def test_wheels_of_the_platform_are_accepted(layer: Path) -> None:
    assert check_wheels.problems(layer, ARM, ["wechat_notify"]) == []


def test_other_architectures_are_refused(layer: Path) -> None:
    """By tag and by content."""
    tag, content = check_wheels.problems(layer, "x86_64-manylinux_2_28")
    assert tag.startswith("compiled-1.dist-info is built for cp313-cp313-manylinux_2_17_aarch64")
    assert content == "compiled.so is for ELF machine 183"


@pytest.mark.parametrize(
    "tag", ["musllinux_1_2_aarch64", "manylinux_2_39_aarch64", "macosx_11_0_arm64", "linux_aarch64"]
)
def test_wheels_amazon_linux_cannot_load(layer: Path, tag: str) -> None:
    (layer / WHEEL).write_text(f"Tag: cp313-cp313-{tag}\n", "utf-8")
    assert check_wheels.problems(layer, ARM)


def test_boto3_is_left_to_the_runtime(layer: Path) -> None:
    (layer / "botocore").mkdir()
    assert check_wheels.problems(layer, ARM) == ["botocore comes with the runtime"]


def test_empty_layer_is_refused(tmp_path: Path) -> None:
    assert len(check_wheels.problems(tmp_path, ARM, ["wechat_notify"])) == 3
