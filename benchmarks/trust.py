"""Trust in the benchmark server's certificate, beside whatever a library loads of its own.

A library reads the certificates that it would read in Lambda, which is what a new connection costs with
some of them; the one that it needs here comes on top (about 0.1 ms for each context that is made).
"""

from __future__ import annotations

import importlib.util
import sys
from types import ModuleType
from typing import Any


def trust(ca_file: str) -> None:
    """Trust the authority; where ``ssl`` is not imported yet, as soon as somebody does."""
    if "ssl" in sys.modules:
        _patch(sys.modules["ssl"], ca_file)
    else:
        sys.meta_path.insert(0, _OnImport(ca_file))


class _OnImport:
    """Finds ``ssl`` as the others do, and patches it when it is loaded."""

    def __init__(self, ca_file: str) -> None:
        self._ca_file = ca_file

    def find_spec(self, name: str, _path: Any = None, _target: Any = None) -> Any:
        if name != "ssl":
            return None
        sys.meta_path.remove(self)
        spec: Any = importlib.util.find_spec(name)
        execute = spec.loader.exec_module

        def execute_and_patch(module: ModuleType) -> None:
            execute(module)
            _patch(module, self._ca_file)

        spec.loader.exec_module = execute_and_patch
        return spec


def _patch(ssl: Any, ca_file: str) -> None:
    load = ssl.SSLContext.load_verify_locations
    defaults = ssl.SSLContext.set_default_verify_paths

    def load_verify_locations(context: Any, *args: Any, **named: Any) -> None:
        load(context, *args, **named)
        load(context, ca_file)

    def set_default_verify_paths(context: Any) -> None:
        defaults(context)
        load(context, ca_file)

    ssl.SSLContext.load_verify_locations = load_verify_locations
    ssl.SSLContext.set_default_verify_paths = set_default_verify_paths
