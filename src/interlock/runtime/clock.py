"""The engine clock: int64 nanoseconds UTC, never backwards. One per state directory; its source never changes."""

import time
from typing import Final

from interlock.errors import InvariantBroken
from interlock.model.money import Nanos

WALL: Final = "wall"
PLAYBACK: Final = "playback"
VIRTUAL: Final = "virtual"


class WallClock:
    """Engine time is wall time; a step back of the host's clock makes it stand, not run back."""

    kind = WALL

    def __init__(self, floor: Nanos = 0) -> None:
        self._now = floor

    def now(self) -> Nanos:
        self._now = max(self._now, time.time_ns())
        return self._now

    def target(self) -> Nanos:
        """Up to which engine time everything is due."""
        return self.now()

    def move(self, ts: Nanos) -> None:
        """Wall time moves by itself; told a later time, by the record or by what was due, it never runs back behind it."""
        self._now = max(self._now, ts)

    def seconds_until(self, ts: Nanos) -> float:
        return max(0.0, (ts - self.now()) / 1e9)


class PlaybackClock:
    """Engine time is the recording's, moved by its rows: `speed` engine seconds a second, or as fast as answers come.

    It moves only when told; between two rows it may be moved to any moment the pace has reached.
    """

    def __init__(self, speed: float | None, *, floor: Nanos = 0, kind: str = PLAYBACK) -> None:
        if speed is not None and not speed > 0:
            raise InvariantBroken(f"a playback speed must be above zero, found {speed}")
        self.kind = kind
        self.speed = speed
        self._now = floor
        self._anchor: tuple[Nanos, float] | None = None

    def now(self) -> Nanos:
        return self._now

    def target(self) -> Nanos:
        """Up to which engine time everything is due; at full speed there is no bound but the next row."""
        if self.speed is None:
            return 1 << 62
        if self._anchor is None:
            return self._now
        ts, at = self._anchor
        return ts + int((time.monotonic() - at) * self.speed * 1e9)

    def start(self, ts: Nanos) -> None:
        """Begin the pace at the first row."""
        if self._anchor is None:
            self._now = self._now or ts        # a resumed clock stands where it stood: what was due then is still due
            self._anchor = (self._now, time.monotonic())

    def move(self, ts: Nanos) -> None:
        if ts > self._now:
            self._now = ts

    def seconds_until(self, ts: Nanos) -> float:
        if self.speed is None:
            return 0.0
        return max(0.0, (ts - self.target()) / 1e9 / self.speed)


Clock = WallClock | PlaybackClock
