"""How often a password may be tried: few enough that nobody guesses one, enough that nobody is shut out for long.

Three counts of wrong passwords, each over a while that moves on:

- of one name from one address, 5 in 15 minutes: somebody who cannot type waits, at that desk only;
- from one address, 20 in 15 minutes: one password tried on many names;
- of one name from everywhere, 10 in a minute: many addresses at one account. The person it belongs to waits a minute
  at most, since that is how long a stranger could otherwise shut them out.

A right password clears the counts of its name. They are kept in memory, a bounded number of them: the least recently
wrong go first, which one address cannot bring about by itself.
"""

from __future__ import annotations

import ipaddress
import math
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass

from hydrad.errors import HydradError


@dataclass(frozen=True, slots=True)
class Limit:
    """So many wrong passwords within so many seconds."""

    wrong: int
    within_s: float


DESK = Limit(5, 900)
ADDRESS = Limit(20, 900)
NAME = Limit(10, 60)
COUNTS = 4096  # kept at once

Key = tuple[Limit, str, str]


class TooOften(HydradError):
    """A password was tried too often; ``wait_s`` is after how many seconds it may be tried again."""

    def __init__(self, wait_s: int) -> None:
        minutes = math.ceil(wait_s / 60)
        wait = f"{wait_s} seconds" if wait_s < 100 else f"{minutes} minutes"
        super().__init__(f"too many wrong passwords: try again in {wait}")
        self.wait_s = wait_s


class Patience:
    """Counts wrong passwords; may be asked from any thread."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._wrong: OrderedDict[Key, deque[float]] = OrderedDict()
        self._alone = threading.Lock()

    def spend(self, name: str, host: str) -> None:
        """Count a try as wrong before it is made, so that many at once are counted too.

        Raises:
            TooOften: it may not be made, and is not counted.
        """
        now = self._now()
        keys = _keys(name, host)
        with self._alone:
            wait_s = max(self._wait_s(key, now) for key in keys)
            if wait_s > 0:
                raise TooOften(math.ceil(wait_s))
            for key in keys:
                times = self._wrong.setdefault(key, deque(maxlen=key[0].wrong))
                times.append(now)
                self._wrong.move_to_end(key)
            while len(self._wrong) > COUNTS:
                self._wrong.popitem(last=False)

    def forgive(self, name: str, host: str) -> None:
        """The password was right: what was counted for its name is forgotten, and this try for its address."""
        with self._alone:
            for key in _keys(name, host):
                if key[0] is not ADDRESS:
                    self._wrong.pop(key, None)
                elif times := self._wrong.get(key):
                    times.pop()

    def _wait_s(self, key: Key, now: float) -> float:
        limit = key[0]
        times = self._wrong.get(key)
        return 0.0 if times is None or len(times) < limit.wrong else times[0] + limit.within_s - now


def _keys(name: str, host: str) -> tuple[Key, ...]:
    network = _network(host)
    return (DESK, name, network), (ADDRESS, "", network), (NAME, name, "")


def _network(host: str) -> str:
    """An IPv6 address as the network of its site: one desk has 2⁶⁴ of them."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host
    if address.version == 4:
        return host
    mapped = address.ipv4_mapped
    return str(mapped) if mapped else str(ipaddress.ip_network((address, 64), strict=False))
