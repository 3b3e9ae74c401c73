"""The judge: WeChat's own log of acceptances against what was asked for and what the ledger says.

Nothing here knows how the service works, only what it promises; ``BROKEN`` in a report is one sentence for
each promise that was not kept.
"""

from __future__ import annotations

import gc
import hashlib
import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from tests.fakes.aws.dynamodb import plain
from tests.simulation.scenarios import FORCED
from tests.simulation.wechat import (
    FORCED_A_DAY,
    FORCED_APART,
    TEMPLATE,
    Accepted,
    App,
    Attempt,
    local_day,
)
from tests.simulation.workload import ALL_ACCOUNTS, PATHS, SECRET_ACCOUNT, Ask, Workload
from tests.simulation.world import (
    CANARY,
    FEW_FAULTS,
    MAX_SKEW,
    MIDNIGHT,
    NO_FAULTS,
    SEND_QUEUE_FUNCTION,
    TABLE,
    GivenUp,
    World,
)

FAULTS_GO_ON = 600.0
"""Seconds from the last message until the faults end."""
DRAIN = 7200.0
"""Seconds from then, or from the new day's quota, until everything must have come to its end."""
_TERMINAL = frozenset({"sent", "failed", "expired", "cancelled", "unknown"})
_LEAST_WAIT = {-1: 2.0, 43108: 1.0, 43117: 60.0}
_LEAST_WAIT_LOST = 10.0
_MIN_IN_VAIN = {-1: 20, 40037: 3, 43108: 3, 43117: 3, 40001: 3}
"""Answers of one errcode before a message may be given up for it, without lost ones in between."""
_REJECTED = frozenset({40001, 40014, 42001, 48012})
_NOT_RETRYABLE = '"retryable": false'
_MAX_COPIES = 4
_ANSWER_LEFT_FOR = 100.0
"""Seconds for which nobody looks at a message whose claim may not be over: two clocks' difference, nearly."""
_HOLD_OVER_AFTER = 2400.0
"""Seconds after the end of a refusal of a quarter of an hour in which everything it held must be sent."""
_SAYS_NOTHING = frozenset({None, -1, 43108, 43117, 45011, 45009}) | _REJECTED
"""Answers that do not show that a refusal is over."""
_STALE = 1.5
"""Seconds for which a worker may not have heard of a circuit, and a little for the write itself."""


@dataclass
class Report:
    """What was counted, and which promises were broken."""

    counts: dict[str, Any] = field(default_factory=dict)
    broken: list[str] = field(default_factory=list)


