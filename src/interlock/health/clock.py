"""How far the clock is off: what venues say about the time, beside what the machinery saw of the host's clock.

A venue's stamp on something that we have received bounds the offset from above (receipt is later than the stamp), a stamp on
the answer to a question bounds it from below (the question is older than the stamp). The offset reported is the smallest that
all the evidence of the last minute allows, so a slow line alone is never a wrong clock.
"""

from typing import Final

from msgspec import Struct

from interlock.model.money import SECOND, Nanos

HALF_WINDOW: Final[Nanos] = 30 * SECOND
READING_AGE_MAX: Final[Nanos] = 30 * SECOND
"""How old the machinery's own reading may be."""


class Bounds(Struct):
    """Of one account's venue, ours less theirs. The highest lower bound and the lowest upper one count."""

    since: Nanos = 0
    low: Nanos | None = None
    high: Nanos | None = None
    low_before: Nanos | None = None
    high_before: Nanos | None = None

    def take(self, ts: Nanos, low: Nanos | None, high: Nanos) -> None:
        self._turn(ts)
        if low is not None:
            self.low = low if self.low is None else max(self.low, low)
        self.high = high if self.high is None else min(self.high, high)

    def offset(self, now: Nanos) -> Nanos | None:
        """None: nothing was heard within the window."""
        self._turn(now)
        highs = [high for high in (self.high, self.high_before) if high is not None]
        if not highs:
            return None
        low, high = max((low for low in (self.low, self.low_before) if low is not None), default=None), min(highs)
        above = max(0, low) if low is not None else 0
        below = min(0, high)
        return above if above >= -below else below

    def _turn(self, ts: Nanos) -> None:
        """The window is two halves; a half that is over goes as a whole."""
        if ts - self.since < HALF_WINDOW:
            return
        is_next = ts - self.since < 2 * HALF_WINDOW
        self.low_before, self.high_before = (self.low, self.high) if is_next else (None, None)
        self.low = self.high = None
        self.since = self.since + HALF_WINDOW if is_next else ts


class ClockEvidence(Struct):
    """Everything known about the clock since the start of the process."""

    venues: dict[str, Bounds] = {}
    own: float | None = None           # seconds, as the machinery last read it
    ts_own: Nanos | None = None

    def heard(self, account: str, ts: Nanos, ts_venue: Nanos, ts_asked: Nanos | None = None) -> None:
        """A venue's stamp on what has just been received; `ts_asked` is when the question left, where there was one."""
        bounds = self.venues.setdefault(account, Bounds(since=ts))
        bounds.take(ts, None if ts_asked is None else ts_asked - ts_venue, ts - ts_venue)

    def read(self, value: float | None, ts: Nanos) -> None:
        self.own, self.ts_own = value, ts

    def offset(self, now: Nanos) -> Nanos | None:
        """The worst of all. None: no venue was heard, or the machinery has not read the host's clock lately."""
        own, at = self.own, self.ts_own
        if own is None or at is None or not 0 <= now - at <= READING_AGE_MAX or not abs(own) < 1e9:
            return None
        found = [each for bounds in self.venues.values() if (each := bounds.offset(now)) is not None]
        if not found:
            return None
        return max((round(own * SECOND), *found), key=abs)
