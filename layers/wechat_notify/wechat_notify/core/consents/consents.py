"""The consent ledger: what people allowed, taken by messages one by one, and corrected by WeChat's answers.

WeChat has no API that shows the consents that are left, so the count here is ours. Every write is the
successor of one version: of two senders that want the same grant one has to look again.

A person's item has the hash of their openid as its key. After a rotation of the hashes' key it is moved to
the new hash when it is next read.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from wechat_notify.core.callbacks.events import ConsentChange, PersonLeft
from wechat_notify.core.consents.links import LIFETIME, ConsentLink, Signer, new_nonce
from wechat_notify.core.consents.ports import ConsentStore, UnsentMessages
from wechat_notify.core.consents.record import Holder, PersonConsents
from wechat_notify.core.errors import ConsentLinkError, StorageError
from wechat_notify.core.messages.kinds import (
    Message,
    MiniProgramSubscription,
    OneTimeSubscription,
    Subscription,
)
from wechat_notify.core.openid_hashes import KeyedHash

_MAX_WRITES: Final = 8
"""Times that a write is judged anew because another one came in between."""

REPAIRED_FOR: Final = 600.0
"""Seconds in which a confirmation's repeat makes up for a stop between the two writes, of its link and of its
person. A tab that is opened again later brings nobody back who was erased meanwhile."""


class Need(NamedTuple):
    """The consent that a message needs, of a person and to a template (or to one scene of it).

    ``hashes`` are those of the openid, that under the current key first.
    """

    account: str
    hashes: tuple[str, ...]
    template_id: str
    scene: str | None


class Hold(NamedTuple):
    """A grant that one attempt has taken; ``holder`` is None of a long-term one, which nobody takes."""

    need: Need
    holder: Holder | None


class Recorded(NamedTuple):
    """The result of an event or a confirmation: ``granted`` new grants; ``changed``: anything was written."""

    granted: int = 0
    changed: bool = False


class Confirmed(NamedTuple):
    """A link's account, and the number of new grants: none where the confirmation came again."""

    account: str
    granted: int


