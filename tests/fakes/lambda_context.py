"""Lambda's context of an invocation."""

from __future__ import annotations


class FakeContext:
    """What Lambda tells an invocation about itself."""

    aws_request_id = "c6af9ac6-7b61-4c9d-8d6e-1f2a3b4c5d6e"
    function_name = "function"

    def __init__(self, seconds_left: float = 60.0) -> None:
        self.seconds_left = seconds_left

    def get_remaining_time_in_millis(self) -> int:
        return int(self.seconds_left * 1000)
