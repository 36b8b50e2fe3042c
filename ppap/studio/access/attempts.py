"""How often somebody may try a password: after some failures, only after a while."""

from __future__ import annotations

import ipaddress
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable

# Failures within a quarter of an hour: of a name from one address, from one address, of a name.
WINDOW_SECONDS = 15 * 60.0
BOTH, ADDRESS, NAME = 5, 20, 50
MOST_KEPT = 20_000


class Attempts:
    """Counts failures. Safe for many threads.

    Args:
        clock: seconds that only grow.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._failures: OrderedDict[tuple[str, str], deque[float]] = OrderedDict()
        self._lock = threading.Lock()

    def begin(self, name: str, address: str) -> float:
        """Somebody tries: 0, and it counts as a failure until ``succeeded`` is told otherwise.

        Where too many failed, nothing is counted, and these are the seconds to wait. Asked and
        counted at once, so that a hundred tries at the same time are not all the first.
        """
        now = self._clock()
        keys = self._keys(name, address)
        with self._lock:
            wait = max(self._wait(key, most, now) for key, most in keys)
            if wait <= 0:
                for key, most in keys:
                    self._count(key, most, now)
            return max(0.0, wait)

    def _wait(self, key: tuple[str, str], most: int, now: float) -> float:
        failures = self._failures.get(key)
        if failures is None:
            return 0.0
        while failures and failures[0] <= now - WINDOW_SECONDS:
            failures.popleft()
        if len(failures) < most:
            return 0.0
        return failures[len(failures) - most] + WINDOW_SECONDS - now

    def _count(self, key: tuple[str, str], most: int, now: float) -> None:
        failures = self._failures.setdefault(key, deque(maxlen=most))
        failures.append(now)
        self._failures.move_to_end(key)
        while len(self._failures) > MOST_KEPT:
            self._failures.popitem(last=False)

    def succeeded(self, name: str, address: str) -> None:
        """The password was right: the try does not count, and name and address begin anew."""
        both, *others = (key for key, _ in self._keys(name, address))
        with self._lock:
            self._failures.pop(both, None)
            for key in others:
                if self._failures.get(key):
                    self._failures[key].pop()

    @staticmethod
    def _keys(name: str, address: str) -> tuple[tuple[tuple[str, str], int], ...]:
        place = network(address)
        return ((name, place), BOTH), (("", place), ADDRESS), ((name, ""), NAME)


def network(address: str) -> str:
    """Whom an address stands for: whoever has one IPv6 address has 2⁶⁴ of them."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return address
    if found.version == 4:
        return str(found)
    if found.ipv4_mapped is not None:
        return str(found.ipv4_mapped)
    return str(ipaddress.ip_network((int(found), 64), strict=False))
