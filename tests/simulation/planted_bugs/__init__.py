"""Bugs to be put into the service one at a time, each of which the oracle must catch.

A simulation that finds nothing proves little until it has been seen to find something. Every bug here is
one that somebody could write, or has written: most are known from other senders or from AWS's own traps.
"""

from __future__ import annotations

from contextlib import AbstractContextManager

from tests.simulation.planted_bugs import attempts, aws, circuits, ledger, queue, tokens, wechat
from tests.simulation.planted_bugs.bug import Bug

__all__ = ["BUGS", "Bug", "plant"]

BUGS = {
    name: bug
    for area in (ledger, queue, tokens, circuits, attempts, aws, wechat)
    for name, bug in vars(area).items()
    if isinstance(bug, Bug)
}


def plant(name: str) -> AbstractContextManager[None]:
    """Have the bug of this name for a while."""
    return BUGS[name].planted()
