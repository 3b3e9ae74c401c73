import os
from pathlib import Path

from local.processes import _link_boto3


def test_layers_libraries_go_before_the_runtimes(tmp_path: Path) -> None:
    (tmp_path / "urllib3-1.0.dist-info").mkdir()
    (tmp_path / "urllib3-1.0.dist-info/METADATA").write_text("Name: urllib3\nVersion: 1.0\n")
    _link_boto3(tmp_path)
    linked = {path.name for path in tmp_path.iterdir()}
    assert {"boto3", "botocore", "jmespath", "s3transfer", "six.py"} <= linked
    assert "urllib3" not in linked
    assert not [folder for folder, _, _ in os.walk(tmp_path) if folder.endswith("__pycache__")]
