"""The description of one route: an entry for each."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from wechat_notify.http.queries import Query

Json = dict[str, Any]

ANSWERS = Path(__file__).with_name("answers")
ACCOUNT = "shop"
"""The account of the examples."""


@dataclass(frozen=True)
class Call:
    """A request to a route of the account ``ACCOUNT``, with what its path names beside the account.

    ``takes`` are the parameters of its query that an answer before it gives.
    """

    route: str
    path: Mapping[str, str] = field(default_factory=dict)
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Json | None = None
    takes: tuple[str, ...] = ()

    @property
    def method(self) -> str:
        """Its HTTP method."""
        return self.route.partition(" ")[0]


@dataclass(frozen=True)
class Example:
    """A request, the calls that come before it, and the status with which the laptop stack answers it.

    The answer's content stands in openapi/answers; fields in ``VOLATILE`` and in ``volatile`` may have another
    value. ``eventually``: it is answered otherwise before, until what came before has been worked on.
    """

    call: Call
    status: int
    before: tuple[Call, ...] = ()
    volatile: frozenset[str] = frozenset()
    eventually: bool = False


VOLATILE = frozenset(
    {"at", "created_at", "updated_at", "opened_at", "held_until", "synced_at", "next"}
    | {"started_at", "finished_at", "finishes_at", "next_release_at"}
    | {"msgid", "rid", "errmsg", "openid_hash"}
)
"""Fields of an answer whose value no example can know; only whether it is there, and its type."""


@dataclass(frozen=True)
class Answer:
    """A successful answer: its content is of one of the types, TypedDicts; ``headers`` may come with it."""

    text: str
    types: tuple[type, ...]
    headers: tuple[str, ...] = ()


@dataclass(frozen=True)
class Header:
    """A header of a request."""

    name: str
    text: str
    schema: Json


@dataclass(frozen=True)
class Operation:
    """One route.

    ``body`` names the schema of its request body. ``problems`` are the names of its problem documents beside
    those that every route has. ``query`` is the model that checks its query string, ``parameters`` describes
    each parameter of the path and the query. ``replays``: an answer may be a repeated one. ``public``: it is
    called without a signature and without an account, and answers a browser with a page.
    """

    id: str
    tag: str
    summary: str
    answers: Mapping[int, Answer]
    example: Example
    text: str = ""
    body: str | None = None
    problems: tuple[str, ...] = ()
    query: type[Query] | None = None
    parameters: Mapping[str, str] = field(default_factory=dict)
    headers: tuple[Header, ...] = ()
    replays: bool = False
    public: bool = False

    @property
    def example_answer(self) -> Json:
        """The answer to the example."""
        answer: Json = json.loads((ANSWERS / f"{self.id}.json").read_text("utf-8"))
        return answer
