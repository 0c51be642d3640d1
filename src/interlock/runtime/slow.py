"""Times the gate's checks with a clock that the core does not have, counts the slow ones, and has a person told of the first."""

import time
from collections import Counter
from collections.abc import Callable

import structlog

from interlock.model.money import MILLISECOND
from interlock.model.record import Alarm

log = structlog.get_logger("interlock.gate")


class SlowChecks:
    """The gate's `Watch`. `tell` takes the alarm of a check's first slow answer; `counts` has all of them by check."""

    def __init__(self, tell: Callable[[Alarm], None], now: Callable[[], int] = time.monotonic_ns) -> None:
        self._tell = tell
        self.now = now
        self.counts: Counter[str] = Counter()

    def slow(self, check: str, nanos: int) -> None:
        self.counts[check] += 1
        log.warning("a check was slow", check=check, ms=nanos / MILLISECOND, times=self.counts[check])
        if self.counts[check] == 1:
            self._tell(Alarm(f"slow_check.{check}", "warning", f"the check {check} took {nanos / MILLISECOND:.1f} ms: every "
                             "order waits for it; look at the load of this machine"))
