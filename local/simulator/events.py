"""The events that people cause: answers to popups, changed settings, and leaving."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from local.simulator.receipts import Form, head

POPUP = "subscribe_msg_popup_event"
CHANGE = "subscribe_msg_change_event"
UNSUBSCRIBE = "unsubscribe"
REVOCATIONS = ("user_authorization_revoke", "user_authorization_cancellation")
_WRAPPERS = {POPUP: "SubscribeMsgPopupEvent", CHANGE: "SubscribeMsgChangeEvent"}


@dataclass(frozen=True, slots=True)
class PersonEvent:
    """An event of one person.

    Attributes
    ----------
    at
        When it happened, in epoch seconds; it may be pushed much later.
    items
        The templates of a popup or of changed settings.
    more
        Other fields.
    """

    app_id: str
    openid: str
    name: str
    at: int
    items: tuple[Mapping[str, str], ...] = ()
    more: Mapping[str, str] = field(default_factory=dict)
    malformed: bool = False

    def is_json(self, form: Form) -> bool:
        """Tell whether the account's form is one of JSON."""
        return form != "xml"

    def fields(self, now: int, form: Form) -> dict[str, Any]:  # noqa: ARG002 - its time is when it happened
        """The fields of the body."""
        fields = {**head(self.openid, self.at), "Event": self.name, **self.more}
        items = [dict(item) for item in self.items]
        match form:
            case _ if not items:
                return fields
            case "json":
                return {**fields, "List": items[0] if len(items) == 1 else items}
            case "json_list":
                return {**fields, "CreateTime": str(self.at), "List": items}
            case _:
                return {**fields, _WRAPPERS[self.name]: {"List": items}}