class Oracle:
    """Judges one run."""

    def __init__(self, world: World, workload: Workload) -> None:
        self._world = world
        self._workload = workload
        self._report = Report()
        self._entries: dict[str, dict[str, Any]] = {}
        self._accepted: dict[str, list[Accepted]] = defaultdict(list)
        self._attempts: dict[str, list[Attempt]] = defaultdict(list)

    def judge(self) -> Report:
        """Everything that can be said once a run is over."""
        self._gather()
        self._judge_asked()
        groups: dict[str, list[Ask]] = defaultdict(list)
        anonymous: dict[int, list[str]] = defaultdict(list)
        for key, ask in self._world.written_by_http.items():
            if isinstance(ask, Ask):
                anonymous[ask.number].append(key)
        states: Counter[str] = Counter()
        for ask in self._workload.asks:
            keys = ask.keys or anonymous[ask.number]
            for key in keys:
                groups[key].append(ask)
            if not keys:
                states["never begun"] += 1
                self._none_accepted(ask, "its caller got no answer and there is no entry")
        for key, asks in groups.items():
            states[self._judge_message(key, asks)] += 1
        self._judge_waits()
        self._judge_circuits()
        self._judge_probes()
        self._judge_holds()
        self._judge_obedient()
        self._judge_lanes()
        self._judge_unrecorded()
        for app in self._world.wechat.apps.values():
            self._judge_tokens(app)
        self._judge_needless()
        self._judge_secrets()
        self._judge_dead_letters()
        self._count(states)
        return self._report

    def _break(self, promise: str, what: object) -> None:
        self._report.broken.append(f"{promise}: {what}")

    def _gather(self) -> None:
        for key, item in self._world.table.tables.get(TABLE, {}).items():
            if key.startswith("message#"):
                self._entries[key] = plain(item, but="timeline")
        for accepted in self._world.wechat.accepted:
            self._accepted[accepted.marker].append(accepted)
        for attempt in self._world.wechat.attempts:
            self._attempts[attempt.marker].append(attempt)

    # ------------------------------------------------------------ nothing that nobody asked for

    def _judge_asked(self) -> None:
        for accepted in self._world.wechat.accepted:
            ask = self._ask_of(accepted.marker)
            body = dict(accepted.body)
            client_msg_id = body.pop("client_msg_id", None)
            asked = ask is not None and ask.good and ask.body() == body
            if (
                ask is None
                or not asked
                or (accepted.account, accepted.path) != (ask.account, PATHS[ask.kind])
            ):
                self._break("nothing is sent that nobody asked for", accepted)
                continue
            keys = ask.keys or [key for key, http in self._world.written_by_http.items() if http is ask]
            wanted = {_client_msg_id(key.split("#", 2)[2]) for key in keys}
            if accepted.path == TEMPLATE and client_msg_id not in wanted:
                self._break("a template message carries its id", accepted)
        for attempt in self._world.wechat.attempts:
            ask = self._ask_of(attempt.marker)
            if ask and ask.expires_at is not None and attempt.by_its_clock > ask.expires_at + 0.5:
                self._break("nothing is sent after it expired", attempt)

    def _ask_of(self, marker: str) -> Ask | None:
        number = int(marker[1:]) if marker[1:].isdigit() else -1
        return self._workload.asks[number] if 0 <= number < len(self._workload.asks) else None

    # ------------------------------------------------------------ one message

    def _judge_message(self, key: str, asks: list[Ask]) -> str:
        """Hold an entry against the log of acceptances; the state that it is in."""
        world = self._world
        entry = self._entries.get(key)
        status = entry["status"] if entry else "no entry"
        if entry and status == "sending" and not self._comes_back(key, asks):
            # Whose caller was told, but whose entry was not; nobody comes back to it, and to read it says so.
            status = "unknown" if entry["lease_until"] < world.scheduler.now else status
        accepted = [each for ask in asks for each in self._accepted[ask.marker]]
        lost = [at for ask in asks for at in world.wechat.lost.get(ask.marker, ())]
        doubts = len(lost) + len(world.killed_with.get(key, ())) + self._unrecorded(key)
        taken = any(ask.taken for ask in asks)
        if entry is None or status not in _TERMINAL:
            if taken:
                self._break("every message that was taken comes to its end", f"{key} {status} {asks}")
            elif status == "no entry" and accepted:
                self._break("nothing is sent without an entry", f"{key} {accepted}")
            return f"{status}, and its caller knows nothing"
        if status == "sent" and not accepted:
            self._break("what is sent was accepted", f"{key} {entry}")
        if status in {"failed", "expired", "cancelled"} and accepted:
            self._break("what was accepted is sent or unknown", f"{key} {entry} {accepted}")
        if status == "unknown" and not doubts:
            self._break("unknown has a cause", f"{key} {entry}")
        if len({each.marker for each in accepted}) > 1:
            self._break("one id is one message", f"{key} {accepted}")
        if len(accepted) > 1:
            willing = any(ask.at_least_once for ask in asks)
            if len(accepted) > _MAX_COPIES:
                self._break("four copies at most", f"{key} {accepted}")
            if not willing or len(accepted) - 1 > doubts:
                self._break("twice only where an answer was lost and the sender agreed", f"{key} {accepted}")
        if status == "expired" and not any(
            ask.expires_at is not None and ask.expires_at <= entry["updated_at"] for ask in asks
        ):
            self._break("expired has a cause", f"{key} {entry}")
        if any(ask.cancelled for ask in asks) and (accepted or status != "cancelled"):
            self._break("what is cancelled stays so", f"{key} {entry}")
        if any(200 in ask.statuses for ask in asks) and not accepted:
            self._break("200 was accepted", f"{key} {entry}")
        if status == "failed" and all(not ask.other_body for ask in asks):
            self._judge_failure(key, entry, asks[0])
        return str(status)

    def _unrecorded(self, key: str) -> int:
        """The writes of an entry that nobody can undo.

        Not a claim that was given up by a process that came to work again while the claim lasted.
        """
        return sum(
            given_up.status != "sending" or not self._could_give_back(given_up)
            for given_up in self._world.unrecorded.get(key, ())
        )

    def _could_give_back(self, given_up: GivenUp) -> bool:
        """Whether its process took further batches while the table could be reached and the claim lasted.

        Each batch begins with giving back; a request that asks what became of a message does not.
        """
        outages = self._world.outages["dynamodb"]
        again = [
            at
            for at in given_up.invocation.sandbox.invoked
            if given_up.at < at < given_up.at + 60
            and not any(since - 2 < at < until + 2 for since, until, _ in outages)
        ]
        takes_batches = SEND_QUEUE_FUNCTION in given_up.invocation.name
        return takes_batches and len(again) > 1 and not given_up.invocation.dead

    def _comes_back(self, key: str, asks: list[Ask]) -> bool:
        """Whether the queue has the message of an entry: another's, under the same id, leaves it as it is."""
        by_http = key in self._world.written_by_http
        return any(ask.stored and not (by_http and ask.other_body) for ask in asks)

    def _judge_failure(self, key: str, entry: dict[str, Any], ask: Ask) -> None:
        reason, errcode = entry.get("reason"), entry.get("outcome", {}).get("errcode")
        if reason in {"unknown_account", "invalid_message"}:
            if ask.good or (reason == "unknown_account") != (ask.account not in ALL_ACCOUNTS):
                self._break("a refusal has a cause", f"{key} {entry}")
            return
        if reason == "try_again":
            if not ask.by_http:
                self._break("only a caller can be told to try again", f"{key} {entry}")
            return
        answers = self._world.wechat.answers.get(ask.marker, [])
        if errcode is None or errcode not in answers:
            self._break("what failed was refused by WeChat", f"{key} {entry} {answers}")
        elif errcode == 45009:
            self._break("a daily quota fails no message", f"{key} {entry}")
        elif errcode in _REJECTED and ask.account != SECRET_ACCOUNT:
            self._break("a rejected token fails no message", f"{key} {entry}")
        else:
            least = (
                5 if errcode == -1 and ask.kind == "one_time_subscription" else _MIN_IN_VAIN.get(errcode, 1)
            )
            if answers.count(int(errcode)) < least and entry["attempts"] < 20:
                self._break("what is worth repeating is repeated", f"{key} {entry} {answers}")

    def _none_accepted(self, ask: Ask, why: str) -> None:
        # SQS may have its message though nobody heard of it: who named no id cannot ask what came of it.
        on_the_queue = 500 in ask.statuses or any(
            re.search(rf"\b{ask.marker}\b", text) for text in self._world.doubled
        )
        if self._accepted[ask.marker] and not on_the_queue:
            self._break("nothing is sent without an entry", f"{ask} {why}")

    # ------------------------------------------------------------ when and how often

    def _judge_waits(self) -> None:
        doubled = [*self._world.doubled, *self._world.queue.counts.doubled]
        copied = {marker for text in doubled for marker in re.findall(r"m[0-9]+", text)}
        for ask in self._workload.asks:
            attempts = self._attempts[ask.marker]
            if len(attempts) > 25:
                self._break("a message is tried twenty times at most", f"{ask} {len(attempts)}")
            if ask.doors > 1 or ask.other_body or ask.by_http:  # a caller may come at any time
                continue
            for first, second in pairwise(attempts):
                least = _LEAST_WAIT_LOST if first.errcode is None else _LEAST_WAIT.get(first.errcode, 0.0)
                waited = [second.by_its_clock - first.by_its_clock]
                if ask.marker not in copied:  # another copy may come to one whose clock is ahead
                    waited.append(second.at - first.at)
                if min(waited) < least - 0.55:
                    self._break("a repeat waits", f"{ask} {first} {second}")

    def _judge_circuits(self) -> None:
        world = self._world
        reset = MIDNIGHT
        for account, path in world.wechat.quota_reached:
            late = self._late(account, path, "quota", until=reset)
            self._report.counts[f"calls to {account} after its quota was known to be used up"] = len(late)
            if late:
                self._break("after 45009 nothing is sent until the reset", late[0])
            held = [
                each for each in world.wechat.attempts if each.account != account and each.errcode == 45009
            ]
            if held:
                self._break("one account's quota is no other's", held[0])
        for window in world.wechat.windows:
            if window.errcode != 48001:
                continue
            late = self._late(window.account, window.path, "permission", until=window.until)
            refused = [each for each in late if each.errcode == window.errcode]
            if len(refused) > (window.until - window.since) / 300 + 2:
                self._break("a refusal of the whole account holds its messages", f"{len(refused)} {window}")

    def _judge_probes(self) -> None:
        """A refusal of a whole account lets one message of a batch through, and ends when one was judged."""
        world = self._world
        since, attempts = world.wechat.windows, world.wechat.attempts
        for window in since:
            if window.path != "*" or window.errcode == -1:
                continue
            tried: dict[tuple[str, float], set[str]] = defaultdict(set)
            for each in self._known_late(window.account, "account", window.until):
                if each.errcode == window.errcode:
                    tried[each.sandbox, each.invocation_began].add(each.marker)
            for markers in tried.values():
                if len(markers) > 1:
                    self._break("a hold lets one message through at a time", f"{sorted(markers)} {window}")
        open_since: dict[tuple[str, str], float] = {}
        for at, item in world.circuits_stored:
            account = item["account"]["S"]
            existing = {circuit["scope"] for circuit in plain(item)["circuits"]}
            for scope in [scope for name, scope in open_since if name == account and scope not in existing]:
                began = open_since.pop((account, scope))
                if not any(
                    each.account == account and began <= each.at <= at and each.errcode not in _SAYS_NOTHING
                    for each in attempts
                ):
                    self._break("a hold ends when WeChat judged a message", f"{account} {scope} at {at:.3f}")
            for scope in existing:
                open_since.setdefault((account, scope), at)

    def _known_late(self, account: str, scope: str, until: float) -> list[Attempt]:
        """The calls of an account's that began after everybody could know of its circuit."""
        known_at = min(
            (
                at
                for at, item in self._world.circuits_stored
                if item["account"]["S"] == account
                for circuit in plain(item)["circuits"]
                if circuit["scope"] == scope
            ),
            default=until,
        )
        outages = self._world.outages["dynamodb"]
        return [
            each
            for each in self._world.wechat.attempts
            if each.account == account
            and each.invocation_began > known_at + _STALE
            and each.at < until
            and not any(since <= each.invocation_began < end + 1 for since, end, _ in outages)
        ]

    def _judge_holds(self) -> None:
        for window, asks in self._workload.held:
            for ask in asks:
                accepted = self._accepted[ask.marker]
                if accepted and accepted[0].at > window.until + _HOLD_OVER_AFTER:
                    late = accepted[0].at - window.until
                    self._break("what was held is sent soon after", f"{ask} {late:.0f} s after {window}")

    def _judge_obedient(self) -> None:
        for ask in self._workload.obedient:
            if not self._attempts[ask.marker] and any(_NOT_RETRYABLE in told for told in ask.told):
                key = ask.keys[0]
                if self._world.killed_with.get(key) or self._unrecorded(key):
                    continue  # so that nobody knows that it was not sent
                self._break("what was never sent is not used up", f"{ask} {ask.told[-1]}")

    def _judge_lanes(self) -> None:
        """43117 is about a person: the rest of a batch for that person waits as well."""
        enough: dict[tuple[str, float, str], Attempt] = {}
        for attempt in self._world.wechat.attempts:
            ask = self._ask_of(attempt.marker)
            if ask is None:
                continue
            lane = (attempt.sandbox, attempt.invocation_began, ask.openid)
            if lane in enough:
                self._break("a person who has had enough is left alone", f"{enough[lane]} {attempt}")
            if attempt.errcode == 43117:
                enough[lane] = attempt

    def _judge_unrecorded(self) -> None:
        world = self._world
        for key, given_ups in world.unrecorded.items():
            for given_up in given_ups:
                worker = given_up.invocation
                for number, body in worker.batch:
                    marker = _marker_in(body)
                    tried = any(
                        (each.sandbox, each.invocation_began) == (worker.name, worker.began)
                        and each.at <= given_up.at
                        for each in self._attempts[marker]
                    )
                    ask = self._ask_of(marker)
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
                        self._break(
                            "an answer that was not recorded is left until its claim is over",
                            f"{key} {given_up.at:.3f} {soon}",
                        )

    def _late(self, account: str, path: str, error_class: str, until: float) -> list[Attempt]:
        """The calls that began after everybody could know better."""
        kind = next(kind for kind, its_path in PATHS.items() if its_path == path)
        known_at = min(
            (
                at
                for at, item in self._world.circuits_stored
                if item["account"]["S"] == account
                for circuit in plain(item)["circuits"]
                if circuit["scope"] == f"kind:{kind}" and circuit["error_class"] == error_class
            ),
            default=until,
        )
        # Who cannot ask the table goes by what it knows.
        outages = self._world.outages["dynamodb"]
        return [
            each
            for each in self._world.wechat.attempts
            if each.account == account
            and each.path == path
            and not any(since <= each.invocation_began < until + 1 for since, until, _ in outages)
            and each.invocation_began > known_at + _STALE
            and known_at + _STALE < each.at < until
        ]

    def _judge_tokens(self, app: App) -> None:
        world = self._world
        days = Counter(local_day(at) for at in app.force_calls)
        if any(count > FORCED_A_DAY for count in days.values()):
            self._break("a token is forced twenty times a day at most", f"{app.account} {days}")
        for (first, by), (second, by_whom) in pairwise(zip(app.force_calls, app.forced_by, strict=True)):
            # Another process, after one that died, has another clock.
            apart = FORCED_APART - (0 if by == by_whom else 2 * MAX_SKEW)
            if second - first < apart:
                self._break(
                    "forced refreshes are half a minute apart", f"{app.account} {second - first:.1f} s"
                )
        revoked = [at for at, account, _ in world.wechat.epochs if account == app.account]
        others = sum(at > MIDNIGHT for at in revoked) > 1  # by chance, and without need of force
        if (
            app.account == FORCED
            and revoked
            and not others
            and not any(at > MIDNIGHT for at in app.force_calls)
        ):
            self._break("a token is forced as soon as a new day allows it", f"{app.account} {revoked}")
        epochs = sum(account == app.account for _, account, _ in world.wechat.epochs)
        lives = int((world.scheduler.now - world.start) / 6000) + 1
        # A forced refresh that was lost, or died with the refresher, cannot be repeated for half a minute;
        # meanwhile each process that asks makes the refresher look whether WeChat has another token.
        in_vain = app.forced_in_vain + world.token_refresh.kills
        allowed = 2 * (epochs + lives) + app.refused_by_fault + 20 * in_vain
        if app.account in {SECRET_ACCOUNT, FORCED}:  # who finds no token asks, and each probe of its hold
            allowed += 30
        self._report.counts.setdefault("token calls that senders caused, and allowed", {})[app.account] = (
            f"{app.asked_calls} of {allowed}"
        )
        if app.asked_calls > allowed:
            self._break("one rejected token, one refresh", f"{app.account} {app.asked_calls} > {allowed}")

    def _judge_needless(self) -> None:
        for call in self._world.wechat.needless[:5]:
            self._break("one rejected token, one refresh", call)

    def _judge_secrets(self) -> None:
        world = self._world
        for queue in (world.queue, world.dead_letters):
            for stored in queue.messages.values():
                if CANARY in str(stored.attributes):
                    self._break(
                        "no secret leaves the service", f"an attribute of a message: {stored.attributes}"
                    )
        for leak in world.leaks[:5]:
            self._break("no secret leaves the service", leak)
        for write in world.illegal[:5]:
            self._break("the ledger's rules are kept", write)
        for call in world.unexpected_calls[:5]:
            self._break("a call to AWS ends with its answer or after all its attempts", call)
        for error in world.raised:
            # SSM may refuse the refresher its parameters; then nobody can do anything.
            if "StorageError" not in error:
                self._break("no invocation fails", error)
        for call in world.dropped[:5]:
            self._break("no request goes over a connection that a gateway has dropped", call)
        for line in world.sink.problems:
            if "StorageError" not in line:
                self._break("nothing unforeseen happens", line)

    def _judge_dead_letters(self) -> None:
        world = self._world
        found = Counter(stored.body for stored in world.dead_letters.messages.values())
        expected = Counter(self._workload.unreadable)
        if set(found) != set(expected):
            odd = [*(set(found) - set(expected)), *(set(expected) - set(found))]
            self._break("the dead letters are the bodies that nobody can read", odd[:2])

    def _count(self, states: Counter[str]) -> None:
        world, wechat = self._world, self._world.wechat
        markers = Counter(accepted.marker for accepted in wechat.accepted)
        self._report.counts = {
            "messages asked for": len(self._workload.asks),
            "bodies that nobody can read": len(self._workload.unreadable),
            "states": dict(sorted(states.items())),
            "accepted by WeChat": len(wechat.accepted),
            "of these a second time": sum(count - 1 for count in markers.values()),
            "answers lost": sum(map(len, wechat.lost.values())),
            "attempts": len(wechat.attempts),
            "answers by errcode": dict(
                sorted(Counter(str(attempt.errcode) for attempt in wechat.attempts).items())
            ),
            "invocations": {
                function.name: f"{function.invocations}, {function.kills} killed"
                for function in (world.send_queue, world.send_api, world.token_refresh)
            },
            "handed out by the queue": world.queue.counts.received,
            "of these once more than they had to be": world.queue.counts.copies,
            "dead letters": len(world.dead_letters.messages),
            "token epochs": len(wechat.epochs),
            "canaries in what left the service": len(world.leaks),
            **self._report.counts,
            "virtual seconds": round(world.scheduler.now - world.start),
            "events": world.history.events,
            "history": world.history.digest,
        }


