"""Bugs to be put into the service one at a time, each of which the oracle must catch.

A simulation that finds nothing proves little until it has been seen to find something. Every bug here is
one that somebody could write, or has written: most are known from other senders or from AWS's own traps.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from tests.simulation.planted_bugs import attempts, aws, circuits, ledger, queue, tokens, wechat
from tests.simulation.planted_bugs.bug import Bug, Patch

__all__ = ["BUGS", "Bug", "plant"]

BUGS = (
    *ledger.BUGS,
    *queue.BUGS,
    *tokens.BUGS,
    *circuits.BUGS,
    *attempts.BUGS,
    *aws.BUGS,
    *wechat.BUGS,
)


@contextmanager
def plant(name: str) -> Iterator[None]:
    """Have the bug of this name for a while."""
    (bug,) = [bug for bug in BUGS if bug.name == name]
    undo: list[Patch] = []
    for owner, attribute, value in bug.patches():
        undo.append((owner, attribute, owner.__dict__[attribute]))
        setattr(owner, attribute, value)
    try:
        yield
    finally:
        for owner, attribute, value in undo:
            setattr(owner, attribute, value)
