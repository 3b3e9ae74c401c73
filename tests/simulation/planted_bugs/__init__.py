"""Bugs to be put into the service one at a time, each of which the oracle must catch.

A simulation that finds nothing proves little until it has been seen to find something. Every bug here is
one that somebody could write, or has written: most are known from other senders or from AWS's own traps.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.simulation.planted_bugs import attempts, aws, circuits, ledger, queue, tokens, wechat
from tests.simulation.planted_bugs.bug import Bug

__all__ = ["BUGS", "Bug", "plant"]

BUGS = {
    name: bug
    for area in (ledger, queue, tokens, circuits, attempts, aws, wechat)
    for name, bug in vars(area).items()
    if isinstance(bug, Bug)
}


@contextmanager
def plant(name: str) -> Iterator[None]:
    """Have the bug of this name for a while."""
    with pytest.MonkeyPatch.context() as patch:
        for owner, attribute, value in BUGS[name].patches():
            patch.setattr(owner, attribute, value)
        yield
