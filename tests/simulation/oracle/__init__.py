"""The judge: WeChat's own log of acceptances against what was asked for and what the ledger says.

Nothing here knows how the service works, only what it promises; ``BROKEN`` in a report is one sentence for
each promise that was not kept.
"""

from __future__ import annotations

from tests.simulation.oracle.evidence import Report
from tests.simulation.oracle.run import run

__all__ = ["Report", "run"]
