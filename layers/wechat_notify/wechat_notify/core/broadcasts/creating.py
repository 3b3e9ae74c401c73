"""New broadcasts: from a request, or of what failed in another one."""

from __future__ import annotations

import hashlib
from typing import NamedTuple

from wechat_notify.core.broadcasts import pace
from wechat_notify.core.broadcasts.broadcast import Broadcast, State
from wechat_notify.core.broadcasts.engine import wake
from wechat_notify.core.broadcasts.files import Files
from wechat_notify.core.broadcasts.ports import ObjectHead, Services
from wechat_notify.core.broadcasts.spec import BroadcastSpec
from wechat_notify.core.errors import (
    BroadcastIdReusedError,
    BroadcastStateError,
    ObjectChangedError,
    UnknownBroadcastError,
    UnknownUploadError,
)

UPLOAD_SECONDS = 3600
"""Seconds for which an upload can be begun."""


class Upload(NamedTuple):
    """A file that is to come: its id, the URL to PUT it to, and until when (seconds since the epoch)."""

    id: str
    url: str
    expires_at: float


class NewBroadcasts:
    """Creates broadcasts. Every operation raises ``StorageError``, and can then be repeated."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._files = Files(services)

    def new_upload(self, account: str) -> Upload:
        """Return an upload for a recipients' file."""
        upload_id = self._services.new_id()
        url = self._services.objects.presign_upload(_upload_key(account, upload_id), seconds=UPLOAD_SECONDS)
        return Upload(upload_id, url, self._services.now() + UPLOAD_SECONDS)

    def create(
        self, account: str, broadcast_id: str, spec: BroadcastSpec, *, dry_run: bool = False
    ) -> Broadcast:
        """Create a broadcast and begin its check; the same request under the same id changes nothing.

        With ``dry_run`` it is not sent before ``start``.

        Raises
        ------
        UnknownUploadError
            There is no such upload.
        BroadcastIdReusedError
            The id belongs to another request.
        """
        source = _upload_key(account, spec.upload) if spec.upload is not None else ""
        head = self._head(source) if source else None
        # A file counts by its content: a caller that was interrupted uploads it again, and asks for the same.
        asked = spec.model_copy(update={"upload": head.etag}) if head else spec
        fingerprint = _fingerprint(f"{asked.model_dump_json()} {dry_run}")
        existing = self._services.store.read(account, broadcast_id)
        if existing is not None:
            return self._same(existing, fingerprint)
        new = self._new(account, broadcast_id, spec, fingerprint)._replace(dry_run=dry_run)
        if head is None:
            source = self._files.write(new, "recipients.jsonl", spec.recipients_file())
            head = self._head(source)
        return self._store(new._replace(source=source, etag=head.etag, size=head.size))

    def retry(
        self,
        account: str,
        broadcast_id: str,
        new_id: str,
        *,
        include_unknown: bool = False,
        dry_run: bool = False,
    ) -> Broadcast:
        """Create a broadcast of those messages that failed for a reason that can pass.

        It has the request of the first one without ``starts_at`` and ``expires_at``. Messages that may have
        been sent are part of it only with ``include_unknown``: their readers may get a second copy.

        Raises
        ------
        UnknownBroadcastError
            There is none under this id.
        BroadcastStateError
            It has not ended, or nothing of it was sent.
        UnknownUploadError
            Its recipients have expired, or were replaced.
        BroadcastIdReusedError
            The new id belongs to another request.
        """
        original = self._services.store.read(account, broadcast_id)
        if original is None:
            raise UnknownBroadcastError
        if original.failures is None:
            raise BroadcastStateError(original.state.value)
        fingerprint = _fingerprint(f"{original.id} {include_unknown} {dry_run}")
        existing = self._services.store.read(account, new_id)
        if existing is not None:
            return self._same(existing, fingerprint)
        try:
            spec = self._files.spec(original)
        except ObjectChangedError:
            raise UnknownUploadError from None
        head = self._head(original.source)
        if head.etag != original.etag:
            raise UnknownUploadError
        spec = spec.model_copy(update={"starts_at": None, "expires_at": None, "on_invalid": "skip"})
        new = self._new(account, new_id, spec, fingerprint)._replace(
            dry_run=dry_run,
            retry_of=original.id,
            retried=original.failures,
            include_unknown=include_unknown,
            source=original.source,
            etag=head.etag,
            size=head.size,
        )
        return self._store(new)

    def _new(self, account: str, broadcast_id: str, spec: BroadcastSpec, fingerprint: str) -> Broadcast:
        now = self._services.now()
        new = Broadcast(
            account,
            broadcast_id,
            State.CHECKING,
            fingerprint,
            self._services.new_id(),
            now,
            now,
            name=spec.name,
            next_step_at=now,
            expires_at=pace.timestamp(spec.expires_at),
        )
        return new._replace(spec=self._files.write(new, "request.json", spec.to_json().encode()))

    def _head(self, source: str) -> ObjectHead:
        head = self._services.objects.head(source)
        if head is None:
            raise UnknownUploadError
        return head

    def _store(self, new: Broadcast) -> Broadcast:
        existing = self._services.store.put(new)
        if existing is not None:
            return self._same(existing, new.fingerprint)
        wake(self._services, new)
        return new

    def _same(self, existing: Broadcast, fingerprint: str) -> Broadcast:
        if existing.fingerprint != fingerprint:
            raise BroadcastIdReusedError
        wake(self._services, existing)
        return existing


def _upload_key(account: str, upload_id: str) -> str:
    return f"{account}/uploads/{upload_id}"


def _fingerprint(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:32]
