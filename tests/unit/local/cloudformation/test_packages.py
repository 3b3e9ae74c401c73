import io
import zipfile
from copy import deepcopy
from pathlib import Path
from typing import Any

from local.cloudformation.packages import package


def test_packages_are_as_built(tmp_path: Path) -> None:
    for name in ("functions/send/handler.py", "functions/send/__pycache__/x.pyc", "layer/core/__init__.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("")
    (tmp_path / "layer/requirements.txt").write_text("")

    source = {
        "Resources": {
            "Function": {
                "Type": "AWS::Serverless::Function",
                "Metadata": {"BuildProperties": {"ParentPackages": "functions.send"}},
                "Properties": {"CodeUri": "functions/send"},
            },
            "Layer": {"Type": "AWS::Serverless::LayerVersion", "Properties": {"ContentUri": "layer"}},
            "Queue": {"Type": "AWS::SQS::Queue"},
        }
    }
    again = deepcopy(source)
    zips = package(source, tmp_path)
    contents = {key: zipfile.ZipFile(io.BytesIO(content)).namelist() for key, content in zips.items()}
    resources: dict[str, Any] = source["Resources"]
    assert contents[resources["Function"]["Properties"]["CodeUri"]["Key"]] == ["functions/send/handler.py"]
    assert contents[resources["Layer"]["Properties"]["ContentUri"]["Key"]] == ["python/core/__init__.py"]
    assert package(again, tmp_path) == zips
