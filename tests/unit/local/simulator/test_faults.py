"""Faults that are planted, and receivers whose names bring a fault or an error."""

from random import Random

import pytest

from local.simulator import faults
from local.simulator.faults import Fault
from local.simulator.messages import TEMPLATE_SEND
from tests.unit.local.simulator.conftest import SAMPLES, World


@pytest.mark.parametrize("errcode", [-1, 0, 43101, 99999])
def test_named_receivers_bring_errors(world: World, errcode: int) -> None:
    assert world.errcode(touser=f"errcode-{errcode}") == errcode


@pytest.mark.parametrize(
    ("touser", "effect", "accepted"),
    [
        ("fault-timeout", "timeout", False),
        ("fault-timeout-after", "timeout", True),
        ("fault-reset", "reset", False),
        ("fault-html", "html", False),
        ("fault-truncated-after", "truncated", True),
        ("fault-redirect", "redirect", False),
        ("fault-drip-after", "drip", True),
        ("fault-503", "status", False),
    ],
)
def test_named_receivers_bring_faults(world: World, touser: str, effect: str, *, accepted: bool) -> None:
    answer = world.wechat.handle(world.call("template/send", {**SAMPLES["template/send"], "touser": touser}))
    assert answer.fault is not None
    assert answer.fault.effect == effect
    assert world.newest()["accepted"] is accepted


@pytest.mark.parametrize("touser", ["fault-200", "fault-"])
def test_other_names_are_people(touser: str) -> None:
    assert faults.named(touser, 1) is None


def test_faults_before_and_after(world: World) -> None:
    world.order("faults", effect="timeout", path=TEMPLATE_SEND, count=1, seconds=9)
    world.order("faults", effect="reset", when="after", path=TEMPLATE_SEND, count=1)
    struck = [world.wechat.handle(world.call("template/send", SAMPLES["template/send"])) for _ in range(3)]
    assert [answer.fault and (answer.fault.effect, answer.fault.seconds) for answer in struck] == [
        ("timeout", 9),
        ("reset", 30),
        None,
    ]
    listed = world.see("messages")["messages"]
    assert [(entry["accepted"], entry["errcode"], entry["fault"]) for entry in reversed(listed)] == [
        (False, None, "timeout before"),
        (True, 0, "reset after"),
        (True, 0, None),
    ]
    assert world.see("stats")["unanswered"] == 1
    assert world.see("faults") == {"faults": []}


def test_planted_errcodes(world: World) -> None:
    world.order("faults", effect="errcode", errcode=45009, errmsg="full", count=1)
    world.order("faults", effect="errcode", errcode=-1, when="after", count=1)
    assert world.stable()["errcode"] == 45009
    world.order("faults", "DELETE")
    token = world.token()
    world.order("faults", effect="errcode", errcode=43107, path="/cgi-bin/message/*")
    assert world.errcode(token=token) == 43107
    assert (world.newest()["accepted"], world.newest()["errcode"]) == (False, 43107)
    assert world.token()
    assert world.order("faults", "DELETE") == {"cleared": 1}
    world.order("faults", effect="errcode", errcode=-1, when="after", count=1)
    assert world.errcode(token=token) == -1
    assert world.newest()["accepted"] is True


def test_probability() -> None:
    planted = faults.Faults(Random(7))  # noqa: S311 - the same chances in every run
    planted.plant(Fault("reset", probability=0.25))
    struck = sum(planted.strike(TEMPLATE_SEND) is not None for _ in range(4000))
    assert 900 < struck < 1100
