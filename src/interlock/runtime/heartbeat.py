"""The heartbeat: proof that the decision loop comes round, and the lease that lives by it.

A beat is given by the loop itself, when a pass of it is complete, and by nobody else. The lease is renewed by a beat alone, so
a desk whose loop hangs loses the right to write however lively its other tasks are. What has been beaten stands in
`heartbeat.json` beside the lease, for the watchdog. Machinery time counts suspend: a machine that slept did not beat.
"""

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, Protocol

import msgspec
from msgspec import Struct

from interlock.model.money import SECOND, Nanos
from interlock.storage.files import replace
from interlock.storage.lease import RENEW_EVERY, TTL, boot_clock

FILE: Final = "heartbeat.json"
ENTRY_AGE_MAX: Final[Nanos] = 10 * SECOND
"""Two missed beats: nothing is entered any more."""
DEAD_AGE: Final[Nanos] = TTL
GAP_TOLD: Final[Nanos] = 2 * SECOND
"""A longer pause between two passes is told to the core."""


class Renewable(Protocol):
    """The lease, as far as a beat needs it."""

    @property
    def epoch(self) -> int: ...

    def renew(self) -> None: ...


class Beat(Struct, frozen=True):
    """What heartbeat.json holds. `seq` counts passes; `renewed` is on the boot clock of this machine, `ts_wall` for people."""

    epoch: int
    pid: int
    seq: int
    renewed: Nanos
    interval: Nanos
    ts_wall: Nanos


class Heartbeat:
    """One process's. `boot` is the clock that counts suspend; `put` writes the file's bytes."""

    def __init__(self, lease: Renewable, put: Callable[[bytes], None], *, boot: Callable[[], Nanos] = boot_clock,
                 wall: Callable[[], Nanos] = time.time_ns) -> None:
        self._lease, self._put, self._boot, self._wall, self._interval = lease, put, boot, wall, RENEW_EVERY
        self._made = self._renewed = boot()
        self._passed: Nanos | None = None
        self.seq = 0

    @classmethod
    def of(cls, directory: Path, lease: Renewable) -> "Heartbeat":
        """That of the desk in a state directory."""
        return cls(lease, lambda body: replace(directory / FILE, body))

    @property
    def has_begun(self) -> bool:
        """Whether the loop has come round once; until then the start keeps the lease."""
        return self._passed is not None

    def passed(self) -> Nanos:
        """A pass of the decision loop is complete. Returns how long after the one before, 0 for the first.

        Raises StorageError when the lease was slept through or cannot be written, LeaseHeld when somebody has overruled us.
        """
        now = self._boot()
        gap = 0 if self._passed is None else now - self._passed
        is_first = self._passed is None
        self._passed = now
        self.seq += 1
        if is_first or now - self._renewed >= self._interval:
            self._renew(now)
        return gap

    def start(self) -> None:
        """Keep the lease while the desk starts and no loop runs yet. Raises as `passed` does."""
        if not self.has_begun:
            self._lease.renew()

    def age(self) -> Nanos:
        """Since the last complete pass, or since the start where there was none."""
        return self._boot() - (self._made if self._passed is None else self._passed)

    def row(self) -> dict[str, Any]:
        """For status and page."""
        age = self.age()
        return {"seq": self.seq, "age_ms": age // 1_000_000,
                "state": "starting" if not self.has_begun else "beating" if age <= ENTRY_AGE_MAX else
                "late" if age <= DEAD_AGE else "dead"}

    def _renew(self, now: Nanos) -> None:
        self._lease.renew()
        self._put(msgspec.json.encode(Beat(self._lease.epoch, os.getpid(), self.seq, now, self._interval, self._wall())))
        self._renewed = now
