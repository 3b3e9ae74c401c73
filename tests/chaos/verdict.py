"""What a run comes to, in Jepsen's words: WeChat's journal against what was handed over and the ledger."""

from __future__ import annotations

import json
import textwrap
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property

from tests.chaos.run import RESET, Run
from tests.chaos.wechat import Arrival, number_in
from tests.chaos.workload import CANARY, QUOTA_ACCOUNT, QUOTA_KIND, QUOTA_PATH, Door, Fate, Handed
from wechat_notify.core.delivery.entry import EXHAUSTED, Entry
from wechat_notify.core.messages.envelope import SendRequest
from wechat_notify.core.messages.fingerprint import fingerprint
from wechat_notify.core.outcomes import Status
from wechat_notify.core.tokens.refresher import BEIJING, FORCED_A_DAY

WORDS = (
    "handed over",
    "acknowledged",
    "lost",
    "unexpected",
    "duplicated",
    "beyond agreement",
    "unknown",
    "recovered",
)
"""Of the duplicated, those are beyond the agreement that asked for once, or of which no answer was lost."""
_LOSES_THE_ANSWER = frozenset({"timeout", "reset", "status", "truncated", "html", "drip"})
_LEAVES_NO_ANSWER = frozenset({"timeout", "reset", "truncated", "drip"})
_REPEATS = 2
"""Of an answer such as 40037."""
_IGNORANT_FOR = 1.0
"""Seconds for which a sandbox goes by what it read of the circuits."""
_EXAMPLES = 5
_WIDTH = 100
_GLUE = "\N{NO-BREAK SPACE}"
_FIRST_TOKENS = 4
"""Calls for the first token, by whoever comes before it is stored, and for those that expire meanwhile."""
_WRONG = ("internal_error", "invocation failed", "not reported")
_REFUSED_FOR = {Fate.INVALID: "invalid_message", Fate.UNKNOWN_ACCOUNT: "unknown_account"}
_MAY_HAVE_BEEN_SENT = frozenset({Status.UNKNOWN, Status.SENDING})
_OPEN = frozenset({Status.QUEUED, Status.SENDING})


@dataclass
class Verdict:
    """The counts by word and door, what struck, and every rule that was broken, with examples."""

    seed: int
    messages: int
    seconds: float
    counts: Counter[tuple[str, str]] = field(default_factory=Counter)
    struck: Counter[str] = field(default_factory=Counter)
    broken: defaultdict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    quota: tuple[str, ...] = ("none was used up",)

    @property
    def sound(self) -> bool:
        """Whether every rule was kept."""
        return not self.broken

    def total(self, word: str) -> int:
        """A word's count for all doors."""
        return sum(count for (of_word, _), count in self.counts.items() if of_word == word)

    def text(self) -> str:
        """The print-out; its last line says it all."""
        doors = [door.value for door in Door]
        lines = [" " * 16 + "".join(f"{name:>10}" for name in ("all", *doors))]
        for word in WORDS:
            cells = [self.total(word), *(self.counts[word, door] for door in doors)]
            lines.append(f"{word:<16}" + "".join(f"{cell:>10,}" for cell in cells))
        struck = [f"{name} {count:,}" for name, count in sorted(self.struck.items())]
        lines += ["", *_filled("struck", struck), *_filled("quota", self.quota), ""]
        for rule, examples in self.broken.items():
            lines += _filled("BROKEN", [f"{rule} ({len(examples):,}): {examples[0]}", *examples[1:_EXAMPLES]])
        rate = f"{self.seconds:.0f} s, {self.messages / self.seconds:,.0f} messages/s, seed {self.seed}"
        if self.sound:
            lines.append(f"sound: none lost, none unexpected, none twice that asked for once; {rate}")
        else:
            lines.append(f"broken: {', '.join(self.broken)}; {rate}")
        return "\n".join(lines)


def _filled(name: str, parts: Iterable[str]) -> list[str]:
    """The parts behind a name, in lines that a terminal shows whole."""
    text = ", ".join(part.replace(" ", _GLUE) for part in parts)
    lines = textwrap.wrap(text, _WIDTH, initial_indent=f"{name:<8}", subsequent_indent=" " * 8)
    return [line.replace(_GLUE, " ") for line in lines]