class Consents:
    """Records and takes consents. Every method raises ``StorageError``.

    Parameters
    ----------
    store : ConsentStore
        Where they are.
    unsent : UnsentMessages
        Tells which of some messages were not sent.
    long_term : Callable
        Whether an account's template is a long-term one, as far as its templates are known.
    keyed_hash : KeyedHash
        Hashes an openid, as entries have it.
    now, writer : Callable
        Seconds since the epoch; new names for writes.
    """

    def __init__(
        self,
        store: ConsentStore,
        unsent: UnsentMessages,
        *,
        long_term: Callable[[str, str], bool],
        keyed_hash: KeyedHash,
        now: Callable[[], float],
        writer: Callable[[], str],
    ) -> None:
        self._store = store
        self._unsent = unsent
        self._long_term = long_term
        self._keyed_hash = keyed_hash
        self._now = now
        self._writer = writer

    def need(self, account: str, message: Message) -> Need | None:
        """The consent that a message needs, None of a kind that needs none."""
        match message:
            case Subscription() | MiniProgramSubscription():
                scene = None
            case OneTimeSubscription():
                scene = str(int(message.scene))  # "007" is 7
            case _:
                return None
        return Need(account, self._keyed_hash.every(message.touser), message.template_id, scene)

    def of(self, account: str, openid: str) -> PersonConsents:
        """The consents of a person."""
        hashes = self._keyed_hash.every(openid)
        return self._read(account, hashes) or PersonConsents(account, hashes[0])

    def is_given(self, need: Need) -> bool:
        """Return whether a message would find a grant now; nothing is taken."""
        person = self._read(need.account, need.hashes)
        if person is None:
            return False
        if self._lasts(need):
            return person.lasts(need.template_id)
        nobody = Holder("", "")
        return self._taken(person, need, nobody) is not None

    def take(self, need: Need, holder: Holder) -> Hold | None:
        """Take one grant for an attempt; None where none is left.

        A message that took one before finds its own again. A grant that a message took which ended without
        being sent, and that was not given back, is free.
        """
        lasts = self._lasts(need)
        person = self._read(need.account, need.hashes)
        for _ in range(_MAX_WRITES):
            if person is None:
                return None
            if lasts:
                return Hold(need, None) if person.lasts(need.template_id) else None
            taken = self._taken(person, need, holder)
            if taken is None:
                return None
            existing = self._put(taken, person)
            if existing is None:
                return Hold(need, holder)
            person = self._newest(existing, need.hashes)
        raise StorageError("take a consent", "Contended")

    def give_back(self, hold: Hold) -> bool:
        """Free the grant of an attempt whose message was not sent; return whether it is free again."""
        need, holder = hold
        if holder is None:
            return False
        return self._update(
            need.account,
            need.hashes,
            lambda person: person.returned(need.template_id, need.scene, holder),
        ).changed

    def correct(self, need: Need, posted_at: float) -> None:
        """Drop the grants that WeChat does not know: it answered 43101 to a message sent at this time."""
        self._update(
            need.account,
            need.hashes,
            lambda person: person.corrected(need.template_id, need.scene, posted_at),
        )

    def record(self, account: str, events: Sequence[ConsentChange | PersonLeft]) -> Recorded:
        """Record the events of one callback, which are all about one person."""
        hashes = self._keyed_hash.every(events[0].openid)
        revoked = [event.at for event in events if isinstance(event, PersonLeft) and event.erase]
        if revoked:
            return self._erase(account, hashes, max(revoked))

        def changed(person: PersonConsents) -> PersonConsents:
            for event in events:
                person = _after(person, event)
            return person

        return self._update(account, hashes, changed, new=True)

    def confirm(self, link: ConsentLink, openid: str) -> Recorded:
        """Record the grant of a link that this person confirmed."""
        assert link.confirmed_at is not None  # noqa: S101 # nosec B101 # it is bound
        at = link.confirmed_at
        return self._update(
            link.account,
            self._keyed_hash.every(openid),
            lambda person: person.granted(link.template_id, link.scene, f"link:{link.nonce}", at),
            new=self._now() - at < REPAIRED_FOR,
        )

    def _erase(self, account: str, hashes: tuple[str, ...], at: float) -> Recorded:
        """Delete all that is known of a person up to a time; nothing newer, for the event may come late."""
        person = self._read(account, hashes)
        if person is not None and person.since(at).templates:
            self._update(account, hashes, lambda newest: newest.since(at))
            kept = {person.openid_hash}
        else:
            kept = set()
        # There and back: a reader in between moves what is still under another hash.
        for openid_hash in hashes + hashes[-2::-1]:
            if openid_hash not in kept:
                self._store.delete(account, openid_hash)
        return Recorded(changed=True)

    def _lasts(self, need: Need) -> bool:
        return need.scene is None and self._long_term(need.account, need.template_id)

    def _taken(self, person: PersonConsents, need: Need, holder: Holder) -> PersonConsents | None:
        now = round(self._now(), 3)
        taken = person.takes(need.template_id, need.scene, holder, now)
        if taken is not None:
            return taken
        holders = person.holders(need.template_id, need.scene)
        unsent = self._unsent(need.account, holders) if holders else ()
        if not unsent:
            return None
        freed = person.freed(need.template_id, need.scene, unsent)
        return freed.takes(need.template_id, need.scene, holder, now)

    def _update(
        self,
        account: str,
        hashes: tuple[str, ...],
        change: Callable[[PersonConsents], PersonConsents],
        *,
        new: bool = False,
    ) -> Recorded:
        """Write what a change makes of a person's consents; nothing where it changes nothing."""
        person = self._read(account, hashes)
        for _ in range(_MAX_WRITES):
            if person is None:
                if not new:
                    return Recorded()
                person = PersonConsents(account, hashes[0])
            changed = change(person)
            if changed == person:
                return Recorded()
            existing = self._put(changed, person)
            if existing is None:
                return Recorded(len(_keys(changed) - _keys(person)), changed=True)
            person = self._newest(existing, hashes)
        raise StorageError("write the person's consents", "Contended")

    def _read(self, account: str, hashes: tuple[str, ...]) -> PersonConsents | None:
        """The person's record, which is moved to the current hash where it is still under an earlier one."""
        current, *others = hashes
        found = self._store.read(account, current)
        if found is not None and found.moved_at is None:
            return found
        elsewhere = [each for each in (self._store.read(account, other) for other in others) if each]
        # One is not moved, unless whoever moves it is between the two writes, or was stopped there.
        known = next((each for each in elsewhere if each.moved_at is None), None)
        if found is None:
            known = known or next(iter(elsewhere), None)
            return known and self._moved(known, current)
        # Another process, whose clock is ahead, uses a newer key already.
        if known is None:
            raise StorageError("read the person's consents", "Moved")
        return known

    def _newest(self, existing: PersonConsents, hashes: tuple[str, ...]) -> PersonConsents | None:
        """The version that another call has written, wherever it was moved to."""
        return existing if existing.moved_at is None else self._read(existing.account, hashes)

    def _moved(self, known: PersonConsents, current: str) -> PersonConsents | None:
        for _ in range(_MAX_WRITES):
            if known.moved_at is not None:
                break
            marked = known._replace(moved_at=round(self._now(), 3))
            known = self._put(marked, known) or marked
        else:
            raise StorageError("move the person's consents", "Contended")
        copy = known._replace(openid_hash=current, version=0, moved_at=None)
        existing = self._put(copy, copy)
        if existing is None and self._store.read(known.account, known.openid_hash) is None:
            # Erased, maybe before the copy was there. Not every sender may delete it.
            self._update(known.account, (current,), lambda newest: newest.since(self._now()))
        return existing or self._store.read(known.account, current)

    def _put(self, changed: PersonConsents, before: PersonConsents) -> PersonConsents | None:
        wanted = changed._replace(version=before.version)
        return self._store.put(wanted.successor(writer=self._writer(), now=round(self._now(), 3)))


