"""Where a request comes from, when a proxy may stand in between."""

from __future__ import annotations

import ipaddress

from fastapi import Request

from hydrad.config import Web
from hydrad.errors import ConfigurationError
from hydrad.web.doors.visitors import host_of

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class Peers:
    """Tells the proxies of ``web.proxy_from`` from everybody else, by the address of the TCP connection itself.

    What a proxy says in ``X-Forwarded-For`` is used for the log, for histories and to count wrong passwords; nobody is
    let in for it.
    """

    def __init__(self, web: Web) -> None:
        faults = []
        self._networks = []
        for entry in web.proxy_from:
            try:
                self._networks.append(ipaddress.ip_network(entry, strict=False))
            except ValueError:
                faults.append(f"web.proxy_from: {entry!r} is neither an address nor a network such as 10.1.2.0/24")
        if faults:
            raise ConfigurationError(*faults)
        self._expected = web.auth == "proxy" or web.https

    def is_proxy(self, request: Request) -> bool:
        """Whether a proxy has sent this."""
        return self._trusts(_address(host_of(request)))

    def host_of(self, request: Request) -> str:
        """The address of whoever asks, behind the proxy where there is one."""
        peer = host_of(request)
        if not (self._expected and self._trusts(_address(peer))):
            return peer
        said = ",".join(request.headers.getlist("x-forwarded-for"))
        host = peer
        for entry in reversed(said.split(",") if said else ()):  # each proxy adds whom it heard at the right end
            address = _address(entry.strip())
            if address is None:
                break
            host = str(address)
            if not self._trusts(address):
                break
        return host

    def _trusts(self, address: Address | None) -> bool:
        return address is not None and any(address in network for network in self._networks)


def _address(text: str) -> Address | None:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address
