"""The structure detector: one instrument's market as trend, range, expansion or compression, every 15 minutes."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from interlock.errors import InputError
from interlock.model import kernels as recurrences
from interlock.model.instrument import Instrument
from interlock.model.kernels import Record, compiled, freeze, header, source_of, thaw
from interlock.model.market import Bar, Quality
from interlock.model.view import Regime, Session
from interlock.regimes import kernels

DETECTOR: Final = "structure"
SOURCE: Final = source_of(recurrences, kernels)


def _structure(state: Record, ts_event: int, timeframe: int, anchor: int, session_end: int, ts_known: int,
               is_synth: bool, opened: int, high: int, low: int, close: int) -> int:
    return kernels.structure(state[0], ts_event, timeframe, anchor, session_end, ts_known, is_synth,
                             opened, high, low, close)


_step: Final = compiled(_structure, SOURCE)


class StructureRegime:
    """The regime of one instrument: "unknown" for the first 50 parents, then one of `kernels.NAMES`.

    Feed it the finished one-minute bars. With the session of the bar, parents are counted from the session's open and
    the last one may be short; without, they stand on the quarters of the hour, UTC.
    """

    def __init__(self, instrument: Instrument) -> None:
        self.instrument = instrument
        self._state: NDArray[np.void] = np.zeros(1, kernels.STRUCTURE)
        self._header = header(f"regime.{DETECTOR}", SOURCE, instrument.symbol, kernels.STRUCTURE)
        self._current = Regime(DETECTOR, kernels.NAMES[kernels.UNKNOWN], 0)
        self._ts_event = -1

    @property
    def current(self) -> Regime:
        """The regime as of the last look; `ts_known` 0 before the first."""
        return self._current

    @property
    def is_warm(self) -> bool:
        return self._current.name != kernels.NAMES[kernels.UNKNOWN]

    def step(self, bar: Bar, session: Session | None = None) -> Regime | None:
        """Fold one bar; the regime if the detector looked again, None while a parent is being built.

        Raises InputError for a bar of another instrument or from the past.
        """
        if bar.instrument != self.instrument.symbol:
            raise InputError(f"regime of {self.instrument.symbol}: found a bar of {bar.instrument}")
        if bar.ts_event <= self._ts_event:
            raise InputError(f"regime of {bar.instrument}: a bar at {bar.ts_event} after the bar at {self._ts_event}")
        self._ts_event = bar.ts_event
        anchor, end = (session.ts_open, session.ts_close) if session is not None and session.is_open else (0, 0)
        if not _step(self._state, bar.ts_event, bar.timeframe, anchor, end, bar.ts_known, bar.quality is Quality.SYNTH,
                     bar.open, bar.high, bar.low, bar.close):
            return None
        self._look()
        return self._current

    def snapshot(self) -> bytes:
        """Header, raw bytes and CRC32 of the record."""
        return freeze(self._header, int(self._state[0]["n_steps"]), self._state)

    def restore(self, raw: bytes) -> None:
        """Put a snapshot back. Raises InputError naming what differs."""
        thaw(self._header, raw, self._state)
        s = self._state[0]
        self._ts_event = int(s["ts_event"]) if s["n_steps"] else -1
        self._look()

    def _look(self) -> None:
        s = self._state[0]
        self._current = Regime(DETECTOR, kernels.NAMES[int(s["regime"])], int(s["ts_known"]))
