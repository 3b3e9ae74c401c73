"""When a message is tried again, how often, and who has to wait."""

from __future__ import annotations

import re
from itertools import pairwise

from tests.simulation.oracle.evidence import Evidence
from tests.simulation.wechat import Attempt

_LEAST_WAIT = {-1: 2.0, 43108: 1.0, 43117: 60.0}
_LEAST_WAIT_LOST = 10.0
_NOT_RETRYABLE = '"retryable": false'
_ANSWER_LEFT_FOR = 100.0
"""Seconds for which nobody looks at a message whose claim may not be over: two clocks' difference, nearly."""


def judge_waits(evidence: Evidence) -> None:
    """Judge the time between two attempts at a message, and their number."""
    doubled = [*evidence.world.doubled, *evidence.world.queue.doubled]
    copied = {marker for text in doubled for marker in re.findall(r"m[0-9]+", text)}
    for ask in evidence.workload.asks:
        attempts = evidence.attempts[ask.marker]
        if len(attempts) > 25:
            evidence.breaks("a message is tried twenty times at most", f"{ask} {len(attempts)}")
        if ask.doors > 1 or ask.other_body or ask.by_http:  # a caller may come at any time
            continue
        for first, second in pairwise(attempts):
            least = _LEAST_WAIT_LOST if first.errcode is None else _LEAST_WAIT.get(first.errcode)
            if least is None:  # no wait is promised, and by two clocks the second may come before the first
                continue
            waited = [second.by_its_clock - first.by_its_clock]
            if ask.marker not in copied:  # another copy may come to one whose clock is ahead
                waited.append(second.at - first.at)
            if min(waited) < least - 0.55:
                evidence.breaks("a repeat waits", f"{ask} {first} {second}")


def judge_obedient(evidence: Evidence) -> None:
    """Judge what callers were told that repeat a request only if they may."""
    for ask in evidence.workload.obedient:
        if not evidence.attempts[ask.marker] and any(_NOT_RETRYABLE in told for told in ask.told):
            key = ask.keys[0]
            if evidence.world.writes.killed_with.get(key) or evidence.unrecorded(key):
                continue  # so that nobody knows that it was not sent
            evidence.breaks("what was never sent is not used up", f"{ask} {ask.told[-1]}")


def judge_lanes(evidence: Evidence) -> None:
    """43117 is about a person: the rest of a batch for that person waits as well."""
    enough: dict[tuple[str, float, str], Attempt] = {}
    for attempt in evidence.world.wechat.attempts:
        ask = evidence.ask_of(attempt.marker)
        if ask is None:
            continue
        lane = (attempt.sandbox, attempt.invocation_began, ask.openid)
        if lane in enough:
            evidence.breaks("a person who has had enough is left alone", f"{enough[lane]} {attempt}")
        if attempt.errcode == 43117:
            enough[lane] = attempt


def judge_unrecorded(evidence: Evidence) -> None:
    """Judge when a message comes back whose answer could not be recorded."""
    world = evidence.world
    for key, given_ups in world.writes.unrecorded.items():
        for given_up in given_ups:
            worker = given_up.invocation
            for number, body in worker.batch:
                marker = _marker_in(body)
                tried = any(
                    (each.sandbox, each.invocation_began) == (worker.name, worker.began)
                    and each.at <= given_up.at
                    for each in evidence.attempts[marker]
                )
                ask = evidence.ask_of(marker)
                if sum(_marker_in(each) == marker for _, each in worker.batch) > 1:
                    continue  # which of the copies it was nobody can say
                if given_up.status == "sending" or not tried or ask is None or key not in ask.keys:
                    continue
                soon = [
                    at
                    for at in world.queue.handed_out[number]
                    if given_up.at < at < given_up.at + _ANSWER_LEFT_FOR
                ]
                if soon:
                    evidence.breaks(
                        "an answer that was not recorded is left until its claim is over",
                        f"{key} {given_up.at:.3f} {soon}",
                    )


def _marker_in(body: str) -> str:
    found = re.search(r'"(m[0-9]+)"', body)
    return found[1] if found else ""
