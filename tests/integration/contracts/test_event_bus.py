"""The event bus: the fake, and EventBridge. The emulator is held to it in tests/e2e."""

import pytest

from tests.integration.contracts.samples import BusAt
from wechat_notify.core.outcomes import DomainEvent


class TestBus:
    """What EventBridge promises; tests/e2e holds the emulator to it too."""

    @pytest.mark.parametrize("count", [0, 23])
    def test_what_is_published_arrives(self, bus: BusAt, count: int) -> None:
        events = [
            DomainEvent("circuit.opened", {"account": "shop", "number": number, "text": "额度 🌙"})
            for number in range(count)
        ]
        assert bus.bus.publish(events) == 0
        assert bus.arrived() == events
