"""Refuse a layer that holds something Lambda cannot load.

A wheel for the wrong platform installs without a word and fails at the first import in the cloud. So
every installed wheel's ``Tag:`` and the header of every ELF file are compared with the platform that the
layer is for, and boto3 is refused: the runtime has it, and it would triple the layer.

``python3 check_wheels.py FOLDER PLATFORM [PACKAGE ...]``, the platform as in ``aarch64-manylinux_2_28``, the
packages those of this project that the layer is to hold.
"""

import re
import struct
import sys
from collections.abc import Sequence
from pathlib import Path

# e_machine of the ELF header: https://refspecs.linuxfoundation.org/elf/gabi4+/ch4.eheader.html
ELF_MACHINES = {"aarch64": 183, "x86_64": 62}
FROM_THE_RUNTIME = ("boto3", "botocore", "s3transfer")
# manylinux2014 and its elders are names for glibc versions: https://peps.python.org/pep-0600/
LEGACY_GLIBC = {"manylinux1": (2, 5), "manylinux2010": (2, 12), "manylinux2014": (2, 17)}


def platform_fits(tag: str, machine: str, glibc: tuple[int, int]) -> bool:
    """Return whether Lambda can load a wheel of this tag, such as ``cp313-cp313-manylinux_2_17_aarch64``."""
    platform = tag.rsplit("-", 1)[-1]
    if platform == "any":
        return True
    if match := re.fullmatch(r"manylinux_(\d+)_(\d+)_(\w+)", platform):
        return match[3] == machine and (int(match[1]), int(match[2])) <= glibc
    legacy, _, built_for = platform.partition("_")
    return legacy in LEGACY_GLIBC and built_for == machine and LEGACY_GLIBC[legacy] <= glibc


def elf_machine(path: Path) -> int | None:
    """The machine number of an ELF file; None for any other file."""
    with path.open("rb") as file:
        head = file.read(20)
    if len(head) < 20 or not head.startswith(b"\x7fELF"):  # noqa: PLR2004 - e_machine ends at byte 20
        return None
    return int(struct.unpack_from("<H", head, 18)[0])


def problems(folder: Path, platform: str, packages: Sequence[str] = ()) -> list[str]:
    """The reasons that keep the folder from being a layer for the platform, one sentence each."""
    machine, _, manylinux = platform.partition("-")
    _, major, minor = manylinux.split("_")
    glibc = (int(major), int(minor))
    found = [f"{name} comes with the runtime" for name in FROM_THE_RUNTIME if (folder / name).exists()]

    wheels = sorted(folder.glob("*.dist-info/WHEEL"))
    if not wheels:
        found.append("no installed wheel found")
    for wheel in wheels:
        tags = re.findall(r"^Tag: *(\S+)", wheel.read_text("utf-8"), re.MULTILINE)
        if not any(platform_fits(tag, machine, glibc) for tag in tags):
            found.append(f"{wheel.parent.name} is built for {', '.join(tags) or 'nothing'}")

    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    elves = {path: number for path in files if (number := elf_machine(path)) is not None}
    if not elves:
        found.append("no compiled module found, and each layer has one")
    found += [
        f"{path.relative_to(folder)} is for ELF machine {number}"
        for path, number in elves.items()
        if number != ELF_MACHINES[machine]
    ]

    missing = [name for name in packages if not (folder / name / "__init__.py").is_file()]
    return found + [f"the {name} package is missing" for name in missing]


def main() -> int:
    """Say what was found; the exit status is 1 where the layer must not be deployed."""
    folder, platform, *packages = Path(sys.argv[1]), *sys.argv[2:]
    found = problems(folder, platform, packages)
    for problem in found:
        sys.stderr.write(f"{platform}: {problem}\n")
    if not found:
        megabytes = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 1e6
        sys.stdout.write(f"{platform}: every wheel and compiled module fits, {megabytes:.1f} MB\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
