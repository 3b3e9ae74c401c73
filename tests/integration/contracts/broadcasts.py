"""Broadcasts with all their fields, and the services that they stand on: fakes and adapters."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests import fakes
from wechat_notify.core.broadcasts.broadcast import (
    AccountPace,
    Broadcast,
    Chunk,
    Lease,
    Release,
    State,
    WaitsFor,
)
from wechat_notify.core.broadcasts.counts import Counts, ErrcodeCount
from wechat_notify.core.broadcasts.ports import BroadcastStore
from wechat_notify.core.texts import Bilingual

START = fakes.START
COUNTS = Counts(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, (ErrcodeCount(43101, 3), ErrcodeCount(-1, 2)))
MINIMAL = Broadcast("shop", "plain", State.CHECKING, "f" * 32, "writer", START, START)
BROADCAST = Broadcast(
    "shop",
    "spring-sale",
    State.RUNNING,
    "0" * 32,
    "first writer",
    START,
    START + 1.5,
    name="春季促销 🌷",
    dry_run=True,
    source="shop/uploads/1",
    etag='"etag"',
    size=2**40,
    spec="request",
    check="check",
    repeated_ids="repeated",
    repeated_openids="duplicates",
    selection="selection",
    retry_of="another",
    retried="failures",
    include_unknown=True,
    step=7,
    next_step_at=START + 60.125,
    announcement="broadcast.paused",
    reason="too_many_failures",
    problem=Bilingual("too many", "过多"),
    rows=10**7,
    invalid=3,
    duplicates=2,
    offset=2**33,
    next_row=5,
    released=True,
    chunks=4,
    open_chunks=(1, 3),
    releasing=Release("rows", 10, 9, 100, 6, START + 0.25, 60.0),
    next_release_at=START + 61.0,
    waits_for=WaitsFor.WINDOW,
    rate=33.333,
    totals=COUNTS,
    judged_before=100,
    failures_before=20,
    started_at=START + 1.0,
    cancelled_at=START + 2.0,
    finished_at=START + 3.0,
    expires_at=START + 4.0,
    result_sections=("a", "b"),
    failure_sections=("c",),
    results="results",
    failures="failures",
)
CHUNK = Chunk(
    "shop",
    "spring-sale",
    3,
    "writer",
    "manifest",
    10,
    9,
    START + 60.0,
    START + 63.0,
    looked_at=START + 64.5,
    counts=COUNTS,
    settled=True,
    part="part",
    failures="failures",
)
PACE = AccountPace("shop", 1, "writer", (Lease("a", 33.333, START + 60.0), Lease("b", 0.5, START + 900.0)))

STORE_CALLS: dict[str, Callable[[BroadcastStore], Any]] = {
    "put": lambda store: store.put(BROADCAST),
    "read": lambda store: store.read("shop", "spring-sale"),
    "list_page": lambda store: store.list_page("shop", cursor=None, limit=5),
    "put_chunk": lambda store: store.put_chunk(CHUNK),
    "read_chunks": lambda store: store.read_chunks("shop", "spring-sale", [1]),
    "read_pace": lambda store: store.read_pace("shop"),
    "put_pace": lambda store: store.put_pace(PACE),
}
