"""Fakes of all that lies outside of the process, one file for each service.

They keep the rules of the real ones: tests/integration/contracts holds both to the same tests. Those here
stand at the core's protocols, which is all that a unit test needs. Below boto3's clients and below HTTP stand
the fakes of tests/fakes/aws and of tests/simulation.
"""

from tests.fakes.broadcast_store import FakeBroadcastStore
from tests.fakes.clock import START, Clock, highest, lowest
from tests.fakes.consent_store import FakeConsentStore
from tests.fakes.event_bus import FakeBus
from tests.fakes.hashes import FakeHashes, FakeHashKeys, hashes
from tests.fakes.lambda_context import FakeContext
from tests.fakes.ledger_store import FakeLedgerStore
from tests.fakes.messages import OPENID, OTHER_OPENID, api_event, body, load_event, message
from tests.fakes.metrics import Metric, metrics
from tests.fakes.objects import FakeObjects
from tests.fakes.outcomes import ERRCODES, answer, lost, misdirected, unreachable
from tests.fakes.parameter_store import FakeParameterStore
from tests.fakes.queue import FakeQueue
from tests.fakes.refresher import FakeRefresher
from tests.fakes.row_queue import FakeRowQueue
from tests.fakes.service import Core, Service, access_tokens, break_down
from tests.fakes.step_queue import FakeStepQueue
from tests.fakes.wechat import FakeWeChat

__all__ = [
    "ERRCODES",
    "OPENID",
    "OTHER_OPENID",
    "START",
    "Clock",
    "Core",
    "FakeBroadcastStore",
    "FakeBus",
    "FakeConsentStore",
    "FakeContext",
    "FakeHashKeys",
    "FakeHashes",
    "FakeLedgerStore",
    "FakeObjects",
    "FakeParameterStore",
    "FakeQueue",
    "FakeRefresher",
    "FakeRowQueue",
    "FakeStepQueue",
    "FakeWeChat",
    "Metric",
    "Service",
    "access_tokens",
    "answer",
    "api_event",
    "body",
    "break_down",
    "hashes",
    "highest",
    "load_event",
    "lost",
    "lowest",
    "message",
    "metrics",
    "misdirected",
    "unreachable",
]
