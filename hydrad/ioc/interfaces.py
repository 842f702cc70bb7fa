"""Where searches arrive: at an interface's own address, and at the address that reaches everybody on its network."""

from __future__ import annotations

import fcntl
import socket
import struct
from collections.abc import Iterator

_ADDRESS, _BROADCAST, _FLAGS = 0x8915, 0x8919, 0x8913  # SIOCGIFADDR, SIOCGIFBRDADDR, SIOCGIFFLAGS
_HAS_BROADCAST = 0x2
_NAME_BYTES = 16


def broadcast_of(address: str) -> str | None:
    """The broadcast address of the interface with this address; None for 0.0.0.0, loopback and addresses not ours.

    A socket bound to an interface's own address hears no broadcasts, and it is by broadcast that clients search.
    """
    return next((broadcast for own, broadcast in _interfaces() if own == address), None)


def _interfaces() -> Iterator[tuple[str, str]]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        for _, name in socket.if_nameindex():
            try:
                own, broadcast, flags = (_ask(asking, what, name) for what in (_ADDRESS, _BROADCAST, _FLAGS))
            except OSError:  # an interface without an address
                continue
            if struct.unpack_from("h", flags, _NAME_BYTES)[0] & _HAS_BROADCAST:
                yield _address(own), _address(broadcast)


def _ask(asking: socket.socket, what: int, name: str) -> bytes:
    request = struct.pack(f"{_NAME_BYTES}s24x", name.encode()[: _NAME_BYTES - 1])
    return fcntl.ioctl(asking.fileno(), what, request)


def _address(answer: bytes) -> str:
    return socket.inet_ntoa(answer[_NAME_BYTES + 4 : _NAME_BYTES + 8])
