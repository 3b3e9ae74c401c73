"""Confirmation links: bound, signed, single-use."""

from __future__ import annotations

import itertools
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.fakes import START, Service
from wechat_notify.core.consents.consents import REPAIRED_FOR, Confirmed
from wechat_notify.core.consents.links import LIFETIME, Signer, new_nonce, page_url
from wechat_notify.core.errors import ConsentLinkError

TEMPLATE, SCENE, PERSON, OTHER = "J5tWfHcX2mNq8sVb", "1000", "o-1", "o-2"


def problem_of(service: Service, reserved: str, template_id: str = TEMPLATE, scene: str = SCENE) -> str:
    with pytest.raises(ConsentLinkError) as raised:
        service.consent_links.confirm(reserved, template_id, scene, PERSON)
    return raised.value.problem


def left(service: Service, openid: str = PERSON, account: str = "shop") -> int:
    return len(service.consents.of(account, openid).of(TEMPLATE, SCENE).unused)


@pytest.fixture
def reserved(service: Service) -> str:
    return service.consent_links.new("shop", TEMPLATE, SCENE)[1]


@pytest.mark.parametrize("account", ["a", "a" * 64])
@pytest.mark.parametrize("scene", ["0", "10000"])
def test_reserved_keeps_wechats_limit(service: Service, account: str, scene: str) -> None:
    link, reserved = service.consent_links.new(account, "t" * 64, scene)
    assert reserved.isalnum()
    assert reserved.isascii()
    assert len(reserved.encode()) <= 128
    assert (link.expires_at, link.account) == (START + LIFETIME, account)
    assert service.consent_links.confirm(reserved, "t" * 64, scene, PERSON).granted == 1
    assert service.consents.of(account, PERSON).of("t" * 64, scene).unused


def test_a_confirmation_is_one_message_however_often_it_comes(service: Service, reserved: str) -> None:
    assert service.consent_links.confirm(reserved, TEMPLATE, SCENE, PERSON) == Confirmed("shop", 1)
    assert service.consent_links.confirm(reserved, TEMPLATE, SCENE, PERSON) == Confirmed("shop", 0)
    assert left(service) == 1


@pytest.mark.parametrize(("after", "left_then"), [(REPAIRED_FOR - 1, 1), (REPAIRED_FOR, 0)])
def test_a_tab_that_is_opened_again_brings_no_erased_person_back(
    service: Service, reserved: str, after: float, left_then: int
) -> None:
    """Within minutes a repeat makes up for a function that was stopped between its two writes."""
    service.consent_links.confirm(reserved, TEMPLATE, SCENE, PERSON)
    service.consent_store.people.clear()
    service.clock.advance(after)
    assert service.consent_links.confirm(reserved, TEMPLATE, SCENE, PERSON) == Confirmed("shop", left_then)
    assert len(service.consent_store.people) == left_then


def test_another_person_cannot_use_it(service: Service, reserved: str) -> None:
    service.consent_links.confirm(reserved, TEMPLATE, SCENE, OTHER)
    assert problem_of(service, reserved) == "used"
    assert (left(service), left(service, OTHER)) == (0, 1)
    stored = str(service.consent_store.links)
    assert service.openid_hash(OTHER) not in stored


def test_two_people_at_once(service: Service, reserved: str) -> None:
    """The first write binds it."""
    store = service.consent_store

    def other_first() -> None:
        service.consent_links.confirm(reserved, TEMPLATE, SCENE, OTHER)

    put_link = store.put_link
    calls = itertools.count()

    def intrude(link: object) -> object:
        if not next(calls):
            other_first()
        return put_link(link)  # type: ignore[arg-type] # a link

    store.put_link = intrude  # type: ignore[method-assign,assignment] # for this test
    assert problem_of(service, reserved) == "used"
    assert (left(service), left(service, OTHER)) == (0, 1)


def test_a_kill_between_binding_and_grant_is_made_good_by_the_repeat(service: Service, reserved: str) -> None:
    service.consent_store.failing["read"] = "InternalServerError"
    with pytest.raises(Exception, match="read"):
        service.consent_links.confirm(reserved, TEMPLATE, SCENE, PERSON)
    service.consent_store.failing.clear()
    assert left(service) == 0
    assert service.consent_links.confirm(reserved, TEMPLATE, SCENE, PERSON).granted == 1


def test_forged(service: Service, reserved: str) -> None:
    """Nothing is looked up for what we did not sign."""
    changed = [
        f"{reserved[:place]}{'0' if reserved[place] != '0' else '1'}{reserved[place + 1 :]}"
        for place in range(len(reserved))
    ]
    foreign = Signer(lambda: [b"another key"]).write(reserved[:24], START_PLUS_A_DAY)
    for each in (*changed, foreign, "", "A" * 64, reserved + "0", reserved.upper(), "é" * 64, "٣" * 64):
        assert problem_of(service, each) == "forged"
    assert service.consent_store.calls["read_link"] == 0


START_PLUS_A_DAY = int(START) + LIFETIME


def test_expired(service: Service, reserved: str) -> None:
    service.clock.advance(LIFETIME)
    assert problem_of(service, reserved) == "expired"
    assert service.consent_store.calls["read_link"] == 0


def test_a_link_that_is_gone(service: Service, reserved: str) -> None:
    service.consent_store.links.clear()
    assert problem_of(service, reserved) == "expired"


def test_it_is_bound_to_its_template_and_scene(service: Service, reserved: str) -> None:
    assert problem_of(service, reserved, template_id="other") == "mismatch"
    assert problem_of(service, reserved, scene="1") == "mismatch"
    assert service.consent_links.confirm(reserved, TEMPLATE, SCENE, PERSON).granted == 1


def test_a_refusal_is_noted_and_does_not_use_the_link_up(service: Service, reserved: str) -> None:
    links = service.consent_links
    assert links.refuse(reserved, TEMPLATE, SCENE)
    assert not links.refuse(reserved, TEMPLATE, SCENE)
    assert service.consent_store.people == {}
    assert links.confirm(reserved, TEMPLATE, SCENE, PERSON).granted == 1
    with pytest.raises(ConsentLinkError):  # it names nobody, so it takes nothing from anybody
        links.refuse(reserved, TEMPLATE, SCENE)
    (link,) = service.consent_store.links.values()
    assert (link.refused_at, link.confirmed_at) == (START, START)


def test_the_address_of_wechats_page() -> None:
    redirect = "https://shop.example/ok?a=1&b=中"
    url = page_url(
        "https://mp.weixin.qq.com", "wx1", scene="0", template_id="t-_1", redirect_url=redirect, reserved="a1"
    )
    parts = urlsplit(url)
    assert url.startswith("https://mp.weixin.qq.com/mp/subscribemsg?action=get_confirm&appid=wx1&scene=0&")
    assert url.endswith("&reserved=a1#wechat_redirect")
    assert parse_qs(parts.query)["redirect_url"] == [redirect]
    assert "+" not in parts.query


def test_nonces_have_one_length() -> None:
    assert [len(new_nonce(bits)) for bits in (0, 2**96 - 1)] == [24, 24]
