"""The consents of one person to one account's messages, and the changes that they can go through.

::

    popup accepted, link confirmed ─► unused ─► taken by a message ─► used up
                                        │  ▲         │
                                        │  └─────────┘ WeChat refused the message for another reason
                                        └─► gone: withdrawn, or WeChat answered 43101

Nothing is read or written here. Events come twice and in any order: a grant is known by its key, and one that
is older than a withdrawal is void, whichever of the two is told first. Times are seconds since the epoch.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from typing import NamedTuple

MAX_UNUSED = 50
"""Unused grants of one template that are kept; older ones are dropped, so that an item has an end."""
MAX_USED = 5
"""Used grants of one template that are kept, to know the repeats of their events: those taken last. With them
the item of most people stays below 1 KB, which is one write unit."""
UNDER_WAY = 600.0
"""Seconds for which a grant that was taken is kept beside those ``MAX_USED``, up to ``MAX_UNUSED`` in all. By
then it was given back, or a message whose function was stopped has come again: the queue's visibility timeout
is 432 s."""
MAX_TEMPLATES = 80
"""Templates (a scene of a one-time message counts as one) of one person; an item has 400 KB at most."""
_NEVER = float("-inf")


class Holder(NamedTuple):
    """The attempt that takes a grant: a message's id, and the name under which its claim was written."""

    message_id: str
    writer: str


class ConsentGrant(NamedTuple):
    """One message that a person allowed.

    ``key`` names the decision, so that its repeat is known. ``message_id`` is the message that took it,
    ``taken_by`` the writer of that message's claim, ``taken_at`` when that was: None where nothing did.
    """

    key: str
    at: float
    message_id: str | None = None
    taken_by: str | None = None
    taken_at: float | None = None


class TemplateConsents(NamedTuple):
    """The consents to one template, or to one scene of it.

    ``granted_at`` is the last grant, ``refused_at`` the last refusal in a popup, which ends nothing.
    ``ended_at`` is the last withdrawal. ``corrected_at`` is when a message went out that WeChat answered
    43101: no older grant is left. ``counted_to`` is up to when grants count as known that are not listed here
    any more.
    """

    template_id: str
    scene: str | None = None
    grants: tuple[ConsentGrant, ...] = ()
    granted_at: float | None = None
    refused_at: float | None = None
    ended_at: float | None = None
    corrected_at: float | None = None
    counted_to: float | None = None

    @property
    def unused(self) -> list[ConsentGrant]:
        """The grants that no message took, the oldest first."""
        return sorted((grant for grant in self.grants if grant.message_id is None), key=_time)

    @property
    def changed_at(self) -> float:
        """The last time at which anything happened to it."""
        return _latest(self.granted_at, self.refused_at, self.ended_at, self.corrected_at)


