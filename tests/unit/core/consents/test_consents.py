"""The consent ledger over a store: two senders, failures, callbacks."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

import pytest

from tests.fakes import FakeConsentStore, message
from wechat_notify.core.callbacks.events import ConsentChange, PersonLeft
from wechat_notify.core.consents.consents import Consents, Need, Recorded
from wechat_notify.core.consents.record import Holder
from wechat_notify.core.errors import StorageError
from wechat_notify.core.messages.kinds import KINDS

TEMPLATE, PERSON = "J5tWfHcX2mNq8sVb", "o-1"
A, B = Holder("a", "writer-a"), Holder("b", "writer-b")


class Hashes:
    """Hashes under keys that have names, the current one first."""

    def __init__(self) -> None:
        self.keys: tuple[str, ...] = ("new",)

    def __call__(self, text: str) -> str:
        return self.every(text)[0]

    def every(self, text: str) -> tuple[str, ...]:
        return tuple(f"{key} hash of {text}" for key in self.keys)


class Case:
    """Consents over a fake store; ``unsent`` are the messages that were not sent, ``asked`` counts."""

    def __init__(self) -> None:
        self.store = FakeConsentStore()
        self.unsent: set[str] = set()
        self.asked: list[list[str]] = []
        self.long_term: set[str] = set()
        self.hashes = Hashes()
        writers = itertools.count()

        def unsent(_account: str, message_ids: Iterable[str]) -> set[str]:
            self.asked.append(list(message_ids))
            return self.unsent & {*message_ids}

        self.consents = Consents(
            self.store,
            unsent,
            long_term=lambda _account, template_id: template_id in self.long_term,
            keyed_hash=self.hashes,
            now=lambda: 1000.0,
            writer=lambda: f"w-{next(writers)}",
        )
        self.need = Need("shop", self.hashes.every(PERSON), TEMPLATE, None)

    def accept(self, *times: int, template_id: str = TEMPLATE) -> Recorded:
        events = [ConsentChange(PERSON, template_id, accepted=True, asked=True, at=at) for at in times]
        return self.consents.record("shop", events)

    def left(self) -> int:
        person = self.consents.of("shop", PERSON)
        return len(person.of(TEMPLATE, None).unused)


@pytest.fixture
def case() -> Case:
    return Case()


def test_which_kinds_need_a_consent(case: Case) -> None:
    needs = {kind: case.consents.need("shop", message(kind)) for kind in KINDS}
    assert {kind: need.scene for kind, need in needs.items() if need} == {
        "subscription": None,
        "one_time_subscription": "1000",
        "mini_program_subscription": None,
    }
    assert needs["template"] is None


def test_two_senders_use_two_grants_and_the_third_finds_none(case: Case) -> None:
    assert case.accept(1, 2) == Recorded(2, changed=True)
    assert case.consents.take(case.need, A)
    assert case.consents.take(case.need, B)
    assert case.consents.take(case.need, Holder("c", "writer-c")) is None


def test_two_senders_cannot_use_the_same_grant(case: Case) -> None:
    """Both have read it unused; the second write is refused, and its sender looks again."""
    case.accept(1)
    case.store.before_put = lambda: results.append(case.consents.take(case.need, B))
    results: list[object] = []
    results.append(case.consents.take(case.need, A))
    assert [bool(each) for each in results] == [True, False]


def test_a_withdrawal_between_read_and_write_wins(case: Case) -> None:
    case.accept(1)
    case.store.before_put = lambda: case.consents.record("shop", [PersonLeft(PERSON, erase=False, at=2)])
    assert case.consents.take(case.need, A) is None


def test_what_is_erased_stays_erased(case: Case) -> None:
    case.accept(1)
    case.store.before_put = lambda: case.consents.record("shop", [PersonLeft(PERSON, erase=True, at=2)])
    with pytest.raises(StorageError):
        case.consents.take(case.need, A)
    assert case.store.people == {}
    assert case.consents.take(case.need, A) is None


def test_a_revocation_that_comes_late_erases_what_is_older(case: Case) -> None:
    """Or that comes again: what the person decided since is theirs."""
    revoked = [PersonLeft(PERSON, erase=True, at=5)]
    case.accept(1, 2, 7)
    case.accept(3, template_id="other")
    case.consents.take(case.need, A)
    for _ in range(2):
        case.consents.record("shop", revoked)
        (person,) = case.store.people.values()
        (known,) = person.templates
        assert ([grant.at for grant in known.grants], known.granted_at) == ([7], 7)
        case.accept(4)  # an event that is older still
    case.accept(5, 8)
    assert case.left() == 2
    case.consents.record("shop", [PersonLeft(PERSON, erase=True, at=8)])
    assert case.store.people == {}


def test_a_revocation_that_comes_late_erases_the_copies_too(case: Case) -> None:
    """What was left behind under the key before a rotation."""
    case.accept(1, 7)
    case.hashes.keys = ("newer", "new")
    assert case.left() == 2
    case.consents.record("shop", [PersonLeft(PERSON, erase=True, at=5)])
    assert list(case.store.people) == [("shop", f"newer hash of {PERSON}")]
    assert case.left() == 1


def test_a_grant_whose_message_was_not_sent_is_free(case: Case) -> None:
    """Its function ended before it gave the grant back."""
    case.accept(1)
    case.consents.take(case.need, A)
    assert case.consents.take(case.need, B) is None
    assert not case.consents.is_given(case.need)
    case.unsent = {"a"}
    assert case.consents.is_given(case.need)
    hold = case.consents.take(case.need, B)
    assert hold
    assert case.asked == [["a"]] * 4
    assert not case.consents.give_back(hold._replace(holder=A))  # whose it is no more
    assert case.consents.give_back(hold)
    assert case.left() == 1


def test_the_owner_may_come_back_while_its_grant_is_freed(case: Case) -> None:
    case.accept(1)
    case.consents.take(case.need, A)
    case.unsent = {"a"}

    def comes_back() -> None:
        case.unsent = set()  # it is claimed again
        assert case.consents.take(case.need, Holder("a", "writer-a2"))

    case.store.before_put = comes_back
    assert case.consents.take(case.need, B) is None


def test_a_long_term_consent_is_read_and_never_written(case: Case) -> None:
    case.long_term = {TEMPLATE}
    assert case.consents.take(case.need, A) is None
    case.accept(1)
    puts = case.store.calls["put"]
    assert all(case.consents.take(case.need, Holder(str(n), "w")) for n in range(3))
    assert case.consents.is_given(case.need)
    assert case.store.calls["put"] == puts
    hold = case.consents.take(case.need, A)
    assert hold
    assert not case.consents.give_back(hold)


def test_a_callback_is_one_write_and_its_repeat_none(case: Case) -> None:
    events = [ConsentChange(PERSON, t, accepted=True, asked=True, at=7) for t in ("t-1", "t-2")]
    assert case.consents.record("shop", events) == Recorded(2, changed=True)
    assert case.store.calls["put"] == 1
    assert case.consents.record("shop", events) == Recorded()
    assert case.store.calls["put"] == 1


def test_settings_and_refusals(case: Case) -> None:
    def tell(*, accepted: bool, asked: bool, at: int) -> Recorded:
        change = ConsentChange(PERSON, TEMPLATE, accepted=accepted, asked=asked, at=at)
        return case.consents.record("shop", [change])

    case.accept(1)
    assert tell(accepted=True, asked=False, at=2) == Recorded()  # "always keep" adds none
    assert tell(accepted=False, asked=True, at=3) == Recorded(0, changed=True)
    assert case.left() == 1
    assert tell(accepted=False, asked=False, at=4) == Recorded(0, changed=True)
    assert case.left() == 0
    known = case.consents.of("shop", PERSON).of(TEMPLATE, None)
    assert (known.granted_at, known.refused_at, known.ended_at) == (1, 3, 4)


def test_43101_corrects(case: Case) -> None:
    case.accept(1, 2)
    case.consents.correct(case.need, 5.0)
    assert case.left() == 0
    case.consents.correct(case.need._replace(hashes=("nobody",)), 5.0)
    assert len(case.store.people) == 1


@pytest.mark.parametrize("method", ["read", "put", "delete"])
def test_a_store_that_fails_says_so(case: Case, method: str) -> None:
    case.store.failing[method] = "InternalServerError"
    erase = method == "delete"
    with pytest.raises(StorageError):
        case.consents.record("shop", [PersonLeft(PERSON, erase=erase, at=2)])


def test_after_a_rotation_of_the_key(case: Case) -> None:
    """What was granted before counts, once."""
    case.accept(1, 2)
    case.hashes.keys = ("newer", "new")
    need = Need("shop", case.hashes.every(PERSON), TEMPLATE, None)
    assert case.left() == 2
    assert [bool(case.consents.take(need, Holder(str(n), "w"))) for n in range(3)] == [True, True, False]
    kept = {openid_hash: each.moved_at for (_, openid_hash), each in case.store.people.items()}
    assert kept == {f"newer hash of {PERSON}": None, f"new hash of {PERSON}": 1000.0}
    case.accept(1)  # its event once more
    assert case.left() == 0
    case.consents.record("shop", [PersonLeft(PERSON, erase=True, at=9)])
    assert case.store.people == {}


AHEAD, BEHIND = ("newer", "new"), ("new", "newer")
"""The keys of two processes while a rotation settles: the clock of one is ahead."""


def need_of(case: Case, keys: tuple[str, ...]) -> Need:
    case.hashes.keys = keys
    return Need("shop", case.hashes.every(PERSON), TEMPLATE, None)


@pytest.mark.parametrize("order", [(AHEAD, BEHIND), (BEHIND, AHEAD)])
@pytest.mark.parametrize("at_once", [True, False])
def test_two_keys_cannot_use_the_same_grant(
    case: Case, order: tuple[tuple[str, ...], ...], *, at_once: bool
) -> None:
    case.accept(1)
    first, second = (need_of(case, keys) for keys in order)
    results: list[object] = []

    def take_too() -> None:
        results.append(case.consents.take(second, B))

    if at_once:
        case.store.before_put = take_too
    results.append(case.consents.take(first, A))
    if not at_once:
        take_too()
    assert sorted(bool(each) for each in results) == [False, True]
    case.hashes.keys = AHEAD
    case.accept(2)
    others = ((second, Holder("c", "writer-c")), (first, Holder("d", "writer-d")))
    assert [bool(case.consents.take(*each)) for each in others] == [True, False]


def test_a_kill_between_the_writes_of_a_move(case: Case) -> None:
    """What is under the new hash is made by the next one whose clock is ahead; nobody uses the other."""
    case.accept(1)
    ahead, behind = need_of(case, AHEAD), need_of(case, BEHIND)
    put, puts = case.store.put, itertools.count()

    def stop_at_the_second(consents: Any) -> Any:
        if next(puts) == 1:
            raise StorageError("put", "InternalServerError")
        return put(consents)

    case.store.put = stop_at_the_second  # type: ignore[method-assign] # for this test
    with pytest.raises(StorageError):
        case.consents.take(ahead, A)
    with pytest.raises(StorageError, match="Moved"):
        case.consents.take(behind, A)
    assert case.consents.take(ahead, A)
    assert case.consents.take(behind, B) is None


def test_who_is_erased_between_the_writes_of_a_move(case: Case) -> None:
    """All is deleted before the copy is made, which is emptied then."""
    case.accept(1)
    ahead, put, puts = need_of(case, AHEAD), case.store.put, itertools.count()

    def erase_before_the_second(consents: Any) -> Any:
        if next(puts) == 1:
            case.consents.record("shop", [PersonLeft(PERSON, erase=True, at=2)])
            assert case.store.people == {}
        return put(consents)

    case.store.put = erase_before_the_second  # type: ignore[method-assign] # for this test
    assert case.consents.take(ahead, A) is None
    assert [each.templates for each in case.store.people.values()] == [()]


@pytest.mark.parametrize("keys", [AHEAD, BEHIND])
def test_who_is_erased_is_not_moved_back(case: Case, keys: tuple[str, ...]) -> None:
    """A reader that comes between the two deletions."""
    case.accept(1)
    need = need_of(case, AHEAD)
    case.consents.take(need, A)  # it is moved
    case.hashes.keys = keys
    delete = case.store.delete

    def read_too(account: str, openid_hash: str) -> None:
        delete(account, openid_hash)
        with suppress(StorageError):
            case.consents.is_given(need)

    case.store.delete = read_too  # type: ignore[method-assign] # for this test
    case.consents.record("shop", [PersonLeft(PERSON, erase=True, at=2)])
    assert case.store.people == {}
