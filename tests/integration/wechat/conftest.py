from __future__ import annotations

import socket

import pytest


@pytest.fixture
def nobody() -> tuple[str, int]:
    """An address where nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return ("127.0.0.1", int(listener.getsockname()[1]))