class PersonConsents(NamedTuple):
    """The consents of one person, stored as one item; version 0 is none stored.

    ``left_at`` is when the person unsubscribed last. ``counted_to`` as in a template's. ``moved_at`` is from
    when on another item, under the hash of a newer key, stands for this one.
    """

    account: str
    openid_hash: str
    version: int = 0
    writer: str = ""
    updated_at: float = 0.0
    left_at: float | None = None
    counted_to: float | None = None
    templates: tuple[TemplateConsents, ...] = ()
    moved_at: float | None = None

    def of(self, template_id: str, scene: str | None) -> TemplateConsents:
        """The consents to a template, or to a scene of it; empty where there are none."""
        named = (each for each in self.templates if (each.template_id, each.scene) == (template_id, scene))
        return next(named, TemplateConsents(template_id, scene))

    @property
    def has_unused(self) -> bool:
        """Return whether a grant is left."""
        return any(grant.message_id is None for each in self.templates for grant in each.grants)

    def granted(self, template_id: str, scene: str | None, key: str, at: float) -> PersonConsents:
        """With a grant; the same where it is known, or void."""
        known = self.of(template_id, scene)
        if key in {grant.key for grant in known.grants}:
            return self
        if at <= _latest(self._withdrawn_to(known), known.counted_to, self.counted_to):
            return self
        grants = known.grants
        counted_to = known.counted_to
        if scene is not None and known.unused:
            # A second confirmation of the same scene does not add up: the newer one stands for both.
            older, newer = sorted([known.unused[0], ConsentGrant(key, at)], key=_time)
            grants = (*(grant for grant in grants if grant.message_id is not None), newer)
            counted_to = _latest(counted_to, older.at)
        else:
            grants = (*grants, ConsentGrant(key, at))
        return self._with(
            known._replace(grants=grants, granted_at=_latest(known.granted_at, at), counted_to=counted_to)
        )

    def refused(self, template_id: str, scene: str | None, at: float) -> PersonConsents:
        """With a refusal, which takes nothing back."""
        known = self.of(template_id, scene)
        if at <= (known.refused_at or _NEVER):
            return self
        return self._with(known._replace(refused_at=at))

    def withdrawn(self, template_id: str, at: float) -> PersonConsents:
        """Without the grants of a template up to a time, in all of its scenes."""
        known = self.of(template_id, None)
        if at <= (known.ended_at or _NEVER):
            return self
        person = self._with(known._replace(ended_at=at))
        return _mapped(person, lambda each: _without(each, at) if each.template_id == template_id else each)

    def left(self, at: float) -> PersonConsents:
        """Without any grant up to a time: the person unsubscribed."""
        if at <= (self.left_at or _NEVER):
            return self
        return _mapped(self._replace(left_at=at), lambda each: _without(each, at))

    def since(self, at: float) -> PersonConsents:
        """With nothing that happened up to a time: the person had it erased then."""
        templates = (_since(each, at) for each in self.templates)
        return self._replace(
            left_at=_if_later(self.left_at, at),
            counted_to=_latest(self.counted_to, at),
            templates=tuple(
                each for each in templates if each != TemplateConsents(each.template_id, each.scene)
            ),
        )

    def takes(self, template_id: str, scene: str | None, holder: Holder, now: float) -> PersonConsents | None:
        """With one grant taken: the message's own of an earlier attempt, or the oldest; None without any."""
        known = self.of(template_id, scene)
        withdrawn_to = self._withdrawn_to(known)
        own = (grant for grant in known.grants if grant.message_id == holder.message_id)
        found = next((grant for grant in own if grant.at > withdrawn_to), None)
        if found is None:
            found = next(iter(known.unused), None)
        if found is None:
            return None
        # Written down for its own grant too: whoever wants to free that meanwhile meets another version.
        taken = found._replace(message_id=holder.message_id, taken_by=holder.writer, taken_at=now)
        return self._with(known._replace(grants=_replaced(known.grants, found, taken)))

    def lasts(self, template_id: str) -> bool:
        """Return whether a long-term subscription stands, which no message uses up."""
        known = self.of(template_id, None)
        return any(grant.at > self._withdrawn_to(known) for grant in known.grants)

    def returned(self, template_id: str, scene: str | None, holder: Holder) -> PersonConsents:
        """With the grant free again that this very attempt took."""
        known = self.of(template_id, scene)
        return self._freed(
            known, [grant for grant in known.grants if (grant.message_id, grant.taken_by) == holder]
        )

    def freed(self, template_id: str, scene: str | None, message_ids: Collection[str]) -> PersonConsents:
        """With the grants free again that these messages took, which were not sent."""
        known = self.of(template_id, scene)
        return self._freed(known, [grant for grant in known.grants if grant.message_id in message_ids])

    def corrected(self, template_id: str, scene: str | None, posted_at: float) -> PersonConsents:
        """Without the grants up to when a message went out that WeChat answered 43101."""
        known = self.of(template_id, scene)
        if posted_at <= (known.corrected_at or _NEVER):
            return self
        return self._with(_without(known, posted_at)._replace(corrected_at=posted_at))

    def holders(self, template_id: str, scene: str | None) -> list[str]:
        """The ids of the messages that took the grants of a template."""
        return [grant.message_id for grant in self.of(template_id, scene).grants if grant.message_id]

    def successor(self, *, writer: str, now: float) -> PersonConsents:
        """The version after this one, as it is stored."""
        kept = _mapped(self, lambda each: _pruned(each, now))
        if len(kept.templates) > MAX_TEMPLATES:
            # What nothing is left of goes first, and then what was not touched for longest.
            order = sorted(kept.templates, key=lambda each: (bool(each.unused), each.changed_at))
            dropped = order[: len(order) - MAX_TEMPLATES]
            counted_to = _latest(kept.counted_to, *(each.changed_at for each in dropped))
            kept = kept._replace(
                templates=tuple(each for each in kept.templates if each not in dropped), counted_to=counted_to
            )
        return kept._replace(version=self.version + 1, writer=writer, updated_at=now)

    def _withdrawn_to(self, known: TemplateConsents) -> float:
        of_all = self.of(known.template_id, None)
        return _latest(known.ended_at, known.corrected_at, of_all.ended_at, self.left_at)

    def _freed(self, known: TemplateConsents, held: Iterable[ConsentGrant]) -> PersonConsents:
        grants, withdrawn_to = known.grants, self._withdrawn_to(known)
        for grant in held:
            if grant.at <= withdrawn_to:
                continue  # withdrawn meanwhile: it stays used
            adds_up = known.scene is None or all(each.message_id is not None for each in grants)
            if adds_up:
                grants = _replaced(grants, grant, ConsentGrant(grant.key, grant.at))
        return self if grants == known.grants else self._with(known._replace(grants=grants))

    def _with(self, changed: TemplateConsents) -> PersonConsents:
        name = (changed.template_id, changed.scene)
        others = tuple(each for each in self.templates if (each.template_id, each.scene) != name)
        return self._replace(templates=(*others, changed))


