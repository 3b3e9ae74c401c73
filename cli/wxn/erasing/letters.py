"""The person's messages in a dead letter queue."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

from wxn.dead_letters import MAX_READ, DeadLetter, DeadLetterQueue, account_of, decoded
from wxn.erasing.person import Person
from wxn.erasing.place import Count, Found
from wxn.language import text
from wxn.times import local_time

_RETENTION_SECONDS: Final = 14 * 86400


class Letters:
    """The messages of one dead letter queue that name one person.

    A body that cannot be read may be of any account; it counts where it names the openid.
    """

    def __init__(self, name: str, sqs: Any, url: str, account: str, person: Person) -> None:
        self.name = name
        self._sqs = sqs
        self._url = url
        self._account = account
        self._person = person
        self._seen = 0

    def find(self, count: Count) -> Iterator[Found]:
        """Read the queue; its messages are visible again afterwards."""
        read = 0

        def counted(done: int) -> None:
            nonlocal read
            read = done
            count(done, None)

        with DeadLetterQueue(self._sqs, self._url) as queue:
            letters = queue.read(MAX_READ, self._is_wanted, counted)
        # SQS's counts are up to a minute behind, and may still have what the search before made visible again.
        hidden = queue.hidden - self._seen
        self._seen = 0 if hidden > 0 else read
        if hidden > 0:
            yield Found(
                self.name,
                self._url.rpartition("/")[2],
                text("search what is hidden", "检索被占用的消息"),
                text(
                    f"another reader hides {hidden} messages of the queue",
                    f"队列中有 {hidden} 条消息正被其他读取者占用",
                ),
                text("in a few minutes", "几分钟后"),
            )
        if queue.there > MAX_READ:
            yield Found(
                self.name,
                self._url.rpartition("/")[2],
                text("search the whole queue", "检索整个队列"),
                text(
                    f"it holds {queue.there} messages, and SQS shows {MAX_READ} of them at a time",
                    f"队列中有 {queue.there} 条消息，SQS 一次只能读取 {MAX_READ} 条",
                ),
                text("when it holds fewer", "消息减少之后"),
            )
        yield from (self._found(letter) for copies in letters for letter in copies)

    def erase(self, found: Sequence[Found]) -> None:
        """Read the queue once more, and delete what was found."""
        if not found:
            return
        names = {each.name for each in found}
        with DeadLetterQueue(self._sqs, self._url) as queue:
            letters = queue.read(MAX_READ, lambda letter: letter.message_id in names)
            queue.delete(letter for copies in letters for letter in copies)

    def _is_wanted(self, letter: DeadLetter) -> bool:
        account = account_of(letter.body)
        return account in {None, self._account} and self._person.is_named_in(letter.body)

    def _found(self, letter: DeadLetter) -> Found:
        blocked = again = ""
        if self._is_of_others(letter.body):
            gone = local_time(letter.sent_at + _RETENTION_SECONDS)
            blocked = text(
                f"it is for other recipients too; SQS deletes it on {gone}",
                f"其中还有其他收件人；SQS 将于 {gone} 删除",
            )
            again = text("after it was redriven or deleted", "重新投递或删除之后")
        return Found(self.name, letter.message_id, text("delete it", "删除"), blocked, again)

    def _is_of_others(self, body: str) -> bool:
        value = decoded(body)
        envelope = value.get("detail", value) if isinstance(value, dict) else None
        if not isinstance(envelope, dict):
            return False
        message = envelope.get("message")
        if isinstance(message, dict):
            return isinstance(message.get("touser"), str) and message["touser"].strip() != self._person.openid
        return "broadcast" in envelope
