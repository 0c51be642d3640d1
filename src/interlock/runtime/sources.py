"""The two markets a desk can be driven by here: the simulated one, tick by tick, and recordings merged in time."""

import hashlib
import heapq
from collections.abc import Iterator, Sequence
from typing import Protocol

from interlock.errors import InputError, InvariantBroken
from interlock.feeds.recorded import Recording, merge
from interlock.feeds.simulated import SimulatedMarket
from interlock.model.instrument import Instrument
from interlock.model.market import Bar, MarketState, Quote, Trade
from interlock.model.money import Nanos

MarketMessage = Quote | Trade | MarketState | Bar


class Market(Protocol):
    """A market before it is listened to: what it will bring, and where it comes from."""

    name: str
    provenance: str
    is_simulated: bool
    digest: str                        # SHA-256 that names its content, "" where it is generated
    dropped: dict[str, int]
    fed: tuple[tuple[str, Nanos], ...]             # instruments and their bar lengths

    def source(self, done: int) -> "RecordedSource | SimulatedSource":
        """From after the first `done` messages on."""
        ...


class RecordedSource:
    """Recordings in (ts_known, instrument, row) order, from after the first `done` messages on."""

    def __init__(self, recordings: Sequence[Recording], *, done: int = 0) -> None:
        self.name = "recorded"
        self.rows = done
        self._total = sum(recording.kept for recording in recordings)
        self._messages: Iterator[Bar | Trade] = merge(recordings)
        self._next: Bar | Trade | None = next(self._messages, None)
        skipped = 0
        while skipped < done and self._next is not None:
            self._next = next(self._messages, None)
            skipped += 1

    def peek(self) -> Nanos | None:
        message = self._next
        if message is None:
            return None
        return message.ts_known if type(message) is Bar else message.ts_recv  # type: ignore[union-attr]

    def take(self) -> MarketMessage:
        message = self._next
        if message is None:
            raise InvariantBroken("the recording has ended")
        self._next = next(self._messages, None)
        self.rows += 1
        return message

    def share(self) -> float:
        return min(1.0, self.rows / self._total) if self._total else 1.0


class SimulatedSource:
    """The simulated market from `start` on: at each half second a quote per instrument, at each minute its bars."""

    STEP: Nanos = 500_000_000
    MINUTE: Nanos = 60_000_000_000

    def __init__(self, market: SimulatedMarket, instruments: Sequence[Instrument], *, start: Nanos,
                 end: Nanos | None = None) -> None:
        self.name = "simulated"
        self.rows = 0
        self._market = market
        self._instruments = tuple(instruments)
        self._start = start
        self._end = end
        self._index = -(-start // self.STEP)
        self._queue: list[MarketMessage] = []
        self._states: dict[str, MarketState] = {}

    def peek(self) -> Nanos | None:
        at = self._index * self.STEP
        if self._queue:
            return at - self.STEP
        return None if self._end is not None and at >= self._end else at

    def take(self) -> MarketMessage:
        while not self._queue:
            self._fill()
        self.rows += 1
        return self._queue.pop()

    def share(self) -> float:
        if self._end is None:
            return 0.0
        return min(1.0, (self._index * self.STEP - self._start) / max(1, self._end - self._start))

    def _fill(self) -> None:
        at = self._index * self.STEP
        messages: list[MarketMessage] = []
        for instrument in self._instruments:
            if at % self.MINUTE == 0 and at > self._start:     # the bar that ends at the start is history
                messages.extend(self._market.bars(instrument.symbol, self.MINUTE, at - self.MINUTE, at))
            state = self._market.state(instrument.symbol, self._index)
            known = self._states.get(instrument.symbol)
            if known is None or (known.is_open, known.is_halted) != (state.is_open, state.is_halted):
                self._states[instrument.symbol] = state
                messages.append(state)
            quote = self._market.quote(instrument.symbol, self._index)
            if quote is not None:
                messages.append(quote)
        self._index += 1
        messages.reverse()
        self._queue = messages


class SimulatedMarketplace:
    """The simulated market of a seed: never ends when driven by the wall clock, and is the same whenever it is asked."""

    name = "simulated"
    provenance = "simulated"
    is_simulated = True
    digest = ""

    def __init__(self, seed: int, instruments: Sequence[Instrument], *, start: Nanos, end: Nanos | None = None) -> None:
        self.name = f"simulated, seed {seed}"
        self.dropped: dict[str, int] = {}
        self.fed = tuple((instrument.symbol, SimulatedSource.MINUTE) for instrument in instruments)
        self.instruments = tuple(instruments)
        self.market = SimulatedMarket(seed, self.instruments)
        self.start = start
        self._end = end

    def source(self, done: int) -> SimulatedSource:  # noqa: ARG002 - goes on with the clock
        return SimulatedSource(self.market, self.instruments, start=self.start, end=self._end)

    def history(self, length: Nanos) -> Iterator[Bar]:
        """The bars of the time before `start`, oldest first, merged over the instruments."""
        minute = SimulatedSource.MINUTE
        end = self.start - self.start % minute
        runs = [self.market.bars(instrument.symbol, minute, end - length, end) for instrument in self.instruments]
        return merge_bars(runs)


class Recordings:
    """Recorded files, merged in time."""

    name = "recorded"
    provenance = "playback"
    is_simulated = False

    def __init__(self, recordings: Sequence[Recording]) -> None:
        self.recordings = tuple(recordings)
        symbols = [recording.instrument.symbol for recording in recordings]
        doubled = {symbol for symbol in symbols if symbols.count(symbol) > 1}
        if doubled:
            raise InputError(f"--data names {', '.join(sorted(doubled))} twice; one recording per instrument")
        self.digest = hashlib.sha256("".join(recording.digest for recording in recordings).encode()).hexdigest()
        self.dropped = dict[str, int]()
        for recording in recordings:
            for reason, count in recording.dropped.items():
                self.dropped[reason] = self.dropped.get(reason, 0) + count
        self.fed = tuple((recording.instrument.symbol, recording.timeframe) for recording in recordings)

    def source(self, done: int) -> RecordedSource:
        return RecordedSource(self.recordings, done=done)


def merge_bars(runs: Sequence[Iterator[Bar]]) -> Iterator[Bar]:
    """Several runs of bars as one, by (ts_known, instrument)."""
    return heapq.merge(*runs, key=lambda bar: (bar.ts_known, bar.instrument))