@dataclass(frozen=True)
class _Scenario:
    """All that is known of one message."""

    handed: Handed
    entries: list[Entry]
    arrivals: list[Arrival]
    killed: bool
    in_doubt: bool
    unanswered: list[str]

    @cached_property
    def copies(self) -> int:
        """How often WeChat accepted it."""
        return sum(arrival.accepted for arrival in self.arrivals)

    @cached_property
    def states(self) -> set[Status]:
        """Those of its entries: of several where it was repeated without a key of its own."""
        return {entry.status for entry in self.entries}

    @cached_property
    def answer_lost(self) -> bool:
        """Whether there is a reason for not knowing what became of a copy."""
        planted = any(_effect(arrival) in _LOSES_THE_ANSWER for arrival in self.arrivals)
        return planted or self.killed or self.in_doubt or bool(self.unanswered)

    @property
    def lost(self) -> bool:
        """Whether it did not arrive, though somebody relies on it."""
        if self.copies:
            return False
        if Status.SENT in self.states:
            return True
        return self.handed.acknowledged and not any(map(self._accounts_for_it, self.entries))

    def _accounts_for_it(self, entry: Entry) -> bool:
        """Whether the ledger says why it was not sent, and that was really planted for this message."""
        handed = self.handed
        match entry.status:
            case Status.UNKNOWN | Status.CANCELLED:
                return True  # both have rules of their own
            case Status.EXPIRED:
                return handed.expires_at is not None and handed.expires_at <= entry.updated_at
            case Status.FAILED if handed.fate in _REFUSED_FOR:
                return entry.reason == _REFUSED_FOR[handed.fate]
            case Status.FAILED:
                errcode = entry.outcome.errcode if entry.outcome else None
                same = sum(arrival.errcode == errcode for arrival in self.arrivals)
                worn_out = errcode is not None and entry.reason == EXHAUSTED and same > _REPEATS
                return worn_out or (handed.fate is Fate.REFUSED and str(errcode) == handed.fate)
        return False

    @property
    def twice_beyond_the_agreement(self) -> bool:
        """Whether it arrived more than once without having asked for that, or without a reason."""
        return self.copies > 1 and not (self.handed.at_least_once and self.answer_lost)

    @property
    def unknown(self) -> bool:
        """Whether nobody knows whether it arrived: a claim that nobody comes back for is the same."""
        return not self.states.isdisjoint(_MAY_HAVE_BEEN_SENT)

    @property
    def went_wrong(self) -> bool:
        """Whether one attempt at least failed, was lost or was killed."""
        failed = any(arrival.errcode != 0 or arrival.fault for arrival in self.arrivals)
        return failed or self.killed or any(entry.attempts > 1 for entry in self.entries)

    @property
    def left_open(self) -> bool:
        """Whether it is still waited for; not where its caller did not name it, or was promised nothing."""
        promised = self.handed.acknowledged and self.handed.door is not Door.SYNC
        return not self.states.isdisjoint(_OPEN) and (promised or not self.answer_lost)


_COUNTED: dict[str, Callable[[_Scenario], bool]] = {
    "handed over": lambda _: True,
    "acknowledged": lambda scenario: scenario.handed.acknowledged,
    "lost": lambda scenario: scenario.lost,
    "duplicated": lambda scenario: scenario.copies > 1,
    "beyond agreement": lambda scenario: scenario.twice_beyond_the_agreement,
    "unknown": lambda scenario: scenario.unknown and Status.SENT not in scenario.states,
    "recovered": lambda scenario: scenario.went_wrong and Status.SENT in scenario.states,
}
_RULES: dict[str, Callable[[_Scenario], bool]] = {
    "lost": lambda scenario: scenario.lost,
    "duplicated beyond the agreement": lambda scenario: scenario.twice_beyond_the_agreement,
    "unknown without a cause": lambda scenario: scenario.unknown and not scenario.answer_lost,
    "left open": lambda scenario: scenario.left_open,
    "sent, and the ledger denies it": lambda scenario: (
        scenario.copies > 0 and scenario.states.isdisjoint({Status.SENT, *_MAY_HAVE_BEEN_SENT})
    ),
    "cancelled, and sent or forgotten": lambda scenario: (
        scenario.handed.cancelled and (scenario.copies > 0 or scenario.states != {Status.CANCELLED})
    ),
    "answered 200, and not sent": lambda scenario: (
        scenario.handed.door is Door.SYNC
        and scenario.handed.acknowledged
        and not (scenario.copies or Status.SENT in scenario.states)
    ),
}


def _effect(arrival: Arrival) -> str:
    return (arrival.fault or "").partition(" ")[0]