def _mapped(person: PersonConsents, change: Callable[[TemplateConsents], TemplateConsents]) -> PersonConsents:
    return person._replace(templates=tuple(change(each) for each in person.templates))


def _since(known: TemplateConsents, at: float) -> TemplateConsents:
    return TemplateConsents(
        known.template_id,
        known.scene,
        tuple(grant for grant in known.grants if grant.at > at),
        granted_at=_if_later(known.granted_at, at),
        refused_at=_if_later(known.refused_at, at),
        ended_at=_if_later(known.ended_at, at),
        corrected_at=_if_later(known.corrected_at, at),
        counted_to=_if_later(known.counted_to, at),
    )


def _without(known: TemplateConsents, at: float) -> TemplateConsents:
    """Without the unused grants up to a time."""
    kept = (grant for grant in known.grants if grant.message_id is not None or grant.at > at)
    return known._replace(grants=tuple(kept))


def _pruned(known: TemplateConsents, now: float) -> TemplateConsents:
    """With as many grants as are kept; those of an event that comes again later count as known."""
    used = sorted((grant for grant in known.grants if grant.message_id is not None), key=_taken_at)
    settled = [grant for grant in used[:-MAX_USED] if _taken_at(grant) < now - UNDER_WAY]
    dropped = [*used[:-MAX_UNUSED], *settled, *known.unused[:-MAX_UNUSED]]
    if not dropped:
        return known
    return known._replace(
        grants=tuple(grant for grant in known.grants if grant not in dropped),
        counted_to=_latest(known.counted_to, *(grant.at for grant in dropped)),
    )


def _replaced(
    grants: tuple[ConsentGrant, ...], old: ConsentGrant, new: ConsentGrant
) -> tuple[ConsentGrant, ...]:
    return tuple(new if grant.key == old.key else grant for grant in grants)


def _time(grant: ConsentGrant) -> float:
    return grant.at


def _if_later(time: float | None, at: float) -> float | None:
    return time if time is not None and time > at else None


def _taken_at(grant: ConsentGrant) -> float:
    return grant.at if grant.taken_at is None else grant.taken_at


def _latest(*times: float | None) -> float:
    return max((at for at in times if at is not None), default=_NEVER)
