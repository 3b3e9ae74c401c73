from collections.abc import Mapping
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

from local.simulator import errcodes
from local.simulator.errcodes import Refusal
from local.simulator.receipts import Callback

_ACTIONS = ("dns", "ping", "all")
_OPERATORS = ("DEFAULT", "CHINANET", "UNICOM", "CAP")


def check(callback: Callback | None, asked: Mapping[str, Any]) -> dict[str, Any]:
    """The addresses of an app's callback, and a ping of each."""
    if asked.get("action") not in _ACTIONS:
        raise Refusal(errcodes.INVALID_CHECK_ACTION)
    if asked.get("check_operator") not in _OPERATORS:
        raise Refusal(errcodes.INVALID_CHECK_OPERATOR)
    if callback is None:
        raise Refusal(errcodes.INVALID_URL)
    found = _addresses(urlsplit(callback.url).hostname or "")
    pinged = {"from_operator": "CAP", "package_loss": "0%", "time": "21.434ms"}
    told = {
        "dns": [{"ip": ip, "real_operator": "UNICOM"} for ip in found],
        "ping": [{"ip": ip, **pinged} for ip in found],
    }
    return told if asked["action"] == "all" else {asked["action"]: told[asked["action"]]}


def _addresses(host: str) -> list[str]:
    """Without asking anybody: names that end in ``.invalid`` have none, others one that stands for any."""
    try:
        return [str(ip_address(host))]
    except ValueError:
        return [] if host.endswith(".invalid") else ["127.0.0.1" if host == "localhost" else "203.0.113.10"]