def judge(run: Run) -> Verdict:
    """Hold what happened against every rule."""
    verdict = Verdict(run.seed, len(run.handed), run.seconds)
    if run.unfinished:
        verdict.broken["no end"].append(run.unfinished)
    for scenario in _scenarios(run, verdict):
        _judge_message(scenario, verdict)
    _judge_arrivals(run, verdict)
    _judge_quota(run, verdict)
    _judge_tokens(run, verdict)
    _judge_dead_letters(run, verdict)
    _judge_texts(run, verdict)
    _count_what_struck(run, verdict)
    return verdict


def _scenarios(run: Run, verdict: Verdict) -> list[_Scenario]:
    by_id = {(handed.account, handed.id): [handed] for handed in run.handed if handed.id is not None}
    without_id: defaultdict[str, list[Handed]] = defaultdict(list)
    for handed in run.handed:
        if handed.id is None:
            without_id[handed.account].append(handed)
    entries: defaultdict[int, list[Entry]] = defaultdict(list)
    for entry in run.aws.table.entries.values():
        # The fingerprint is of the account, the id and the body: a message without an id is searched for.
        candidates = by_id.get((entry.account, entry.id)) or without_id[entry.account]
        number = next(
            (
                handed.number
                for handed in candidates
                if fingerprint(SendRequest(entry.id, entry.account, handed.body)) == entry.fingerprint
            ),
            None,
        )
        if number is None:
            verdict.broken["an entry of no message"].append(f"{entry.account} {entry.id}")
        else:
            entries[number].append(entry)
    arrivals: defaultdict[int | None, list[Arrival]] = defaultdict(list)
    for arrival in run.arrivals:
        arrivals[arrival.number].append(arrival)
    in_doubt = run.aws.in_doubt
    return [
        _Scenario(
            handed,
            entries[handed.number],
            arrivals[handed.number],
            handed.number in run.killed,
            any((entry.account, entry.id) in in_doubt for entry in entries[handed.number]),
            run.lambdas.unanswered.get(handed.number, []),
        )
        for handed in run.handed
    ]


def _judge_message(scenario: _Scenario, verdict: Verdict) -> None:
    door = scenario.handed.door.value
    for word, applies in _COUNTED.items():
        verdict.counts[word, door] += applies(scenario)
    states = ", ".join(sorted(scenario.states)) or "no entry"
    for rule, breaks in _RULES.items():
        if breaks(scenario):
            verdict.broken[rule].append(f"no{scenario.handed.number} ({door}, {states})")


def _judge_arrivals(run: Run, verdict: Verdict) -> None:
    """What WeChat accepted was handed over, to this account and word for word."""
    handed = {each.number: each for each in run.handed}
    ids: dict[int, str] = {}
    for arrival in run.arrivals:
        if not arrival.accepted:
            continue
        message = handed.get(-1 if arrival.number is None else arrival.number)
        body = json.loads(arrival.body)
        if message is not None and message.body["kind"] == "template":
            client_msg_id = body.pop("client_msg_id")
            if ids.setdefault(message.number, client_msg_id) != client_msg_id and message.id is not None:
                verdict.broken["another client_msg_id"].append(f"no{message.number}")
        if message is None or f"wx-{message.account}" != arrival.app_id or body != message.wire():
            door = message.door.value if message else Door.QUEUE.value
            verdict.counts["unexpected", door] += 1
            verdict.broken["unexpected"].append(f"no{arrival.number}")


