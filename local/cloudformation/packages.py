"""The zips of functions and layers, as the SAM builder makes them."""

from __future__ import annotations

import hashlib
import io
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from local.cloudformation.deployment import Resource, Template

BUCKET: Final = "deployment"


def package(template: Template, root: Path) -> dict[str, bytes]:
    """Zip the code of functions and layers, and point the template at the zips.

    Libraries are not packed: the workers' interpreter has them (``processes.worker_python``).

    Returns
    -------
    dict
        The zips by their key in the deployment bucket.
    """
    zips: dict[str, bytes] = {}
    for resource in template["Resources"].values():
        if resource["Type"] == "AWS::Serverless::Function":
            name, content = "CodeUri", _function_files(resource, root)
        elif resource["Type"] == "AWS::Serverless::LayerVersion":
            name, content = "ContentUri", _layer_files(resource, root)
        else:
            continue
        archive = _zip(content)
        key = hashlib.sha256(archive).hexdigest() + ".zip"
        zips[key] = archive
        resource["Properties"][name] = {"Bucket": BUCKET, "Key": key}
    return zips


def _function_files(resource: Resource, root: Path) -> dict[str, Path]:
    # As the SAM builder lays them out: the code's folder below its parent packages.
    parents = resource.get("Metadata", {}).get("BuildProperties", {}).get("ParentPackages", "")
    folder = root / resource["Properties"]["CodeUri"]
    return {str(Path(*parents.split("."), p.relative_to(folder))): p for p in _sources(folder)}


def _layer_files(resource: Resource, root: Path) -> dict[str, Path]:
    # As the layer's Makefile lays them out: the packages below python/.
    folder = root / resource["Properties"]["ContentUri"]
    packages = [p.parent for p in folder.glob("*/__init__.py")]
    return {str(Path("python", p.relative_to(folder))): p for package in packages for p in _sources(package)}


def _sources(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts:
            yield path


def _zip(files: Mapping[str, Path]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, path in files.items():
            # Without the file's time, so that the same code has the same key.
            archive.writestr(zipfile.ZipInfo(name), path.read_bytes())
    return buffer.getvalue()