class Links:
    """Makes and confirms links. Every method raises ``StorageError``.

    Parameters
    ----------
    store, consents
        Where they are, and where confirmations are recorded.
    signer : Signer
        Signs them.
    keyed_hash, now, writer
        As ``Consents`` has them.
    random_bits : Callable
        ``n`` → an unpredictable integer of ``n`` bits.
    """

    def __init__(
        self,
        store: ConsentStore,
        consents: Consents,
        signer: Signer,
        *,
        keyed_hash: KeyedHash,
        now: Callable[[], float],
        writer: Callable[[], str],
        random_bits: Callable[[int], int],
    ) -> None:
        self._store = store
        self._consents = consents
        self._signer = signer
        self._keyed_hash = keyed_hash
        self._now = now
        self._writer = writer
        self._random_bits = random_bits

    def new(self, account: str, template_id: str, scene: str) -> tuple[ConsentLink, str]:
        """Make a link for one confirmation; return it and its ``reserved``."""
        expires_at = int(self._now()) + LIFETIME
        nonce = new_nonce(self._random_bits(96))
        link = ConsentLink(nonce, account, template_id, scene, float(expires_at), writer=self._writer())
        if self._store.put_link(link) is not None:
            raise StorageError("store the link", "Contended")
        return link, self._signer.write(nonce, expires_at)

    def confirm(self, reserved: str, template_id: str, scene: str, openid: str) -> Confirmed:
        """Record a confirmation: the first one binds the link to its person, who may repeat it.

        Raises
        ------
        ConsentLinkError
            The link is none of ours, expired, was made for another template or scene, or was confirmed by
            another person.
        """
        link = self._find(reserved, template_id, scene)
        people = self._keyed_hash.every(f"{link.nonce}{openid}")
        for _ in range(_MAX_WRITES):
            if link.person is not None:
                if link.person not in people:
                    raise ConsentLinkError("used")
                return Confirmed(link.account, self._consents.confirm(link, openid).granted)
            bound = link.successor(
                writer=self._writer(), person=people[0], confirmed_at=round(self._now(), 3)
            )
            link = self._store.put_link(bound) or bound
        raise StorageError("bind the link", "Contended")

    def refuse(self, reserved: str, template_id: str, scene: str) -> bool:
        """Record that a person cancelled; WeChat does not say who. Return whether it is the first time.

        Raises
        ------
        ConsentLinkError
            As above; also where the link was confirmed before.
        """
        link = self._find(reserved, template_id, scene)
        for _ in range(_MAX_WRITES):
            if link.person is not None:
                raise ConsentLinkError("used")
            if link.refused_at is not None:
                return False
            refused = link.successor(writer=self._writer(), refused_at=round(self._now(), 3))
            existing = self._store.put_link(refused)
            if existing is None:
                return True
            link = existing
        raise StorageError("record the refusal", "Contended")

    def _find(self, reserved: str, template_id: str, scene: str) -> ConsentLink:
        link = self._store.read_link(self._signer.read(reserved, self._now()))
        if link is None:
            raise ConsentLinkError("expired")
        if (link.template_id, link.scene) != (template_id, scene):
            raise ConsentLinkError("mismatch")
        return link


def _after(person: PersonConsents, event: ConsentChange | PersonLeft) -> PersonConsents:
    if isinstance(event, PersonLeft):
        return person.left(event.at)
    if not event.asked:  # of settings WeChat tells refusals alone: to keep a subscription adds no message
        return person if event.accepted else person.withdrawn(event.template_id, event.at)
    if event.accepted:
        return person.granted(event.template_id, None, f"popup:{event.at}", event.at)
    return person.refused(event.template_id, None, event.at)


def _keys(person: PersonConsents) -> set[tuple[str, str | None, str]]:
    return {(each.template_id, each.scene, grant.key) for each in person.templates for grant in each.grants}