def _judge_quota(run: Run, verdict: Verdict) -> None:
    """From the moment on in which the ledger knew, nothing went there before the reset."""
    app_id = f"wx-{QUOTA_ACCOUNT}"
    refused = [arrival for arrival in run.arrivals if arrival.errcode == 45009]
    if any((arrival.app_id, arrival.path) != (app_id, QUOTA_PATH) for arrival in refused):
        verdict.broken["a quota of somebody else's"].append(f"{len(refused)} answers")
    since = run.aws.quota_since.get(QUOTA_ACCOUNT)
    if since is None:
        if len(refused) > _EXAMPLES * 10:
            verdict.broken["calls to a used-up quota"].append("the ledger never heard of it")
        return
    # Whoever had begun by then may not have known, nor who could not read the circuits.
    ignorant = [
        invocation
        for invocation in run.lambdas.invocations
        if invocation.began <= since + _IGNORANT_FOR or invocation.blind
    ]
    in_flight = max(invocation.ended for invocation in ignorant if not invocation.blind)
    held = [
        arrival
        for arrival in run.arrivals
        if (arrival.app_id, arrival.path) == (app_id, QUOTA_PATH) and in_flight < arrival.at < RESET
    ]
    for arrival in held:
        if not any(each.blind and each.began <= arrival.at <= each.ended for each in ignorant):
            verdict.broken["calls to a used-up quota"].append(f"no{arrival.number} at {_time(arrival.at)}")
    others = sum(arrival.accepted and since < arrival.at < RESET for arrival in run.arrivals)
    after = sum(
        arrival.accepted and arrival.at >= RESET and (arrival.app_id, arrival.path) == (app_id, QUOTA_PATH)
        for arrival in run.arrivals
    )
    verdict.quota = (
        f"{QUOTA_ACCOUNT} {QUOTA_KIND} used up from {_time(since)} to {_time(RESET)}",
        f"{len(refused)} calls at the start",
        f"{len(held)} in between",
        f"{others:,} messages of others",
        f"{after:,} of its own afterwards",
    )


def _judge_tokens(run: Run, verdict: Verdict) -> None:
    """Many senders that are rejected together cause one call, or two where it has to be forced."""
    for app_id, counts in run.stats["by_app"].items():
        calls = counts["token_calls"]
        in_vain = run.lambdas.asked_in_vain[app_id.removeprefix("wx-")]
        most = 2 * (run.refreshes + run.epochs + in_vain) + _FIRST_TOKENS
        if sum(calls.values()) > most or calls["forced"] > FORCED_A_DAY:
            verdict.broken["token calls"].append(f"{app_id} {calls}, at most {most} expected")


def _judge_dead_letters(run: Run, verdict: Verdict) -> None:
    found = {*run.aws.dead_letters, *(stored.body for stored in run.aws.dead.messages.values())}
    for body in found ^ set(run.unreadable):
        verdict.broken["dead letters"].append(f"no{number_in(body)}" if number_in(body) else body)


def _judge_texts(run: Run, verdict: Verdict) -> None:
    log = run.lambdas.log.getvalue()
    told = json.dumps([domain_event.detail for domain_event in run.aws.bus.events])
    tokens = {token.value for _, token in run.aws.parameters.saves}
    for name, text in (("logs", log), ("events", told), ("answers", "".join(run.answers))):
        for what, secrets in (("a secret or an openid", {CANARY}), ("a token", tokens)):
            if any(secret in text for secret in secrets):
                verdict.broken["secrets"].append(f"{what} in the {name}")
    verdict.broken |= _on_unexpected_error(log, run.lambdas.failed)


def _on_unexpected_error(log: str, failed: list[str]) -> Mapping[str, list[str]]:
    lines = [line for line in log.splitlines() if any(text in line for text in _WRONG)]
    documents = [json.loads(line) for line in lines]
    told = [
        " ".join(filter(None, map(document.get, ("message", "error", "raised_at"))))
        for document in documents
        if document.get("error") != "StorageError"  # which was planted
    ]
    return {"errors that nobody planted": [*failed, *told]} if failed or told else {}


def _count_what_struck(run: Run, verdict: Verdict) -> None:
    struck = verdict.struck
    struck.update(run.aws.struck)
    planted: Counter[int | None] = Counter()
    for arrival in run.arrivals:
        if arrival.fault:
            effect = _effect(arrival)
            planted[arrival.number] += effect in _LEAVES_NO_ANSWER
            name = {"errcode": f"errcode {arrival.errcode}", "status": "5xx"}.get(effect, effect)
            when = "" if effect == "errcode" else arrival.fault.removeprefix(effect)
            struck[f"{name}{when}"] += 1
    unanswered = run.lambdas.unanswered
    struck["read timeout"] = sum(errors.count("ReadTimeout") for errors in unanswered.values())
    # On a machine that is too busy for the client's patience: they are lost answers like the others.
    struck["unplanned timeout"] = sum(
        max(0, len(errors) - planted[number]) for number, errors in unanswered.items()
    )
    struck["token epoch"] = run.epochs
    struck["delivered twice"] = len(run.aws.queue.doubled)
    struck["cancelled"] = sum(handed.cancelled for handed in run.handed)
    struck["unreadable body"] = len(run.unreadable)
    for name in [name for name, count in struck.items() if not count]:
        del struck[name]


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, BEIJING).strftime("%H:%M:%S")
