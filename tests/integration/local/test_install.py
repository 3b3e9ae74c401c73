"""Real pip, with packages from a folder or from an index that does not answer."""

import hashlib
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from local.install import InstallError, install
from local.processes import ROOT


@pytest.fixture
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty virtual environment; pip knows nothing of this machine's configuration."""
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.delenv("PIP_FIND_LINKS", raising=False)
    folder = tmp_path / "environment"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)  # noqa: S603
    return folder


def pip(environment: Path) -> list[str]:
    return [sys.executable, "-m", "pip", "--python", str(environment / "bin/python")]


def lock_of_a_wheel(folder: Path) -> Path:
    """The lock of a package that stands in the folder."""
    wheel = folder / "tiny_package-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as file:
        file.writestr("tiny_package.py", "")
        file.writestr(
            "tiny_package-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: tiny-package\nVersion: 1.0\n"
        )
        file.writestr(
            "tiny_package-1.0.dist-info/WHEEL",
            "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        )
        file.writestr("tiny_package-1.0.dist-info/RECORD", "")
    lock = folder / "lock.txt"
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    lock.write_text(f"tiny-package==1.0 \\\n    --hash=sha256:{digest}\n")
    return lock


def test_lock_is_installed(environment: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    install(pip(environment), lock_of_a_wheel(tmp_path), name="it")
    (installed,) = environment.glob("lib/python*/site-packages/tiny_package.py")
    assert not (installed.parent / "__pycache__").exists()


def installing(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "local.install", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)  # noqa: S603


def test_environment_is_made(environment: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It says what it does; what was there before is gone."""
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    (environment / "old").touch()
    done = installing(environment, lock_of_a_wheel(tmp_path))
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("Installing 1 packages into ")
    assert not (environment / "old").exists()
    command = [str(environment / "bin/python"), "-c", "import tiny_package"]
    subprocess.run(command, check=True)  # noqa: S603


def test_no_network_is_one_sentence(
    environment: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:1/simple")
    done = installing(environment, lock_of_a_wheel(tmp_path))
    assert done.returncode == 1
    assert done.stderr.startswith("No Python package index answers")
    assert len(done.stderr.splitlines()) == 1


def test_pips_reason_is_told(environment: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    lock = lock_of_a_wheel(tmp_path)
    lock.write_text(f"{lock.read_text()}absent==1.0 --hash=sha256:{'0' * 64}\n")
    with pytest.raises(InstallError, match=r"(?s)it could not be installed:.*absent==1\.0"):
        install(pip(environment), lock, name="it")
