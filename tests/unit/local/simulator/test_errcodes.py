import pytest

from local.simulator import errcodes
from tests.unit.local.simulator.conftest import World


def test_one_text_speaks_of_days() -> None:
    """The other limits are of a month, a minute, a domain, a number of templates or a mass send."""
    assert [code for code, text in errcodes.ERRMSG.items() if "daily" in text] == [45009]


@pytest.mark.parametrize(
    ("errcode", "subject"),
    [
        (43100, "change template"),
        (45026, "template num"),
        (45028, "masssend"),
        (45040, "monthly"),
        (45065, "clientmsgid"),
        (45104, "domain"),
        (45501, "temporarily"),
        (48006, "clear quota"),
        (48012, "invalid token"),
        (200012, "too many templates"),
        (200022, "already exists"),
    ],
)
def test_texts_name_the_limit(world: World, errcode: int, subject: str) -> None:
    assert subject in world.send(touser=f"errcode-{errcode}")["errmsg"]


def test_answered_codes_have_texts() -> None:
    named = {value for name, value in vars(errcodes).items() if name.isupper() and isinstance(value, int)}
    assert named <= set(errcodes.ERRMSG)
