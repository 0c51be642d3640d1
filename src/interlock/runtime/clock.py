"""The engine clock: int64 nanoseconds UTC, never backwards. One per state directory; its source never changes."""

import time
from collections.abc import Callable
from typing import Final

from interlock.errors import InvariantBroken
from interlock.model.money import MINUTE, SECOND, Nanos
from interlock.storage.lease import boot_clock

WALL: Final = "wall"
PLAYBACK: Final = "playback"
VIRTUAL: Final = "virtual"
STEP_MIN: Final[Nanos] = SECOND // 20
"""A smaller difference between the two clocks of the host, from one look to the next, is no setting of one."""
STEP_LIFE: Final[Nanos] = MINUTE


class WallClock:
    """Engine time is wall time, and never runs back. Where the host's clock has been set back it neither stands (a desk whose
    time stands is deaf) nor follows: it runs on at half the pace until the host's clock has come up with it.

    `off` says how far it cannot be believed: how far it is ahead of the host, or by how much the host's clock was set.
    """

    kind = WALL

    def __init__(self, floor: Nanos = 0, *, wall: Callable[[], Nanos] | None = None,
                 boot: Callable[[], Nanos] = boot_clock) -> None:
        self._now = floor
        self._wall = wall or (lambda: time.time_ns())
        self._boot = boot
        self._ran: Nanos | None = None     # boot clock at the last look
        self._skew: Nanos = 0              # wall less boot clock at the last look
        self._step: Nanos = 0
        self._ts_step: Nanos = 0
        self._ahead: Nanos = 0

    def now(self) -> Nanos:
        wall, boot = self._wall(), self._boot()
        if self._ran is not None and abs(wall - boot - self._skew) > STEP_MIN:
            self._step, self._ts_step = wall - boot - self._skew, boot
        if wall >= self._now:
            self._now = wall
        elif self._ran is not None:
            self._now += max(0, boot - self._ran) // 2
        self._ran, self._skew, self._ahead = boot, wall - boot, self._now - wall
        return self._now

    def off(self) -> Nanos:
        """How far ahead of the host it is, or how far the host's clock was set within the last minute; the worse of the two."""
        is_recent = self._step != 0 and self._boot() - self._ts_step < STEP_LIFE
        return max(self._ahead, self._step if is_recent else 0, key=abs)

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
