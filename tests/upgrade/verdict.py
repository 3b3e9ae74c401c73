"""What has to become of work that one release began and another one finished."""

from __future__ import annotations

from typing import Any

EXPECTED = {
    "shop/sent": "sent",
    "shop/delivered": "delivered",
    "shop/receipted": "delivered",  # its receipt was on the queue
    "shop/refused": "failed",
    "shop/lost": "unknown",
    "shop/claimed": "unknown",  # its function ended while WeChat had it
    "shop/queued": "sent",
    "shop/cancelled": "cancelled",
    "shop/plain": "sent",
    "shop/bus": "sent",
    "bank/held": "sent",  # by its caller's repeat, when the hold was over
    "bank/parked": "sent",
}
"""The states of the messages."""
_UNSENT = {"cancelled"}
_REFUSED = {"refused", "held"}
"""WeChat refused these at first, and accepted no more than one."""
_REPEATS = {"refused": {422}, "cancelled": {410}, "lost": {504}, "claimed": {504}}
"""Answers to a caller's repeat, where they are not 200."""


def problems(state: dict[str, Any], result: dict[str, Any]) -> list[str]:
    """What is wrong with a result, in words; nothing where all is well."""
    found = [
        f"{name} is {result['messages'].get(name)} and not {status}"
        for name, status in EXPECTED.items()
        if result["messages"].get(name) != [200, status]
    ]
    rows = [f"row-{number}" for number in range(3)]
    for name in [key.split("/")[1] for key in EXPECTED] + rows + ["weekly"]:
        accepted = result["posts"].get(f"o-{name}", 0) - (
            name in _REFUSED and state["posts"].get(f"o-{name}", 0)
        )
        if accepted != (name not in _UNSENT | {"refused"}):
            found.append(f"{name} was sent {accepted} times")
    for name, status in result["repeats"].items():
        if status not in _REPEATS.get(name, {200}):
            found.append(f"a repeat of {name} is answered {status}")
    broadcast = result["broadcast"]
    if (broadcast.get("state"), broadcast.get("counts", {}).get("sent")) != ("finished", len(rows)):
        found.append(f"the broadcast is {broadcast.get('state')} with {broadcast.get('counts')}")
    if result["holds"].get("holds") != []:
        found.append(f"holds remain: {result['holds']}")
    left = {name: count for name, count in result["queues"].items() if count}
    if left:
        found.append(f"messages remain on queues: {left}")
    found += [f"{name} answers {result[name]}" for name in ("listed", "templates") if result[name] != 200]
    return found
