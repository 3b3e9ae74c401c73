"""Each message: whether somebody asked for it, and whether its entry and WeChat's log agree."""

from __future__ import annotations

import hashlib
import re
from collections import Counter, defaultdict
from math import inf
from typing import Any

from tests.simulation.oracle.evidence import REJECTED, Evidence
from tests.simulation.wechat import TEMPLATE
from tests.simulation.workload import ALL_ACCOUNTS, PATHS, SECRET_ACCOUNT, Ask

_TERMINAL = frozenset({"sent", "failed", "expired", "cancelled", "unknown"})
_MIN_IN_VAIN = {-1: 20, 40037: 3, 43108: 3, 43117: 3, 40001: 3}
"""Answers of one errcode before a message may be given up for it, without lost ones in between."""
_MAX_COPIES = 4


def judge_asked(evidence: Evidence) -> None:
    """Judge what WeChat accepted or refused against what was asked for, and until when."""
    for accepted in evidence.world.wechat.accepted:
        ask = evidence.ask_of(accepted.marker)
        body = dict(accepted.body)
        client_msg_id = body.pop("client_msg_id", None)
        asked = ask is not None and ask.good and ask.body() == body
        if ask is None or not asked or (accepted.account, accepted.path) != (ask.account, PATHS[ask.kind]):
            evidence.breaks("nothing is sent that nobody asked for", accepted)
            continue
        keys = ask.keys or [key for key, http in evidence.world.writes.by_http.items() if http is ask]
        wanted = {_client_msg_id(key.split("#", 2)[2]) for key in keys}
        if accepted.path == TEMPLATE and client_msg_id not in wanted:
            evidence.breaks("a template message carries its id", accepted)
    for attempt in evidence.world.wechat.attempts:
        ask = evidence.ask_of(attempt.marker)
        if ask and ask.expires_at is not None and attempt.by_its_clock > ask.expires_at + 0.5:
            evidence.breaks("nothing is sent after it expired", attempt)


def judge_messages(evidence: Evidence) -> Counter[str]:
    """Judge each entry and what was asked under its key; how many ended in which state."""
    groups: dict[str, list[Ask]] = defaultdict(list)
    anonymous: dict[int, list[str]] = defaultdict(list)
    for key, ask in evidence.world.writes.by_http.items():
        if isinstance(ask, Ask):
            anonymous[ask.number].append(key)
    states: Counter[str] = Counter()
    for ask in evidence.workload.asks:
        keys = ask.keys or anonymous[ask.number]
        for key in keys:
            groups[key].append(ask)
        if not keys:
            states["never begun"] += 1
            _none_accepted(evidence, ask, "its caller got no answer and there is no entry")
    for key, asks in groups.items():
        states[_judge_message(evidence, key, asks)] += 1
    return states


def _judge_message(evidence: Evidence, key: str, asks: list[Ask]) -> str:
    """Hold an entry against the log of acceptances; the state that it is in."""
    world = evidence.world
    entry = evidence.entries.get(key)
    status = entry["status"] if entry else "no entry"
    if entry and status == "sending" and not _comes_back(evidence, key, asks):
        # Whose caller was told, but whose entry was not; nobody comes back to it, and to read it says so.
        status = "unknown" if entry["lease_until"] < world.scheduler.now else status
    accepted = [each for ask in asks for each in evidence.accepted[ask.marker]]
    lost = [at for ask in asks for at in world.wechat.lost.get(ask.marker, ())]
    doubts = len(lost) + len(world.writes.killed_with.get(key, ())) + evidence.unrecorded(key)
    taken = any(ask.taken for ask in asks)
    if entry is None or status not in _TERMINAL:
        if taken:
            evidence.breaks("every message that was taken comes to its end", f"{key} {status} {asks}")
        elif status == "no entry" and accepted:
            evidence.breaks("nothing is sent without an entry", f"{key} {accepted}")
        return f"{status}, and its caller knows nothing"
    willing = any(ask.at_least_once for ask in asks)
    expiries = [ask.expires_at for ask in asks if ask.expires_at is not None]
    broken = {
        "what is sent was accepted": status == "sent" and not accepted,
        "what was accepted is sent or unknown": status in {"failed", "expired", "cancelled"} and accepted,
        "unknown has a cause": status == "unknown" and not doubts,
        "one id is one message": len({each.marker for each in accepted}) > 1,
        "four copies at most": len(accepted) > _MAX_COPIES,
        "twice only where an answer was lost and the sender agreed": (
            len(accepted) > 1 and (not willing or len(accepted) - 1 > doubts)
        ),
        "expired has a cause": status == "expired" and min(expiries, default=inf) > entry["updated_at"],
        "what is cancelled stays so": (
            any(ask.cancelled for ask in asks) and (accepted or status != "cancelled")
        ),
        "200 was accepted": any(200 in ask.statuses for ask in asks) and not accepted,
    }
    for promise in (promise for promise, is_broken in broken.items() if is_broken):
        evidence.breaks(promise, f"{key} {entry} {accepted}")
    if status == "failed" and all(not ask.other_body for ask in asks):
        _judge_failure(evidence, key, entry, asks[0])
    return str(status)


def _comes_back(evidence: Evidence, key: str, asks: list[Ask]) -> bool:
    """Whether the queue has the message of an entry: another's, under the same id, leaves it as it is."""
    by_http = key in evidence.world.writes.by_http
    return any(ask.stored and not (by_http and ask.other_body) for ask in asks)


def _judge_failure(evidence: Evidence, key: str, entry: dict[str, Any], ask: Ask) -> None:
    reason, errcode = entry.get("reason"), entry.get("outcome", {}).get("errcode")
    if reason in {"unknown_account", "invalid_message"}:
        if ask.good or (reason == "unknown_account") != (ask.account not in ALL_ACCOUNTS):
            evidence.breaks("a refusal has a cause", f"{key} {entry}")
        return
    if reason == "try_again":
        if not ask.by_http:
            evidence.breaks("only a caller can be told to try again", f"{key} {entry}")
        return
    answers = evidence.world.wechat.answers.get(ask.marker, [])
    if errcode is None or errcode not in answers:
        evidence.breaks("what failed was refused by WeChat", f"{key} {entry} {answers}")
    elif errcode == 45009:
        evidence.breaks("a daily quota fails no message", f"{key} {entry}")
    elif errcode in REJECTED and ask.account != SECRET_ACCOUNT:
        evidence.breaks("a rejected token fails no message", f"{key} {entry}")
    else:
        least = 5 if errcode == -1 and ask.kind == "one_time_subscription" else _MIN_IN_VAIN.get(errcode, 1)
        if answers.count(int(errcode)) < least and entry["attempts"] < 20:
            evidence.breaks("what is worth repeating is repeated", f"{key} {entry} {answers}")


def _none_accepted(evidence: Evidence, ask: Ask, why: str) -> None:
    # SQS may have its message though nobody heard of it: who named no id cannot ask what came of it.
    on_the_queue = 500 in ask.statuses or any(
        re.search(rf"\b{ask.marker}\b", text) for text in evidence.world.doubled
    )
    if evidence.accepted[ask.marker] and not on_the_queue:
        evidence.breaks("nothing is sent without an entry", f"{ask} {why}")


def _client_msg_id(message_id: str) -> str:
    return message_id if len(message_id) <= 32 else hashlib.sha256(message_id.encode()).hexdigest()[:32]
