"""Fair shares of device time: start-time fair queueing (Goyal, Vin, Cheng, SIGCOMM 1996) with equal weights.

Whoever used the least goes first. A tenant that comes back after a pause starts level with the one whose turn it is: it
gets its share from now on, and nothing for the time it wasn't there.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field


@dataclass(slots=True)
class Shares:
    """Seconds of device time by tenant, in one class of priority. A tenant is present while it has a task in it."""

    used_s: dict[str, float] = field(default_factory=dict)
    _present: dict[str, int] = field(default_factory=dict)
    _turn_s: float = 0.0
    """What the tenant whose turn it was had used (the virtual time)."""

    def enter(self, tenant: str) -> None:
        """A task of the tenant was accepted."""
        if not self._present:
            self.used_s.clear()
            self._turn_s = 0.0
        self.used_s[tenant] = self.level_s(tenant)
        self._present[tenant] = self._present.get(tenant, 0) + 1

    def leave(self, tenant: str) -> None:
        """A task of the tenant has come to its end."""
        self._present[tenant] -= 1
        if not self._present[tenant]:
            del self._present[tenant]

    def pick(self, tenant: str, seconds: float, waiting: Iterable[str]) -> None:
        """A task of the tenant starts and is expected to take so long. `waiting`: the tenants that could have been
        chosen.
        """
        self._turn_s = max(self._turn_s, min(self.used_s[one] for one in waiting))
        self.charge(tenant, seconds)

    def charge(self, tenant: str, seconds: float) -> None:
        """It took so much longer, or less (negative)."""
        self.used_s[tenant] += seconds

    def level_s(self, tenant: str) -> float:
        """What the tenant has used, or what it would be taken to have used if it came in now."""
        if tenant in self._present:
            return self.used_s[tenant]
        return max(self.used_s.get(tenant, 0.0), self._turn_s) if self._present else 0.0
