"""SafeBroker's own memory of the market: the last quote of each instrument and its recent path, kept apart from the engine's."""

from collections import deque
from collections.abc import Mapping
from typing import Final

from interlock.model.instrument import Instrument
from interlock.model.market import Bar, MarketState, Proof, Quote, Trade
from interlock.model.money import MINUTE, Nanos
from interlock.model.playback import quote_of

MarketInput = Quote | Trade | MarketState | Proof | Bar


TOLD_MAX: Final = 64
"""What is told waits for a question, or until so much of it waits."""


class Path:
    """The lowest and the highest of what was told within a span: two queues that hold only what may still become one of them."""

    def __init__(self, span: Nanos) -> None:
        self._span = span
        self._told: list[tuple[Nanos, int, int]] = []      # since somebody last asked
        self._lows: deque[tuple[Nanos, int]] = deque()     # rising; the first is the lowest
        self._highs: deque[tuple[Nanos, int]] = deque()    # falling; the first is the highest

    def add(self, ts: Nanos, low: int, high: int) -> None:
        self._told.append((ts, low, high))
        if len(self._told) >= TOLD_MAX:
            self._take_in()

    def reach(self, now: Nanos) -> tuple[int, int]:
        """(lowest, highest) of the span that ends now. What was told last stays, however old."""
        self._take_in()
        self._forget(now)
        return self._lows[0][1], self._highs[0][1]

    def _take_in(self) -> None:
        lows, highs = self._lows, self._highs
        for ts, low, high in self._told:
            while lows and lows[-1][1] >= low:
                lows.pop()
            while highs and highs[-1][1] <= high:
                highs.pop()
            lows.append((ts, low))
            highs.append((ts, high))
            self._forget(ts)
        self._told.clear()

    def _forget(self, now: Nanos) -> None:
        for queue in (self._lows, self._highs):
            while len(queue) > 1 and queue[0][0] < now - self._span:
                queue.popleft()


class QuoteCache:
    """Last quote (or finished bar), recent path and market state per instrument. A bar becomes a quote when somebody asks."""

    def __init__(self, instruments: Mapping[str, Instrument], window: Nanos = MINUTE) -> None:
        self._instruments = instruments
        self._window = window
        self._latest: dict[str, Quote | Bar] = {}
        self._paths: dict[str, Path] = {}
        self._states: dict[str, MarketState] = {}

    def on_market(self, message: MarketInput) -> None:
        if isinstance(message, Quote):
            self._latest[message.instrument] = message
            twice = message.bid + message.ask
            self._path(message.instrument).add(message.ts_recv, twice, twice)
        elif isinstance(message, Bar):
            self._latest[message.instrument] = message
            # A bar that is longer than the window says where the market was too long ago; its close alone is of now.
            low, high = (message.low, message.high) if message.timeframe <= self._window else (message.close, message.close)
            self._path(message.instrument).add(message.ts_known, 2 * low, 2 * high)
        elif isinstance(message, MarketState):
            self._states[message.instrument] = message

    def quote(self, symbol: str) -> Quote | None:
        latest = self._latest.get(symbol)
        if isinstance(latest, Bar):
            instrument = self._instruments.get(symbol)
            if instrument is None:
                return None
            latest = self._latest[symbol] = quote_of(latest, instrument)
        return latest

    def reach(self, symbol: str, now: Nanos) -> tuple[int, int] | None:
        """The lowest and the highest of twice the mid within the window, in increments; None: nothing has come by."""
        path = self._paths.get(symbol)
        return None if path is None else path.reach(now)

    def is_shut(self, symbol: str) -> bool:
        """Whether the market has said that it is closed or halted. One that says nothing is judged by its quotes."""
        state = self._states.get(symbol)
        return state is not None and (state.is_halted or not state.is_open)

    def _path(self, symbol: str) -> Path:
        path = self._paths.get(symbol)
        if path is None:
            path = self._paths[symbol] = Path(self._window)
        return path
