"""The templates of an account, as WeChat lists them and as they are stored."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from enum import StrEnum
from types import MappingProxyType
from typing import NamedTuple, Protocol

# WeChat's own sample of get_all_private_template has blanks in it: ``{ {result.DATA} }``.
PLACEHOLDER = r"\{\s*\{\s*(\w+)\.DATA\s*\}\s*\}"


class Family(StrEnum):
    """The two lists of templates that an account can have."""

    SUBSCRIPTION = "subscription"
    """Of subscription messages: ``/wxaapi/newtmpl/gettemplate``."""
    TEMPLATE = "template"
    """Of template messages: ``/cgi-bin/template/get_all_private_template``."""


FAMILY_OF_KIND: Mapping[str, Family] = MappingProxyType(
    {
        "subscription": Family.SUBSCRIPTION,
        "mini_program_subscription": Family.SUBSCRIPTION,
        "template": Family.TEMPLATE,
    }
)
"""The family that a kind's template is of. The other kinds use templates that no list has."""


class Enumeration(NamedTuple):
    """The only values that a keyword can have."""

    key: str
    values: tuple[str, ...]


class Template(NamedTuple):
    """One template.

    ``content`` is its text with placeholders, ``example`` the same filled by WeChat. ``long_term`` says of a
    subscription that it lasts, None where WeChat does not say.
    """

    id: str
    family: Family
    title: str
    content: str
    example: str = ""
    long_term: bool | None = None
    enumerations: tuple[Enumeration, ...] = ()

    @property
    def keys(self) -> list[str]:
        """The keys of its keywords, in the order of the text."""
        return list(dict.fromkeys(re.findall(PLACEHOLDER, self.content)))

    def values_of(self, key: str) -> tuple[str, ...]:
        """The only values that a keyword can have; empty where it can have any."""
        return next((each.values for each in self.enumerations if each.key == key), ())


class AccountTemplates(NamedTuple):
    """The templates of an account, stored as one item; version 0 is none stored.

    ``subscription_at`` and ``template_at`` are when the family was last read, in seconds since the epoch:
    None where it never was. A family that the account does not have is an empty one.
    """

    account: str
    version: int = 0
    writer: str = ""
    updated_at: float = 0.0
    subscription_at: float | None = None
    template_at: float | None = None
    templates: tuple[Template, ...] = ()

    def synced_at(self, family: Family) -> float | None:
        """The time at which a family was last read."""
        return self.subscription_at if family is Family.SUBSCRIPTION else self.template_at

    def of(self, family: Family) -> list[Template]:
        """The templates of a family."""
        return [template for template in self.templates if template.family is family]

    def named(self, template_id: str) -> list[Template]:
        """The templates under an id: one, or none."""
        return [template for template in self.templates if template.id == template_id]


class TemplateStore(Protocol):
    """Storage of templates; every method raises ``StorageError``."""

    def read_templates(self, account: str) -> AccountTemplates | None:
        """The newest version, None where there is none."""

    def put_templates(self, templates: AccountTemplates) -> AccountTemplates | None:
        """Store after the version before; return None, or the existing ones that another call has written."""


class TemplateLists(Protocol):
    """WeChat's lists of templates."""

    def fetch_templates(self, family: Family, token: str) -> Sequence[Template]:
        """One list; empty where the account has no such API. Raises ``TemplatesUnavailableError``."""
