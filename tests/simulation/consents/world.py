"""A world with people: what they let an account send, as WeChat knows it, and the events of what they do."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from random import Random
from types import SimpleNamespace
from typing import Any, Final

from local.simulator.consents import Consent, Consents
from local.simulator.events import CHANGE, POPUP, REVOCATIONS, UNSUBSCRIBE, PersonEvent
from tests.fakes import load_event
from tests.simulation import wechat
from tests.simulation.receipts.world import ACCOUNTS, ReceiptWorld
from tests.simulation.world.faults import FAULTY, Mix
from tests.simulation.world.functions import Function
from tests.simulation.world.invocations import DEAD, Invocation, Sandbox
from tests.simulation.world.setting import PATH
from wechat_notify.aws.hash_keys import SETTLES_AFTER, StoredHashKeys
from wechat_notify.bootstrap import teams
from wechat_notify.core.openid_hashes import KeySource

POLICIES: Final = dict(zip(ACCOUNTS, ("enforce", "warn"), strict=True))
_USED_UP_BY: Final = (wechat.SUBSCRIPTION, wechat.ONE_TIME, wechat.MINI_PROGRAM_SUBSCRIPTION)
_LATE: Final = 90.0
_AGAIN_AFTER: Final = 4.0
_TRIES: Final = 60
_OK: Final = 200
_SERVER_ERROR: Final = 500


@dataclass
class Told:
    """An event, or a confirmation, on its way to the service.

    ``at`` is WeChat's time of an event, and of a confirmation that of the answer: WeChat tells no time of it.
    """

    at: int
    taken: bool = False
    """The service has answered that it has it."""
    given_up: bool = False
    pushes: list[float] = field(default_factory=list)


class ConsentWorld(ReceiptWorld):
    """Everything, from one seed. An account asks for consents, another one warns."""

    def __init__(self, seed: int | str, mix: Mix = FAULTY, *, thorough: bool = True) -> None:
        super().__init__(seed, mix, thorough=thorough)
        self.team_api = Function(self, "team-api", "functions.team_api.handler", 29.0, 20)
        self.team_api.points_most = 12
        self.functions.append(self.team_api)
        self.lent.append((teams, "_random", Random(f"{seed}/nonces")))
        self.credits = Consents()
        self.wechat.lets_out = self._lets_out
        self.settles_at = self.start + Random(f"{seed}/keys").uniform(10, 80)
        self.calls = 0
        """Requests of the API that are still to be answered or repeated."""
        for account, policy in POLICIES.items():
            name = f"{PATH}/{account}/credentials"
            self.parameters.values[name] = json.dumps(
                json.loads(self.parameters.values[name]) | {"consents": policy}
            )

    @property
    def at_rest(self) -> bool:
        """True if nothing is left to be done."""
        return super().at_rest and not self.calls

    def key_source(self, sandbox: Sandbox) -> KeySource:
        """The keys were rotated a while ago: the new one comes into use while people decide."""
        answer = {
            "SecretString": '{"current": "a new key", "earlier": ["a key for simulations"]}',
            "CreatedDate": datetime.fromtimestamp(self.settles_at - SETTLES_AFTER, UTC),
        }
        aws: Any = SimpleNamespace(
            call=lambda _action, call, **_: call(),
            secretsmanager=SimpleNamespace(get_secret_value=lambda **_: answer),
        )
        return StoredHashKeys(aws, lambda: "a secret", now=lambda: self.scheduler.now + sandbox.skew)

    def accept(self, person: Consent) -> Told:
        """Somebody accepts a template in a popup."""
        self.credits.accept(person, lasting=False)
        item = {"TemplateId": person.template_id, "SubscribeStatusString": "accept", "PopupScene": "0"}
        return self._tell(person, POPUP, item)

    def reject(self, person: Consent) -> Told:
        """Somebody denies a popup, which takes nothing back."""
        item = {"TemplateId": person.template_id, "SubscribeStatusString": "reject", "PopupScene": "0"}
        return self._tell(person, POPUP, item)

    def refuse(self, person: Consent) -> Told:
        """Somebody refuses a template in their settings."""
        self.credits.withdraw(person.app_id, person.openid, person.template_id)
        item = {"TemplateId": person.template_id, "SubscribeStatusString": "reject"}
        return self._tell(person, CHANGE, item)

    def leave(self, person: Consent) -> Told:
        """Somebody unfollows the account."""
        self.credits.withdraw(person.app_id, person.openid)
        return self._tell(person, UNSUBSCRIBE)

    def revoke(self, person: Consent) -> Told:
        """Somebody has all that is known of them erased."""
        self.credits.withdraw(person.app_id, person.openid)
        return self._tell(person, REVOCATIONS[0])

    def confirm(self, person: Consent) -> Told:
        """Somebody confirms a link to one message, and the browser comes back until it is answered."""
        told = Told(int(self.scheduler.now))
        query = {
            "scene": person.scene,
            "template_id": person.template_id,
            "redirect_url": "https://example.com/v1/consents/confirm",
        }

        def have_link(answer: dict[str, Any]) -> None:
            self.credits.confirm(person)
            told.pushes.append(self.scheduler.now)
            back = {
                "openid": person.openid,
                "template_id": person.template_id,
                "action": "confirm",
                "scene": person.scene,
                "reserved": answer["reserved"],
            }
            self._call("GET /v1/consents/confirm", back, {}, have_confirmed)

        def have_confirmed(_answer: dict[str, Any]) -> None:
            told.taken, told.at = True, int(self.scheduler.now)

        route = "GET /v1/accounts/{account}/consents/links"
        self._call(route, query, {"account": person.app_id}, have_link)
        return told

    def _tell(self, person: Consent, name: str, item: dict[str, str] | None = None) -> Told:
        chance, at = self._pushes, int(self.scheduler.now)
        told = Told(at)
        revoked = {"OpenID": person.openid, "RevokeInfo": "1"} if name in REVOCATIONS else {}
        items = (item,) if item else ()
        event = PersonEvent(f"wx-{person.app_id}", person.openid, name, at, items, revoked)
        after = chance.uniform(0.1, 3) if chance.random() < 0.7 else chance.uniform(3, _LATE)
        for _ in range(2 if chance.random() < 0.2 else 1):
            self.push_after(after, person.app_id, event, told)
        return told

    def _lets_out(self, account: str, path: str, body: dict[str, Any]) -> bool:
        if path not in _USED_UP_BY:
            return True
        scene = str(body["scene"]) if "scene" in body else None
        consent = Consent(account, body["touser"], body["template_id"], scene)
        if not self.credits.left(consent):
            return False
        self.credits.use(consent)
        return True

    def _call(
        self,
        route: str,
        query: dict[str, str | None],
        path: dict[str, str],
        answered: Callable[[dict[str, Any]], object],
    ) -> None:
        self.calls += 1
        event = load_event("team_api/request")
        event |= {"routeKey": route, "pathParameters": path, "queryStringParameters": query}
        event["headers"]["accept"] = "application/json"
        self._ask_api(event, answered, _TRIES)

    def _ask_api(
        self, event: dict[str, Any], answered: Callable[[dict[str, Any]], object], tries: int
    ) -> None:
        def ended(_: Invocation, answer: Any) -> None:
            status = _SERVER_ERROR if answer is DEAD else int(answer["statusCode"])
            if status == _OK:
                self.calls -= 1
                answered(json.loads(answer["body"]))
                return
            assert status >= _SERVER_ERROR, answer
            again()

        def again() -> None:
            assert tries, "nobody answers"
            when = self.scheduler.now + _AGAIN_AFTER
            self.scheduler.at(when, partial(self._ask_api, event, answered, tries - 1))

        if self.team_api.invoke(event, ended) is None:
            again()
