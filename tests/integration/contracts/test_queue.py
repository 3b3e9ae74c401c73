"""A queue: the fake, and SQS. The emulator is held to it in tests/e2e."""

import pytest

from tests.integration.contracts.samples import QueueAt
from wechat_notify.core.errors import StorageError
from wechat_notify.core.queue_messages import DelayedMessage


class TestQueue:
    """What SQS promises; tests/e2e holds the emulator to it too."""

    def test_body_is_kept_with_its_attributes(self, queue: QueueAt) -> None:
        queue.queue.send('{"a": 1}', reason="not JSON", message_id="")
        queue.queue.send("plain")
        assert sorted(queue.messages()) == [("plain", {}), ('{"a": 1}', {"reason": "not JSON"})]

    def test_message_belongs_to_its_group(self, queue: QueueAt) -> None:
        queue.queue.send("first", group="shop")
        queue.queue.send("second")
        failed = queue.queue.send_delayed([DelayedMessage("third", 0, "shop-2"), DelayedMessage("fourth", 0)])
        assert failed == []
        assert queue.groups() == {"first": "shop", "second": None, "third": "shop-2", "fourth": None}

    def test_delayed_messages_are_hidden(self, queue: QueueAt) -> None:
        items = [
            DelayedMessage("now", 0, "shop", {"message_id": "1-2", "empty": ""}),
            DelayedMessage("soon", 30),
            DelayedMessage("late", 900),
        ]
        assert queue.queue.send_delayed(items) == []
        assert queue.messages() == [("now", {"message_id": "1-2"})]
        assert queue.hidden() == 2

    def test_invalid_delay_fails_alone(self, queue: QueueAt) -> None:
        items = [DelayedMessage("first", 900), DelayedMessage("second", 901), DelayedMessage("third", 60)]
        assert queue.queue.send_delayed(items) == [1]
        assert queue.hidden() == 2

    def test_many_delayed_messages_are_kept(self, queue: QueueAt) -> None:
        assert queue.queue.send_delayed([]) == []
        assert queue.queue.send_delayed([DelayedMessage(f"body {number}", 60) for number in range(23)]) == []
        assert queue.hidden() == 23

    def test_visibility_timeout_has_a_maximum(self, queue: QueueAt) -> None:
        handle = queue.receipt_handle()
        queue.queue.change_visibility(handle, 11.5 * 3600)
        with pytest.raises(StorageError) as raised:
            queue.queue.change_visibility(handle, 43_201)
        assert raised.value.code == "InvalidParameterValue"
