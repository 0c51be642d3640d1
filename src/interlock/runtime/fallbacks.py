"""Counts the second-best ways that this process has taken, and puts each use into the record."""

from collections import Counter
from collections.abc import Callable, Iterable

import structlog

from interlock.model.fallbacks import EARLY
from interlock.model.record import FallbackUsed

log = structlog.get_logger("interlock.fallbacks")


class Fallbacks:
    """One process's. `put` is the way into the record: the core counts nothing itself, and raises the alarms."""

    def __init__(self, put: Callable[[FallbackUsed], None]) -> None:
        self._put = put
        self.counts: Counter[str] = Counter()

    def use(self, *used: FallbackUsed) -> None:
        """Each is one use."""
        for each in used:
            self.counts[each.name] += 1
            log.warning("fallback", name=each.name, severity=each.severity, why=each.why, count=self.counts[each.name])
            self._put(FallbackUsed(each.name, each.severity, each.why, self.counts[each.name]))

    def begin(self, used: Iterable[FallbackUsed]) -> None:
        """What the start took, and what was taken while modules were loaded."""
        self.use(*EARLY, *used)
        EARLY.clear()
