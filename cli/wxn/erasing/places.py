"""All places where something of a person can be stored."""

from __future__ import annotations

from wxn.api import Api
from wxn.erasing.consents import Consents
from wxn.erasing.entries import Entries
from wxn.erasing.files import Files
from wxn.erasing.letters import Letters
from wxn.erasing.person import Person
from wxn.erasing.place import Place
from wxn.erasing.schedules import Schedules
from wxn.language import text
from wxn.stacks import Stack


def all_places(stack: Stack, account: str, person: Person) -> list[Place]:
    """The places of an account, in the order in which they are erased: first what could still send something."""
    sqs = stack.client("sqs")
    queues = {
        "DeadLetterQueue": text("dead letters", "死信"),
        "EventDeadLetterQueue": text("undelivered firings", "未投递的定时触发"),
        "CallbackDeadLetterQueue": text("undelivered callbacks", "未处理的回调"),
    }
    return [
        Schedules(stack, account, person),
        Entries(stack, Api(stack, account), account, person),
        *(Letters(name, sqs, stack.resources[queue], account, person) for queue, name in queues.items()),
        Files(stack, account, person),
        Consents(stack, account, person),
    ]