def _marker_in(body: str) -> str:
    found = re.search(r'"(m[0-9]+)"', body)
    return found[1] if found else ""


def _client_msg_id(message_id: str) -> str:
    return message_id if len(message_id) <= 32 else hashlib.sha256(message_id.encode()).hexdigest()[:32]


@contextmanager
def _seldom_collecting() -> Iterator[None]:
    """Almost nothing here is garbage in a circle, and there is much to look through."""
    before = gc.get_threshold()
    gc.freeze()
    gc.set_threshold(200_000, 50, 100)
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()


def run(seed: int | str, messages: int, *, thorough: bool = True) -> Report:
    """One run from its seed, judged."""
    with _seldom_collecting():
        return _run(seed, messages, thorough=thorough)


def _run(seed: int | str, messages: int, *, thorough: bool) -> Report:
    world = World(seed, thorough=thorough)
    with world.standing():
        workload = Workload(world, messages)
        workload.begin()
        calm_at = workload.last_at + FAULTS_GO_ON
        events_most = 60 * messages + 10_000

        def over() -> bool:
            return workload.over or world.history.events > events_most

        world.scheduler.run(calm_at, over)
        world.mix = FEW_FAULTS
        world.scheduler.run(world.reset, over)
        world.mix = NO_FAULTS
        bound = max(calm_at, world.reset) + DRAIN
        world.scheduler.run(bound, over)
        drained = workload.over
        states = _states(world)
        redriven = [redrive(world, workload) for _ in range(2)] if drained else []
        world.scheduler.run(world.scheduler.now + 300, lambda: not drained)  # until the last lease is over
        report = Oracle(world, workload).judge()
    if not drained:
        left = Counter(stored.body[:60] for stored in world.queue.messages.values()).most_common(3)
        report.broken.append(f"it drains in bounded time: {len(world.queue.messages)} on the queue {left}")
    if any(again != states for again in redriven):
        report.broken.append("a redrive of the dead letters changes nothing")
    return report


def _states(world: World) -> tuple[int, int, list[tuple[str, str]]]:
    table = world.table.tables.get(TABLE, {})
    entries = [(key, item["version"]["N"]) for key, item in table.items() if key.startswith("message#")]
    return len(world.wechat.accepted), len(world.dead_letters.messages), entries


def redrive(world: World, workload: Workload) -> tuple[int, int, list[tuple[str, str]]]:
    """Put the dead letters back on the queue, as SQS's own redrive does; what stands there afterwards."""
    letters = list(world.dead_letters.messages.values())
    world.dead_letters.messages.clear()
    for stored in letters:
        world.queue.put(stored.body, attributes=stored.attributes)
    world.scheduler.run(world.scheduler.now + 3600, lambda: workload.over)
    return _states(world)
