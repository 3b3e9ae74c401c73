"""detect-secrets on every file of the repository: ``python -m scanners.secrets [--renew]``.

What is known to be none is in ``.secrets.baseline``, as hashes. ``--renew`` writes that anew: look at what
``git diff`` shows before it is committed.
"""

from __future__ import annotations

import hashlib
import subprocess  # nosec B404 # git alone
import sys
import tempfile
from pathlib import Path
from typing import Final

from detect_secrets import SecretsCollection
from detect_secrets.core import baseline
from detect_secrets.settings import transient_settings

_BASELINE: Final = Path(".secrets.baseline")
_PLUGINS: Final = (
    {"name": "AWSKeyDetector"},
    {"name": "Base64HighEntropyString", "limit": 4.5},
    {"name": "BasicAuthDetector"},
    {"name": "GitHubTokenDetector"},
    {"name": "HexHighEntropyString", "limit": 3.0},  # WeChat's secrets and keys
    {"name": "JwtTokenDetector"},
    {"name": "KeywordDetector"},
    {"name": "PrivateKeyDetector"},
)
"""Those of services that nothing here uses are left out: each costs a second and a half."""
_FILTERS: Final = (
    "allowlist.is_line_allowlisted",
    "heuristic.is_likely_id_string",
    "heuristic.is_not_alphanumeric_string",
    "heuristic.is_potential_uuid",
    "heuristic.is_prefixed_with_dollar_sign",
    "heuristic.is_sequential_string",
    "heuristic.is_templated_secret",
)
"""Without ``is_indirect_reference``: it takes half as long as all the rest, and passes over secrets on lines
that have a call or an index as well."""
_SETTINGS: Final = {
    "plugins_used": list(_PLUGINS),
    "filters_used": [
        # Of locked packages: public, and checked against the index. First, since they are many.
        {"path": "detect_secrets.filters.regex.should_exclude_line", "pattern": ["--hash=sha256:"]},
        *({"path": f"detect_secrets.filters.{name}"} for name in _FILTERS),
    ],
}
_NO_TEXT: Final = (".png", ".ico", ".min.js")


def tracked() -> list[str]:
    """The files of the repository, but for pictures, the page of others' code and the baseline itself."""
    listed = subprocess.run(  # nosec B603, B607 # a fixed command
        ["git", "ls-files"],  # noqa: S607 - found by the PATH of who runs it
        check=True,
        capture_output=True,
        text=True,
    )
    return [
        name
        for name in listed.stdout.splitlines()
        if Path(name).is_file() and not name.endswith(_NO_TEXT) and name != str(_BASELINE)
    ]


def scan(names: list[str]) -> SecretsCollection:
    """What may be secrets in files."""
    found = SecretsCollection()
    for name in names:
        found.scan_file(name)
    return found


def finds_a_planted_one() -> bool:
    """True where a scan finds an app secret as WeChat gives them."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "settings.py")
        path.write_text(f'app_secret = "{hashlib.sha256(b"planted").hexdigest()[:32]}"\n', encoding="utf-8")
        return bool(scan([str(path)]))


def main() -> None:
    """Scan, and renew the baseline or tell what is not in it."""
    with transient_settings(_SETTINGS):
        found = scan(tracked())
        if not finds_a_planted_one():
            raise SystemExit("detect-secrets does not find an app secret that is planted")
        if "--renew" in sys.argv[1:]:
            baseline.save_to_file(found, str(_BASELINE))
            return
        known = baseline.load(baseline.load_from_file(str(_BASELINE)), filename=str(_BASELINE))
        new = [
            f"{name}:{secret.line_number}: {secret.type}"
            for name, secret in found
            if secret not in known[name]
        ]
    if new:
        raise SystemExit(
            "\n".join(
                [*sorted(new), "A secret goes; what is none: make secrets, and commit .secrets.baseline"]
            )
        )


if __name__ == "__main__":
    main()
