"""The service's own errors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from wechat_notify.core.outcomes import Outcome, Status
from wechat_notify.core.texts import Bilingual
from wechat_notify.core.violations import Violation


class WeChatNotifyError(Exception):
    """The root of this service's own errors; their texts hold no secret and no personal data.

    ``reason`` is the error's name in log lines, in metrics and in the type of a problem document.
    """

    reason: ClassVar[str]


class MediaTypeError(WeChatNotifyError):
    """The body is said to be something else than JSON."""

    reason = "unsupported_media_type"


class BodyTooLargeError(WeChatNotifyError):
    """The body is larger than ``limit`` bytes."""

    reason = "body_too_large"

    def __init__(self, limit: int) -> None:
        super().__init__(f"more than {limit} bytes")
        self.limit = limit


class MalformedBodyError(WeChatNotifyError):
    """The text is not the JSON that it must be."""

    reason = "malformed_body"

    def __init__(self, text: Bilingual) -> None:
        super().__init__(text.en)
        self.text = text


class IdempotencyKeyError(WeChatNotifyError):
    """The ``Idempotency-Key`` is not 1 to 64 visible ASCII characters."""

    reason = "invalid_idempotency_key"


class InvalidMessageError(WeChatNotifyError):
    """WeChat would refuse the message; ``violations`` names every wrong field at once."""

    reason = "invalid_message"

    def __init__(self, violations: Sequence[Violation]) -> None:
        super().__init__(", ".join(violation.for_log() for violation in violations))
        self.violations = tuple(violations)


class UnusableKeysError(WeChatNotifyError):
    """The callback parameter of an account is there, and no keys can be read from it."""

    reason = "unusable_keys"

    def __init__(self) -> None:
        super().__init__("the callback parameter cannot be used")


class AccountNameError(WeChatNotifyError):
    """No account can have this name, whatever is stored under it."""

    reason = "account_name"


class UnknownAccountError(WeChatNotifyError):
    """No credentials are stored under this account name."""

    reason = "unknown_account"


class NotAPlatformError(WeChatNotifyError):
    """The account's credentials are not those of a third-party platform."""

    reason = "not_a_platform"


class AccountTakenError(WeChatNotifyError):
    """An account of this name exists, and is another one than the merchant of an event."""

    reason = "account_taken"


class InvalidRequestError(WeChatNotifyError):
    """A body is JSON but no send request; ``violations`` names every wrong field of its envelope.

    ``message_id`` is the producer's own, ``account`` one that can exist: None where the body names none.
    """

    reason = "invalid_request"

    def __init__(
        self, violations: Sequence[Violation], message_id: str | None, account: str | None, message: object
    ) -> None:
        super().__init__(", ".join(violation.for_log() for violation in violations))
        self.violations = tuple(violations)
        self.message_id = message_id
        self.account = account
        self.message = message


class InvalidFieldsError(WeChatNotifyError):
    """A request that is no message has wrong fields; ``violations`` names every one at once."""

    reason = "invalid_fields"

    def __init__(self, violations: Sequence[Violation]) -> None:
        super().__init__(", ".join(violation.for_log() for violation in violations))
        self.violations = tuple(violations)


class UnknownMessageError(WeChatNotifyError):
    """The ledger has no message under this id, or it is another account's."""

    reason = "unknown_message"


class UnknownScheduleError(WeChatNotifyError):
    """The account has no schedule of this name."""

    reason = "unknown_schedule"


class UnknownHoldError(WeChatNotifyError):
    """Nothing of the account is held under this id (any more)."""

    reason = "unknown_hold"


class ConsentLinkError(WeChatNotifyError):
    """A confirmation that no link of ours stands for; ``problem`` says why.

    It is ``forged``, ``expired``, ``mismatch`` (another template or scene) or ``used`` (by somebody else).
    """

    reason = "consent_link"

    def __init__(self, problem: str) -> None:
        super().__init__(problem)
        self.problem = problem


class StartedError(WeChatNotifyError):
    """The message has been started, so that it cannot be cancelled; ``status`` is its state."""

    reason = "already_started"

    def __init__(self, status: Status) -> None:
        super().__init__(status.value)
        self.status = status


class UnknownBroadcastError(WeChatNotifyError):
    """The account has no broadcast under this id."""

    reason = "unknown_broadcast"


class UnknownUploadError(WeChatNotifyError):
    """Nothing was uploaded under this id, or it has expired."""

    reason = "unknown_upload"


class BroadcastIdReusedError(WeChatNotifyError):
    """The id belongs to a broadcast of another request."""

    reason = "broadcast_id_reused"


class BroadcastStateError(WeChatNotifyError):
    """The broadcast's state does not allow that; ``state`` is its name."""

    reason = "broadcast_state"

    def __init__(self, state: str) -> None:
        super().__init__(state)
        self.state = state


class CursorError(WeChatNotifyError):
    """The cursor is none that this service gave out for the list."""

    reason = "invalid_cursor"


class ObjectChangedError(WeChatNotifyError):
    """A file vanished, or was replaced while it was read."""

    reason = "object_changed"


class TokenUnavailableError(WeChatNotifyError):
    """No access token could be had for the account; nothing was sent."""

    reason = "token_unavailable"

    def __init__(self, outcome: Outcome) -> None:
        super().__init__(f"no access token: {outcome.error_class} {outcome.errcode}")
        self.outcome = outcome


class TemplatesUnavailableError(WeChatNotifyError):
    """WeChat did not tell an account's templates."""

    reason = "templates_unavailable"

    def __init__(self, outcome: Outcome) -> None:
        super().__init__(f"no templates: {outcome.error_class} {outcome.errcode}")
        self.outcome = outcome


class UnknownTemplateError(WeChatNotifyError):
    """The account's templates, as they were last read, have none under this id."""

    reason = "unknown_template"


class RefresherBusyError(WeChatNotifyError):
    """Another refresh is running (one runs at a time): read the store again, or ask again."""

    reason = "refresher_busy"


class StorageError(WeChatNotifyError):
    """An AWS store, queue or function did not do what it was asked; ``code`` says why.

    It is AWS's error code, or the name of botocore's exception where AWS gave no answer.
    """

    reason = "storage"

    def __init__(self, action: str, code: str) -> None:
        super().__init__(f"{action}: {code}")
        self.code = code


class IllegalTransitionError(WeChatNotifyError):
    """A message's entry was about to take a way that there is not; it stays as it is."""

    reason = "illegal_transition"

    def __init__(self, before: Status | None, after: Status) -> None:
        super().__init__(f"{before} -> {after}")


class IllegalBroadcastStateError(WeChatNotifyError):
    """A broadcast was about to take a way that there is not; it stays as it is."""

    reason = "illegal_broadcast_state"

    def __init__(self, before: str, after: str) -> None:
        super().__init__(f"{before} -> {after}")
