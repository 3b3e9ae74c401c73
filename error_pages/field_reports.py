"""The field reports: what is known of a code beyond its row in the table.

``field_reports.toml`` holds them, a table for each code.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Final

from pydantic import BaseModel, ConfigDict, TypeAdapter

from wechat_notify.core.texts import Bilingual


class Certainty(StrEnum):
    """The kind of source that a statement has."""

    DOCUMENTED = "documented"
    """A page of WeChat's documentation."""
    SDK = "sdk"
    """The source code of a published SDK."""
    REPORTED = "reported"
    """A thread of WeChat's community or an issue of an SDK; nobody at WeChat confirmed it."""
    INFERRED = "inferred"
    """It follows from other statements and was not observed."""


class Place(StrEnum):
    """The place where WeChat gives an answer: the token endpoints, the endpoint of a kind, or a group of others."""

    TOKEN = "token"  # noqa: S105 # nosec B105 # an endpoint, not a secret
    SUBSCRIPTION = "subscription"
    ONE_TIME_SUBSCRIPTION = "one_time_subscription"
    MINI_PROGRAM_TEMPLATE = "mini_program_template"
    MINI_PROGRAM_SUBSCRIPTION = "mini_program_subscription"
    TEMPLATE = "template"
    TEMPLATE_LISTS = "template_lists"
    QUOTAS = "quotas"
    TEMPLATE_MANAGEMENT = "template_management"
    UNIFORM_MESSAGE = "uniform_message"
    CUSTOMER_SERVICE = "customer_service"
    MASS_SEND = "mass_send"
    PLATFORM = "platform"
    USER_AUTHORIZATION = "user_authorization"
    DIAGNOSIS = "diagnosis"
    CLOUD_CALL = "cloud_call"
    CLOUD_HOSTING = "cloud_hosting"


class _Checked(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Sentence(_Checked):
    """One statement in both languages."""

    en: str
    zh: str

    def as_text(self) -> Bilingual:
        """Return it as the project's other texts are."""
        return Bilingual(self.en, self.zh)


class Cause(Sentence):
    """A statement about causes and circumstances, with the kind of source that it has."""

    certainty: Certainty


class Report(_Checked):
    """The field report of a code.

    ``met`` is where the code was met, ``errmsg`` texts that came with it (addresses and ids are replaced),
    ``steps`` what to do, in this order, where one sentence of advice is too short.
    """

    met: tuple[Place, ...] = ()
    errmsg: tuple[str, ...] = ()
    causes: tuple[Cause, ...] = ()
    steps: tuple[Sentence, ...] = ()
    related: tuple[int, ...] = ()


def read(toml: str) -> Mapping[int, Report]:
    """Return the reports by code; raises pydantic's ``ValidationError``."""
    return TypeAdapter(dict[int, Report]).validate_python(tomllib.loads(toml))


REPORTS: Final = read(Path(__file__).with_suffix(".toml").read_text("utf-8"))
NO_REPORT: Final = Report()
