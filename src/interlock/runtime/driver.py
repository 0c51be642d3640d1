"""Moves time: delivers what is due in order, lets the desk settle, and waits for what comes next.

One loop for all clocks. At equal times: ticks, then the venue, then data by (ts_known, instrument, row), then commands. In
playback and virtual time the clock stands until all that a turn released has been committed, written and answered, so that
speed changes nothing.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Final, Protocol

from interlock.brokers.safe import SafeBroker
from interlock.model.market import Bar, MarketState, Quote, Trade
from interlock.model.money import SECOND, Nanos
from interlock.model.record import FeedEnded, Reading, ReadRequested, Tick
from interlock.runtime.clock import WALL, Clock, PlaybackClock, WallClock
from interlock.runtime.connect import LocalVenue, Venue
from interlock.runtime.desk import Desk
from interlock.runtime.heartbeat import GAP_TOLD, Heartbeat

MarketMessage = Quote | Trade | MarketState | Bar

TURNS_MAX: Final = 4096
"""Deliveries between two looks at the event loop."""
PATIENCE_MAX: Final = 1.0
"""Seconds that the loop waits at most: a loop that waits does not beat."""
CLOCK_EVERY: Final[Nanos] = 10 * SECOND
CLOCK_MOVED: Final[Nanos] = SECOND // 20
"""A clock that is off by so much more or less than before is told at once."""


class Source(Protocol):
    """A market: what comes next, and when it is due on the engine clock."""

    name: str
    rows: int                          # delivered so far

    def peek(self) -> Nanos | None:
        """When the next message is due; None after the last one."""
        ...

    def take(self) -> MarketMessage: ...

    def share(self) -> float:
        """How much of it has been delivered, 0 to 1; 0 for a market without end."""
        ...


class Driver:
    """Runs one desk on one source until it is told to stop, or (replay) until the source and the venues are done."""

    def __init__(self, desk: Desk, source: Source, venues: Sequence[tuple[Venue, SafeBroker]], *, reconcile: Nanos,
                 ends_with_source: bool, heartbeat: Heartbeat | None = None) -> None:
        self.desk = desk
        self.source = source
        self.clock: Clock = desk.clock
        self._venues = tuple(venues)
        self._local = tuple((venue, safe) for venue, safe in venues if isinstance(venue, LocalVenue))
        self._is_wall = desk.clock.kind == WALL
        self._reconcile = reconcile
        self._ends_with_source = ends_with_source
        self.on_progress: Callable[[float], None] | None = None
        self._is_stopping = False
        self._has_ended = desk.engine.feed_ended
        self._has_begun = False
        desk.pump = self._pump
        self.heartbeat = heartbeat
        self._next_ping = 0
        self._next_read = 0
        self._next_clock = 0
        self._off: Nanos = 0

    def stop(self) -> None:
        """Ask the loop to end after the turn it is in."""
        self._is_stopping = True
        self.desk.inbox.wake()

    @property
    def has_ended(self) -> bool:
        """The source has given its last message."""
        return self._has_ended

    async def run(self) -> None:
        """Raises StorageError when the journal can no longer be written, InvariantBroken for a mistake of our own."""
        for venue, safe in self._venues:
            await venue.open()
            for report in safe.drain():
                self.desk.turn(report)
        for message in self.desk.engine.marks.latest():       # the last prices, which nobody tells again after a restart
            for local, _ in self._local:
                local.recall(message)
            for _, safe in self._venues:
                safe.on_market(message)
        rounds = 0
        while not self._is_stopping:
            if rounds and self.heartbeat is not None:
                self._tell_gap(self.heartbeat.passed())
            delivered = self._deliver()
            self._drain()
            taken = self.desk.take(TURNS_MAX)
            if self.desk.is_urgent or (self.desk.has_open and (self._is_wall or self.desk.open_count >= TURNS_MAX)):
                await self.desk.settle()
                self._drain()
            rounds += 1
            if self.on_progress is not None and rounds % 64 == 0:
                self.on_progress(self.source.share())
            if delivered or taken or len(self.desk.inbox):
                if not self._ends_with_source and (self._is_wall or rounds % 16 == 0):
                    await asyncio.sleep(0)     # let sockets be served
                continue
            if self.desk.has_open:
                await self.desk.settle()
                continue
            if self._has_ended and self._ends_with_source:
                break
            await self.desk.inbox.wait(self._patience())
        # What the venue has answered by now belongs to this process; left behind, the next one would hear it too late.
        while True:
            await self.desk.settle()
            await self.desk.finish()
            self._drain()
            if not self.desk.take(TURNS_MAX):
                break

    def _deliver(self) -> int:
        """Deliver what is due, in order, until something must be settled first."""
        desk, clock, target, waiting = self.desk, self.clock, self.clock.target(), self.desk.inbox.items
        for count in range(TURNS_MAX):
            if waiting or desk.is_urgent:
                return count
            wake = desk.engine.next_wake()
            venue_due = self._venue_due()
            due = data = self.source.peek()
            if data is None:
                if not self._has_ended:
                    self._has_ended = True
                    desk.turn(FeedEnded(self.source.name, self.source.rows))
                    if self.on_progress is not None:
                        self.on_progress(1.0)
                    continue
            elif not self._has_begun:
                self._has_begun = True
                if isinstance(clock, PlaybackClock):
                    clock.start(data)
                    target = clock.target()
            if venue_due is not None and (due is None or venue_due < due):
                due = venue_due
            if wake is not None and (due is None or wake < due):
                due = wake
            if due is None or due > target:
                return count + self._machinery()
            clock.move(due)
            if wake is not None and wake <= due:
                desk.turn(Tick())
            elif venue_due is not None and venue_due <= due:
                for venue, _ in self._local:
                    venue.advance(due)
                self._drain()
            else:
                self._deliver_data()
        return TURNS_MAX

    def _deliver_data(self) -> None:
        message = self.source.take()
        for venue, _ in self._local:
            venue.on_market(message)
        for _, safe in self._venues:
            safe.on_market(message)
        # What the venue made of it happened before the row was known to us: its reports come first.
        self._drain()
        while self.desk.inbox.items and not self._is_wall:
            self.desk.take(TURNS_MAX)
        self.desk.turn(message)

    def _machinery(self) -> int:
        """Proofs and reconciles of wall time; in playback a line that is up is proven by the clock waiting for it."""
        if not self._is_wall:
            return 0
        now = self.clock.now()
        off = self.clock.off() if isinstance(self.clock, WallClock) else 0
        if now >= self._next_clock or abs(off - self._off) > CLOCK_MOVED:
            self._next_clock, self._off = now + CLOCK_EVERY, off
            self.desk.turn(Reading("clock_offset", "", round(off / SECOND, 3)))
        if now >= self._next_ping:
            self._next_ping = now + SECOND
            for local, _ in self._local:
                local.advance(now)         # so that the time it answers with is that of its answer
            for venue, _ in self._venues:
                for proof in venue.ping(now):
                    self.desk.turn(proof)
        if now >= self._next_read:
            if self._next_read:
                for venue, _ in self._venues:
                    for account in venue.accounts:
                        if self.desk.engine.latches.is_up(account):    # nobody asks over a line that is down
                            self.desk.turn(ReadRequested(account, "every reconcile"))
            self._next_read = now + self._reconcile
        return 0

    def _tell_gap(self, gap: Nanos) -> None:
        """A loop that did not come round (it hung, or the machine slept) is told of; in playback nothing depends on it."""
        if self._is_wall and gap > GAP_TOLD:
            self.desk.turn(Reading("loop_gap", "", round(gap / SECOND, 3)))

    def _pump(self) -> bool:
        due = self._venue_due()
        if due is None:
            return False
        self.clock.move(due)
        for venue, _ in self._local:
            venue.advance(due)
        return True

    def _venue_due(self) -> Nanos | None:
        due = None
        for venue, _ in self._local:
            at = venue.next_due()
            if at is not None and (due is None or at < due):
                due = at
        return due

    def _drain(self) -> None:
        for _, safe in self._venues:
            for report in safe.drain():
                self.desk.inbox.put(report)

    def _patience(self) -> float | None:
        """Seconds until the next thing is due."""
        dues = [at for at in (self.desk.engine.next_wake(), self._venue_due(), self.source.peek()) if at is not None]
        waits = [self.clock.seconds_until(min(dues))] if dues else []
        if self._is_wall:
            waits.append(self.clock.seconds_until(self._next_ping))
        elif not dues:
            waits.append(0.5)
        return min(PATIENCE_MAX, *waits)
