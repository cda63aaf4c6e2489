"""How work stops that nobody waits for any more: between two steps it asks whether to go on.

A step is never interrupted: what runs on a device runs to its end, and a device's process is never ended for it.
"""

from collections.abc import Callable

Proceed = Callable[[], None]
"""Asked between two steps of a task; costs next to nothing. Raises Abandoned where nobody waits for the answer any more."""


class Abandoned(Exception):
    """The task's caller has left, or its deadline has passed: what is left of it isn't done."""


def wanted() -> None:
    """The Proceed of work that nobody abandons."""
