"""The consents of one person: events in any order, and every small history of two messages."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import NamedTuple

import pytest

from wechat_notify.core.consents.record import (
    MAX_TEMPLATES,
    MAX_UNUSED,
    MAX_USED,
    UNDER_WAY,
    Holder,
    PersonConsents,
)

TEMPLATE, SCENE = "J5tWfHcX2mNq8sVb", "1000"
NOBODY = PersonConsents("shop", "5f2c")
A, B = Holder("a", "writer-a"), Holder("b", "writer-b")


def unused(person: PersonConsents, scene: str | None = None) -> list[float]:
    return [grant.at for grant in person.of(TEMPLATE, scene).unused]


def granted(person: PersonConsents, *times: float, scene: str | None = None) -> PersonConsents:
    for at in times:
        person = person.granted(TEMPLATE, scene, f"popup:{at}", at)
    return person


def taken(
    person: PersonConsents, holder: Holder, scene: str | None = None, *, now: float = 0.0
) -> PersonConsents:
    found = person.takes(TEMPLATE, scene, holder, now)
    assert found is not None
    return found


def test_each_acceptance_is_one_message_and_its_repeat_none() -> None:
    person = granted(NOBODY, 10, 20, 10, 20)
    assert unused(person) == [10, 20]
    assert person.of(TEMPLATE, None).granted_at == 20
    assert granted(person, 10) is person


_EVENTS: dict[str, Callable[[PersonConsents], PersonConsents]] = {
    "granted at 10": lambda person: granted(person, 10),
    "granted at 30": lambda person: granted(person, 30),
    "granted at 30 again": lambda person: granted(person, 30),
    "withdrawn at 20": lambda person: person.withdrawn(TEMPLATE, 20),
    "withdrawn at 5": lambda person: person.withdrawn(TEMPLATE, 5),
    "refused at 40": lambda person: person.refused(TEMPLATE, None, 40),
    "refused at 15": lambda person: person.refused(TEMPLATE, None, 15),
}


@pytest.mark.parametrize("how", ["withdrawn", "left"])
def test_the_order_of_events_does_not_matter(how: str) -> None:
    events = dict(_EVENTS)
    if how == "left":
        events |= {"withdrawn at 20": lambda person: person.left(20)}
    ends = set()
    for order in itertools.permutations(events.values()):
        person = NOBODY
        for event in order:
            person = event(person)
        known = person.of(TEMPLATE, None)
        assert unused(person) == [30]
        ends.add((known.refused_at, known.ended_at, person.left_at))
    assert ends == {(40, 20, None) if how == "withdrawn" else (40, 5, 20)}


def test_a_withdrawal_ends_every_scene_and_no_other_template() -> None:
    person = granted(granted(NOBODY, 10), 10, scene=SCENE).granted("other", None, "popup:10", 10)
    person = person.withdrawn(TEMPLATE, 10)
    assert (unused(person), unused(person, SCENE)) == ([], [])
    assert unused(granted(person, 9, scene="7"), "7") == []  # a scene that was not known yet
    assert person.of("other", None).unused


def test_nothing_up_to_a_time_is_left() -> None:
    person = granted(NOBODY, 10, 20, 30).refused(TEMPLATE, None, 12).withdrawn("other", 20).left(5)
    assert person.since(30) == NOBODY._replace(counted_to=30)
    known = person.since(20).of(TEMPLATE, None)
    assert (unused(person.since(20)), known.granted_at, known.refused_at) == ([30], 30, None)
    assert person.since(20).left_at is None
    later = granted(person, 40).corrected(TEMPLATE, None, 35).withdrawn("other", 50).left(60).since(32)
    assert (unused(later), later.left_at, later.of(TEMPLATE, None).corrected_at) == ([], 60, 35)
    assert later.of("other", None).ended_at == 50


def test_a_second_confirmation_of_a_scene_does_not_add_up() -> None:
    person = granted(NOBODY, 20, 10, 30, scene=SCENE)
    assert unused(person, SCENE) == [30]
    assert unused(granted(person, 11, scene="0"), "0") == [11]
    person = taken(person, A, SCENE)
    # Neither do the repeats of those that it stood for, nor the one that comes back.
    assert unused(granted(person, 10, 20, 30, scene=SCENE), SCENE) == []
    person = granted(person, 40, scene=SCENE)
    assert unused(person.returned(TEMPLATE, SCENE, A), SCENE) == [40]


def test_the_oldest_grant_goes_first_and_a_message_finds_its_own() -> None:
    person = taken(granted(NOBODY, 20, 10), A)
    assert unused(person) == [20]
    again = taken(person, Holder("a", "writer-a2"))
    assert (unused(again), again == person) == ([20], False)  # under its new claim
    assert again.returned(TEMPLATE, None, A) is again  # an earlier attempt gives nothing back
    assert unused(again.returned(TEMPLATE, None, Holder("a", "writer-a2"))) == [10, 20]
    assert taken(again, B).takes(TEMPLATE, None, Holder("c", "w"), 0.0) is None


def test_what_was_withdrawn_while_it_was_taken_does_not_come_back() -> None:
    person = taken(granted(NOBODY, 10), A).withdrawn(TEMPLATE, 15)
    assert unused(person.returned(TEMPLATE, None, A)) == []
    assert unused(person.freed(TEMPLATE, None, {"a"})) == []
    assert person.takes(TEMPLATE, None, A, 0.0) is None


def test_43101_drops_what_is_older_than_the_post() -> None:
    person = taken(granted(NOBODY, 10, 20, 40), A).corrected(TEMPLATE, None, 30)
    assert unused(person) == [40]
    assert unused(granted(person, 25)) == [40]  # an event that comes late
    assert person.of(TEMPLATE, None).ended_at is None
    assert person.corrected(TEMPLATE, None, 29) is person


def test_a_long_term_consent_stands_until_it_is_withdrawn() -> None:
    person = granted(NOBODY, 10)
    assert person.lasts(TEMPLATE)
    assert not person.lasts("other")
    assert not person.withdrawn(TEMPLATE, 10).lasts(TEMPLATE)
    assert not person.left(10).lasts(TEMPLATE)
    assert granted(person.left(10), 11).lasts(TEMPLATE)
    assert not person.corrected(TEMPLATE, None, 12).lasts(TEMPLATE)


def test_a_grant_is_kept_while_its_message_is_under_way() -> None:
    """Of any number that can be; afterwards the last ones are enough to know repeats by."""
    holders = [Holder(str(number), "w") for number in range(MAX_UNUSED)]
    person = granted(NOBODY, *range(MAX_UNUSED))
    for second, holder in enumerate(holders):
        person = taken(person, holder, now=second).successor(writer="w", now=second)
    for holder in holders:  # and all are refused
        person = person.returned(TEMPLATE, None, holder).successor(writer="w", now=UNDER_WAY)
    assert unused(person) == [*range(MAX_UNUSED)]
    for second, holder in enumerate(holders):
        person = taken(person, holder, now=second)
    end = MAX_UNUSED + UNDER_WAY
    person = taken(granted(person, 90), B, now=end).successor(writer="w", now=end)
    last = [str(number) for number in range(MAX_UNUSED)][1 - MAX_USED :]
    assert person.holders(TEMPLATE, None) == [*last, "b"]


def test_what_was_taken_last_is_kept() -> None:
    """Its grant may be the oldest: its event was late."""
    person = granted(NOBODY, *range(10, 10 + MAX_USED))
    for number in range(MAX_USED):
        person = taken(person, Holder(str(number), "w"), now=100)
    person = taken(granted(person, 5), A, now=900).successor(writer="w", now=900)
    assert unused(person.returned(TEMPLATE, None, A)) == [5]


def test_an_item_has_an_end() -> None:
    person = NOBODY
    for number in range(MAX_USED + 5):
        person = taken(granted(person, number), Holder(str(number), "w"))
    person = granted(person, *range(100, 100 + MAX_UNUSED + 5))
    stored = person.successor(writer="w", now=UNDER_WAY + 1)
    known = stored.of(TEMPLATE, None)
    assert (len(known.unused), len(known.grants)) == (MAX_UNUSED, MAX_UNUSED + MAX_USED)
    assert known.unused[0].at == 105
    assert granted(stored, 0, 4, 104) is stored  # what is not listed any more is not counted again
    for number in range(MAX_TEMPLATES):
        stored = stored.granted(f"t-{number}", None, "popup:200", 200 + number)
    stored = stored.granted("used", None, "popup:999", 999).takes("used", None, A, 0.0) or stored
    stored = stored.withdrawn("ended", 500)
    stored = stored.successor(writer="w", now=UNDER_WAY + 2)
    names = {each.template_id for each in stored.templates}
    assert (len(names), names & {"used", "ended", TEMPLATE}) == (MAX_TEMPLATES, set())
    assert stored.granted("used", None, "popup:999", 999) is stored
    assert stored.granted("ended", None, "popup:499", 499) is stored
    assert (stored.version, stored.has_unused) == (2, True)


# ---- every history


class World(NamedTuple):
    """The ledger of two messages with two grants, and what is true beside it."""

    person: PersonConsents
    sent: frozenset[str] = frozenset()
    ended: frozenset[str] = frozenset()
    attempts: tuple[int, int] = (0, 0)
    given: frozenset[float] = frozenset()
    withdrawn: float = 0.0


def _holder(world: World, name: str) -> Holder:
    return Holder(name, f"{name}-{world.attempts['ab'.index(name)]}")


def _held(world: World, name: str) -> list[float]:
    return [grant.at for grant in world.person.of(TEMPLATE, None).grants if grant.message_id == name]


def _steps(world: World) -> list[World]:
    """The worlds that may follow: an event, or a step of one message, whose function may end with it."""
    person = world.person
    found = [world._replace(person=granted(person, at), given=world.given | {at}) for at in (10.0, 30.0)]
    found.append(world._replace(person=person.withdrawn(TEMPLATE, 20), withdrawn=20.0))
    for place, name in enumerate("ab"):
        if name in world.sent or world.attempts[place] >= 2:
            continue
        attempts = tuple(n + (i == place) for i, n in enumerate(world.attempts))
        begun = world._replace(attempts=attempts, ended=world.ended - {name})  # type: ignore[arg-type] # two
        after = person.takes(TEMPLATE, None, _holder(begun, name), 0.0)
        if after is None:
            unsent = world.ended & set(person.holders(TEMPLATE, None))
            after = person.freed(TEMPLATE, None, unsent).takes(TEMPLATE, None, _holder(begun, name), 0.0)
        if after is None:
            continue
        took = begun._replace(person=after)
        found.append(took._replace(sent=took.sent | {name}))  # sent, or nobody knows: it counts
        refused = took._replace(ended=took.ended | {name})
        found.append(refused)  # the function ended before it gave the grant back
        found.append(refused._replace(person=after.returned(TEMPLATE, None, _holder(took, name))))
        late = Holder(name, f"{name}-{attempts[place] - 1}")
        assert after.returned(TEMPLATE, None, late) is after
    return found


def test_every_history_of_two_messages() -> None:
    """No grant is used twice, and none is lost, in whatever order things happen."""
    reached = {World(NOBODY)}
    fresh = reached
    for _ in range(6):
        fresh = {following for world in fresh for following in _steps(world)} - reached
        reached |= fresh
    assert len(reached) > 200
    for world in reached:
        held = {name: _held(world, name) for name in "ab"}
        assert all(len([at for at in grants if at > world.withdrawn]) <= 1 for grants in held.values())
        assert all(held[name] for name in world.sent)
        valid = {at for at in world.given if at > world.withdrawn}
        counted = sorted([*unused(world.person), *held["a"], *held["b"]])
        assert len(counted) == len(set(counted)), world  # each is in one place
        assert valid <= set(counted), world
        free = world.person.freed(TEMPLATE, None, world.ended)
        assert len([*unused(free), *world.sent]) >= len(valid), world
