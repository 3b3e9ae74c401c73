from dataclasses import dataclass
from ipaddress import ip_address, ip_network


@dataclass(frozen=True, slots=True)
class App:
    """An account.

    Attributes
    ----------
    ip_whitelist
        Addresses and networks that may call the token endpoints; empty means all.
    retired
        The code that ``wxopen/template/send`` answers, ``None`` while it still works.
    pages, openids
        Those that exist; empty means that they are not checked.
    without
        The paths of the lists of templates and of the endpoints that an account of its kind does not have.
    consents
        Messages that use consents up need one. Without, those of which nothing is known go out too.
    domains
        Registered business domains, to which pages may lead back; empty means all.
    """

    app_id: str
    secret: str
    secret_frozen: bool = False
    account_frozen: bool = False
    ip_whitelist: tuple[str, ...] = ()
    retired: int | None = None
    pages: frozenset[str] = frozenset()
    openids: frozenset[str] = frozenset()
    without: frozenset[str] = frozenset()
    consents: bool = False
    domains: frozenset[str] = frozenset()

    def admits(self, client_ip: str) -> bool:
        """Return whether an address may call the token endpoints."""
        if not self.ip_whitelist:
            return True
        return any(ip_address(client_ip) in ip_network(entry, strict=False) for entry in self.ip_whitelist)
