"""Trust in the benchmark server's certificate, beside whatever a library loads of its own.

A library reads the certificates that it would read in Lambda, which is what a new connection costs with
some of them; the one that it needs here comes on top (about 0.1 ms for each context that is made).
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any


def trust(ca_file: str) -> None:
    """Trust the authority; where ``ssl`` is not imported yet, as soon as somebody does."""
    if "ssl" in sys.modules:
        _patch(sys.modules["ssl"], ca_file)
    else:
        sys.meta_path.insert(0, _OnImport(lambda module: _patch(module, ca_file)))


class _OnImport:
    """Finds ``ssl`` as the others do, and has a word with it when it is loaded."""

    def __init__(self, then: Callable[[ModuleType], None]) -> None:
        self._then = then

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        if name != "ssl":
            return None
        sys.meta_path.remove(self)
        for finder in sys.meta_path:
            spec = finder.find_spec(name, path, target)
            if spec and spec.loader:
                execute = spec.loader.exec_module

                def load(module: ModuleType, execute: Callable[[ModuleType], None] = execute) -> None:
                    execute(module)
                    self._then(module)

                spec.loader.exec_module = load  # type: ignore[method-assign]
                return spec
        return None


def _patch(ssl: Any, ca_file: str) -> None:
    load = ssl.SSLContext.load_verify_locations
    defaults = ssl.SSLContext.set_default_verify_paths

    def load_verify_locations(
        context: Any, cafile: Any = None, capath: Any = None, cadata: Any = None
    ) -> None:
        load(context, cafile, capath, cadata)
        load(context, ca_file)

    def set_default_verify_paths(context: Any) -> None:
        defaults(context)
        load(context, ca_file)

    ssl.SSLContext.load_verify_locations = load_verify_locations
    ssl.SSLContext.set_default_verify_paths = set_default_verify_paths
